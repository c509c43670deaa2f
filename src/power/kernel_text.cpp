#include "power/kernel_text.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.hpp"

namespace joulery::power {
namespace {

/// Cuts the text up to `separator` off the front of `text`.
std::string_view cut(std::string_view& text, char separator) {
  const auto end = text.find(separator);
  const std::string_view head = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return head;
}

std::optional<std::uint64_t> parse_hex_or_decimal(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    text.remove_prefix(2);
    base = 16;
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Puts the low bits of `value` into the bit ranges of a format such as "config1:0-7,32-35".
bool place_bits(std::string_view format, std::uint64_t value, EventConfig& target) {
  const std::string_view word = cut(format, ':');
  std::uint64_t* destination = word == "config"    ? &target.config
                               : word == "config1" ? &target.config1
                               : word == "config2" ? &target.config2
                                                   : nullptr;
  if (destination == nullptr || format.empty()) return false;
  while (!format.empty()) {
    std::string_view range = cut(format, ',');
    const auto low = parse_uint64(cut(range, '-'));
    const auto high = range.empty() ? low : parse_uint64(range);
    if (!low || !high || *low > *high || *high > 63) return false;
    const std::uint64_t width = *high - *low + 1;
    const std::uint64_t mask = width == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << width) - 1;
    *destination |= (value & mask) << *low;
    value = width == 64 ? 0 : value >> width;
  }
  return value == 0;
}

}  // namespace

std::optional<std::vector<int>> parse_cpu_list(std::string_view text) {
  text = trim(text);
  if (text.empty()) return std::nullopt;
  std::vector<int> cpus;
  while (!text.empty()) {
    std::string_view range = cut(text, ',');
    const bool is_range = range.find('-') != std::string_view::npos;
    const auto low = parse_uint64(cut(range, '-'));
    const auto high = is_range ? parse_uint64(range) : low;
    if (!low || !high || *low > *high || *high >= kMostCpus) return std::nullopt;
    if (cpus.size() + (*high - *low + 1) > kMostCpus) return std::nullopt;
    for (std::uint64_t cpu = *low; cpu <= *high; ++cpu) cpus.push_back(static_cast<int>(cpu));
  }
  return cpus;
}

std::optional<std::uint64_t> parse_counter(std::string_view text) {
  return parse_uint64(trim(text));
}

std::optional<std::uint64_t> parse_keyed_counter(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    std::string_view line = cut(text, '\n');
    if (!line.starts_with(key)) continue;
    line.remove_prefix(key.size());
    // "user" must not match "user_usec".
    if (line.empty() || (line.front() != ' ' && line.front() != '\t')) continue;
    line = trim(line);
    return parse_uint64(line.substr(0, line.find_first_of(" \t")));
  }
  return std::nullopt;
}

std::optional<double> parse_scale(std::string_view text) {
  const auto scale = parse_double(trim(text));
  if (!scale || !std::isfinite(*scale) || *scale <= 0) return std::nullopt;
  return scale;
}

std::optional<EventConfig> parse_event(std::string_view event,
                                       const std::map<std::string, std::string>& formats) {
  event = trim(event);
  if (event.empty()) return std::nullopt;
  EventConfig result;
  while (!event.empty()) {
    std::string_view term = cut(event, ',');
    const std::string_view name = trim(cut(term, '='));
    // A term without a value is a flag.
    const auto value = term.empty() ? std::optional<std::uint64_t>(1) : parse_hex_or_decimal(trim(term));
    if (!value) return std::nullopt;
    const auto format = formats.find(std::string(name));
    if (format != formats.end()) {
      if (!place_bits(trim(format->second), *value, result)) return std::nullopt;
    } else if (name == "config") {
      result.config |= *value;
    } else {
      return std::nullopt;
    }
  }
  return result;
}

std::optional<double> parse_cpu_max(std::string_view text) {
  text = trim(text);
  const std::string_view quota = cut(text, ' ');
  const auto quota_us = parse_uint64(quota);
  const auto period_us = text.empty() ? std::optional<std::uint64_t>(100000) : parse_uint64(trim(text));
  if (!quota_us || !period_us || *quota_us == 0 || *period_us == 0) return std::nullopt;
  return static_cast<double>(*quota_us) / static_cast<double>(*period_us);
}

std::optional<CpuTicks> parse_cpu_ticks(std::string_view stat) {
  std::string_view line = cut(stat, '\n');
  if (!line.starts_with("cpu ")) return std::nullopt;
  line.remove_prefix(4);
  // user nice system idle iowait irq softirq steal
  std::uint64_t columns[8] = {};
  int count = 0;
  while (count < 8 && !line.empty()) {
    const std::string_view word = cut(line, ' ');
    if (word.empty()) continue;
    const auto number = parse_uint64(word);
    if (!number) return std::nullopt;
    columns[count++] = *number;
  }
  if (count < 4) return std::nullopt;
  return CpuTicks{columns[0] + columns[1] + columns[2] + columns[5] + columns[6], columns[7]};
}

}  // namespace joulery::power
