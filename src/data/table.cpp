#include "data/table.hpp"

#include "data/element_conversion.hpp"

namespace joulery::data {

Label number_label(DataType type, const std::byte* bytes, std::size_t count) {
  const bool is_whole =
      type != DataType::f32 && type != DataType::f64 && type != DataType::f16 && type != DataType::bf16;
  if (is_whole && count == 1) {
    std::int64_t value = 0;
    if (!convert_elements(type, bytes, DataType::i64, reinterpret_cast<std::byte*>(&value), 1)) return value;
  }
  std::vector<double> values(count);
  (void)convert_elements(type, bytes, DataType::f64, reinterpret_cast<std::byte*>(values.data()), count);
  return values;
}

}  // namespace joulery::data
