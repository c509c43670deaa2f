#include "meter/redaction.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/text.hpp"

namespace joulery::meter {
namespace {

constexpr std::string_view kRedacted = "[redacted]";
constexpr std::size_t kNowhere = std::string_view::npos;

/// Words that make a flag's or variable's value a secret. Matched as whole words of the name, so that
/// `--tokenizer` and `--max-tokens` stay.
constexpr std::array kSecretWords = std::to_array<std::string_view>(
    {"password", "passwd", "passphrase", "passcode", "pwd", "secret", "token", "apikey", "accesskey",
     "privatekey", "credential", "credentials", "auth", "authorization", "bearer"});
constexpr std::array kSecretPairs =
    std::to_array<std::string_view>({"api-key", "access-key", "private-key", "secret-key"});
/// PGPASSWORD, accessToken: a word of the name may end in these.
constexpr std::array kSecretEndings =
    std::to_array<std::string_view>({"password", "passwd", "passphrase", "token", "secret", "apikey"});
/// "token" and "auth" are also words of language models and of protocols: `--token-classification`.
constexpr std::array kHarmlessTails = std::to_array<std::string_view>(
    {"classification", "classifier", "type", "types",  "dim",     "length",  "limit",
     "count",          "size",       "ids",  "level",  "budget",  "dropout", "embedding",
     "embeddings",     "ratio",      "rate", "mixing", "merging", "pruning", "method",
     "mode",           "url",        "host", "port",   "timeout", "backend", "plugin"});
constexpr std::array kTokenStarts =
    std::to_array<std::string_view>({"sk-", "sk_", "pk_live_", "ghp_", "gho_", "ghs_", "ghu_", "github_pat_",
                                     "glpat-", "hf_", "xoxb-", "xoxp-", "AIza"});
constexpr std::array kShells =
    std::to_array<std::string_view>({"sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "su"});
constexpr std::array kMysqlPrograms =
    std::to_array<std::string_view>({"mysql", "mysqldump", "mariadb", "mariadb-dump"});
constexpr std::size_t kShortestToken = 16;
/// Deeper quoting than this is read as plain text, so that hostile nesting costs nothing.
constexpr std::size_t kDeepestQuote = 8;

template <typename List>
bool is_one_of(const List& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}
bool is_one_of(char c, std::string_view set) {
  return set.find(c) != kNowhere;
}
bool is_blank(char c) {
  return is_one_of(c, " \t\r\n\v\f");
}
bool is_quote(char c) {
  return c == '"' || c == '\'' || c == '`';
}
bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
bool is_token_character(char c) {
  return is_letter_or_digit(c) || c == '-' || c == '_' || c == '.';
}

std::string_view without_digits_behind(std::string_view word) {
  while (word.size() > 1 && word.back() >= '0' && word.back() <= '9') word.remove_suffix(1);
  return word;
}

std::string_view last_word(std::string_view name) {
  const auto cut = name.find_last_of("-_.");
  return without_digits_behind(cut == kNowhere ? name : name.substr(cut + 1));
}

bool is_secret_word(std::string_view word, bool harmless_tail) {
  word = without_digits_behind(word);
  if (harmless_tail && (word == "auth" || word.ends_with("token"))) return false;
  return is_one_of(kSecretWords, word) ||
         std::any_of(kSecretEndings.begin(), kSecretEndings.end(),
                     [&](std::string_view ending) { return word.ends_with(ending); });
}

bool names_a_secret(std::string_view name) {
  std::string words = to_lower(name);
  std::replace(words.begin(), words.end(), '_', '-');
  std::replace(words.begin(), words.end(), '.', '-');
  for (const std::string_view pair : kSecretPairs) {
    if (words.find(pair) != std::string::npos) return true;
  }
  // Only as the last word: --pass-through and a pass rate are none.
  const std::string_view last = last_word(words);
  if (last == "pass") return true;
  const bool harmless_tail = is_one_of(kHarmlessTails, last);
  const auto parts = split(words, '-');
  return std::any_of(parts.begin(), parts.end(),
                     [&](std::string_view part) { return is_secret_word(part, harmless_tail); });
}

/// What only a variable's name says: OPENAI_KEY, SSHPASS. The flag --key is a column as often as not.
bool assigns_a_secret(std::string_view name) {
  const std::string_view last = last_word(name);
  return last == "KEY" || (last.ends_with("PASS") && last != "BYPASS" && last != "COMPASS") ||
         names_a_secret(name);
}

/// `in_path`: a part of a path; "models/hf_llama_finetune.py" is a file, so only unmistakable shapes count.
bool looks_like_a_token(std::string_view value, bool in_path = false) {
  if (value.size() < kShortestToken || !std::all_of(value.begin(), value.end(), is_token_character))
    return false;
  const bool known = std::any_of(kTokenStarts.begin(), kTokenStarts.end(), [&](std::string_view start) {
    return value.starts_with(start) && !(in_path && start.size() == 3);
  });
  const bool aws = value.size() == 20 && (value.starts_with("AKIA") || value.starts_with("ASIA"));
  const bool json_web_token = value.starts_with("eyJ") && std::count(value.begin(), value.end(), '.') == 2;
  return known || aws || json_web_token;
}

bool is_flag(std::string_view word) {
  return word.starts_with("--") || (word.size() == 2 && word.front() == '-');
}

bool is_scheme(std::string_view word) {
  return word == "Basic" || word == "Token" || word == "Bearer" || word == "bearer" || word == "BEARER";
}

/// What the words so far say about the next one.
struct Words {
  enum class Next { nothing, secret, user };
  Next next = Next::nothing;
  bool shell = false;
  bool mysql = false;
  bool curl = false;
  bool script = false;  ///< the next word is a program text: sh -c
  bool name_follows = false;

  void see(std::string_view word);
};

/// Where the user starts in curl's -ume:pw or -sSume:pw; nowhere if it is no such word.
std::size_t curl_user(std::string_view word) {
  if (!word.starts_with('-') || word.starts_with("--")) return kNowhere;
  const auto flag = word.find_first_not_of("sSfLkvigGIjnNqaRJlOZ0123456#", 1);
  return flag != kNowhere && word[flag] == 'u' ? flag + 1 : kNowhere;
}

void Words::see(std::string_view word) {
  const bool is_name = std::all_of(word.begin(), word.end(), is_token_character);
  const bool flag = word.starts_with('-') && is_name;
  const bool switched_off = word.starts_with("--no-") || word.starts_with("--skip-");
  next = Next::nothing;
  if (flag && !switched_off && names_a_secret(word)) {
    next = Next::secret;
  } else if (word == "-u" || word == "-U" || word == "--user" || word == "--proxy-user" ||
             (curl && curl_user(word) == word.size())) {
    next = Next::user;
  }
  script = shell && flag && !word.starts_with("--") && word.ends_with('c');
  const auto slash = word.rfind('/');
  const std::string_view program = slash == kNowhere ? word : word.substr(slash + 1);
  if (!name_follows) mysql = mysql || is_one_of(kMysqlPrograms, program);
  curl = curl || program == "curl";
  shell = shell || is_one_of(kShells, program) || program.starts_with("python");
  name_follows = word == "--name" || word == "--host" || word == "-h";
}

/// A quote as written: the backslashes before it tell nested levels apart.
struct Quote {
  char mark = 0;
  std::size_t backslashes = 0;
  bool script = false;  ///< what it holds is a program text

  std::size_t size() const { return backslashes + 1; }
  bool same(const Quote& other) const { return mark == other.mark && backslashes == other.backslashes; }
};

/// Copies one argument and leaves the secrets out. It walks forward once; each look ahead is either hidden,
/// and so not read again, or remembered.
class Scanner {
 public:
  /// `script`: the argument is a program text, where ';', '&', '|' end a word as blanks do.
  Scanner(std::string_view text, bool script, const Words& words)
      : text_(text), script_(script), from_start_(!script), words_(script ? Words() : words) {
    never_closed_.fill(kNowhere);
  }

  std::string run();

 private:
  struct Value {
    std::size_t start = kNowhere;
    bool quoted_name = false;
  };

  char at(std::size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
  bool in_script() const { return quotes_.empty() ? script_ : quotes_.back().script; }
  bool is_open(const Quote& quote) const {
    return std::any_of(quotes_.begin(), quotes_.end(), [&](const Quote& open) { return open.same(quote); });
  }
  Quote quote_at(std::size_t i) const;
  std::size_t closer(std::size_t from, const Quote& quote);
  void close(const Quote& quote);
  bool glued(std::size_t i) const;
  std::size_t skip_blanks(std::size_t i) const;
  std::size_t after_brackets(std::size_t from);
  std::size_t end_of_value(std::size_t from, char before);
  std::size_t end_of_part(std::size_t from);
  std::size_t end_of_json(std::size_t from);
  std::string_view word_at(std::size_t i) const;
  Value value_of(std::size_t name_end, std::string_view name) const;
  std::size_t value_after_colon(std::size_t colon, std::string_view name, bool quoted) const;

  void copy_to(std::size_t end) {
    out_ += text_.substr(i_, end - i_);
    i_ = end;
  }
  void hide_to(std::size_t end);
  bool hide_user_password(bool all, char before);
  bool start_word();
  bool take_secret(std::size_t name_end);
  void take_name();
  void take_quote();
  void take_url();

  std::string_view text_;
  bool script_;
  bool from_start_;  ///< nothing but "name=" since the argument or the quote began: a value here is all the
                     ///< rest
  bool word_starts_ = true;
  Words words_;
  std::vector<Quote> quotes_;
  std::array<std::size_t, 3 * kDeepestQuote> never_closed_{};  ///< from where on such a quote has no end
  std::size_t no_user_before_ = 0;                             ///< looked for "user:password" up to here
  std::size_t url_end_ = 0;                                    ///< of the address looked at last
  std::size_t url_at_ = kNowhere;
  std::size_t i_ = 0;
  std::string out_;
};

Quote Scanner::quote_at(std::size_t i) const {
  Quote quote;
  while (at(i + quote.backslashes) == '\\') ++quote.backslashes;
  const char mark = at(i + quote.backslashes);
  if (is_quote(mark) && quote.backslashes < kDeepestQuote) quote.mark = mark;
  return quote;
}

std::size_t Scanner::closer(std::size_t from, const Quote& quote) {
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

void Scanner::close(const Quote& quote) {
  while (!quotes_.empty()) {
    const bool found = quotes_.back().same(quote);
    quotes_.pop_back();
    if (found) return;
  }
}

/// Whether the word goes on behind a closing quote, as in "pass"word.
bool Scanner::glued(std::size_t i) const {
  if (i >= text_.size() || is_blank(text_[i]) || is_one_of(text_[i], ",;:&|)]}<>")) return false;
  const Quote quote = quote_at(i);
  return quote.mark == 0 || !is_open(quote);
}

std::size_t Scanner::skip_blanks(std::size_t i) const {
  while (i < text_.size() && (text_[i] == ' ' || text_[i] == '\t')) ++i;
  return i;
}

std::size_t Scanner::after_brackets(std::size_t from) {
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

/// End of the value at `from`; `before` stands before its name and tells how a list of them is separated.
std::size_t Scanner::end_of_value(std::size_t from, char before) {
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

/// End of the innermost quote, or of the argument.
std::size_t Scanner::end_of_part(std::size_t from) {
  if (quotes_.empty()) return text_.size();
  const Quote quote = quotes_.back();
  const std::size_t end = closer(from, quote);
  if (end == kNowhere) return text_.size();
  if (!glued(end + quote.size())) return end;
  close(quote);
  return end_of_value(end + quote.size(), ' ');
}

std::size_t Scanner::end_of_json(std::size_t from) {
  if (at(from) == '{' || at(from) == '[') return after_brackets(from);
  std::size_t i = from;
  while (i < text_.size() && (is_token_character(text_[i]) || text_[i] == '+')) ++i;
  const bool scalar = i > from && (i == text_.size() || is_blank(text_[i]) || is_one_of(text_[i], ",}]"));
  return scalar ? i : end_of_value(from, ' ');
}

std::string_view Scanner::word_at(std::size_t i) const {
  std::size_t end = i;
  while (end < text_.size() && !is_blank(text_[end]) && !is_quote(text_[end]) &&
         !is_one_of(text_[end], ";&|(){}[]\\,")) {
    ++end;
  }
  return text_.substr(i, end - i);
}

std::size_t Scanner::value_after_colon(std::size_t colon, std::string_view name, bool quoted) const {
  std::size_t i = colon + 1;
  if (at(i) == ':' || text_.substr(i, 2) == "//") return kNowhere;
  if (at(i) == '=') return skip_blanks(i + 1);
  const std::size_t value = skip_blanks(i);
  if (value >= text_.size() || text_[value] == '\n') return kNowhere;
  if (quoted || value > i || is_quote(at(i)) || at(i) == '\\') return value;
  // Without a blank it may be "module:function" or "source:target".
  const std::string last = to_lower(last_word(name));
  return last != "auth" && at(i) != '/' && assigns_a_secret(last_word(name)) ? value : kNowhere;
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

/// Puts the mark in place of the text up to `end`; a string keeps its quotes.
void Scanner::hide_to(std::size_t end) {
  words_.next = Words::Next::nothing;
  word_starts_ = false;
  from_start_ = false;
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

/// "user:password" from here on without the password; false if there is none. `all`: it takes the whole part.
bool Scanner::hide_user_password(bool all, char before) {
  if (i_ < no_user_before_) return false;
  const std::vector<Quote> quotes = quotes_;
  const std::size_t end = all ? end_of_part(i_) : end_of_value(i_, before);
  const std::string_view value = text_.substr(i_, end - i_);
  const auto colon = value.find(':');
  if (colon == kNowhere || value.substr(colon).starts_with("://")) {
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
    if (next == Words::Next::secret) {
      hide_to(from_start_ ? end_of_part(i_) : end_of_value(i_, ' '));
      return true;
    }
  }
  if (word.empty()) return false;
  word_starts_ = false;
  if (words_.mysql && word.starts_with("-p")) {
    copy_to(i_ + 2);
    hide_to(from_start_ ? end_of_part(i_) : end_of_value(i_, ' '));
    return true;
  }
  const std::size_t user = words_.curl ? curl_user(word) : kNowhere;
  words_.see(word);
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
  if (!user && !assigns_a_secret(name)) return false;
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
  hide_to(end);
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
  if (take_secret(end)) return;
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
             authority.find_first_not_of("0123456789", colon + 1) != kNowhere) {
    // A password with a '/' in it that should have been written as %2F: what follows the colon is no port.
    sign = url_at_;
  }
  copy_to(start);
  from_start_ = false;
  if (sign == kNowhere || colon == kNowhere || start + colon > sign) return;
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
      word_starts_ = separates || is_one_of(c, "({[");
      from_start_ = from_start_ && is_one_of(c, "=[]");
      copy_to(i_ + 1);
    }
  }
  return std::move(out_);
}

/// In single quotes or, with control characters in it, as $'…' with escapes: safe on a terminal, and a shell
/// reads the same argument back.
std::string shell_quoted(const std::string& argument) {
  const bool controls = printable(argument) != argument;
  std::string quoted = controls ? "$'" : "'";
  for (const char c : argument) {
    const auto byte = static_cast<unsigned char>(c);
    if (!controls) {
      quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    } else if (c == '\'' || c == '\\') {
      quoted += std::string("\\") + c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (byte < 0x20 || byte >= 0x7F) {
      quoted += fmt::format("\\x{:02x}", byte);
    } else {
      quoted += c;
    }
  }
  return quoted + '\'';
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
    if ((header || words.next == Words::Next::secret) && !is_flag(argument)) {
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

std::string command_line(const std::vector<std::string>& arguments) {
  std::string line;
  for (const std::string& argument : arguments) {
    if (!line.empty()) line += ' ';
    const bool plain = !argument.empty() && std::all_of(argument.begin(), argument.end(), [](char c) {
      return is_token_character(c) || std::string_view("/=:,+@%[]").find(c) != std::string_view::npos;
    });
    if (plain) {
      line += argument;
      continue;
    }
    line += shell_quoted(argument);
  }
  return line;
}

}  // namespace joulery::meter
