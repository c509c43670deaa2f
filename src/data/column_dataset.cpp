#include "data/column_dataset.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/text.hpp"
#include "data/column_plan.hpp"
#include "data/element_conversion.hpp"
#include "data/sample_shape.hpp"

namespace joulery::data {
namespace {

std::string label_text(const Label& label) {
  if (const auto* text = std::get_if<std::string>(&label)) return *text;
  if (const auto* index = std::get_if<std::int64_t>(&label)) return fmt::format("{}", *index);
  if (const auto* values = std::get_if<std::vector<double>>(&label)) {
    return fmt::format("{}", fmt::join(*values, " "));
  }
  return {};
}

/// An input with the memory that its batches are read into.
struct Input {
  InputPlan plan;
  std::size_t first_chunk = 0;
  std::optional<Tensor> tensor;
  bool is_filled = false;
  /// Of the tensor, as the batch sees it.
  TensorView view;
};

class ColumnDataset final : public Dataset {
 public:
  ColumnDataset(std::unique_ptr<Table> table, DatasetRequest request)
      : table_(std::move(table)), request_(std::move(request)) {}

  Status open() {
    JOULERY_ASSIGN(ColumnPlan plan, plan_columns(*table_, request_));
    std::vector<Selection> selections;
    for (InputPlan& input : plan.inputs) {
      const std::size_t first = selections.size();
      for (const std::size_t column : input.columns) {
        selections.push_back({.column = column, .type = input.spec.type});
        note_conversion(input, table_->columns()[column]);
      }
      is_single_ = is_single_ || (!input.batched && !input.constant);
      inputs_.push_back({.plan = std::move(input), .first_chunk = first, .tensor = {}, .view = {}});
    }
    label_chunk_ = select_labels(plan.labels, selections);
    group_chunk_ = select_labels(plan.group, selections);
    chunks_.resize(selections.size());
    JOULERY_CHECK_OK(table_->select(selections));
    if (!table_->note().empty()) plan.notes.insert(plan.notes.begin(), table_->note());
    for (std::string& note : conversions_) plan.notes.push_back(std::move(note));
    info_ = {.format = format_name(table_->format()),
             .path = request_.path,
             .count = table_->count(),
             .has_labels = plan.labels.has_value(),
             .has_groups = plan.group.has_value(),
             .synthetic = table_->format() == Format::synthetic,
             .class_names = table_->class_names(),
             .note = fmt::format("{}", fmt::join(plan.notes, "; "))};
    return {};
  }

  const DatasetInfo& info() const override { return info_; }

  Result<const Batch*> read(std::size_t most) override {
    if (is_single_) most = std::min<std::size_t>(most, 1);
    batch_.first_index += batch_.count;
    batch_.count = 0;
    JOULERY_ASSIGN(const std::size_t count, table_->read(most, chunks_));
    batch_.inputs.clear();
    for (Input& input : inputs_) {
      if (count > 0) JOULERY_CHECK_OK(input.plan.constant ? fill_constant(input, count) : fill(input, count));
      batch_.inputs.push_back(input.view);
    }
    take_labels(count);
    set_ids(count);
    batch_.count = count;
    return &batch_;
  }

  Status rewind() override {
    batch_.count = 0;
    batch_.first_index = 0;
    return table_->rewind();
  }

 private:
  static std::optional<std::size_t> select_labels(std::optional<std::size_t> column,
                                                  std::vector<Selection>& selections) {
    if (!column) return std::nullopt;
    selections.push_back({.column = *column, .type = DataType::unknown, .as_label = true});
    return selections.size() - 1;
  }

  void note_conversion(const InputPlan& input, const Column& column) {
    if (column.kind != Column::Kind::numbers || column.type == input.spec.type) return;
    conversions_.push_back(fmt::format("'{}': {} read as {}", printable(input.spec.name),
                                       data_type_name(column.type), data_type_name(input.spec.type)));
  }

  /// Memory for `count` samples; what was allocated before is kept if it is enough.
  Status make_room(Input& input, const Shape& shape) {
    JOULERY_ASSIGN(const std::size_t bytes, tensor_bytes(input.plan.spec.type, shape));
    if (!input.tensor || input.tensor->view().bytes < bytes) {
      input.tensor.reset();
      JOULERY_ASSIGN(input.tensor, Tensor::create(input.plan.spec.type, shape));
      input.is_filled = false;
    }
    input.view = input.tensor->view();
    input.view.shape = shape;
    input.view.bytes = bytes;
    return {};
  }

  Status fill_constant(Input& input, std::size_t count) {
    Shape shape = input.plan.spec.shape;
    for (std::size_t i = 0; i < shape.rank(); ++i) {
      if (shape[i] < 0) shape.set(i, static_cast<std::int64_t>(count));
    }
    JOULERY_CHECK_OK(make_room(input, shape));
    if (input.is_filled) return {};
    const double value = *input.plan.constant;
    const std::size_t width = byte_width(input.plan.spec.type);
    const TensorView& all = input.tensor->view();
    for (std::size_t at = 0; at < all.bytes; at += width) {
      if (auto reason = store_number(value, input.plan.spec.type, all.data + at)) {
        return user_error(
            fmt::format("the constant for the input '{}': {}", printable(input.plan.spec.name), *reason));
      }
    }
    input.is_filled = true;
    return {};
  }

  Status fill(Input& input, std::size_t count) {
    const bool is_gathered = input.plan.columns.size() > 1;
    const Chunk& first = chunks_[input.first_chunk];
    const Shape sample =
        is_gathered ? Shape{static_cast<std::int64_t>(input.plan.columns.size())} : first.sample;
    const auto fitted = fit_sample(input.plan.spec.shape, sample);
    if (!fitted || fitted->batched != input.plan.batched) {
      return shape_error(request_, fmt::format("sample {}", batch_.first_index), input.plan.spec, sample);
    }
    JOULERY_CHECK_OK(check_sample_size(input.plan.spec, fitted->sample));
    JOULERY_CHECK_OK(make_room(input, input.plan.batched
                                          ? with_batch(static_cast<std::int64_t>(count), fitted->sample)
                                          : fitted->sample));
    return is_gathered ? gather(input, count) : convert(input, first, count);
  }

  Status check_sample_size(const InputSpec& spec, const Shape& sample) const {
    JOULERY_ASSIGN(const std::size_t bytes, tensor_bytes(spec.type, sample));
    if (bytes <= request_.limits.sample_bytes) return {};
    return user_error(fmt::format("a sample of {} has {} {}, {}, more than the {} that a sample may have",
                                  data_name(request_), data_type_name(spec.type), sample.text(),
                                  format_bytes(double(bytes)),
                                  format_bytes(double(request_.limits.sample_bytes))));
  }

  std::unexpected<Error> value_error(const InputPlan& plan, std::size_t column, std::size_t row,
                                     const std::string& reason) const {
    return user_error(
        fmt::format("sample {} of column '{}' of {}: {}", batch_.first_index + row,
                    printable(table_->columns()[column].name), data_name(request_), reason),
        fmt::format("the input '{}' takes {}", printable(plan.spec.name), data_type_name(plan.spec.type)));
  }

  Status convert(Input& input, const Chunk& chunk, std::size_t count) {
    const std::size_t elements = input.view.bytes / byte_width(input.view.type);
    if (chunk.bytes.size() != elements * byte_width(chunk.type)) {
      return internal_error(
          fmt::format("a reader gave {} bytes for {} elements", chunk.bytes.size(), elements));
    }
    const auto fault =
        convert_elements(chunk.type, chunk.bytes.data(), input.view.type, input.view.data, elements);
    if (!fault) return {};
    return value_error(input.plan, input.plan.columns.front(),
                       fault->index / std::max<std::size_t>(1, elements / count), fault->reason);
  }

  Status gather(Input& input, std::size_t count) {
    const std::size_t width = byte_width(input.view.type);
    const std::size_t columns = input.plan.columns.size();
    for (std::size_t i = 0; i < columns; ++i) {
      const Chunk& chunk = chunks_[input.first_chunk + i];
      const std::size_t chunk_width = byte_width(chunk.type);
      if (chunk.bytes.size() != count * chunk_width) {
        return shape_error(
            request_, fmt::format("column '{}'", printable(table_->columns()[input.plan.columns[i]].name)),
            input.plan.spec, chunk.sample);
      }
      for (std::size_t row = 0; row < count; ++row) {
        std::byte* target = input.view.data + (row * columns + i) * width;
        const auto fault =
            convert_elements(chunk.type, chunk.bytes.data() + row * chunk_width, input.view.type, target, 1);
        if (fault) return value_error(input.plan, input.plan.columns[i], row, fault->reason);
      }
    }
    return {};
  }

  void take_labels(std::size_t count) {
    batch_.labels.clear();
    batch_.groups.clear();
    if (count == 0) return;
    if (label_chunk_) batch_.labels.swap(chunks_[*label_chunk_].labels);
    if (!group_chunk_) return;
    for (const Label& label : chunks_[*group_chunk_].labels) batch_.groups.push_back(label_text(label));
  }

  void set_ids(std::size_t count) {
    batch_.ids.assign(count, 0);
    for (std::size_t i = 0; i < count; ++i) {
      XXH3_64bits_reset(hash_.get());
      for (const Input& input : inputs_) {
        if (input.plan.constant) continue;
        const std::size_t stride = input.view.bytes / count;
        XXH3_64bits_update(hash_.get(), input.view.data + i * stride, stride);
      }
      batch_.ids[i] = XXH3_64bits_digest(hash_.get());
    }
  }

  std::unique_ptr<Table> table_;
  DatasetRequest request_;
  DatasetInfo info_;
  std::vector<Input> inputs_;
  std::vector<Chunk> chunks_;
  std::optional<std::size_t> label_chunk_;
  std::optional<std::size_t> group_chunk_;
  std::vector<std::string> conversions_;
  /// Has the model an input without a batch dimension?
  bool is_single_ = false;
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> hash_{XXH3_createState(), &XXH3_freeState};
  Batch batch_;
};

Status check_inputs(const DatasetRequest& request) {
  if (request.inputs.empty()) return user_error("the model has no inputs that data could be for");
  for (const InputSpec& spec : request.inputs) {
    if (byte_width(spec.type) == 0) {
      return user_error(
          fmt::format("the input '{}' is of a type that no data can be read as", printable(spec.name)));
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Dataset>> make_column_dataset(std::unique_ptr<Table> table,
                                                     const DatasetRequest& request) {
  JOULERY_CHECK_OK(check_inputs(request));
  auto dataset = std::make_unique<ColumnDataset>(std::move(table), request);
  JOULERY_CHECK_OK(dataset->open());
  return dataset;
}

}  // namespace joulery::data
