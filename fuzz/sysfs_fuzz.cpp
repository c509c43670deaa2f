// Texts of /sys as the power room parses them: lists of CPUs, scales, events with their formats, counters,
// zone names.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "base/text.hpp"
#include "power/cpu_slice.hpp"
#include "power/kernel_text.hpp"
#include "power/rapl.hpp"

using namespace joulery::power;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto cpus = parse_cpu_list(text);
  if (cpus && (cpus->empty() || cpus->size() > kMostCpus)) std::abort();
  const auto scale = parse_scale(text);
  if (scale && (!(*scale > 0) || !std::isfinite(*scale))) std::abort();
  parse_counter(text);
  parse_keyed_counter(text, "usage_usec");
  const auto max = parse_cpu_max(text);
  if (max && !(*max > 0)) std::abort();
  parse_cpu_ticks(text);
  cgroup_path(text, "");
  cgroup_path(text, "cpu");

  // First line: the event; each other: the format of a term with the line's number as its name.
  std::map<std::string, std::string> formats;
  std::string_view event;
  for (const std::string_view line : joulery::split(text, '\n')) {
    if (event.empty()) {
      event = line;
    } else {
      const auto colon = line.find(' ');
      formats[std::string(line.substr(0, colon))] =
          colon == std::string_view::npos ? std::string() : std::string(line.substr(colon + 1));
    }
  }
  parse_event(event, formats);

  RaplDomain package;
  for (const auto& parent : {std::optional<RaplDomain>(), std::optional<RaplDomain>(package)}) {
    const auto domain = parse_rapl_name(text, parent);
    if (domain && rapl_source_info(*domain).device_id.size() < 6) std::abort();
  }
  return 0;
}
