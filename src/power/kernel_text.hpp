#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace joulery::power {

/// Texts of /proc and /sys as the kernel writes them. All of these take any bytes and allocate nothing unless
/// they return a container.

/// A CPU list such as "0-3,8" or "0,24"; nothing if it isn't one. At most `kMostCpus` entries are given.
constexpr std::size_t kMostCpus = 8192;
std::optional<std::vector<int>> parse_cpu_list(std::string_view text);

/// A not negative number with blanks or a line end around it, such as energy_uj. Nothing for anything else.
std::optional<std::uint64_t> parse_counter(std::string_view text);

/// Number after `key` at the start of a line, as in cpu.stat ("usage_usec 12") and meminfo ("MemTotal:  12
/// kB").
std::optional<std::uint64_t> parse_keyed_counter(std::string_view text, std::string_view key);

/// Positive and finite factor, as in energy-pkg.scale.
std::optional<double> parse_scale(std::string_view text);

/// The 64-bit words of perf_event_attr that an event text sets.
struct EventConfig {
  std::uint64_t config = 0;
  std::uint64_t config1 = 0;
  std::uint64_t config2 = 0;
};
/// Puts the terms of an event such as "event=0x02" where `formats` (name to "config:0-7") says. Nothing if a
/// term has no format, a value does not fit, or the text is malformed.
std::optional<EventConfig> parse_event(std::string_view event,
                                       const std::map<std::string, std::string>& formats);

/// CPUs that a cpu.max text ("50000 100000", "max 100000") allows; nothing if there is no limit or it isn't
/// one.
std::optional<double> parse_cpu_max(std::string_view text);

/// First line of /proc/stat in ticks.
struct CpuTicks {
  /// user, nice, system, irq and softirq. Guest time is in user already.
  std::uint64_t busy = 0;
  std::uint64_t steal = 0;
};
std::optional<CpuTicks> parse_cpu_ticks(std::string_view stat);

}  // namespace joulery::power
