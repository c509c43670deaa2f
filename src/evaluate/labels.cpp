#include "evaluate/labels.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "evaluate/outputs.hpp"

namespace joulery::evaluate {
namespace {

std::unexpected<Error> no_label(std::uint64_t sample) {
  return user_error(fmt::format("sample {} has no label", sample),
                    "name the labels with --labels NAME, or compare with another model: --task agree");
}

/// A vector of 0 and a single 1, or of a single class number.
Result<std::int64_t> class_of_numbers(const std::vector<double>& numbers, std::size_t classes,
                                      std::uint64_t sample) {
  if (numbers.size() == 1 && std::fabs(numbers[0]) < 1e15 && std::nearbyint(numbers[0]) == numbers[0]) {
    return static_cast<std::int64_t>(numbers[0]);
  }
  const auto ones = std::ranges::count(numbers, 1.0);
  const auto zeros = std::ranges::count(numbers, 0.0);
  if (numbers.size() == classes && ones == 1 && ones + zeros == std::ssize(numbers)) {
    return static_cast<std::int64_t>(largest(numbers));
  }
  return user_error(
      fmt::format("the label of sample {}, {}, is neither a class nor one-hot over {} classes", sample,
                  label_kind(numbers), classes),
      "labels of classify are whole numbers from 0, one-hot vectors, or texts with --class-names");
}

}  // namespace

std::string label_kind(const data::Label& label) {
  if (std::holds_alternative<std::monostate>(label)) return "no label";
  if (const auto* number = std::get_if<std::int64_t>(&label)) return fmt::format("the number {}", *number);
  if (const auto* numbers = std::get_if<std::vector<double>>(&label)) {
    return fmt::format("{} number{}", numbers->size(), numbers->size() == 1 ? "" : "s");
  }
  constexpr std::size_t kMostShown = 40;
  const std::string& text = std::get<std::string>(label);
  return fmt::format("the text '{}{}'", printable(text.substr(0, kMostShown)),
                     text.size() > kMostShown ? "…" : "");
}

Result<ClassLabels> ClassLabels::create(std::size_t classes, std::span<const std::string> names) {
  if (!names.empty() && names.size() != classes) {
    return user_error(
        fmt::format("{} class names were given, but the model has {} classes", names.size(), classes),
        "give one name a class, in the order of the model's output");
  }
  ClassLabels labels;
  labels.classes_ = classes;
  labels.names_.assign(names.begin(), names.end());
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!labels.by_name_.emplace(names[i], static_cast<std::uint32_t>(i)).second) {
      return user_error(fmt::format("two classes are called '{}'", printable(names[i])));
    }
  }
  return labels;
}

std::string ClassLabels::name(std::size_t index) const {
  return index < names_.size() ? names_[index] : fmt::format("{}", index);
}

Result<std::uint32_t> ClassLabels::index_of(const data::Label& label, std::uint64_t sample) const {
  if (std::holds_alternative<std::monostate>(label)) return no_label(sample);
  std::int64_t index = 0;
  if (const auto* text = std::get_if<std::string>(&label)) {
    const auto found = by_name_.find(*text);
    if (found != by_name_.end()) return found->second;
    if (names_.empty()) {
      return user_error(fmt::format("the label of sample {} is {}, and the model's classes have no names",
                                    sample, label_kind(label)),
                        "give the names in the order of the model's output: --class-names FILE");
    }
    const auto near = did_you_mean(*text, names_);
    return user_error(fmt::format("the label of sample {}, {}, is none of the {} class names", sample,
                                  label_kind(label), names_.size()),
                      near ? fmt::format("did you mean '{}'?", printable(*near)) : "");
  }
  if (const auto* numbers = std::get_if<std::vector<double>>(&label)) {
    JOULERY_ASSIGN(index, class_of_numbers(*numbers, classes_, sample));
  } else {
    index = std::get<std::int64_t>(label);
  }
  if (index < 0 || static_cast<std::uint64_t>(index) >= classes_) {
    return user_error(fmt::format("the label of sample {} is class {}, but the model's classes are 0 to {}",
                                  sample, index, classes_ - 1),
                      static_cast<std::uint64_t>(index) == classes_
                          ? "classes count from 0: subtract 1 if the labels count from 1"
                          : "is it the right column (--labels), and the right model?");
  }
  return static_cast<std::uint32_t>(index);
}

Result<std::vector<double>> label_numbers(const data::Label& label, std::size_t width, std::uint64_t sample) {
  if (std::holds_alternative<std::monostate>(label)) return no_label(sample);
  std::vector<double> numbers;
  if (const auto* whole = std::get_if<std::int64_t>(&label)) {
    numbers.push_back(static_cast<double>(*whole));
  } else if (const auto* given = std::get_if<std::vector<double>>(&label)) {
    numbers = *given;
  } else {
    return user_error(
        fmt::format("the label of sample {} is {}, where numbers are needed", sample, label_kind(label)));
  }
  if (numbers.size() != width) {
    return user_error(fmt::format("the label of sample {} has {}, but the model's output has {}", sample,
                                  label_kind(numbers), width),
                      "labels must have as many numbers as the output has for a sample");
  }
  if (!all_finite(numbers)) {
    return user_error(fmt::format("the label of sample {} is not finite", sample),
                      "leave samples without a true value out");
  }
  return numbers;
}

}  // namespace joulery::evaluate
