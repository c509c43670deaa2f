// Reports of other benchmarks, and what is none.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "app/bench_import.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto report = joulery::app::parse_bench_report(text);
  if (!report) {
    if (report.error().message.empty()) std::abort();
    return 0;
  }
  if (report->source.empty() || report->figures.empty()) std::abort();
  for (const auto& [key, value] : report->figures) {
    if (key.empty() || !std::isfinite(value) || value < 0) std::abort();
  }
  return 0;
}
