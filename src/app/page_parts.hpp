#pragma once

#include <string>
#include <vector>

#include "app/html_writer.hpp"
#include "app/report.hpp"
#include "base/quantity.hpp"

namespace joulery::app {

/// What all pages that we write have in common: the head that forbids every request and every program, the
/// style, and the heading. <main> is open afterwards. `own_style`: added to report_style().
void open_page(const std::string& title, HtmlWriter& page, const char* own_style = "");

/// "gaussian_noise" → "gaussian noise", which can be broken between lines.
std::string words_of(std::string name);

/// A table that close_table ends; rows follow.
void open_table(const std::string& caption, const std::vector<std::string>& columns, HtmlWriter& page);
void write_row(const std::string& head, const std::vector<std::string>& cells, HtmlWriter& page);
void close_table(HtmlWriter& page);
/// A place that a wide table scrolls in; close() ends it.
void open_wide(const std::string& label, HtmlWriter& page);

void write_tag(Provenance provenance, HtmlWriter& page);
/// The exact number travels in the page, beside the rounded one.
void write_value(const std::string& key, double exact, const std::string& shown, const char* style,
                 HtmlWriter& page);
/// One of the cards at the top of a page: a label, what is written until close_card, and a remark if any.
void open_card(const char* label, HtmlWriter& page);
void close_card(const std::string& remark, HtmlWriter& page);
/// A card of a figure: its value, how it is known, and its range.
void write_card(const char* label, const std::string& key, const ReportFigure& figure,
                const std::string& remark, HtmlWriter& page);
/// What each tag says.
void write_tags_meaning(HtmlWriter& page);

}  // namespace joulery::app
