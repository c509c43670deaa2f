#include "record/run_filter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>

#include "base/text.hpp"
#include "record/iso_time.hpp"
#include "record/model.hpp"

namespace joulery::record {
namespace {

constexpr const char* kExample =
    "write it like: metrics.energy_joules < 100 and params.model = 'mlp' and tags.team = 'vision'";
constexpr std::size_t kMaxPatternWildcards = 16;
constexpr std::size_t kMaxPatternBytes = 1000;

constexpr std::array<std::pair<const char*, FilterEntity>, 15> kEntities{
    {{"metrics", FilterEntity::metric},
     {"metric", FilterEntity::metric},
     {"params", FilterEntity::param},
     {"param", FilterEntity::param},
     {"parameters", FilterEntity::param},
     {"parameter", FilterEntity::param},
     {"tags", FilterEntity::tag},
     {"tag", FilterEntity::tag},
     {"attributes", FilterEntity::attribute},
     {"attribute", FilterEntity::attribute},
     {"attr", FilterEntity::attribute},
     {"run", FilterEntity::attribute},
     {"runs", FilterEntity::attribute},
     {"datasets", FilterEntity::dataset},
     {"dataset", FilterEntity::dataset}}};

constexpr std::array<std::pair<const char*, RunAttribute>, 13> kAttributes{
    {{"run_id", RunAttribute::run_id},
     {"run_name", RunAttribute::run_name},
     {"run name", RunAttribute::run_name},
     {"status", RunAttribute::status},
     {"artifact_uri", RunAttribute::artifact_uri},
     {"user_id", RunAttribute::user_id},
     {"user", RunAttribute::user_id},
     {"experiment", RunAttribute::experiment},
     {"host_id", RunAttribute::host_id},
     {"start_time", RunAttribute::start_time},
     {"created", RunAttribute::start_time},
     {"end_time", RunAttribute::end_time},
     {"run_uuid", RunAttribute::run_id}}};

struct Token {
  enum class Kind { end, word, quoted_key, text, number, symbol } kind = Kind::end;
  std::string_view raw;
  std::string text;  // without quotes
  double number = 0;
  std::size_t column = 1;
};

bool is_text(const Token& token) {
  return token.kind == Token::Kind::text ||
         (token.kind == Token::Kind::quoted_key && token.raw.front() == '"');
}

std::string to_upper(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return upper;
}

bool is_word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '/' ||
         c == '-' || c == '.' || static_cast<unsigned char>(c) >= 0x80;
}

class FilterParser {
 public:
  explicit FilterParser(std::string_view text) : text_(text) {}

  Status advance();
  Result<std::vector<FilterComparison>> filter();
  Result<RunOrder> order();

 private:
  std::unexpected<Error> wrong(const std::string& what, const Token& at, std::string hint = kExample) const {
    return user_error(fmt::format("filter: {} at column {}", what, at.column), std::move(hint));
  }
  static std::string shown(const Token& token) {
    if (token.kind == Token::Kind::end) return "the end";
    const std::string raw = printable(token.raw.substr(0, 60));
    const bool quoted = token.kind == Token::Kind::text || token.kind == Token::Kind::quoted_key;
    return quoted ? raw : "'" + raw + "'";
  }
  bool keyword(const char* word) const {
    return token_.kind == Token::Kind::word && to_lower(token_.raw) == word;
  }
  bool symbol(const char* text) const { return token_.kind == Token::Kind::symbol && token_.raw == text; }
  Status quoted(char quote, Token::Kind kind);
  /// Reads `metrics.key`, `tags."a key"`, `start_time`.
  Status subject(FilterEntity& entity, std::string& key, RunAttribute& attribute);
  Status attribute_named(const std::string& name, const Token& at, RunAttribute& attribute);
  Result<FilterComparison> comparison();
  Status operation(FilterComparison& comparison);
  Status values(FilterComparison& comparison);
  Status value(FilterComparison& comparison);
  Status time(FilterComparison& comparison);
  /// The status as it is stored: MLflow's clients write it in capitals, people need not.
  Status status(const FilterComparison& comparison, std::string& text) const;
  Status check_operator(const FilterComparison& comparison, const Token& at) const;

  std::string_view text_;
  std::size_t next_ = 0;
  Token token_;
};

Status FilterParser::quoted(char quote, Token::Kind kind) {
  const std::size_t start = next_++;
  token_.kind = kind;
  while (next_ < text_.size()) {
    if (text_[next_] != quote) {
      token_.text += text_[next_++];
    } else if (next_ + 1 < text_.size() && text_[next_ + 1] == quote) {
      token_.text += quote;
      next_ += 2;
    } else {
      token_.raw = text_.substr(start, ++next_ - start);
      return {};
    }
  }
  token_.raw = text_.substr(start);
  return wrong(fmt::format("the closing {} is missing", quote), token_);
}

Status FilterParser::advance() {
  while (next_ < text_.size() &&
         (text_[next_] == ' ' || text_[next_] == '\t' || text_[next_] == '\n' || text_[next_] == '\r')) {
    ++next_;
  }
  token_ = Token{};
  token_.column = next_ + 1;
  if (next_ == text_.size()) return {};
  const char first = text_[next_];
  if (first == '\'') return quoted('\'', Token::Kind::text);
  if (first == '"' || first == '`') return quoted(first, Token::Kind::quoted_key);
  const std::size_t start = next_;
  if (is_word_character(first) || first == '+') {
    while (next_ < text_.size() && is_word_character(text_[next_])) ++next_;
    // "1e+5" is one number.
    if (next_ == start || (next_ < text_.size() && text_[next_] == '+' &&
                           (text_[next_ - 1] == 'e' || text_[next_ - 1] == 'E'))) {
      ++next_;
      while (next_ < text_.size() && is_word_character(text_[next_])) ++next_;
    }
    token_.raw = text_.substr(start, next_ - start);
    std::string_view digits = token_.raw;
    if (digits.starts_with('+')) digits.remove_prefix(1);
    if (const auto number = parse_double(digits)) {
      token_.kind = Token::Kind::number;
      token_.number = *number;
      return {};
    }
    token_.kind = Token::Kind::word;
    token_.text = token_.raw;
    if (token_.raw.ends_with('.') && next_ < text_.size() && (text_[next_] == '"' || text_[next_] == '`'))
      return {};
    return {};
  }
  token_.kind = Token::Kind::symbol;
  for (const std::string_view two : {"<=", ">=", "!=", "<>", "=="}) {
    if (text_.substr(next_).starts_with(two)) {
      next_ += 2;
      token_.raw = text_.substr(start, 2);
      return {};
    }
  }
  token_.raw = text_.substr(start, 1);
  ++next_;
  return {};
}

Status FilterParser::attribute_named(const std::string& name, const Token& at, RunAttribute& attribute) {
  const std::string wanted = to_lower(name);
  std::vector<std::string> names;
  for (const auto& [known, value] : kAttributes) {
    if (wanted == known) {
      attribute = value;
      return {};
    }
    names.emplace_back(known);
  }
  std::string hint =
      "attributes are run_id, run_name, status, user_id, experiment, host_id, artifact_uri, start_time, "
      "end_time; write metrics., params. or tags. before other names";
  if (const auto near = did_you_mean(wanted, names)) hint = fmt::format("did you mean '{}'?", *near);
  // As the lists of runs call it.
  if (wanted == "name") hint = "did you mean 'run_name'?";
  return wrong(fmt::format("runs have no attribute '{}'", printable(name.substr(0, 60))), at, hint);
}

Status FilterParser::subject(FilterEntity& entity, std::string& key, RunAttribute& attribute) {
  const Token at = token_;
  entity = FilterEntity::attribute;
  if (at.kind == Token::Kind::quoted_key) {
    JOULERY_CHECK_OK(advance());
    return attribute_named(at.text, at, attribute);
  }
  if (at.kind != Token::Kind::word) {
    return wrong(fmt::format("a name such as metrics.loss is expected, not {}", shown(at)), at);
  }
  const auto dot = at.text.find('.');
  if (dot == std::string::npos) {
    JOULERY_CHECK_OK(advance());
    return attribute_named(at.text, at, attribute);
  }
  const std::string prefix = to_lower(at.text.substr(0, dot));
  const auto known = std::find_if(kEntities.begin(), kEntities.end(),
                                  [&](const auto& pair) { return pair.first == prefix; });
  if (known == kEntities.end()) {
    std::vector<std::string> names;
    for (const auto& [name, value] : kEntities) names.emplace_back(name);
    std::string hint = "names start with metrics., params., tags., attributes. or datasets.";
    if (const auto near = did_you_mean(prefix, names)) hint = fmt::format("did you mean '{}.'?", *near);
    return wrong(fmt::format("'{}' is nothing that runs have", printable(prefix.substr(0, 60))), at, hint);
  }
  entity = known->second;
  key = at.text.substr(dot + 1);
  JOULERY_CHECK_OK(advance());
  const bool adjacent = token_.column == at.column + at.raw.size();
  if (key.empty() && adjacent && token_.kind == Token::Kind::quoted_key) {
    key = token_.text;
    JOULERY_CHECK_OK(advance());
  }
  if (key.empty())
    return wrong(fmt::format("a name is expected after '{}'", printable(at.raw.substr(0, 60))), at);
  if (entity == FilterEntity::attribute) {
    const std::string name = std::exchange(key, {});
    return attribute_named(name, at, attribute);
  }
  if (entity == FilterEntity::dataset && key != "name" && key != "digest" && key != "context") {
    return wrong(fmt::format("data sets have no '{}'", printable(key.substr(0, 60))), at,
                 "data sets have name, digest and context");
  }
  return {};
}

Status FilterParser::operation(FilterComparison& comparison) {
  constexpr std::array<std::pair<const char*, FilterOperator>, 8> kSymbols{
      {{"=", FilterOperator::equal},
       {"==", FilterOperator::equal},
       {"!=", FilterOperator::not_equal},
       {"<>", FilterOperator::not_equal},
       {"<", FilterOperator::less},
       {"<=", FilterOperator::less_equal},
       {">", FilterOperator::greater},
       {">=", FilterOperator::greater_equal}}};
  for (const auto& [text, value] : kSymbols) {
    if (!symbol(text)) continue;
    comparison.comparison = value;
    return advance();
  }
  const bool is = keyword("is");
  const bool negated = keyword("not");
  if (is || negated) {
    JOULERY_CHECK_OK(advance());
    const bool is_not = is && keyword("not");
    if (is_not) JOULERY_CHECK_OK(advance());
    if (is && !keyword("null")) return wrong(fmt::format("NULL is expected, not {}", shown(token_)), token_);
    if (negated && !keyword("in")) return wrong(fmt::format("IN is expected, not {}", shown(token_)), token_);
    comparison.comparison = negated  ? FilterOperator::not_in
                            : is_not ? FilterOperator::is_not_null
                                     : FilterOperator::is_null;
    return advance();
  }
  if (keyword("like") || keyword("ilike") || keyword("in")) {
    comparison.comparison = keyword("like")    ? FilterOperator::like
                            : keyword("ilike") ? FilterOperator::ilike
                                               : FilterOperator::in;
    return advance();
  }
  return wrong(fmt::format("a comparison such as = or < is expected, not {}", shown(token_)), token_);
}

Status FilterParser::check_operator(const FilterComparison& comparison, const Token& at) const {
  using enum FilterOperator;
  const bool numeric = comparison.entity == FilterEntity::metric ||
                       (comparison.entity == FilterEntity::attribute && is_numeric(comparison.attribute));
  std::vector<FilterOperator> allowed;
  if (numeric) {
    allowed = {equal, not_equal, less, less_equal, greater, greater_equal};
  } else if (comparison.entity == FilterEntity::param || comparison.entity == FilterEntity::tag) {
    allowed = {equal, not_equal, like, ilike, is_null, is_not_null};
  } else {
    allowed = {equal, not_equal, like, ilike, in, not_in};
  }
  if (std::find(allowed.begin(), allowed.end(), comparison.comparison) != allowed.end()) return {};
  return wrong(
      fmt::format("this comparison does not work for {}", numeric ? "numbers" : "texts"), at,
      numeric
          ? "numbers are compared with = != < <= > >="
          : "params and tags are compared with = != LIKE ILIKE IS NULL, attributes with = != LIKE ILIKE IN");
}

Status FilterParser::value(FilterComparison& comparison) {
  const bool numeric = comparison.entity == FilterEntity::metric ||
                       (comparison.entity == FilterEntity::attribute && is_numeric(comparison.attribute));
  if (numeric && comparison.entity == FilterEntity::attribute && token_.kind != Token::Kind::number) {
    return time(comparison);
  }
  if (numeric) {
    if (token_.kind != Token::Kind::number) {
      return wrong(fmt::format("a number is expected, not {}", shown(token_)), token_);
    }
    comparison.values.emplace_back(token_.number);
    return advance();
  }
  if (!is_text(token_)) {
    return wrong(fmt::format("a text in quotes is expected, not {}", shown(token_)), token_,
                 token_.kind == Token::Kind::end
                     ? kExample
                     : fmt::format("put it in quotes: '{}'", printable(token_.raw.substr(0, 60))));
  }
  if (comparison.comparison == FilterOperator::like || comparison.comparison == FilterOperator::ilike) {
    const auto wildcards = std::count(token_.text.begin(), token_.text.end(), '%');
    if (token_.text.size() > kMaxPatternBytes || wildcards > std::ptrdiff_t{kMaxPatternWildcards}) {
      return wrong(
          "this pattern is too long", token_,
          fmt::format("a pattern has at most {} bytes and {} '%'", kMaxPatternBytes, kMaxPatternWildcards));
    }
  }
  std::string text = token_.text;
  if (comparison.entity == FilterEntity::attribute && comparison.attribute == RunAttribute::status) {
    JOULERY_CHECK_OK(status(comparison, text));
  }
  comparison.values.emplace_back(std::move(text));
  return advance();
}

Status FilterParser::time(FilterComparison& comparison) {
  constexpr const char* kTimes =
      "times are like '2026-11-20' or '2026-11-20T10:00:00Z', UTC unless they say +01:00, or milliseconds";
  const std::string text = is_text(token_) ? token_.text : std::string(token_.raw);
  const auto milliseconds = parse_iso_time_ms(text);
  if (!milliseconds) return wrong(fmt::format("a time is expected, not {}", shown(token_)), token_, kTimes);
  if (!is_text(token_)) {
    return wrong(fmt::format("the time {} is not in quotes", shown(token_)), token_,
                 fmt::format("put it in quotes: '{}'", text));
  }
  const bool exact =
      comparison.comparison == FilterOperator::equal || comparison.comparison == FilterOperator::not_equal;
  if (exact && is_iso_date(text)) {
    return wrong("no run starts at just the midnight of a day", token_,
                 fmt::format("ask for a range: start_time >= '{}' and start_time < the next day", text));
  }
  comparison.values.emplace_back(static_cast<double>(*milliseconds));
  return advance();
}

Status FilterParser::status(const FilterComparison& comparison, std::string& text) const {
  if (comparison.comparison == FilterOperator::like || comparison.comparison == FilterOperator::ilike)
    return {};
  std::vector<std::string> names;
  for (const RunStatus known : kRunStatuses) {
    names.emplace_back(run_status_name(known));
    if (to_lower(text) != to_lower(names.back())) continue;
    text = names.back();
    return {};
  }
  const auto near = did_you_mean(to_upper(text), names);
  return wrong(fmt::format("no run has the status {}", shown(token_)), token_,
               near ? fmt::format("did you mean '{}'?", *near)
                    : fmt::format("it is one of {}", fmt::join(names, ", ")));
}

Status FilterParser::values(FilterComparison& comparison) {
  if (comparison.comparison == FilterOperator::is_null ||
      comparison.comparison == FilterOperator::is_not_null)
    return {};
  if (comparison.comparison != FilterOperator::in && comparison.comparison != FilterOperator::not_in) {
    return value(comparison);
  }
  if (!symbol("(")) return wrong(fmt::format("'(' is expected after IN, not {}", shown(token_)), token_);
  JOULERY_CHECK_OK(advance());
  while (true) {
    JOULERY_CHECK_OK(value(comparison));
    if (symbol(")")) return advance();
    if (!symbol(",")) return wrong(fmt::format("',' or ')' is expected, not {}", shown(token_)), token_);
    JOULERY_CHECK_OK(advance());
  }
}

Result<FilterComparison> FilterParser::comparison() {
  if (symbol("(")) {
    return wrong("parentheses are not understood", token_,
                 "comparisons are joined by AND only; all of them must hold");
  }
  FilterComparison comparison;
  JOULERY_CHECK_OK(subject(comparison.entity, comparison.key, comparison.attribute));
  const Token at = token_;
  JOULERY_CHECK_OK(operation(comparison));
  JOULERY_CHECK_OK(check_operator(comparison, at));
  JOULERY_CHECK_OK(values(comparison));
  return comparison;
}

Result<std::vector<FilterComparison>> FilterParser::filter() {
  std::vector<FilterComparison> comparisons;
  if (token_.kind == Token::Kind::end) return comparisons;
  while (true) {
    JOULERY_ASSIGN(auto next, comparison());
    comparisons.push_back(std::move(next));
    if (token_.kind == Token::Kind::end) return comparisons;
    if (keyword("or")) {
      return wrong("OR is not understood", token_,
                   "comparisons are joined by AND only; IN ('a', 'b') takes several values");
    }
    if (!keyword("and")) return wrong(fmt::format("AND is expected, not {}", shown(token_)), token_);
    if (comparisons.size() == kMaxFilterComparisons) {
      return wrong(fmt::format("a filter has at most {} comparisons", kMaxFilterComparisons), token_, "");
    }
    JOULERY_CHECK_OK(advance());
  }
}

Result<RunOrder> FilterParser::order() {
  RunOrder order;
  JOULERY_CHECK_OK(subject(order.entity, order.key, order.attribute));
  if (order.entity == FilterEntity::dataset) return wrong("runs are not ordered by data sets", token_, "");
  if (keyword("desc")) {
    order.ascending = false;
    JOULERY_CHECK_OK(advance());
  } else if (keyword("asc")) {
    JOULERY_CHECK_OK(advance());
  }
  if (token_.kind == Token::Kind::end) return order;
  return wrong(fmt::format("ASC or DESC is expected, not {}", shown(token_)), token_,
               "order like: metrics.energy_joules DESC");
}

Status check_size(std::string_view text) {
  if (text.size() <= kMaxFilterBytes) return {};
  return user_error(fmt::format("filter: it has {} bytes, more than {}", text.size(), kMaxFilterBytes));
}

}  // namespace

bool is_numeric(RunAttribute attribute) {
  return attribute == RunAttribute::start_time || attribute == RunAttribute::end_time;
}

Result<std::vector<FilterComparison>> parse_run_filter(std::string_view text) {
  JOULERY_CHECK_OK(check_size(text));
  FilterParser parser(text);
  JOULERY_CHECK_OK(parser.advance());
  return parser.filter();
}

Result<RunOrder> parse_run_order(std::string_view text) {
  JOULERY_CHECK_OK(check_size(text));
  FilterParser parser(text);
  JOULERY_CHECK_OK(parser.advance());
  auto order = parser.order();
  if (!order) order.error().message.replace(0, 6, "order");
  return order;
}

}  // namespace joulery::record
