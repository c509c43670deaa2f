#include "power/cpu_tables.hpp"

#include <vector>

#include "base/csv.hpp"
#include "base/text.hpp"

extern "C" {
extern const char joulery_embedded_cpu_tdp_begin[];
extern const char joulery_embedded_cpu_tdp_end[];
extern const char joulery_embedded_cpu_family_power_begin[];
extern const char joulery_embedded_cpu_family_power_end[];
}

namespace joulery::power {
namespace {

constexpr int kIntelFamily = 6;

std::string_view column(std::string_view line, int index) {
  for (; index > 0; --index) {
    const auto comma = line.find(',');
    if (comma == std::string_view::npos) return {};
    line.remove_prefix(comma + 1);
  }
  return line.substr(0, line.find(','));
}

std::string_view intel_family(int model, int stepping) {
  switch (model) {
    case 42:
    case 45:
      return "Sandy Bridge";
    case 58:
    case 62:
      return "Ivy Bridge";
    case 60:
    case 63:
      return "Haswell";
    case 61:
    case 71:
    case 79:
    case 86:
      return "Broadwell";
    case 94:
      return "Skylake";
    case 85:
      // Steppings 5 to 7 are Cascade Lake; 10 and 11, Cooper Lake, are nearest to it.
      return stepping >= 5 ? "Cascade Lake" : "Skylake";
    case 142:
    case 158:
      return "Coffee Lake";
    case 106:
    case 108:
      return "Ice Lake";
    case 143:
      return "Sapphire Rapids";
    case 207:
      return "Emerald Rapids";
    case 173:
    case 174:
      return "Granite Rapids";
    default:
      return {};
  }
}

std::string_view amd_family(int family, int model) {
  if (family == 23 && model <= 0x0f) return "EPYC 1st Gen";
  if (family == 23 && model >= 0x30 && model <= 0x3f) return "EPYC 2nd Gen";
  if (family == 25 && model <= 0x0f) return "EPYC 3rd Gen";
  if (family == 25 && model >= 0x10 && model <= 0x1f) return "EPYC 4th Gen";
  if (family == 25 && model >= 0xa0 && model <= 0xaf) return "EPYC 4th Gen";
  if (family == 26 && model <= 0x1f) return "EPYC 5th Gen";
  return {};
}

/// Neoverse V1 and V2 are sold by one cloud only so far.
std::string_view arm_family(int part) {
  switch (part) {
    case 0xd0c:
      return "Neoverse N1";
    case 0xd40:
      return "Graviton3";
    case 0xd4f:
      return "Graviton4";
    default:
      return {};
  }
}

}  // namespace

std::string_view cpu_tdp_csv() {
  return {joulery_embedded_cpu_tdp_begin,
          static_cast<std::size_t>(joulery_embedded_cpu_tdp_end - joulery_embedded_cpu_tdp_begin)};
}

std::string_view cpu_family_power_csv() {
  return {joulery_embedded_cpu_family_power_begin,
          static_cast<std::size_t>(joulery_embedded_cpu_family_power_end -
                                   joulery_embedded_cpu_family_power_begin)};
}

std::optional<TdpRow> find_tdp(std::string_view vendor, std::string_view model) {
  if (vendor.empty() || model.empty()) return std::nullopt;
  const std::string_view text = cpu_tdp_csv();
  // Both ends are starts of lines; the first line is the heading.
  std::size_t low = text.find('\n') + 1;
  std::size_t high = text.size();
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    const std::size_t before = text.rfind('\n', middle == 0 ? 0 : middle - 1);
    const std::size_t start = before == std::string_view::npos || before + 1 < low ? low : before + 1;
    std::size_t end = text.find('\n', start);
    if (end == std::string_view::npos) end = text.size();
    const std::string_view line = text.substr(start, end - start);
    int order = column(line, 0).compare(vendor);
    if (order == 0) order = column(line, 1).compare(model);
    if (order == 0) {
      const auto watts = parse_double(column(line, 2));
      if (!watts) return std::nullopt;
      return TdpRow{*watts, static_cast<int>(parse_int64(column(line, 3)).value_or(0)),
                    static_cast<int>(parse_int64(column(line, 4)).value_or(0)),
                    column(line, 5) == "published"};
    }
    if (order < 0) {
      low = std::min(end + 1, text.size());
    } else {
      high = start;
    }
  }
  return std::nullopt;
}

std::optional<FamilyRow> find_family(std::string_view family) {
  if (family.empty()) return std::nullopt;
  CsvReader reader(cpu_family_power_csv());
  std::vector<std::string> fields;
  while (reader.next(fields)) {
    if (fields.size() < 4 || fields[0] != family) continue;
    const auto idle = parse_double(fields[2]);
    const auto full = parse_double(fields[3]);
    if (!idle || !full) return std::nullopt;
    return FamilyRow{fields[0], *idle, *full};
  }
  return std::nullopt;
}

std::string_view server_family(std::string_view vendor_id, int family, int model, int stepping) {
  if (model < 0) return {};
  if (vendor_id == "GenuineIntel")
    return family == kIntelFamily ? intel_family(model, stepping) : std::string_view();
  if (vendor_id == "AuthenticAMD") return amd_family(family, model);
  if (vendor_id == "ARM") return arm_family(model);
  return {};
}

}  // namespace joulery::power
