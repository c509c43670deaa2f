#include "data/column_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "data/sample_shape.hpp"

namespace joulery::data {
namespace {

constexpr std::size_t kMostNamesShown = 20;

std::string quoted_list(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kMostNamesShown; ++i) {
    text += fmt::format("{}'{}'", i == 0 ? "" : ", ", printable(names[i]));
  }
  if (names.size() > kMostNamesShown) text += fmt::format(" and {} more", names.size() - kMostNamesShown);
  return text;
}

class Planner {
 public:
  Planner(const Table& table, const DatasetRequest& request) : table_(table), request_(request) {}

  Result<ColumnPlan> plan() {
    JOULERY_CHECK_OK(find_labels());
    JOULERY_CHECK_OK(find_constants());
    if (inputs_from_data() == 0) {
      return user_error("all inputs of the model are constants, so that nothing is left for the data");
    }
    for (const InputSpec& spec : request_.inputs) {
      InputPlan input{.spec = spec, .columns = {}, .constant = constant_of(spec.name), .batched = true};
      if (!input.constant) JOULERY_CHECK_OK(find_columns(input));
      plan_.inputs.push_back(std::move(input));
    }
    return std::move(plan_);
  }

 private:
  std::span<const Column> columns() const { return table_.columns(); }
  std::optional<std::size_t> find(std::string_view name) const {
    for (std::size_t i = 0; i < columns().size(); ++i) {
      if (columns()[i].name == name) return i;
    }
    return std::nullopt;
  }
  Status check_readable(std::size_t column) const {
    const auto& refusal = columns()[column].refusal;
    if (refusal) return std::unexpected(*refusal);
    return {};
  }
  std::string names() const {
    std::vector<std::string> names;
    for (const Column& column : columns()) names.push_back(column.name);
    return names.empty() ? "none" : quoted_list(names);
  }

  Status find_labels() {
    if (!request_.labels.empty()) plan_.labels = find(request_.labels);
    if (!plan_.labels && request_.needs_labels) {
      return user_error(fmt::format("{} has no labels: there is no column '{}' among {}", data_name(request_),
                                    printable(request_.labels), names()),
                        "name the column of the labels: --labels NAME");
    }
    if (plan_.labels) JOULERY_CHECK_OK(check_readable(*plan_.labels));
    if (request_.group.empty()) return {};
    plan_.group = find(request_.group);
    if (plan_.group) return check_readable(*plan_.group);
    return user_error(fmt::format("{} has no column '{}' for the groups; it has {}", data_name(request_),
                                  printable(request_.group), names()));
  }

  std::optional<double> constant_of(const std::string& input) const {
    for (const Constant& constant : request_.constants) {
      if (constant.input == input) return constant.value;
    }
    return std::nullopt;
  }

  Status find_constants() {
    std::vector<std::string> inputs;
    for (const InputSpec& spec : request_.inputs) inputs.push_back(spec.name);
    for (const Constant& constant : request_.constants) {
      if (std::ranges::find(inputs, constant.input) != inputs.end()) continue;
      return user_error(fmt::format("the model has no input '{}' for a constant; it has {}",
                                    printable(constant.input), quoted_list(inputs)),
                        "name one of them, as in --constant sr=16000, or leave it out");
    }
    return {};
  }

  bool is_free(std::size_t column) const { return column != plan_.labels && column != plan_.group; }

  std::size_t inputs_from_data() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        request_.inputs, [&](const InputSpec& spec) { return !constant_of(spec.name); }));
  }

  Status find_columns(InputPlan& input) {
    auto column = find(input.spec.name);
    const bool is_single = inputs_from_data() == 1;
    if (!column && is_single) column = find("x");
    if (!column && is_single && table_.is_unnamed() && !columns().empty()) column = 0;
    if (column) return use_column(input, *column);
    if (is_single) return gather(input);
    return missing(input.spec);
  }

  Status use_column(InputPlan& input, std::size_t index) {
    JOULERY_CHECK_OK(check_readable(index));
    const Column& column = columns()[index];
    if (column.kind == Column::Kind::texts || !column.is_numeric) {
      return user_error(fmt::format("column '{}' of {} holds text, but the input '{}' takes {} {}",
                                    printable(column.name), data_name(request_), printable(input.spec.name),
                                    data_type_name(input.spec.type), input.spec.shape.text()),
                        "encode it as numbers the way the model was trained");
    }
    const auto fitted = fit_sample(input.spec.shape, column.sample);
    if (!fitted) {
      return shape_error(request_, fmt::format("column '{}'", printable(column.name)), input.spec,
                         column.sample);
    }
    input.columns = {index};
    input.batched = fitted->batched;
    return {};
  }

  std::unexpected<Error> missing(const InputSpec& spec) const {
    return user_error(
        fmt::format("{} has no column for the model's input '{}' ({} {}); it has {}", data_name(request_),
                    printable(spec.name), data_type_name(spec.type), spec.shape.text(), names()),
        "columns are named like the inputs; give an input that is the same for all samples as a "
        "constant: --constant NAME=VALUE");
  }

  /// A row of single numbers is a vector, if there is no column of the input's name.
  Status gather(InputPlan& input) {
    std::vector<std::string> used;
    std::vector<std::string> left_out;
    for (std::size_t i = 0; i < columns().size(); ++i) {
      if (!is_free(i)) continue;
      const Column& column = columns()[i];
      const bool is_number =
          column.kind != Column::Kind::texts && column.is_numeric && column.sample.element_count() == 1U;
      (is_number ? used : left_out).push_back(column.name);
      if (is_number) input.columns.push_back(i);
    }
    if (used.empty()) return missing(input.spec);
    const auto size = static_cast<std::int64_t>(used.size());
    const auto fitted = fit_sample(input.spec.shape, Shape{size});
    if (!fitted) {
      return user_error(
          fmt::format(
              "the input '{}' takes {} {}, but {} has {} numeric columns beside labels and groups: {}",
              printable(input.spec.name), data_type_name(input.spec.type), input.spec.shape.text(),
              data_name(request_), used.size(), quoted_list(used)),
          left_out.empty()
              ? "name the column of the labels with --labels NAME, that of groups with --group NAME"
              : fmt::format("left out, for they are not numbers in the first row: {}",
                            quoted_list(left_out)));
    }
    input.batched = fitted->batched;
    plan_.notes.push_back(fmt::format("'{}' is made of {} numeric columns in their order: {}",
                                      printable(input.spec.name), used.size(), quoted_list(used)));
    if (!left_out.empty()) {
      plan_.notes.push_back(fmt::format("left out, for they are not numbers: {}", quoted_list(left_out)));
    }
    return {};
  }

  const Table& table_;
  const DatasetRequest& request_;
  ColumnPlan plan_;
};

/// The same dimensions in another order are most often images with their channels elsewhere.
bool is_reordered(const Shape& wanted, const Shape& sample) {
  if (wanted.rank() != sample.rank() || !wanted.is_known()) return false;
  return std::ranges::is_permutation(wanted.dimensions(), sample.dimensions());
}

}  // namespace

std::string data_name(const DatasetRequest& request) {
  return request.path.empty() ? "the data" : fmt::format("'{}'", printable(request.path));
}

std::unexpected<Error> shape_error(const DatasetRequest& request, const std::string& what,
                                   const InputSpec& spec, const Shape& sample) {
  const Shape wanted = without_batch(spec.shape);
  std::string hint =
      "the first axis of the data is the sample, and the rest must fit the input without its first";
  if (is_reordered(wanted, sample)) {
    hint = fmt::format("the axes seem to be in another order: the model wants {}", wanted.text());
  } else if (wanted.element_count() && wanted.element_count() == sample.element_count()) {
    hint = fmt::format("there are as many numbers: reshape the samples to {}", wanted.text());
  }
  return user_error(fmt::format("{} of {} has samples of {}, which do not fit the input '{}' of {} {}", what,
                                data_name(request), sample.text(), printable(spec.name),
                                data_type_name(spec.type), spec.shape.text()),
                    std::move(hint));
}

Result<ColumnPlan> plan_columns(const Table& table, const DatasetRequest& request) {
  return Planner(table, request).plan();
}

}  // namespace joulery::data
