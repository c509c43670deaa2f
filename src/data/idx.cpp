#include "data/idx.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>
#include <vector>

#include "data/sample_shape.hpp"
#include "data/tensor_table.hpp"

namespace joulery::data {
namespace {

DataType idx_type(int code) {
  switch (code) {
    case 0x08:
      return DataType::u8;
    case 0x09:
      return DataType::i8;
    case 0x0B:
      return DataType::i16;
    case 0x0C:
      return DataType::i32;
    case 0x0D:
      return DataType::f32;
    case 0x0E:
      return DataType::f64;
    default:
      return DataType::unknown;
  }
}

Result<StoredArray> read_idx(std::shared_ptr<const RandomAccess> file, std::string name) {
  StoredArray array;
  array.name = std::move(name);
  JOULERY_ASSIGN(array.source, whole_source(std::move(file)));
  std::array<std::byte, 4> magic;
  JOULERY_CHECK_OK(read_exactly(*array.source, magic, "its header"));
  array.type = idx_type(std::to_integer<int>(magic[2]));
  const auto rank = std::to_integer<std::size_t>(magic[3]);
  if (magic[0] != std::byte{0} || magic[1] != std::byte{0} || array.type == DataType::unknown || rank == 0 ||
      rank > kMostDimensions) {
    return user_error(fmt::format("'{}' is not an IDX file: it does not begin as one", array.source->name()),
                      "name the format if it is another, for example --data-format npy");
  }
  array.element_bytes = byte_width(array.type);
  array.is_big_endian = true;
  array.header_bytes = 4 + 4 * rank;
  std::array<std::int64_t, kMostDimensions> dimensions{};
  for (std::size_t i = 0; i < rank; ++i) {
    std::array<std::byte, 4> word;
    JOULERY_CHECK_OK(read_exactly(*array.source, word, "its header"));
    for (const std::byte byte : word)
      dimensions[i] = dimensions[i] << 8U | std::to_integer<std::int64_t>(byte);
  }
  array.count = static_cast<std::uint64_t>(dimensions[0]);
  JOULERY_ASSIGN(array.sample, Shape::create(std::span(dimensions).subspan(1, rank - 1)));
  JOULERY_CHECK_OK(check_array_size(array));
  return array;
}

}  // namespace

Result<std::unique_ptr<Table>> open_idx_table(std::shared_ptr<const RandomAccess> file,
                                              std::shared_ptr<const RandomAccess> labels,
                                              const std::string& label_name) {
  std::vector<StoredArray> arrays;
  JOULERY_ASSIGN(StoredArray array, read_idx(std::move(file), "x"));
  arrays.push_back(std::move(array));
  if (labels) {
    JOULERY_ASSIGN(StoredArray label_array, read_idx(std::move(labels), label_name));
    arrays.push_back(std::move(label_array));
  }
  return make_tensor_table(Format::idx, std::move(arrays), true);
}

std::optional<std::string> idx_label_path(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::size_t start = slash == std::string::npos ? 0 : slash + 1;
  std::string name = path.substr(start);
  const std::size_t images = name.find("images");
  const std::size_t rank = name.find("idx3");
  if (images == std::string::npos || rank == std::string::npos) return std::nullopt;
  name.replace(rank, 4, "idx1");
  name.replace(images, 6, "labels");
  return path.substr(0, start) + name;
}

Result<std::unique_ptr<Table>> open_raw_table(std::shared_ptr<const RandomAccess> file,
                                              const DatasetRequest& request) {
  const RawOptions& raw = request.raw;
  if (raw.type == DataType::unknown) {
    return user_error(
        fmt::format("'{}' is raw binary, which does not say what its numbers are", file->name()),
        "give their type, and the shape of a sample if it is not the model's");
  }
  std::optional<Shape> sample = raw.sample;
  if (!sample && request.inputs.size() == 1) sample = without_batch(request.inputs.front().shape);
  const auto elements = sample ? sample->element_count() : std::nullopt;
  if (!elements || *elements == 0 || *elements > (1ULL << 60U)) {
    return user_error(fmt::format("the shape of a sample of '{}' is not known: {}", file->name(),
                                  sample ? sample->text() : "the model has several inputs"),
                      "give the shape of a sample, such as 3,224,224");
  }
  StoredArray array;
  array.name = "x";
  array.type = raw.type;
  array.element_bytes = byte_width(raw.type);
  array.sample = *sample;
  array.is_big_endian = raw.big_endian;
  array.header_bytes = raw.header_bytes;
  const std::uint64_t stride = *elements * array.element_bytes;
  const std::uint64_t size = file->size();
  if (size < raw.header_bytes || (size - raw.header_bytes) % stride != 0) {
    return user_error(
        fmt::format("'{}' has {} bytes after a header of {}, which is no multiple of the {} that a "
                    "sample {} of {} takes",
                    file->name(), size < raw.header_bytes ? 0 : size - raw.header_bytes, raw.header_bytes,
                    stride, sample->text(), data_type_name(raw.type)),
        "check the type, the shape and the header, or whether the file was cut short");
  }
  array.count = (size - raw.header_bytes) / stride;
  std::string name = file->name();
  array.source = range_source(std::move(file), 0, size, std::move(name));
  std::vector<StoredArray> arrays;
  arrays.push_back(std::move(array));
  return make_tensor_table(Format::raw, std::move(arrays), true);
}

}  // namespace joulery::data
