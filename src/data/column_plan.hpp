#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "data/table.hpp"

namespace joulery::data {

/// Where an input's values come from.
struct InputPlan {
  InputSpec spec;
  /// One column; several of single numbers that make a vector; none for a constant.
  std::vector<std::size_t> columns;
  std::optional<double> constant;
  bool batched = true;
};

struct ColumnPlan {
  std::vector<InputPlan> inputs;
  std::optional<std::size_t> labels;
  std::optional<std::size_t> group;
  /// What is to be said of it.
  std::vector<std::string> notes;
};

/// Finds the columns that a request asks for, by the names of the model's inputs. User error, naming what
/// there is, if one is missing or has another shape.
Result<ColumnPlan> plan_columns(const Table& table, const DatasetRequest& request);

/// How messages name the data's file.
std::string data_name(const DatasetRequest& request);
/// Why samples of this shape don't fit, in words.
std::unexpected<Error> shape_error(const DatasetRequest& request, const std::string& what,
                                   const InputSpec& spec, const Shape& sample);

}  // namespace joulery::data
