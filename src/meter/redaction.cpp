#include "meter/redaction.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/text.hpp"
#include "meter/characters.hpp"
#include "meter/command_words.hpp"
#include "meter/quoted_text.hpp"
#include "meter/secret_names.hpp"
#include "meter/token_shapes.hpp"

namespace joulery::meter {
namespace {

constexpr std::string_view kRedacted = "[redacted]";
constexpr std::size_t kNowhere = std::string_view::npos;

/// Whether "host:3306/db", "tcp(host)/db", "example.com" or, after "//", any word stands here. Not a digest
/// and not a version.
bool is_a_host(std::string_view text, bool after_slashes) {
  const std::size_t end = std::find_if_not(text.begin(), text.end(), is_token_character) - text.begin();
  const std::string_view name = text.substr(0, end);
  if (name.empty() || name == "sha256" || name == "sha512") return false;
  const std::string_view last = name.substr(name.rfind('.') + 1);
  const bool number = is_digit(last.empty() ? '.' : last.front());
  if (number && std::count(name.begin(), name.end(), '.') != 3) return false;
  const char next = end < text.size() ? text[end] : '\0';
  const bool port = next == ':' && end + 1 < text.size() && is_digit(text[end + 1]);
  return after_slashes || port || is_one_of(next, "/(") || name.find('.') != std::string_view::npos ||
         name == "localhost";
}

/// Whether what follows "user:12/" is "34@host", the rest of a password. A path may hold an '@' as well, so a
/// host must be plain to see, or the part before it must be digits as the part that looks like a port.
bool goes_on_to_a_host(std::string_view path) {
  const auto sign = path.find_first_of("@/?#");
  if (sign == std::string_view::npos || sign == 0 || path[sign] != '@') return false;
  const std::string_view part = path.substr(0, sign);
  return std::all_of(part.begin(), part.end(), is_digit) || is_a_host(path.substr(sign + 1), false);
}

/// Copies one argument and leaves the secrets out. It walks forward once; each look ahead is either hidden,
/// and so not read again, or remembered.
class Scanner : private QuotedText {
 public:
  Scanner(std::string_view text, bool script, const Words& words)
      : QuotedText(text, script), from_start_(!script), words_(script ? Words() : words) {}

  std::string run();

 private:
  struct Value {
    std::size_t start = kNowhere;
    bool quoted_name = false;
  };

  Value value_of(std::size_t name_end, std::string_view name) const;
  std::size_t value_after_colon(std::size_t colon, std::string_view name, bool quoted) const;

  void copy_to(std::size_t end) {
    out_ += text_.substr(i_, end - i_);
    i_ = end;
  }
  void hide_to(std::size_t end);
  void hide_value_to(std::size_t end, std::string_view name);
  void value_taken();
  bool names_a_folder(std::string_view name, char before, std::size_t value) const;
  bool hide_user_password(bool all, char before);
  bool start_word();
  bool take_secret(std::size_t name_end);
  void take_name();
  bool hide_cookie();
  bool hide_glued_password(std::string_view word);
  bool take_address(std::size_t name_end);
  void take_quote();
  void take_url();

  bool from_start_;  ///< nothing but "name=" since the argument or the quote began: a value here is all the
                     ///< rest
  bool word_starts_ = true;
  Words words_;
  std::size_t no_user_before_ = 0;  ///< looked for "user:password" up to here
  std::size_t url_end_ = 0;         ///< of the address looked at last
  std::size_t url_at_ = kNowhere;
  std::size_t i_ = 0;
  std::string out_;
};

std::size_t Scanner::value_after_colon(std::size_t colon, std::string_view name, bool quoted) const {
  std::size_t i = colon + 1;
  if (at(i) == ':' || text_.substr(i, 2) == "//") return kNowhere;
  if (at(i) == '=') return skip_blanks(i + 1);
  const std::size_t value = skip_blanks(i);
  if (value >= text_.size() || text_[value] == '\n') return kNowhere;
  if (quoted || value > i || is_quote(at(i)) || at(i) == '\\') return value;
  // Without a blank it may be "module:function" or "source:target".
  const std::string last = to_lower(last_word(name));
  return last != "auth" && at(i) != '/' && ends_in_a_secret(name) ? value : kNowhere;
}

/// The value that a name in front of it makes a secret: name=…, name: …, "name": …, "name", "…".
Scanner::Value Scanner::value_of(std::size_t name_end, std::string_view name) const {
  Value value;
  std::size_t i = name_end;
  const Quote quote = quote_at(i);
  if (quote.mark != 0) {
    value.quoted_name = true;
    i += quote.size();
  }
  if (at(i) == ']') ++i;
  const std::size_t sign = skip_blanks(i);
  const bool spaced = value.quoted_name || sign > i;
  if (at(sign) == '=') {
    std::size_t start = sign + 1;
    if (spaced && (at(start) == '=' || at(start) == '>')) ++start;
    value.start = spaced ? skip_blanks(start) : start;
  } else if (at(sign) == ':' && (value.quoted_name || sign == i)) {
    value.start = value_after_colon(sign, name, value.quoted_name);
  } else if (at(sign) == ',' && value.quoted_name) {
    const std::size_t start = skip_blanks(sign + 1);
    if (quote_at(start).mark != 0) value.start = start;
  }
  return value;
}

void Scanner::value_taken() {
  words_.next = Words::Next::nothing;
  word_starts_ = false;
  from_start_ = false;
}

/// A shell's PWD=/some/folder or "$PWD":/app, which is no password. Connection strings have a PWD= too, but
/// never as their first word.
bool Scanner::names_a_folder(std::string_view name, char before, std::size_t value) const {
  if (name != "PWD") return false;
  if (is_quote(at(value))) ++value;
  const bool first = from_start_ && at(text_.find_first_of(";\"'`", value)) != ';';
  if (before != '$' && !first && !in_script()) return false;
  const std::string_view folder = text_.substr(std::min(value, text_.size()));
  if (folder.starts_with('$'))
    return is_letter_or_digit(at(value + 1)) || at(value + 1) == '{' || folder.starts_with("$(pwd)");
  return is_one_of(at(value), "/.~");
}

/// Puts the mark in place of the text up to `end`; a string keeps its quotes.
void Scanner::hide_to(std::size_t end) {
  value_taken();
  if (end <= i_) return;
  const Quote quote = quote_at(i_);
  const std::size_t size = quote.size();
  const bool one_string = quote.mark != 0 && end - i_ >= 2 * size && closer(i_ + size, quote) == end - size;
  const std::string_view around = one_string ? text_.substr(i_, size) : std::string_view();
  out_ += around;
  out_ += kRedacted;
  out_ += around;
  i_ = end;
}

/// The same for the value of `name`, unless that is no secret.
void Scanner::hide_value_to(std::size_t end, std::string_view name) {
  if (end <= i_ || !is_harmless_value(name, text_.substr(i_, end - i_))) {
    hide_to(end);
    return;
  }
  value_taken();
  copy_to(end);
}

/// "user:password" from here on without the password; false if there is none. `all`: it takes the whole part.
bool Scanner::hide_user_password(bool all, char before) {
  if (i_ < no_user_before_) return false;
  const std::vector<Quote> quotes = quotes_;
  const std::size_t end = all ? end_of_part(i_) : end_of_value(i_, before);
  const std::string_view value = text_.substr(i_, end - i_);
  const auto colon = value.find(':');
  // Only curl is known to take a password of digits behind a user of digits.
  const bool ids = !words_.curl && is_user_and_group(value);
  if (colon == kNowhere || value.substr(colon).starts_with("://") || ids) {
    quotes_ = quotes;
    no_user_before_ = end;
    return false;
  }
  const Quote quote = quote_at(i_);
  const std::size_t size = quote.mark == 0 || quote.size() > colon ? 0 : quote.size();
  const bool one_string =
      size > 0 && value.size() >= colon + 1 + size && closer(i_ + size, quote) == end - size;
  copy_to(i_ + size);
  const std::string_view user = value.substr(size, colon - size);
  out_ += looks_like_a_token(user) ? kRedacted : user;
  out_ += ':';
  i_ += user.size() + 1;
  hide_to(one_string ? end - size : end);
  if (one_string) copy_to(end);
  return true;
}

/// curl's -b takes cookies, which have a '=', or the name of a file with them.
bool Scanner::hide_cookie() {
  const Quote quote = quote_at(i_);
  if (word_at(i_ + (quote.mark == 0 ? 0 : quote.size())).find('=') == kNowhere) return false;
  hide_to(from_start_ ? end_of_part(i_) : end_of_value(i_, ' '));
  return true;
}

/// mysql's and sshpass's -pX.
bool Scanner::hide_glued_password(std::string_view word) {
  if (!word.starts_with("-p") || word.starts_with("--")) return false;
  const bool flag = words_.password_flag == "-p" && (word.size() > 2 || glued(i_ + 2));
  if (!words_.mysql && !flag) return false;
  if (flag) words_.password_flag = {};
  copy_to(i_ + 2);
  hide_to(from_start_ ? end_of_part(i_) : end_of_value(i_, ' '));
  return true;
}

/// "user:password@host" without a scheme, the user ending at `name_end`. What follows must look like a host,
/// as "image:tag@sha256:…" and "npm:package@1.2.3" are written the same.
bool Scanner::take_address(std::size_t name_end) {
  constexpr std::size_t kLongest = 128;  // so that looking on stays linear
  if (at(name_end) != ':' || name_end == i_) return false;
  const bool slashes = i_ >= 2 && text_.substr(i_ - 2, 2) == "//";
  if (i_ > 0 && is_one_of(text_[i_ - 1], "/@:") && !slashes) return false;
  const std::string_view rest = text_.substr(name_end + 1, kLongest);
  const auto sign = rest.find_first_of(in_script() ? "@/ \t\r\n\"'`;&|<>()" : "@/ \t\r\n\"'`");
  if (sign == kNowhere || sign == 0 || rest[sign] != '@') return false;
  if (text_.substr(i_, name_end - i_) == "mailto" || !is_a_host(rest.substr(sign + 1), slashes)) return false;
  copy_to(name_end + 1);
  hide_to(i_ + sign);
  return true;
}

/// What the words before say about this one. True if some of it was taken.
bool Scanner::start_word() {
  const Quote quote = quote_at(i_);
  const Words::Next next = words_.next;
  // A value may begin with what only looks like the end of a quote: it's --token 'x'.
  const bool value_begins = next != Words::Next::nothing && glued(i_ + quote.size());
  if (quote.mark != 0 && is_open(quote) && !value_begins) return false;
  const std::string_view word = word_at(i_);
  if (next != Words::Next::nothing && !is_flag(word)) {
    words_.next = Words::Next::nothing;
    if (next == Words::Next::user && hide_user_password(from_start_, ' ')) return true;
    if (next == Words::Next::cookie && hide_cookie()) return true;
    if (next == Words::Next::secret) {
      hide_value_to(from_start_ ? end_of_part(i_) : end_of_value(i_, ' '), words_.secret_flag);
      return true;
    }
  }
  if (word.empty()) return false;
  word_starts_ = false;
  if (hide_glued_password(word)) return true;
  const std::size_t user = words_.curl ? curl_value(word, 'u') : kNowhere;
  const std::size_t cookie = words_.curl ? curl_value(word, 'b') : kNowhere;
  words_.see(word);
  if (cookie < word.size()) {
    copy_to(i_ + cookie);
    return hide_cookie() || cookie > 0;
  }
  if (user == kNowhere || user == word.size()) return false;
  copy_to(i_ + user);
  hide_user_password(from_start_, ' ');
  return true;
}

bool Scanner::take_secret(std::size_t name_end) {
  const std::string_view name = text_.substr(i_, name_end - i_);
  const char before = i_ > 0 ? text_[i_ - 1] : ' ';
  const Value value = value_of(name_end, name);
  if (value.start == kNowhere) return false;
  const bool user = (name == "--user" || name == "--proxy-user") && at(name_end) == '=';
  const bool signature = is_one_of(before, "?&") && signs_an_address(name);
  if (!user && !signature && (!assigns_a_secret(name) || names_a_folder(name, before, value.start)))
    return false;
  if (value.quoted_name) {
    const Quote quote = quote_at(name_end);
    if (is_open(quote)) close(quote);
    from_start_ = false;
  }
  const bool all = from_start_;
  copy_to(value.start);
  if (user) {
    from_start_ = false;
    hide_user_password(all, before);
    return true;
  }
  std::size_t end = all ? end_of_part(i_) : value.quoted_name ? end_of_json(i_) : end_of_value(i_, before);
  // "Authorization: Bearer x" in the middle of a text.
  if (!all && is_scheme(text_.substr(i_, end - i_))) end = end_of_value(skip_blanks(end), before);
  hide_value_to(end, name);
  return true;
}

void Scanner::take_name() {
  std::size_t end = i_;
  while (end < text_.size() && is_token_character(text_[end])) ++end;
  const std::string_view name = text_.substr(i_, end - i_);
  const bool behind_slash = i_ > 0 && text_[i_ - 1] == '/' && !(i_ > 1 && text_[i_ - 2] == '/');
  if (looks_like_a_token(name, behind_slash || at(end) == '/')) {
    while (end < text_.size() && (is_token_character(text_[end]) || is_one_of(text_[end], "+~=%"))) ++end;
    hide_to(end);
    return;
  }
  constexpr std::size_t kLoginKey = 40;
  if (words_.wandb && words_.logs_in && looks_like_a_key(name, kLoginKey)) {
    hide_to(end);
    return;
  }
  if (take_secret(end) || take_address(end)) return;
  copy_to(end);
  if (!is_scheme(name)) return;
  const std::size_t next = skip_blanks(end);
  if (next == end || is_flag(word_at(next))) return;
  copy_to(next);
  hide_to(end_of_value(next, ' '));
}

void Scanner::take_quote() {
  Quote quote = quote_at(i_);
  const std::size_t start = i_;
  if (quote.mark == 0) {
    copy_to(std::min(text_.size(), start + std::max<std::size_t>(quote.backslashes, 1)));
    from_start_ = false;
    return;
  }
  copy_to(start + quote.size());
  from_start_ = false;
  if (is_open(quote)) {
    close(quote);
    word_starts_ = false;
  } else if (quotes_.size() < kDeepestQuote && closer(i_, quote) != kNowhere) {
    quote.script = quote.mark == '`' || words_.script;
    if (quote.script) words_ = Words();
    from_start_ = !quote.script;
    quotes_.push_back(quote);
    word_starts_ = true;
  }
}

/// "scheme://user:password@host" without the password, from "://" on.
void Scanner::take_url() {
  const std::size_t start = i_ + 3;
  if (start >= url_end_) {
    const bool script = in_script();
    url_at_ = kNowhere;
    for (url_end_ = start; url_end_ < text_.size(); ++url_end_) {
      const char c = text_[url_end_];
      if ((is_blank(c) && !from_start_) || (script && is_one_of(c, ";&|<>"))) break;
      if (!quotes_.empty() && c == quotes_.back().mark) break;
      if (c == '@') url_at_ = url_end_;
    }
  }
  const std::size_t slash = std::min(text_.find_first_of("/?#", start), url_end_);
  const std::string_view authority = text_.substr(start, slash - start);
  const auto colon = authority.find(':');
  auto sign = authority.rfind('@');
  if (sign != kNowhere) {
    sign += start;
  } else if (colon != kNowhere && !authority.starts_with('[') && url_at_ != kNowhere && url_at_ > slash &&
             (authority.find_first_not_of("0123456789", colon + 1) != kNowhere ||
              goes_on_to_a_host(text_.substr(slash + 1, url_end_ - slash - 1)))) {
    // A password with a '/' in it that should have been written as %2F: what follows the colon is no port.
    sign = url_at_;
  }
  copy_to(start);
  from_start_ = false;
  if (sign == kNowhere) return;
  if (colon == kNowhere || start + colon > sign) {
    constexpr std::size_t kShortestKey = 20;
    if (looks_like_a_key(text_.substr(start, sign - start), kShortestKey)) hide_to(sign);
    return;
  }
  const std::string_view user = authority.substr(0, colon);
  out_ += looks_like_a_token(user) ? kRedacted : user;
  out_ += ':';
  i_ = start + colon + 1;
  hide_to(sign);
}

std::string Scanner::run() {
  out_.reserve(text_.size());
  while (i_ < text_.size()) {
    const char c = text_[i_];
    const bool separates = is_blank(c) || is_one_of(c, ";&|");
    if (!separates && word_starts_ && start_word()) continue;
    if (is_token_character(c)) {
      take_name();
    } else if (c == '\\' || is_quote(c)) {
      take_quote();
    } else if (c == ':' && text_.substr(i_, 3) == "://") {
      take_url();
    } else {
      if (is_one_of(c, ";&|\n")) words_ = Words();
      // The -u of $(id -u) says nothing of what comes behind.
      if (c == ')' && words_.next == Words::Next::user && !words_.curl) words_.next = Words::Next::nothing;
      word_starts_ = separates || is_one_of(c, "({[");
      from_start_ = from_start_ && is_one_of(c, "=[]");
      copy_to(i_ + 1);
    }
  }
  return std::move(out_);
}

/// "Authorization:" alone, with the value in the arguments that follow.
bool is_secret_header(std::string_view argument) {
  return argument.ends_with(':') && names_a_secret(argument.substr(0, argument.size() - 1)) &&
         std::all_of(argument.begin(), argument.end() - 1, is_token_character);
}

}  // namespace

std::vector<std::string> redact_arguments(const std::vector<std::string>& arguments) {
  std::vector<std::string> safe;
  safe.reserve(arguments.size());
  Words words;
  bool header = false;
  for (const std::string& argument : arguments) {
    if (header && is_scheme(argument)) {
      safe.push_back(argument);
      continue;
    }
    const bool secret = words.next == Words::Next::secret && !is_harmless_value(words.secret_flag, argument);
    if ((header || secret) && !is_flag(argument)) {
      safe.emplace_back(kRedacted);
      words.next = Words::Next::nothing;
      header = false;
      continue;
    }
    safe.push_back(Scanner(argument, words.script, words).run());
    header = is_secret_header(argument) || to_lower(argument) == "bearer";
    words.see(argument);
  }
  return safe;
}

}  // namespace joulery::meter
