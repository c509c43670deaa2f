#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace joulery::data {

/// What is right for a sample: nothing known, a class, numbers, or a text.
using Label = std::variant<std::monostate, std::int64_t, std::vector<double>, std::string>;

}  // namespace joulery::data
