#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "data/label.hpp"

namespace joulery::evaluate {

/// Labels of a fixed set of classes, whether given as an index, one-hot, or a name.
class ClassLabels {
 public:
  /// User error if there are names, but not one for each class, or one twice. `classes` > 0.
  static Result<ClassLabels> create(std::size_t classes, std::span<const std::string> names);
  std::size_t size() const { return classes_; }
  /// Its name, or its number.
  std::string name(std::size_t index) const;
  /// User error, naming the sample, for what is none of them.
  Result<std::uint32_t> index_of(const data::Label& label, std::uint64_t sample) const;

 private:
  std::size_t classes_ = 0;
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::uint32_t> by_name_;
};

/// The label as `width` numbers; a whole number is one. User error, naming the sample, for anything else, and
/// for NaN.
Result<std::vector<double>> label_numbers(const data::Label& label, std::size_t width, std::uint64_t sample);
/// "a text", "3 numbers", "no label".
std::string label_kind(const data::Label& label);

}  // namespace joulery::evaluate
