#pragma once

#include "app/html_writer.hpp"
#include "app/report.hpp"

namespace joulery::app {

/// Sections of the report's page. `heading` is the tag of headings within one.
void write_everyday(const RunReport& run, HtmlWriter& page);
void write_where(const RunReport& run, const char* heading, HtmlWriter& page);
void write_footprint(const RunReport& run, HtmlWriter& page);
void write_known(const RunReport& run, HtmlWriter& page);
void write_advice(const RunReport& run, const char* heading, HtmlWriter& page);
void write_about(const RunReport& run, HtmlWriter& page);
/// Of a page with several runs.
void write_summary_table(const Report& report, HtmlWriter& page);
void write_comparison(const Comparison& comparison, HtmlWriter& page);
void write_means(const Report& report, HtmlWriter& page);

}  // namespace joulery::app
