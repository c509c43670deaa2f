#include "app/html_writer.hpp"

#include <cstdint>
#include <utility>

#include "base/text.hpp"

namespace joulery::app {
namespace {

/// Bytes of the UTF-8 character that starts at `at`; 0 if there is none.
std::size_t character_size(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<std::uint8_t>(text[i]) : 0; };
  const unsigned first = byte(at);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what lies beyond Unicode.
  const unsigned second = byte(at + 1);
  const bool wrong = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
                     (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
  return wrong ? 0 : size;
}

std::string valid_utf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t size = character_size(text, i);
    if (size == 0) {
      valid += "\xEF\xBF\xBD";
      ++i;
    } else {
      valid += text.substr(i, size);
      i += size;
    }
  }
  return valid;
}

}  // namespace

std::string escape_html(std::string_view text) {
  const std::string safe = printable(valid_utf8(text));
  std::string escaped;
  escaped.reserve(safe.size() + safe.size() / 8);
  for (const char c : safe) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

void HtmlWriter::tag(const char* name, Attributes attributes) {
  out_ += '<';
  out_ += name;
  for (const Attribute& attribute : attributes) {
    out_ += ' ';
    out_ += attribute.name;
    if (attribute.value.empty()) continue;
    out_ += "=\"";
    out_ += escape_html(attribute.value);
    out_ += '"';
  }
  out_ += '>';
}

HtmlWriter& HtmlWriter::open(const char* name, Attributes attributes) {
  tag(name, attributes);
  open_.push_back(name);
  return *this;
}

HtmlWriter& HtmlWriter::close() {
  if (open_.empty()) return *this;
  out_ += "</";
  out_ += open_.back();
  out_ += ">\n";
  open_.pop_back();
  return *this;
}

HtmlWriter& HtmlWriter::element(const char* name, std::string_view content, Attributes attributes) {
  tag(name, attributes);
  out_ += escape_html(content);
  out_ += "</";
  out_ += name;
  out_ += ">";
  return *this;
}

HtmlWriter& HtmlWriter::single(const char* name, Attributes attributes) {
  tag(name, attributes);
  return *this;
}

HtmlWriter& HtmlWriter::text(std::string_view content) {
  out_ += escape_html(content);
  return *this;
}

HtmlWriter& HtmlWriter::raw(const char* markup) {
  out_ += markup;
  return *this;
}

std::string HtmlWriter::finish() {
  while (!open_.empty()) close();
  return std::exchange(out_, {});
}

}  // namespace joulery::app
