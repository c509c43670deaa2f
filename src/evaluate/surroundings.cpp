#include "evaluate/surroundings.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "evaluate/measurement.hpp"

namespace joulery::evaluate {
namespace {

constexpr int kMostCpus = 4096;

/// Calls `each` with the number in this file of every CPU; stops at the first CPU without a folder.
template <class Each>
void for_each_cpu(const SystemRoot& sensors, const char* file, Each each) {
  for (int cpu = 0; cpu < kMostCpus; ++cpu) {
    const auto text = sensors.read_text(fmt::format("/sys/devices/system/cpu/cpu{}/{}", cpu, file));
    if (!text) return;
    if (const auto number = parse_int64(trim(*text)); number && *number >= 0) each(*number);
  }
}

}  // namespace

SurroundingsReader::SurroundingsReader(const SystemRoot& sensors) : sensors_(&sensors) {
  events_before_ = throttle_events();
}

std::uint64_t SurroundingsReader::throttle_events() const {
  std::uint64_t events = 0;
  for_each_cpu(*sensors_, "thermal_throttle/core_throttle_count",
               [&](std::int64_t count) { events += static_cast<std::uint64_t>(count); });
  return events;
}

void SurroundingsReader::look(Surroundings& surroundings) const {
  if (sensors_ == nullptr) return;
  double hertz = 0;
  for_each_cpu(*sensors_, "cpufreq/scaling_cur_freq", [&](std::int64_t kilohertz) {
    hertz = std::max(hertz, static_cast<double>(kilohertz) * 1000);
  });
  if (hertz > 0) {
    surroundings.highest_hertz = std::max(surroundings.highest_hertz, hertz);
    surroundings.lowest_hertz =
        surroundings.lowest_hertz == 0 ? hertz : std::min(surroundings.lowest_hertz, hertz);
  }
  const std::uint64_t events = throttle_events();
  surroundings.throttle_events = events > events_before_ ? events - events_before_ : 0;
}

}  // namespace joulery::evaluate
