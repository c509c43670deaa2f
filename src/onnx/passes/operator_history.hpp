#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace joulery::onnx {

/// In which opsets one of the standard's operators became another.
struct OperatorHistory {
  std::string_view op_type;
  std::int64_t first = 0;
  /// Ascending, none above the newest target of an upgrade.
  std::vector<std::int64_t> changes;
};

/// Null for what is no operator of the standard's.
const OperatorHistory* history_of(std::string_view op_type);
std::span<const OperatorHistory> all_histories();

}  // namespace joulery::onnx
