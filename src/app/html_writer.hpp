#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace joulery::app {

/// Text that is safe between tags and within quoted attributes: markup characters become entities, what is no
/// UTF-8 becomes U+FFFD, and what can't be seen is spelled out.
std::string escape_html(std::string_view text);

/// Writes HTML (and the SVG in it) so that nothing from outside can become markup: every text and every
/// attribute's value is escaped here, and tags and names are literals of ours.
class HtmlWriter {
 public:
  struct Attribute {
    const char* name;
    std::string value;
  };
  using Attributes = std::initializer_list<Attribute>;

  /// Opens an element that `close` ends.
  HtmlWriter& open(const char* tag, Attributes attributes = {});
  HtmlWriter& close();
  /// An element with nothing but text in it.
  HtmlWriter& element(const char* tag, std::string_view text, Attributes attributes = {});
  /// An element that has no end: <meta>, <br>, and those of SVG that are empty.
  HtmlWriter& single(const char* tag, Attributes attributes = {});
  HtmlWriter& text(std::string_view text);
  /// A literal of ours: the doctype, a style sheet.
  HtmlWriter& raw(const char* markup);
  /// The document, with what is still open closed.
  std::string finish();

 private:
  void tag(const char* name, Attributes attributes);
  std::string out_;
  std::vector<const char*> open_;
};

}  // namespace joulery::app
