#include "evaluate/batch_buffer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/text.hpp"

namespace joulery::evaluate {

Result<std::size_t> BatchBuffer::fill(data::Dataset& dataset) {
  count_ = 0;
  labels_.clear();
  groups_.clear();
  ids_.clear();
  while (count_ < batch_) {
    JOULERY_ASSIGN(const data::Batch* read, dataset.read(batch_ - count_));
    if (read->count == 0) break;
    if (count_ == 0) {
      first_index_ = read->first_index;
      JOULERY_CHECK_OK(make_room(*read));
    }
    JOULERY_CHECK_OK(append(*read));
  }
  if (count_ == 0) return count_;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const std::size_t bytes = sample_bytes_[i];
    std::byte* data = tensors_[i].view().data;
    for (std::size_t sample = count_; bytes > 0 && sample < batch_; ++sample)
      std::memcpy(data + sample * bytes, data + (count_ - 1) * bytes, bytes);
  }
  return count_;
}

/// Tensors that fit this batch's samples; those of the batch before if they still do.
Status BatchBuffer::make_room(const data::Batch& batch) {
  if (batch.inputs.size() != inputs_.size()) return internal_error("the data lack an input of the model");
  if (tensors_.size() != inputs_.size()) tensors_.clear();
  sample_bytes_.assign(inputs_.size(), 0);
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const data::TensorView& given = batch.inputs[i];
    data::Shape shape = given.shape;
    const bool by_sample = shape.rank() > 0 && shape[0] == static_cast<std::int64_t>(batch.count) &&
                           shape.rank() == inputs_[i].shape.rank() &&
                           (inputs_[i].shape[0] == data::kUnknownDimension ||
                            inputs_[i].shape[0] == static_cast<std::int64_t>(batch_));
    if (by_sample) {
      shape.set(0, static_cast<std::int64_t>(batch_));
      sample_bytes_[i] = given.bytes / batch.count;
    } else if (!inputs_[i].shape.admits(shape)) {
      const std::int64_t first = inputs_[i].shape.rank() > 0 ? inputs_[i].shape[0] : 0;
      return user_error(
          fmt::format("input '{}' takes {}, which is no batch of {}", printable(inputs_[i].name),
                      inputs_[i].shape.text(), batch_),
          first > 0 && first != static_cast<std::int64_t>(batch_)
              ? fmt::format(
                    "if its first dimension is the batch: --batch {}; if it is the same for all samples: "
                    "--constant '{}=0'",
                    first, printable(inputs_[i].name))
              : "use --batch 1, or give the input's shape with --shape");
    }
    if (i < tensors_.size() && tensors_[i].view().shape == shape) continue;
    JOULERY_ASSIGN(data::Tensor tensor, data::Tensor::create(given.type, shape));
    if (i < tensors_.size()) {
      tensors_[i] = std::move(tensor);
    } else {
      tensors_.push_back(std::move(tensor));
    }
  }
  return {};
}

Status BatchBuffer::append(const data::Batch& batch) {
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const data::TensorView& from = batch.inputs[i];
    const data::TensorView& to = tensors_[i].view();
    const std::size_t bytes = sample_bytes_[i];
    if (bytes == 0 ? from.bytes != to.bytes : from.bytes != bytes * batch.count) {
      return user_error(fmt::format("sample {} has another shape than the one before", batch.first_index),
                        "samples of different shapes need --batch 1");
    }
    std::memcpy(to.data + count_ * bytes, from.data, from.bytes);
  }
  count_ += batch.count;
  labels_.insert(labels_.end(), batch.labels.begin(), batch.labels.end());
  groups_.insert(groups_.end(), batch.groups.begin(), batch.groups.end());
  ids_.insert(ids_.end(), batch.ids.begin(), batch.ids.end());
  return {};
}

Status BatchBuffer::bind(engine::Session& session) const {
  for (std::size_t i = 0; i < tensors_.size(); ++i)
    JOULERY_CHECK_OK(session.bind_input(i, tensors_[i].view()));
  return {};
}

std::vector<data::TensorView> BatchBuffer::views() const {
  std::vector<data::TensorView> views;
  for (const data::Tensor& tensor : tensors_) views.push_back(tensor.view());
  return views;
}

}  // namespace joulery::evaluate
