#include "app/command_line.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace joulery::app {
namespace {

constexpr std::string_view kBlanks = " \t\n\r";
constexpr std::string_view kShellOnly = "|&;<>";
constexpr std::string_view kEscapedInQuotes = "\"\\$`";

std::string shown(std::string_view text) {
  constexpr std::size_t kLongest = 120;
  return printable(text.substr(0, kLongest)) + (text.size() > kLongest ? " …" : "");
}

class Splitter {
 public:
  explicit Splitter(std::string_view text) : text_(text) {}

  Result<std::vector<std::string>> split() {
    while (place_ < text_.size()) {
      const char c = text_[place_++];
      if (kBlanks.find(c) != std::string_view::npos) {
        end_word();
      } else if (c == '\'' || c == '"') {
        JOULERY_CHECK_OK(quoted(c));
      } else if (c == '\\') {
        if (place_ == text_.size()) return fail("ends with a backslash");
        if (text_[place_] != '\n') add(text_[place_]);
        ++place_;
      } else if (kShellOnly.find(c) != std::string_view::npos) {
        return user_error(fmt::format("'{}': '{}' needs a shell, and none is run", shown(text_), c),
                          "put it into one: \"sh -c '…'\"; the shell is metered too");
      } else {
        add(c);
      }
    }
    end_word();
    if (words_.empty())
      return user_error("a command line is empty", "for example 'python3 train.py --quick'");
    return std::move(words_);
  }

 private:
  std::unexpected<Error> fail(const char* what) const {
    return user_error(fmt::format("'{}' {}", shown(text_), what));
  }
  Status quoted(char quote) {
    in_word_ = true;
    for (; place_ < text_.size(); ++place_) {
      char c = text_[place_];
      if (c == quote) {
        ++place_;
        return {};
      }
      if (quote == '"' && c == '\\' && place_ + 1 < text_.size()) {
        const char next = text_[place_ + 1];
        if (next == '\n') {
          ++place_;
          continue;
        }
        if (kEscapedInQuotes.find(next) != std::string_view::npos) {
          c = next;
          ++place_;
        }
      }
      add(c);
    }
    return fail(quote == '"' ? "has a \" without its partner" : "has a ' without its partner");
  }
  void add(char c) {
    word_ += c;
    in_word_ = true;
  }
  void end_word() {
    if (in_word_) words_.push_back(std::move(word_));
    word_.clear();
    in_word_ = false;
  }

  std::string_view text_;
  std::size_t place_ = 0;
  std::string word_;
  bool in_word_ = false;
  std::vector<std::string> words_;
};

}  // namespace

Result<std::vector<std::string>> split_command_line(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return user_error("a command line has a zero byte in it");
  return Splitter(text).split();
}

}  // namespace joulery::app
