#include "power/hwmon_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/text.hpp"
#include "power/rapl.hpp"

namespace joulery::power {
namespace {

constexpr int kMostChannels = 4096;
constexpr std::size_t kLongestLabel = 64;
/// What no device of a kind draws, up or down. Below the least, a value is in a wrong unit.
constexpr double kMostMachineWatts = 20'000;
constexpr double kMostCardWatts = 2'000;
constexpr double kMostModuleWatts = 5'000;
constexpr double kMostRailWatts = 1'000;
constexpr double kLeastDeviceWatts = 0.01;

struct ChipRule {
  std::string_view name;
  HwmonFamily family;
};

/// Each by its driver's documentation in the kernel's Documentation/hwmon (ABI documents for i915 and xe);
/// amd_energy by its own. Chips that can measure anything, such as those of INA and LTC, tell a rail's power
/// and not which rail it is.
constexpr std::array kChips = std::to_array<ChipRule>({
    {"amd_energy", HwmonFamily::amd_energy},
    {"amdgpu", HwmonFamily::amd_gpu},
    {"i915", HwmonFamily::intel_gpu},
    {"xe", HwmonFamily::intel_gpu},
    {"power_meter", HwmonFamily::acpi_meter},
    {"ina3221", HwmonFamily::rails_by_current},
    {"ina209", HwmonFamily::rail},
    {"ina219", HwmonFamily::rail},
    {"ina220", HwmonFamily::rail},
    {"ina226", HwmonFamily::rail},
    {"ina228", HwmonFamily::rail},
    {"ina230", HwmonFamily::rail},
    {"ina231", HwmonFamily::rail},
    {"ina233", HwmonFamily::rail},
    {"ina237", HwmonFamily::rail},
    {"ina238", HwmonFamily::rail},
    {"ina260", HwmonFamily::rail},
    {"ina700", HwmonFamily::rail},
    {"ina780", HwmonFamily::rail},
    {"ltc2945", HwmonFamily::rail},
    {"ltc2947", HwmonFamily::rail},
    {"ltc2992", HwmonFamily::rail},
    {"ltc4282", HwmonFamily::rail},
    {"max34440", HwmonFamily::rail},
    {"max34441", HwmonFamily::rail},
    {"max34446", HwmonFamily::rail},
    {"max34451", HwmonFamily::rail},
    {"corsairpsu", HwmonFamily::power_supply},
    {"dps920ab", HwmonFamily::power_supply},
    {"pfe1100", HwmonFamily::power_supply},
    {"pfe3000", HwmonFamily::power_supply},
    {"cffps1", HwmonFamily::power_supply},
    {"cffps2", HwmonFamily::power_supply},
});

/// "i915_gt0" is a tile of the card that "i915" is.
constexpr std::string_view kTilePrefix = "i915_gt";

std::optional<int> small_number(std::string_view text) {
  const auto number = parse_uint64(text);
  if (!number || *number >= kMostChannels) return std::nullopt;
  return static_cast<int>(*number);
}

SourceInfo make_info(std::string id, std::string name, Scope scope, double most_watts) {
  SourceInfo info;
  info.device_id = std::move(id);
  info.name = std::move(name);
  info.scope = scope;
  info.max_plausible_watts = most_watts;
  return info;
}

void set_accuracy(SourceInfo& info, double error, const char* basis) {
  info.accuracy_low = 1 - error;
  info.accuracy_high = 1 + error;
  info.accuracy_basis = basis;
}

std::optional<SourceInfo> describe_amd_energy(std::string_view label) {
  const auto parsed = parse_amd_energy_label(label);
  if (!parsed) return std::nullopt;
  SourceInfo info;
  if (parsed->is_socket) {
    // The same register as RAPL's, and the same id.
    info = rapl_source_info({Scope::package, parsed->number, -1});
    info.max_plausible_watts = kMostCardWatts;
  } else {
    info = make_info(fmt::format("core-{}", parsed->number), fmt::format("CPU core {}", parsed->number),
                     Scope::core, kMostCardWatts);
    set_accuracy(info, 0.05, "on-chip RAPL meter: 5 % is typical, no vendor guarantees it");
  }
  // The registers behind it count in 2^-16 J.
  info.resolution_joules = 0x1p-16;
  info.update_seconds = 0.001;
  return info;
}

SourceInfo describe_intel_gpu(const HwmonChip& chip, int channel) {
  const std::string card = "gpu:" + chip.device;
  SourceInfo info = make_info(card, fmt::format("GPU {}", chip.device), Scope::gpu, kMostCardWatts);
  if (chip.name.starts_with(kTilePrefix)) {
    const std::string tile = chip.name.substr(kTilePrefix.size());
    info = make_info(fmt::format("{}:gt{}", card, tile), fmt::format("tile {} of GPU {}", tile, chip.device),
                     Scope::gpu, kMostCardWatts);
    info.parent_id = card;
  } else if (channel > 1) {
    // xe: the card is channel 1, its package channel 2, its memory channel 3.
    info = make_info(fmt::format("{}:{}", card, channel), fmt::format("part of GPU {}", chip.device),
                     Scope::gpu, kMostCardWatts);
    info.parent_id = card;
  }
  set_accuracy(info, 0.1, "the card's own meter: 10 % is assumed, the vendor states nothing");
  info.min_plausible_watts = kLeastDeviceWatts;
  info.resolution_joules = 1e-6;
  info.update_seconds = 0.001;
  return info;
}

SourceInfo describe_amd_gpu(const HwmonChip& chip) {
  SourceInfo info;
  if (chip.is_apu) {
    info = rapl_source_info({Scope::package, 0, -1});
    info.max_plausible_watts = kMostCardWatts;
    set_accuracy(info, 0.1, "power of the CPU with its graphics as its firmware tells it: 10 % is assumed");
  } else {
    info = make_info("gpu:" + chip.device, fmt::format("GPU {}", chip.device), Scope::gpu, kMostCardWatts);
    set_accuracy(info, 0.1, "the card's own meter: 10 % is assumed, the vendor states nothing");
  }
  info.min_plausible_watts = kLeastDeviceWatts;
  info.update_seconds = 0.1;
  return info;
}

SourceInfo describe_acpi_meter(const HwmonChip& chip, std::string_view label) {
  const auto grace = parse_grace_label(label);
  SourceInfo info;
  if (!grace) {
    info = make_info("wall:" + chip.device, "whole machine", Scope::wall, kMostMachineWatts);
    set_accuracy(info, 0.1, "ACPI power meter: 10 % is assumed where it does not say");
  } else {
    const std::string module = fmt::format("grace:module-{}", grace->socket);
    const std::string socket = fmt::format("grace:socket-{}", grace->socket);
    switch (grace->area) {
      case GraceLabel::Area::module:
        info = make_info(module, fmt::format("module {} with CPU, GPU and memory", grace->socket),
                         Scope::board, kMostModuleWatts);
        break;
      case GraceLabel::Area::grace:
        info =
            make_info(socket, fmt::format("CPU package {}", grace->socket), Scope::package, kMostCardWatts);
        info.parent_id = module;
        break;
      case GraceLabel::Area::cpu:
        info = make_info(socket + ":cpu", fmt::format("cores of CPU package {}", grace->socket), Scope::core,
                         kMostCardWatts);
        info.parent_id = socket;
        break;
      case GraceLabel::Area::sysio:
        info = make_info(socket + ":sysio", fmt::format("input and output of CPU package {}", grace->socket),
                         Scope::uncore, kMostCardWatts);
        info.parent_id = socket;
        break;
    }
    set_accuracy(info, 0.1, "the module's own power meter: 10 % is assumed");
  }
  info.min_plausible_watts = kLeastDeviceWatts;
  info.update_seconds = 1;
  return info;
}

/// Names of the rails of Jetson modules, as NVIDIA's device trees label them. The first of a kind that is
/// found in the label counts.
struct RailRule {
  std::string_view part;
  Scope scope;
  std::string_view parent;
};
constexpr std::string_view kBoardInput = "board:input";
constexpr std::array kRails = std::to_array<RailRule>({
    {"VDDQ", Scope::dram, "rail:vin_sys_5v0"},
    {"DDR", Scope::dram, kBoardInput},
    {"CPU", Scope::package, kBoardInput},
    {"GPU", Scope::gpu, kBoardInput},
    {"SOC", Scope::board, kBoardInput},
    {"CV", Scope::board, kBoardInput},
    {"SYS5V", Scope::board, kBoardInput},
    {"SYS_5V", Scope::board, kBoardInput},
});

std::optional<SourceInfo> describe_rail(const HwmonChip& chip, int channel, std::string_view label) {
  const std::string name = printable(trim(label).substr(0, kLongestLabel));
  // "not connected"
  if (name == "NC") return std::nullopt;
  SourceInfo info;
  if (name == "VDD_IN" || name == "POM_5V_IN") {
    info = make_info(std::string(kBoardInput), fmt::format("whole module ({})", name), Scope::board,
                     kMostRailWatts);
    info.min_plausible_watts = kLeastDeviceWatts;
  } else {
    const auto rule = std::find_if(kRails.begin(), kRails.end(), [&](const RailRule& candidate) {
      return name.find(candidate.part) != std::string::npos;
    });
    const bool known = rule != kRails.end();
    info = make_info(known ? "rail:" + to_lower(name) : fmt::format("rail:{}:{}", chip.device, channel),
                     name.empty() ? fmt::format("rail {} of {} {}", channel, chip.name, chip.device)
                                  : fmt::format("rail {}", name),
                     known ? rule->scope : Scope::board, kMostRailWatts);
    if (known) info.parent_id = rule->parent;
    info.reported_only = !known;
  }
  set_accuracy(info, 0.05, "shunt resistor on the board: 5 % is assumed");
  info.update_seconds = 0.01;
  return info;
}

std::optional<SourceInfo> describe_power_supply(const HwmonChip& chip, std::string_view label) {
  SourceInfo info = make_info("wall:" + chip.device, fmt::format("power supply {}", chip.device), Scope::wall,
                              kMostMachineWatts);
  info.is_supply = true;
  if (chip.name == "corsairpsu") {
    if (label != "power total") return std::nullopt;
    // It tells what it gives, so that its own losses are missing.
    info.accuracy_low = 0.95;
    info.accuracy_high = 1.15;
    info.accuracy_basis = "the power supply's output; its own losses, up to 15 %, come on top";
  } else {
    if (label != "pin") return std::nullopt;
    set_accuracy(info, 0.05, "the power supply's own meter: 5 % is assumed");
  }
  info.min_plausible_watts = kLeastDeviceWatts;
  info.update_seconds = 1;
  return info;
}

}  // namespace

std::optional<HwmonAttribute> parse_hwmon_attribute(std::string_view name) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto first =
      static_cast<std::size_t>(std::find_if(name.begin(), name.end(), is_digit) - name.begin());
  if (first == 0 || first == name.size()) return std::nullopt;
  if (!std::all_of(name.begin(), name.begin() + static_cast<std::ptrdiff_t>(first),
                   [](char c) { return c >= 'a' && c <= 'z'; })) {
    return std::nullopt;
  }
  const auto underscore = name.find('_', first);
  if (underscore == std::string_view::npos || underscore + 1 == name.size()) return std::nullopt;
  const auto channel = small_number(name.substr(first, underscore - first));
  if (!channel) return std::nullopt;
  return HwmonAttribute{name.substr(0, first), *channel, name.substr(underscore + 1)};
}

std::optional<AmdEnergyLabel> parse_amd_energy_label(std::string_view label) {
  constexpr std::string_view kSocket = "Esocket";
  constexpr std::string_view kCore = "Ecore";
  const bool is_socket = label.starts_with(kSocket);
  if (!is_socket && !label.starts_with(kCore)) return std::nullopt;
  const auto number = small_number(label.substr(is_socket ? kSocket.size() : kCore.size()));
  if (!number) return std::nullopt;
  return AmdEnergyLabel{is_socket, *number};
}

std::optional<GraceLabel> parse_grace_label(std::string_view text) {
  using Area = GraceLabel::Area;
  struct Name {
    std::string_view word;
    Area area;
  };
  constexpr std::array kAreas = std::to_array<Name>(
      {{"module", Area::module}, {"grace", Area::grace}, {"cpu", Area::cpu}, {"sysio", Area::sysio}});
  const std::string lower = to_lower(text.substr(0, kLongestLabel));
  const auto words = split_blanks(lower);
  if (words.size() != 4 || words[1] != "power" || words[2] != "socket") return std::nullopt;
  const auto area = std::find_if(kAreas.begin(), kAreas.end(),
                                 [&](const Name& candidate) { return candidate.word == words[0]; });
  const auto socket = small_number(words[3]);
  if (area == kAreas.end() || !socket) return std::nullopt;
  return GraceLabel{area->area, *socket};
}

std::optional<HwmonFamily> hwmon_family(std::string_view chip_name) {
  if (chip_name.starts_with(kTilePrefix) && small_number(chip_name.substr(kTilePrefix.size())))
    return HwmonFamily::intel_gpu;
  for (const ChipRule& rule : kChips) {
    if (rule.name == chip_name) return rule.family;
  }
  return std::nullopt;
}

std::optional<SourceInfo> describe_hwmon_channel(HwmonFamily family, const HwmonChip& chip, int channel,
                                                 std::string_view label) {
  switch (family) {
    case HwmonFamily::amd_energy:
      return describe_amd_energy(label);
    case HwmonFamily::intel_gpu:
      return describe_intel_gpu(chip, channel);
    case HwmonFamily::amd_gpu:
      return describe_amd_gpu(chip);
    case HwmonFamily::acpi_meter:
      return describe_acpi_meter(chip, label);
    case HwmonFamily::rails_by_current:
    case HwmonFamily::rail:
      return describe_rail(chip, channel, label);
    case HwmonFamily::power_supply:
      return describe_power_supply(chip, label);
  }
  return std::nullopt;
}

}  // namespace joulery::power
