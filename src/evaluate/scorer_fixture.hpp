#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "evaluate/task.hpp"

/// For tests only: a scorer of outputs that are written down.
namespace joulery::evaluate {

/// `values` as f32; the shape's first axis is the sample.
inline data::Tensor tensor_of(const data::Shape& shape, const std::vector<double>& values,
                              data::DataType type = data::DataType::f32) {
  auto tensor = data::Tensor::create(type, shape);
  if (type == data::DataType::f32) {
    std::ranges::transform(values, tensor->elements<float>().begin(),
                           [](double value) { return static_cast<float>(value); });
  } else if (type == data::DataType::f64) {
    std::ranges::copy(values, tensor->elements<double>().begin());
  } else if (type == data::DataType::i64) {
    std::ranges::transform(values, tensor->elements<std::int64_t>().begin(),
                           [](double value) { return static_cast<std::int64_t>(value); });
  }
  return std::move(*tensor);
}

class Scored {
 public:
  Scored(TaskKind kind, const TaskOptions& options, std::vector<engine::Port> outputs)
      : outputs_(std::move(outputs)) {
    auto scorer = TaskScorer::create(kind, options, outputs_);
    if (scorer) {
      scorer_ = std::move(*scorer);
    } else {
      error_ = scorer.error();
    }
  }
  /// One batch; the number of samples is that of the labels, or, without, of the first output.
  Scored& add(const std::vector<const data::Tensor*>& tensors, const std::vector<data::Label>& labels,
              const std::vector<std::string>& groups = {},
              const std::vector<const data::Tensor*>& reference = {}) {
    if (error_) return *this;
    const std::size_t count =
        labels.empty() ? static_cast<std::size_t>(tensors[0]->view().shape[0]) : labels.size();
    const Status status = scorer_->add(views(tensors), views(reference), count, labels, groups);
    if (!status) error_ = status.error();
    return *this;
  }
  TaskScorer& scorer() { return *scorer_; }
  Result<QualityReport> report() const {
    if (error_) return std::unexpected(*error_);
    return scorer_->report();
  }
  /// The message and hint of the error; empty if there is none.
  std::string error() const {
    const auto result = report();
    return result ? std::string() : result.error().message + " | " + result.error().hint;
  }
  double metric(const std::string& name) const {
    const auto result = report();
    if (!result) {
      ADD_FAILURE() << result.error().message;
      return -1;
    }
    const Metric* metric = find_metric(*result, name);
    if (metric == nullptr) {
      ADD_FAILURE() << "no metric " << name;
      return -1;
    }
    EXPECT_LE(metric->low, metric->value);
    EXPECT_GE(metric->high, metric->value);
    return metric->value;
  }

 private:
  static std::vector<data::TensorView> views(const std::vector<const data::Tensor*>& tensors) {
    std::vector<data::TensorView> result;
    for (const data::Tensor* tensor : tensors) result.push_back(tensor->view());
    return result;
  }
  std::vector<engine::Port> outputs_;
  std::unique_ptr<TaskScorer> scorer_;
  std::optional<Error> error_;
};

inline bool mentions(const std::vector<std::string>& texts, std::string_view part) {
  return std::ranges::any_of(texts, [&](const std::string& text) { return text.contains(part); });
}

}  // namespace joulery::evaluate
