// Emissions files of CodeCarbon, and what is not one.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "app/codecarbon_csv.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto file = joulery::app::parse_codecarbon_csv(text);
  if (!file) {
    if (file.error().message.empty()) std::abort();
    return 0;
  }
  for (const auto& row : file->rows) {
    // What a row must have is there.
    if (!row.values.has("timestamp") || !row.values.has("duration")) std::abort();
    if (!row.values.has("energy_consumed") && !row.is_own()) std::abort();
  }
  for (const auto& problem : file->problems) {
    if (problem.reason.empty() || problem.row == 0) std::abort();
  }
  return 0;
}
