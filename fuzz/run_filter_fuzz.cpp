// Filters and orders as they come from a command line or a request.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "record/run_filter.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace joulery::record;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto filter = parse_run_filter(text)) {
    if (filter->size() > kMaxFilterComparisons) std::abort();
    for (const FilterComparison& comparison : *filter) {
      const bool none = comparison.comparison == FilterOperator::is_null ||
                        comparison.comparison == FilterOperator::is_not_null;
      if (comparison.values.empty() != none) std::abort();
    }
  } else if (filter.error().message.empty()) {
    std::abort();
  }
  (void)parse_run_order(text);
  return 0;
}
