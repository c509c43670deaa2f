#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <ctime>

namespace joulery {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

template <class T>
std::optional<T> parse_whole(std::string_view text) {
  T value{};
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

/// Three significant digits, without an exponent.
std::string three_digits(double value) {
  const double magnitude = std::fabs(value);
  if (magnitude >= 99.95) return fmt::format("{:.0f}", value);
  if (magnitude >= 9.995) return fmt::format("{:.1f}", value);
  return fmt::format("{:.2f}", value);
}

struct CodePoint {
  std::uint32_t value;
  std::size_t size;
};

/// The code point at `i`. A byte that is no UTF-8 comes alone: as a control character where other encodings
/// have one, else with a value that is no code point.
CodePoint code_point_at(std::string_view text, std::size_t i) {
  const auto first = static_cast<unsigned char>(text[i]);
  const CodePoint none{.value = first < 0xA0 ? first : 0xFFFFFFFFU, .size = 1};
  if (first < 0x80) return {.value = first, .size = 1};
  std::size_t size = 2;
  if (first >= 0xE0) size = first >= 0xF0 ? 4 : 3;
  if (first < 0xC2 || first > 0xF4 || text.size() - i < size) return none;
  std::uint32_t value = first & (0x7FU >> size);
  for (std::size_t k = 1; k < size; ++k) {
    const auto byte = static_cast<unsigned char>(text[i + k]);
    if (byte < 0x80 || byte > 0xBF) return none;
    value = value << 6U | (byte & 0x3FU);
  }
  return {.value = value, .size = size};
}

/// Has no shape of its own but changes how its neighbours look: marks of direction, of no width, of line
/// ends. Not U+200C and U+200D, without which Persian words and many emoji fall apart.
bool is_unseen(std::uint32_t point) {
  struct Range {
    std::uint32_t first, last;
  };
  static constexpr auto kRanges = std::to_array<Range>({{0xAD, 0xAD},
                                                        {0x34F, 0x34F},
                                                        {0x61C, 0x61C},
                                                        {0x115F, 0x1160},
                                                        {0x180E, 0x180E},
                                                        {0x200B, 0x200B},
                                                        {0x200E, 0x200F},
                                                        {0x2028, 0x202E},
                                                        {0x2060, 0x206F},
                                                        {0x3164, 0x3164},
                                                        {0xFEFF, 0xFEFF},
                                                        {0xFFA0, 0xFFA0},
                                                        {0xFFF9, 0xFFFB},
                                                        {0xE0000, 0xE007F}});
  return std::any_of(kRanges.begin(), kRanges.end(),
                     [&](const Range& range) { return point >= range.first && point <= range.last; });
}

}  // namespace

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string_view> split_blanks(std::string_view text) {
  std::vector<std::string_view> parts;
  while (true) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    if (text.empty()) return parts;
    std::size_t size = 0;
    while (size < text.size() && !is_blank(text[size])) ++size;
    parts.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
}

std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::optional<double> parse_double(std::string_view text) {
  const auto value = parse_whole<double>(text);
  if (value && !std::isfinite(*value)) return std::nullopt;
  return value;
}
std::optional<std::int64_t> parse_int64(std::string_view text) {
  return parse_whole<std::int64_t>(text);
}
std::optional<std::uint64_t> parse_uint64(std::string_view text) {
  return parse_whole<std::uint64_t>(text);
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), row(b.size() + 1), next(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    next[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
      next[j] = std::min({row[j] + 1, next[j - 1] + 1, row[j - 1] + cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        next[j] = std::min(next[j], before[j - 2] + 1);
    }
    std::swap(before, row);
    std::swap(row, next);
  }
  return row[b.size()];
}

std::optional<std::string> did_you_mean(std::string_view word, std::span<const std::string> candidates) {
  const std::string lower = to_lower(word.substr(0, 200));
  std::optional<std::string> best;
  // A third of the letters may be wrong: more is another word.
  std::size_t best_distance = std::max<std::size_t>(1, lower.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(lower, to_lower(candidate));
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string singular(std::string_view unit) {
  const auto without = [&](std::size_t letters) {
    return std::string(unit.substr(0, unit.size() - letters));
  };
  const std::string_view word = unit.substr(unit.find_last_of(" -/") + 1);
  constexpr std::size_t kShortest = 4;
  if (word.size() < kShortest || !word.ends_with('s') || word == "series" || word == "species")
    return without(0);
  for (const std::string_view end : {"ss", "us", "is", "as", "os"}) {
    if (word.ends_with(end)) return without(0);
  }
  if (word.ends_with("ies") && word.size() > kShortest) return without(3) + "y";
  for (const std::string_view end : {"ches", "shes", "sses", "xes"}) {
    if (word.ends_with(end)) return without(2);
  }
  return without(1);
}

std::string format_count(double count, std::string_view unit) {
  if (count == 1) return fmt::format("1 {}", singular(unit));
  return fmt::format("{:.15g} {}", count, unit == "unit" ? "units" : unit);
}

std::string format_si(double value, std::string_view unit) {
  static constexpr std::array<const char*, 9> kPrefixes = {"p", "n", "µ", "m", "", "k", "M", "G", "T"};
  if (!std::isfinite(value)) return fmt::format("? {}", unit);
  if (value == 0) return fmt::format("0 {}", unit);
  int index = 4;
  double scaled = value;
  while (std::fabs(scaled) >= 999.5 && index < 8) {
    scaled /= 1000;
    ++index;
  }
  while (std::fabs(scaled) < 0.9995 && index > 0) {
    scaled *= 1000;
    --index;
  }
  return fmt::format("{} {}{}", three_digits(scaled), kPrefixes[static_cast<std::size_t>(index)], unit);
}

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  if (seconds < 99.95) return seconds >= 0.9995 ? three_digits(seconds) + " s" : format_si(seconds, "s");
  auto rest = static_cast<std::int64_t>(std::llround(seconds));
  const auto days = rest / 86400;
  const auto hours = rest % 86400 / 3600;
  const auto minutes = rest % 3600 / 60;
  if (days > 0) return fmt::format("{} d {:02} h", days, hours);
  if (hours > 0) return fmt::format("{} h {:02} min", hours, minutes);
  return fmt::format("{} min {:02} s", minutes, rest % 60);
}

std::string format_bytes(double bytes) {
  static constexpr std::array<const char*, 6> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  std::size_t index = 0;
  while (bytes >= 1023.5 && index + 1 < kUnits.size()) {
    bytes /= 1024;
    ++index;
  }
  return index == 0 ? fmt::format("{:.0f} B", bytes)
                    : fmt::format("{} {}", three_digits(bytes), kUnits[index]);
}

std::string format_utc(std::int64_t realtime_ns) {
  const std::time_t seconds = static_cast<std::time_t>(realtime_ns / 1'000'000'000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::string printable(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint point = code_point_at(text, i);
    // U+0080 to U+009F are control characters too; terminals obey some of them.
    if (point.value < 0x20 || (point.value >= 0x7F && point.value < 0xA0)) {
      safe += '?';
    } else if (is_unseen(point.value)) {
      safe += fmt::format("<U+{:04X}>", point.value);
    } else {
      safe += text.substr(i, point.size);
    }
    i += point.size;
  }
  return safe;
}

std::string printable_lines(std::string_view text) {
  std::string safe;
  for (const std::string_view line : split(text, '\n')) {
    if (line.data() != text.data()) safe += '\n';
    safe += printable(line);
  }
  return safe;
}

}  // namespace joulery
