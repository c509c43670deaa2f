#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "data/tensor.hpp"
#include "engine/engine.hpp"

namespace joulery::evaluate {

/// The samples of a batch in one tensor, as numbers of any type.
class Rows {
 public:
  /// User error if the tensor is not whole, or holds fewer than `count` samples.
  static Result<Rows> create(const data::TensorView& tensor, std::size_t count, std::string_view name);
  /// Numbers of one sample.
  std::size_t width() const { return width_; }
  std::size_t count() const { return count_; }
  const data::Shape& shape() const { return tensor_.shape; }
  data::DataType type() const { return tensor_.type; }
  /// `values` has width() places.
  void read(std::size_t row, std::span<double> values) const;
  /// `values` has width() places.
  void write(std::size_t row, std::span<const double> values) const;

 private:
  data::TensorView tensor_;
  std::size_t width_ = 0;
  std::size_t count_ = 0;
};

bool is_floating(data::DataType type);
bool all_finite(std::span<const double> values);
/// The first of the largest; 0 of none.
std::size_t largest(std::span<const double> values);
/// exp(x_i) / sum(exp(x)) in place.
void softmax(std::span<double> values);

/// The index of the output of this name, or, without one, of the only output that `fits`. `purpose`: what
/// for, "class scores". User error if there is none or there are several.
Result<std::size_t> choose_output(std::span<const engine::Port> outputs, std::string_view name,
                                  std::string_view purpose,
                                  const std::function<bool(const engine::Port&)>& fits);
/// The index of the output of this name; user error with the names there are.
Result<std::size_t> find_output(std::span<const engine::Port> outputs, std::string_view name);

}  // namespace joulery::evaluate
