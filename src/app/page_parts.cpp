#include "app/page_parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "app/report_style.hpp"

namespace joulery::app {

void open_page(const std::string& title, HtmlWriter& page, const char* own_style) {
  page.raw("<!DOCTYPE html>\n");
  page.open("html", {{"lang", "en"}}).open("head");
  page.single("meta", {{"charset", "utf-8"}});
  page.single(
      "meta",
      {{"http-equiv", "Content-Security-Policy"},
       {"content", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"}});
  page.single("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
  page.single("meta", {{"name", "color-scheme"}, {"content", "light dark"}});
  page.single("meta", {{"name", "referrer"}, {"content", "no-referrer"}});
  page.element("title", title + " \u2013 joulery");
  page.open("style").raw(report_style()).raw(own_style).close().close();
  page.open("body").element("a", "Skip to the figures", {{"href", "#figures"}, {"class", "skip"}});
  page.open("header").element("h1", title).close();
  page.open("main", {{"id", "figures"}});
}

void write_row(const std::string& head, const std::vector<std::string>& cells, HtmlWriter& page) {
  page.open("tr").element("th", head, {{"scope", "row"}, {"class", "long"}});
  for (const std::string& cell : cells) page.element("td", cell, {{"class", "long"}});
  page.close();
}

std::string words_of(std::string name) {
  std::ranges::replace(name, '_', ' ');
  return name;
}

void open_table(const std::string& caption, const std::vector<std::string>& columns, HtmlWriter& page) {
  page.open("table").element("caption", caption).open("thead").open("tr");
  for (const std::string& column : columns) page.element("th", column, {{"scope", "col"}});
  page.close().close().open("tbody");
}

void close_table(HtmlWriter& page) {
  page.close().close();
}

void open_wide(const std::string& label, HtmlWriter& page) {
  page.open("div", {{"class", "wide"}, {"tabindex", "0"}, {"role", "region"}, {"aria-label", label}});
}

void write_tag(Provenance provenance, HtmlWriter& page) {
  const char* name = provenance_name(provenance);
  page.element("span", name, {{"class", fmt::format("tag {}", name)}});
}

void write_value(const std::string& key, double exact, const std::string& shown, const char* style,
                 HtmlWriter& page) {
  page.element("data", shown, {{"value", fmt::format("{}", exact)}, {"data-figure", key}, {"class", style}});
}

void open_card(const char* label, HtmlWriter& page) {
  page.open("li").element("div", label, {{"class", "soft"}});
}

void close_card(const std::string& remark, HtmlWriter& page) {
  if (!remark.empty()) page.element("div", remark, {{"class", "soft small"}});
  page.close();
}

void write_card(const char* label, const std::string& key, const ReportFigure& figure,
                const std::string& remark, HtmlWriter& page) {
  open_card(label, page);
  write_value(key, figure.value, figure_text(figure), "value", page);
  write_tag(figure.provenance, page);
  if (const std::string range = range_text(figure); !range.empty()) {
    page.open("div").text(range);
    page.element("span", figure.confidence ? " (90 % confidence interval)" : " (plausible range)",
                 {{"class", "soft small"}});
    page.close();
  } else if (!figure.has_range && figure.provenance != Provenance::measured) {
    page.element("div", "no range is known");
  }
  close_card(remark, page);
}

void write_tags_meaning(HtmlWriter& page) {
  static constexpr std::array<std::pair<Provenance, const char*>, 4> kMeanings = {
      {{Provenance::measured, "read from a clock or a counter of this machine"},
       {Provenance::derived, "computed from measured figures, such as a share by CPU time"},
       {Provenance::modelled,
        "a model\u2019s answer where there is no sensor; the range says how far it may be off"},
       {Provenance::assumed, "rests on something that nobody said or checked, such as the place"}}};
  page.open("ul");
  for (const auto& [provenance, meaning] : kMeanings) {
    page.open("li").element("span", provenance_name(provenance),
                            {{"class", fmt::format("tag {}", provenance_name(provenance))}});
    page.text(fmt::format(" {}", meaning)).close();
  }
  page.close();
}

}  // namespace joulery::app
