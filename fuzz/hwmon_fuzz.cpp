// Names and labels of hwmon: a chip's name, the names of its files and what they say they measure.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/text.hpp"
#include "power/hwmon_rules.hpp"

using namespace joulery::power;

namespace {

void check(const SourceInfo& info) {
  const bool sane = !info.device_id.empty() && !info.name.empty() && info.device_id != info.parent_id &&
                    info.max_plausible_watts > 0 && info.min_plausible_watts >= 0 &&
                    info.min_plausible_watts < info.max_plausible_watts && info.accuracy_low > 0 &&
                    info.accuracy_low <= 1 && info.accuracy_high >= 1 && std::isfinite(info.accuracy_high);
  if (!sane) std::abort();
  for (const char c : info.device_id + info.parent_id + info.name) {
    // They are printed.
    if (static_cast<unsigned char>(c) < 0x20) std::abort();
  }
}

}  // namespace

// First line: the chip's name; second: its device; others: names of files and labels.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto lines = joulery::split(text, '\n');
  HwmonChip chip;
  chip.name = std::string(lines[0]);
  // As the probe does with what it finds.
  if (lines.size() > 1) chip.device = joulery::printable(lines[1]);
  chip.is_apu = size % 2 == 1;
  const auto family = hwmon_family(chip.name);
  int channel = 1;
  for (const std::string_view line : lines) {
    if (const auto attribute = parse_hwmon_attribute(line)) {
      if (attribute->channel < 0 || attribute->kind.empty() || attribute->item.empty()) std::abort();
      channel = attribute->channel;
    }
    const auto core = parse_amd_energy_label(line);
    if (core && core->number < 0) std::abort();
    const auto grace = parse_grace_label(line);
    if (grace && grace->socket < 0) std::abort();
    for (const HwmonFamily each :
         {HwmonFamily::amd_energy, HwmonFamily::intel_gpu, HwmonFamily::amd_gpu, HwmonFamily::acpi_meter,
          HwmonFamily::rails_by_current, HwmonFamily::rail, HwmonFamily::power_supply}) {
      // Only chips that are known have a name that is printed.
      if (!family && each != HwmonFamily::acpi_meter && each != HwmonFamily::amd_energy) continue;
      if (const auto info = describe_hwmon_channel(each, chip, channel, line)) check(*info);
    }
  }
  return 0;
}
