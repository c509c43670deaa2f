#include "meter/quoted_text.hpp"

#include "meter/characters.hpp"

namespace joulery::meter {
namespace {

constexpr std::size_t kNowhere = std::string_view::npos;

}  // namespace

Quote QuotedText::quote_at(std::size_t i) const {
  Quote quote;
  while (at(i + quote.backslashes) == '\\') ++quote.backslashes;
  const char mark = at(i + quote.backslashes);
  if (is_quote(mark) && quote.backslashes < kDeepestQuote) quote.mark = mark;
  return quote;
}

std::size_t QuotedText::closer(std::size_t from, const Quote& quote) {
  const std::size_t kind = quote.mark == '"' ? 0 : quote.mark == '\'' ? 1 : 2;
  std::size_t& never = never_closed_[kind * kDeepestQuote + quote.backslashes];
  if (from >= never) return kNowhere;
  std::size_t backslashes = 0;
  for (std::size_t i = from; i < text_.size(); ++i) {
    if (text_[i] == '\\') {
      ++backslashes;
      continue;
    }
    const bool level = quote.backslashes == 0 ? backslashes % 2 == 0 : backslashes == quote.backslashes;
    if (text_[i] == quote.mark && level) return i - quote.backslashes;
    backslashes = 0;
  }
  never = from;
  return kNowhere;
}

void QuotedText::close(const Quote& quote) {
  while (!quotes_.empty()) {
    const bool found = quotes_.back().same(quote);
    quotes_.pop_back();
    if (found) return;
  }
}

bool QuotedText::glued(std::size_t i) const {
  if (i >= text_.size() || is_blank(text_[i]) || is_one_of(text_[i], ",;:&|)]}<>")) return false;
  const Quote quote = quote_at(i);
  return quote.mark == 0 || !is_open(quote);
}

std::size_t QuotedText::skip_blanks(std::size_t i) const {
  while (i < text_.size() && (text_[i] == ' ' || text_[i] == '\t')) ++i;
  return i;
}

std::size_t QuotedText::after_brackets(std::size_t from) {
  std::size_t depth = 0;
  for (std::size_t i = from; i < text_.size(); ++i) {
    if (is_one_of(text_[i], "({[")) ++depth;
    if (is_one_of(text_[i], ")}]") && --depth == 0) return i + 1;
    if (text_[i] != '\\' && !is_quote(text_[i])) continue;
    const Quote quote = quote_at(i);
    i += quote.size() - 1;
    if (quote.mark == 0 || is_open(quote)) continue;
    const std::size_t end = closer(i + 1, quote);
    if (end != kNowhere) i = end + quote.size() - 1;
  }
  return text_.size();
}

std::size_t QuotedText::end_of_value(std::size_t from, char before) {
  const bool script = in_script();
  const bool form = !script && (before == '&' || before == '?');
  const bool semicolons = !script && before == ';';
  std::size_t i = from;
  while (i < text_.size()) {
    const char c = text_[i];
    if (is_blank(c) && !(semicolons && c != '\n')) break;
    if ((script && is_one_of(c, ";&|")) || (form && c == '&') || (semicolons && c == ';')) break;
    if (c == '\\' || is_quote(c)) {
      const Quote quote = quote_at(i);
      if (quote.mark == 0) {
        i += quote.backslashes + quote.backslashes % 2;
        if (quote.backslashes == 0) ++i;
      } else if (is_open(quote)) {
        if (!glued(i + quote.size())) break;
        close(quote);
        i += quote.size();
      } else {
        const std::size_t end = closer(i + quote.size(), quote);
        const bool first = i == from;
        i = (end == kNowhere ? i : end) + quote.size();
        // f(token="x", …): in code the string is all of it.
        if (end != kNowhere && first && i < text_.size() && is_one_of(text_[i], ",)]}")) break;
      }
    } else if (c == '$' && (at(i + 1) == '(' || at(i + 1) == '{')) {
      i = after_brackets(i + 1);
    } else if (i == from && (c == '{' || c == '[')) {
      i = after_brackets(i);
    } else {
      ++i;
    }
  }
  return std::min(i, text_.size());
}

std::size_t QuotedText::end_of_part(std::size_t from) {
  if (quotes_.empty()) return text_.size();
  const Quote quote = quotes_.back();
  const std::size_t end = closer(from, quote);
  if (end == kNowhere) return text_.size();
  if (!glued(end + quote.size())) return end;
  close(quote);
  return end_of_value(end + quote.size(), ' ');
}

std::size_t QuotedText::end_of_json(std::size_t from) {
  if (at(from) == '{' || at(from) == '[') return after_brackets(from);
  std::size_t i = from;
  while (i < text_.size() && (is_token_character(text_[i]) || text_[i] == '+')) ++i;
  const bool scalar = i > from && (i == text_.size() || is_blank(text_[i]) || is_one_of(text_[i], ",}]"));
  return scalar ? i : end_of_value(from, ' ');
}

std::string_view QuotedText::word_at(std::size_t i) const {
  std::size_t end = i;
  while (end < text_.size() && !is_blank(text_[end]) && !is_quote(text_[end]) &&
         !is_one_of(text_[end], ";&|(){}[]\\,")) {
    ++end;
  }
  return text_.substr(i, end - i);
}

}  // namespace joulery::meter
