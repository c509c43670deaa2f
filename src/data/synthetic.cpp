#include "data/synthetic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/text.hpp"
#include "data/element_conversion.hpp"
#include "data/sample_shape.hpp"
#include "stats/random_stream.hpp"

namespace joulery::data {
namespace {

bool is_float(DataType type) {
  return type == DataType::f32 || type == DataType::f64 || type == DataType::f16 || type == DataType::bf16;
}

class SyntheticTable final : public Table {
 public:
  SyntheticTable(const SyntheticOptions& options, std::vector<Column> columns)
      : options_(options), columns_(std::move(columns)), random_(options.seed) {}

  Format format() const override { return Format::synthetic; }
  std::span<const Column> columns() const override { return columns_; }
  std::optional<std::uint64_t> count() const override { return options_.count; }
  std::string note() const override {
    return fmt::format("made up with seed {}: good for speed, not for quality", options_.seed);
  }

  Status select(std::span<const Selection> selections) override {
    selections_.assign(selections.begin(), selections.end());
    return rewind();
  }

  Result<std::size_t> read(std::size_t most, std::span<Chunk> chunks) override {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(most, options_.count - at_));
    for (std::size_t i = 0; i < selections_.size(); ++i) {
      const Column& column = columns_[selections_[i].column];
      JOULERY_ASSIGN(const std::size_t stride, tensor_bytes(column.type, column.sample));
      chunks[i].type = column.type;
      chunks[i].sample = column.sample;
      chunks[i].bytes.resize(stride * count);
    }
    // Sample by sample, so that the batch's size does not change what a sample is.
    for (std::size_t row = 0; row < count; ++row) {
      for (Chunk& chunk : chunks) {
        const std::size_t stride = chunk.bytes.size() / count;
        JOULERY_CHECK_OK(fill(chunk.type, std::span(chunk.bytes).subspan(row * stride, stride)));
      }
    }
    at_ += count;
    return count;
  }

  Status rewind() override {
    at_ = 0;
    random_ = stats::RandomStream(options_.seed);
    return {};
  }

 private:
  Status fill(DataType type, std::span<std::byte> bytes) {
    const std::size_t width = byte_width(type);
    for (std::size_t at = 0; at < bytes.size(); at += width) {
      const double value = is_float(type) ? draw() : std::round(draw());
      if (auto reason = store_number(value, type, bytes.data() + at)) {
        return user_error(
            fmt::format("synthetic values from {} to {}: {}", options_.low, options_.high, *reason),
            "give a range that the model's inputs can hold");
      }
    }
    return {};
  }

  double draw() {
    const double width = options_.high - options_.low;
    switch (options_.values) {
      case SyntheticOptions::Values::integers:
        return std::min(options_.high, options_.low + std::floor(random_.unit() * (width + 1)));
      case SyntheticOptions::Values::normal: {
        const double radius = std::sqrt(-2 * std::log(1 - random_.unit()));
        const double unit = radius * std::cos(2 * std::numbers::pi * random_.unit());
        return options_.low + width / 2 + unit * width / 4;
      }
      case SyntheticOptions::Values::uniform:
        break;
    }
    return options_.low + random_.unit() * width;
  }

  SyntheticOptions options_;
  std::vector<Column> columns_;
  std::vector<Selection> selections_;
  stats::RandomStream random_;
  std::uint64_t at_ = 0;
};

}  // namespace

Result<std::unique_ptr<Table>> make_synthetic_table(const DatasetRequest& request) {
  const SyntheticOptions& options = request.synthetic;
  if (!std::isfinite(options.low) || !std::isfinite(options.high) || options.low > options.high) {
    return user_error(fmt::format("synthetic values can't lie between {} and {}", options.low, options.high));
  }
  if (options.open_dimension < 1) {
    return user_error(fmt::format("an open dimension can't become {}", options.open_dimension));
  }
  std::vector<Column> columns;
  for (const InputSpec& spec : request.inputs) {
    // One fixed dimension above 1 is more likely a sample than a batch of single numbers.
    const bool is_whole = spec.is_whole || (spec.shape.rank() == 1 && spec.shape[0] > 1);
    Shape sample = is_whole ? spec.shape : without_batch(spec.shape);
    for (std::size_t i = 0; i < sample.rank(); ++i) {
      if (sample[i] < 0) sample.set(i, options.open_dimension);
    }
    auto bytes = tensor_bytes(spec.type, sample);
    if (!bytes || *bytes > request.limits.sample_bytes) {
      return user_error(fmt::format("a sample of {} {} for the input '{}' is more than a sample may have",
                                    data_type_name(spec.type), sample.text(), printable(spec.name)));
    }
    columns.push_back(
        {.name = spec.name, .kind = Column::Kind::numbers, .type = spec.type, .sample = sample});
  }
  return std::make_unique<SyntheticTable>(options, std::move(columns));
}

}  // namespace joulery::data
