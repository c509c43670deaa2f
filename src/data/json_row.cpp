#include "data/json_row.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.hpp"

namespace joulery::data {
namespace {

/// Takes the parser's events. Its functions have the names that the library asks for; false ends the parsing.
class RowHandler {
 public:
  RowHandler(std::span<const std::string> wanted, std::vector<JsonField>& fields)
      : wanted_(wanted), fields_(fields) {
    fields_.clear();
  }

  std::string take_error() { return std::move(error_); }
  bool is_object() const { return is_object_; }

  bool null() { return other_value(JsonField::Kind::null); }
  bool boolean(bool value) { return number(std::int64_t{value ? 1 : 0}); }
  bool number_integer(std::int64_t value) { return number(value); }
  bool number_unsigned(std::uint64_t value) {
    if (std::in_range<std::int64_t>(value)) return number(static_cast<std::int64_t>(value));
    return number(value);
  }
  bool number_float(double value, const std::string&) { return number(value); }
  bool string(std::string& value) {
    if (!other_value(JsonField::Kind::text)) return false;
    if (is_taken() && array_depth_ == 0) field().text = std::move(value);
    return true;
  }
  bool binary(std::vector<std::uint8_t>&) { return fail("bytes, which no JSON text has"); }

  bool start_object(std::size_t) {
    if (++object_depth_ == 1) {
      is_object_ = true;
      return true;
    }
    // What is inside another object is not looked at.
    if (object_depth_ == 2 && is_taken()) field().kind = JsonField::Kind::other;
    return is_object_ || fail("an array where an object belongs");
  }
  bool end_object() {
    --object_depth_;
    return true;
  }
  bool key(std::string& name) {
    if (object_depth_ != 1) return true;
    is_wanted_ = wanted_.empty() || std::ranges::find(wanted_, name) != wanted_.end();
    array_depth_ = 0;
    deepest_ = 0;
    leaf_depth_.reset();
    sizes_.fill(kUnknownDimension);
    if (!is_wanted_) return true;
    for (const JsonField& earlier : fields_) {
      if (earlier.key == name) return fail(fmt::format("the key '{}' is there twice", printable(name)));
    }
    fields_.push_back({.key = std::move(name), .kind = {}, .text = {}, .numbers = {}, .shape = {}});
    return true;
  }

  bool start_array(std::size_t) {
    if (!is_object_) return fail("an array where an object belongs");
    if (object_depth_ != 1) return true;
    if (array_depth_ == kMostDimensions) {
      return fail(fmt::format("arrays nested deeper than {}", kMostDimensions));
    }
    if (!is_taken()) {
      ++array_depth_;
      return true;
    }
    if (leaf_depth_ && array_depth_ >= *leaf_depth_) return ragged();
    count_element();
    lengths_[array_depth_++] = 0;
    deepest_ = std::max(deepest_, array_depth_);
    if (field().kind == JsonField::Kind::null) field().kind = JsonField::Kind::numbers;
    return true;
  }
  bool end_array() {
    if (object_depth_ != 1) return true;
    --array_depth_;
    if (!is_taken()) return true;
    std::int64_t& size = sizes_[array_depth_];
    if (size == kUnknownDimension) size = lengths_[array_depth_];
    if (size != lengths_[array_depth_]) return ragged();
    if (array_depth_ > 0) return true;
    if (leaf_depth_ && *leaf_depth_ != deepest_) return ragged();
    const auto shape = Shape::create(std::span(sizes_).first(deepest_));
    if (shape) field().shape = *shape;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) {
    // The library's text begins with its own code and place.
    const std::string_view what = error.what();
    const std::size_t colon = what.rfind(": ");
    return fail(fmt::format("no JSON at byte {}: {}", position,
                            printable(colon == std::string_view::npos ? what : what.substr(colon + 2))));
  }

 private:
  bool is_taken() const { return object_depth_ == 1 && is_wanted_; }
  JsonField& field() { return fields_.back(); }
  bool fail(std::string error) {
    if (error_.empty()) error_ = std::move(error);
    return false;
  }
  bool ragged() {
    return fail(fmt::format("the arrays of '{}' are of unequal lengths", printable(field().key)));
  }
  void count_element() {
    if (array_depth_ > 0) ++lengths_[array_depth_ - 1];
  }

  template <class Value>
  bool number(Value value) {
    if (!is_object_) return fail("a number where an object belongs");
    if (!is_taken()) return true;
    if (leaf_depth_ && *leaf_depth_ != array_depth_) return ragged();
    leaf_depth_ = array_depth_;
    count_element();
    if (field().kind == JsonField::Kind::null) field().kind = JsonField::Kind::numbers;
    field().numbers.emplace_back(value);
    return true;
  }
  bool other_value(JsonField::Kind kind) {
    if (!is_object_) return fail("a value where an object belongs");
    if (is_taken()) {
      count_element();
      field().kind = array_depth_ > 0 ? JsonField::Kind::other : kind;
    }
    return true;
  }

  std::span<const std::string> wanted_;
  std::vector<JsonField>& fields_;
  std::string error_;
  bool is_object_ = false;
  bool is_wanted_ = false;
  std::size_t object_depth_ = 0;
  std::size_t array_depth_ = 0;
  std::size_t deepest_ = 0;
  std::optional<std::size_t> leaf_depth_;
  std::array<std::int64_t, kMostDimensions> lengths_{};
  std::array<std::int64_t, kMostDimensions> sizes_{};
};

}  // namespace

Status parse_json_row(std::string_view text, std::span<const std::string> wanted, const std::string& place,
                      std::vector<JsonField>& fields) {
  RowHandler handler(wanted, fields);
  const bool is_parsed = nlohmann::json::sax_parse(text.begin(), text.end(), &handler);
  if (is_parsed && handler.is_object()) return {};
  return user_error(fmt::format("{}: {}", place, handler.take_error()),
                    "a line is one JSON object, such as {\"x\": [1.5, 2], \"y\": 0}");
}

}  // namespace joulery::data
