#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "data/element_conversion.hpp"
#include "data/tensor.hpp"

namespace joulery::data {

/// A value of a JSON object: null, a text, numbers of a shape (a single one has no dimensions), or something
/// else.
struct JsonField {
  enum class Kind : std::uint8_t { null, text, numbers, other };
  std::string key;
  Kind kind = Kind::null;
  std::string text;
  std::vector<Number> numbers;
  Shape shape;
};

/// Parses one object; `place` begins the messages. Fields whose names are not among `wanted` are passed over,
/// unless that is empty. User error for what is no object, has a key twice or nests arrays of unequal
/// lengths.
Status parse_json_row(std::string_view text, std::span<const std::string> wanted, const std::string& place,
                      std::vector<JsonField>& fields);

}  // namespace joulery::data
