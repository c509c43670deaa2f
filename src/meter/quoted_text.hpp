#pragma once

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

namespace joulery::meter {

/// Deeper quoting than this is read as plain text, so that hostile nesting costs nothing.
constexpr std::size_t kDeepestQuote = 8;

/// A quote as written: the backslashes before it tell nested levels apart.
struct Quote {
  char mark = 0;
  std::size_t backslashes = 0;
  bool script = false;  ///< what it holds is a program text

  std::size_t size() const { return backslashes + 1; }
  bool same(const Quote& other) const { return mark == other.mark && backslashes == other.backslashes; }
};

/// An argument with the quotes that are open where its reader stands, and where the parts of it end. What is
/// found to have no end is remembered, so that reading on stays linear.
class QuotedText {
 public:
  /// `script`: the text is a program text, where ';', '&', '|' end a word as blanks do.
  QuotedText(std::string_view text, bool script) : text_(text), script_(script) {
    never_closed_.fill(std::string_view::npos);
  }

 protected:
  char at(std::size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
  bool in_script() const { return quotes_.empty() ? script_ : quotes_.back().script; }
  bool is_open(const Quote& quote) const {
    return std::any_of(quotes_.begin(), quotes_.end(), [&](const Quote& open) { return open.same(quote); });
  }
  Quote quote_at(std::size_t i) const;
  /// Where the quote that is opened before `from` ends; npos if nowhere.
  std::size_t closer(std::size_t from, const Quote& quote);
  void close(const Quote& quote);
  /// Whether the word goes on behind a closing quote, as in "pass"word.
  bool glued(std::size_t i) const;
  std::size_t skip_blanks(std::size_t i) const;
  std::size_t after_brackets(std::size_t from);
  /// End of the value at `from`; `before` stands before its name and tells how a list of them is separated.
  std::size_t end_of_value(std::size_t from, char before);
  /// End of the innermost quote, or of the argument.
  std::size_t end_of_part(std::size_t from);
  std::size_t end_of_json(std::size_t from);
  std::string_view word_at(std::size_t i) const;

  std::string_view text_;
  bool script_;
  std::vector<Quote> quotes_;

 private:
  std::array<std::size_t, 3 * kDeepestQuote> never_closed_{};  ///< from where on such a quote has no end
};

}  // namespace joulery::meter
