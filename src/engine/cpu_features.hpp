#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace joulery::engine {

/// Which of the instructions that speed up low precision a processor has, by /proc/cpuinfo. Takes any bytes.
struct CpuFeatures {
  std::vector<std::string> flags;  // sorted, as the kernel spells them, only those below
  bool has(std::string_view flag) const;
  /// The flags that speed up a precision ("bf16"), best first; empty: it is emulated or as slow as f32.
  std::vector<std::string> speeding_up(std::string_view precision) const;
};
CpuFeatures parse_cpu_features(std::string_view cpuinfo);

}  // namespace joulery::engine
