#pragma once

// What the targets for data files share: bytes read as a dataset, twice.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "data/column_dataset.hpp"
#include "data/dataset.hpp"
#include "data/open_table.hpp"

namespace joulery::data {

inline void require(bool holds) {
  if (!holds) std::abort();
}

/// Ids of all samples before the end or an error. Every byte is looked at, and none may be beyond its tensor.
inline std::vector<std::uint64_t> ids_of(Dataset& dataset, std::size_t most, bool& failed) {
  std::vector<std::uint64_t> ids;
  for (int batches = 0; batches < 2000; ++batches) {
    const auto batch = dataset.read(most);
    failed = !batch.has_value();
    if (failed) {
      require(!batch.error().message.empty());
      return ids;
    }
    const Batch& read = **batch;
    if (read.count == 0) return ids;
    require(read.count <= most && read.first_index == ids.size() && read.ids.size() == read.count);
    require(read.labels.empty() || read.labels.size() == read.count);
    for (const TensorView& input : read.inputs) {
      require(tensor_bytes(input.type, input.shape).value_or(~0ULL) == input.bytes);
      std::uint64_t sum = 0;
      for (std::size_t i = 0; i < input.bytes; ++i) sum += std::to_integer<std::uint64_t>(input.data[i]);
      require(sum <= 255 * input.bytes);
    }
    ids.insert(ids.end(), read.ids.begin(), read.ids.end());
  }
  return ids;
}

/// The first two bytes choose the model's input, the rest is the file.
inline int read_dataset(Format format, const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  DatasetRequest request;
  request.path = "fuzz";
  const auto type = static_cast<DataType>(1 + data[0] % (kDataTypes - 1));
  const std::vector<std::int64_t> open(1 + data[1] % 4, kUnknownDimension);
  request.inputs = {{.name = "x", .type = type, .shape = *Shape::create(open)}};
  request.group = data[1] >= 128 ? "g" : "";
  request.limits = {.sample_bytes = 1U << 20U, .row_bytes = 1U << 16U};
  request.raw = {.type = DataType::f32, .sample = Shape{2}, .header_bytes = 0, .big_endian = false};
  const std::string bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  auto table = open_file_table(format, random_access_of(bytes, "fuzz"), nullptr, request);
  if (!table) {
    require(!table.error().message.empty());
    return 0;
  }
  auto dataset = make_column_dataset(std::move(*table), request);
  if (!dataset) return 0;
  bool failed = false;
  const auto ids = ids_of(**dataset, 8, failed);
  require((*dataset)->rewind().has_value());
  bool failed_again = false;
  const auto again = ids_of(**dataset, 3, failed_again);
  // One at a time or many: the same samples, as far as both got.
  for (std::size_t i = 0; i < ids.size() && i < again.size(); ++i) require(ids[i] == again[i]);
  if (!failed && !failed_again && ids.size() < 1000) require(ids.size() == again.size());
  return 0;
}

}  // namespace joulery::data
