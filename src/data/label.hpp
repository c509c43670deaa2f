#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace joulery::data {

/// What is right for a sample: nothing known, a class index, real values (regression, an embedding to reach),
/// or text (a transcript, the name of a class). A text format's whole number is an index also where other
/// samples have fractions.
using Label = std::variant<std::monostate, std::int64_t, std::vector<double>, std::string>;

}  // namespace joulery::data
