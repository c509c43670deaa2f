#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "data/dataset.hpp"
#include "data/tensor.hpp"
#include "engine/engine.hpp"

namespace joulery::evaluate {

/// Samples put together to the batches that a session takes, in memory of its own.
class BatchBuffer {
 public:
  /// `inputs` as the session has them; `batch` samples make a batch, which is 1 for a model without a batch
  /// dimension.
  BatchBuffer(std::vector<engine::Port> inputs, std::int64_t batch)
      : inputs_(std::move(inputs)), batch_(static_cast<std::size_t>(batch)) {}

  /// Reads until the batch is full or the data end; what is missing then repeats the last sample. The number
  /// of samples read, 0 at the end. User error if samples of one batch differ in shape.
  Result<std::size_t> fill(data::Dataset& dataset);
  /// The session reads from here in its next runs, until the next fill() at most.
  Status bind(engine::Session& session) const;

  std::size_t count() const { return count_; }
  std::span<const data::Label> labels() const { return labels_; }
  std::span<const std::string> groups() const { return groups_; }
  std::span<const std::uint64_t> ids() const { return ids_; }
  std::uint64_t first_index() const { return first_index_; }
  /// In the order of the inputs.
  std::vector<data::TensorView> views() const;

 private:
  Status make_room(const data::Batch& batch);
  Status append(const data::Batch& batch);

  std::vector<engine::Port> inputs_;
  std::size_t batch_;
  std::vector<data::Tensor> tensors_;
  /// Bytes of one sample in each; 0 for an input that is the same for all.
  std::vector<std::size_t> sample_bytes_;
  std::size_t count_ = 0;
  std::uint64_t first_index_ = 0;
  std::vector<data::Label> labels_;
  std::vector<std::string> groups_;
  std::vector<std::uint64_t> ids_;
};

}  // namespace joulery::evaluate
