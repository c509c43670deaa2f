#include "engine/operator_precision.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace joulery::engine {

std::string precision_of_kernel(std::string_view exec_type) {
  const auto at = exec_type.rfind('_');
  std::string end(at == std::string_view::npos ? exec_type : exec_type.substr(at + 1));
  std::ranges::transform(end, end.begin(), [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? letter + ('a' - 'A') : letter;
  });
  if (end == "i8" || end == "u8" || end == "int8" || end == "uint8") return "i8";
  if (end == "i4" || end == "u4") return "i4";
  if (end == "fp32") return "f32";
  if (end == "fp16") return "f16";
  for (const char* known : {"f32", "bf16", "f16", "f64", "i32", "i64"}) {
    if (end == known) return end;
  }
  return {};
}

bool is_low_precision(std::string_view precision) {
  return precision == "i8" || precision == "i4" || precision == "packed";
}

bool is_boundary(std::string_view op_type) {
  static constexpr auto kBoundaries = std::to_array<std::string_view>(
      {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast", "Transpose", "ReorderInput",
       "ReorderOutput", "Reorder", "Convert", "FakeQuantize", "Quantize", "Dequantize"});
  return std::ranges::find(kBoundaries, op_type) != kBoundaries.end();
}

}  // namespace joulery::engine
