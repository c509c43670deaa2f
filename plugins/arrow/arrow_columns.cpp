#include "arrow_columns.hpp"

#include <arrow/util/bit_util.h>

#include <algorithm>
#include <memory>
#include <span>
#include <string_view>

namespace joulery::data {
namespace {

DataType number_type(arrow::Type::type type) {
  switch (type) {
    case arrow::Type::FLOAT:
      return DataType::f32;
    case arrow::Type::DOUBLE:
      return DataType::f64;
    case arrow::Type::HALF_FLOAT:
      return DataType::f16;
    case arrow::Type::INT8:
      return DataType::i8;
    case arrow::Type::INT16:
      return DataType::i16;
    case arrow::Type::INT32:
      return DataType::i32;
    case arrow::Type::INT64:
      return DataType::i64;
    case arrow::Type::UINT8:
      return DataType::u8;
    case arrow::Type::UINT16:
      return DataType::u16;
    case arrow::Type::UINT32:
      return DataType::u32;
    case arrow::Type::UINT64:
      return DataType::u64;
    case arrow::Type::BOOL:
      return DataType::boolean;
    default:
      return DataType::unknown;
  }
}

bool is_list_type(arrow::Type::type type) {
  return type == arrow::Type::LIST || type == arrow::Type::LARGE_LIST || type == arrow::Type::FIXED_SIZE_LIST;
}

bool is_text(const arrow::DataType& type) {
  if (type.id() == arrow::Type::DICTIONARY) {
    return is_text(*static_cast<const arrow::DictionaryType&>(type).value_type());
  }
  return type.id() == arrow::Type::STRING || type.id() == arrow::Type::LARGE_STRING;
}

/// Where the values of a row's list are.
struct Extent {
  std::int64_t offset = 0;
  std::int64_t length = 0;
};

Extent extent_of(const arrow::Array& array, std::int64_t row) {
  switch (array.type_id()) {
    case arrow::Type::LIST: {
      const auto& list = static_cast<const arrow::ListArray&>(array);
      return {list.value_offset(row), list.value_length(row)};
    }
    case arrow::Type::LARGE_LIST: {
      const auto& list = static_cast<const arrow::LargeListArray&>(array);
      return {list.value_offset(row), list.value_length(row)};
    }
    default: {
      const auto& list = static_cast<const arrow::FixedSizeListArray&>(array);
      return {list.value_offset(row), list.value_length()};
    }
  }
}

std::shared_ptr<arrow::Array> values_of(const arrow::Array& array) {
  switch (array.type_id()) {
    case arrow::Type::LIST:
      return static_cast<const arrow::ListArray&>(array).values();
    case arrow::Type::LARGE_LIST:
      return static_cast<const arrow::LargeListArray&>(array).values();
    default:
      return static_cast<const arrow::FixedSizeListArray&>(array).values();
  }
}

/// The lengths of a row's list and of the first ones in it.
std::vector<std::int64_t> row_shape(const arrow::Array& array, std::int64_t row) {
  std::vector<std::int64_t> shape;
  std::shared_ptr<arrow::Array> level;
  const arrow::Array* at = &array;
  while (is_list_type(at->type_id())) {
    const Extent extent = extent_of(*at, row);
    shape.push_back(extent.length);
    if (extent.length == 0) break;
    row = extent.offset;
    level = values_of(*at);
    at = level.get();
  }
  return shape;
}

arrow::Status check_no_nulls(const arrow::Array& array, std::int64_t first, std::int64_t count) {
  if (array.null_count() == 0) return arrow::Status::OK();
  for (std::int64_t i = first; i < first + count; ++i) {
    if (array.IsNull(i)) return arrow::Status::Invalid("a value is missing (null) where a number belongs");
  }
  return arrow::Status::OK();
}

arrow::Status copy_numbers(const ArrowColumn& column, const arrow::Array& array, std::int64_t first,
                           std::int64_t count, std::vector<std::uint8_t>& bytes) {
  ARROW_RETURN_NOT_OK(check_no_nulls(array, first, count));
  const auto width = static_cast<std::int64_t>(byte_width(column.type));
  const std::size_t at = bytes.size();
  bytes.resize(at + static_cast<std::size_t>(count * width));
  const std::uint8_t* source = array.data()->GetValues<std::uint8_t>(1, 0);
  const std::int64_t start = array.offset() + first;
  if (array.type_id() == arrow::Type::BOOL) {
    for (std::int64_t i = 0; i < count; ++i) {
      bytes[at + static_cast<std::size_t>(i)] = arrow::bit_util::GetBit(source, start + i) ? 1 : 0;
    }
  } else if (count > 0) {
    std::copy_n(source + start * width, count * width, bytes.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return arrow::Status::OK();
}

arrow::Status copy_lists(const ArrowColumn& column, const arrow::Array& array, std::int64_t first,
                         std::int64_t count, std::size_t depth, ArrowValues& values) {
  if (depth == column.depth) return copy_numbers(column, array, first, count, values.bytes);
  ARROW_RETURN_NOT_OK(check_no_nulls(array, first, count));
  const auto inner = values_of(array);
  for (std::int64_t row = first; row < first + count; ++row) {
    const Extent extent = extent_of(array, row);
    std::int64_t& dimension = values.dimensions[depth];
    if (dimension == kUnknownDimension) dimension = extent.length;
    if (dimension != extent.length) return arrow::Status::Invalid("its lists are of unequal lengths");
    ARROW_RETURN_NOT_OK(copy_lists(column, *inner, extent.offset, extent.length, depth + 1, values));
  }
  return arrow::Status::OK();
}

template <class Strings>
std::string_view view_of(const arrow::Array& array, std::int64_t row) {
  return static_cast<const Strings&>(array).GetView(row);
}

std::string_view text_of(const arrow::Array& array, std::int64_t row) {
  if (array.IsNull(row)) return {};
  if (array.type_id() == arrow::Type::DICTIONARY) {
    const auto& encoded = static_cast<const arrow::DictionaryArray&>(array);
    return text_of(*encoded.dictionary(), encoded.GetValueIndex(row));
  }
  return array.type_id() == arrow::Type::STRING ? view_of<arrow::StringArray>(array, row)
                                                : view_of<arrow::LargeStringArray>(array, row);
}

}  // namespace

ArrowColumn describe_column(const arrow::Field& field) {
  ArrowColumn column{.name = field.name(), .type_name = field.type()->ToString(), .dimensions = {}};
  if (is_text(*field.type())) {
    column.kind = ArrowColumn::Kind::texts;
    return column;
  }
  std::shared_ptr<arrow::DataType> type = field.type();
  while (is_list_type(type->id()) && column.depth < kMostDimensions) {
    const bool is_fixed = type->id() == arrow::Type::FIXED_SIZE_LIST;
    column.dimensions.push_back(is_fixed ? static_cast<const arrow::FixedSizeListType&>(*type).list_size()
                                         : kUnknownDimension);
    type = type->field(0)->type();
    ++column.depth;
  }
  column.type = number_type(type->id());
  if (column.type == DataType::unknown) return column;
  column.kind = column.depth == 0 ? ArrowColumn::Kind::numbers : ArrowColumn::Kind::lists;
  return column;
}

std::int64_t rows_alike(const ArrowColumn& column, const arrow::Array& array, std::int64_t first,
                        std::int64_t most) {
  if (column.depth == 0) return most;
  const std::vector<std::int64_t> shape = row_shape(array, first);
  std::int64_t count = 1;
  while (count < most && row_shape(array, first + count) == shape) ++count;
  return count;
}

arrow::Status copy_rows(const ArrowColumn& column, const arrow::Array& array, std::int64_t first,
                        std::int64_t count, ArrowValues& values) {
  values.bytes.clear();
  values.offsets.clear();
  values.dimensions.assign(column.depth, kUnknownDimension);
  if (column.kind != ArrowColumn::Kind::texts) {
    // The first level is the row's own list.
    if (column.depth == 0) return copy_numbers(column, array, first, count, values.bytes);
    return copy_lists(column, array, first, count, 0, values);
  }
  values.offsets.push_back(0);
  for (std::int64_t row = first; row < first + count; ++row) {
    const std::string_view text = text_of(array, row);
    values.bytes.insert(values.bytes.end(), text.begin(), text.end());
    values.offsets.push_back(values.bytes.size());
  }
  return arrow::Status::OK();
}

}  // namespace joulery::data
