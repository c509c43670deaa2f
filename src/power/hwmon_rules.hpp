#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "power/source.hpp"

namespace joulery::power {

/// The name of a hwmon file: "energy12_input" is energy, 12, "input". Views point into the name.
struct HwmonAttribute {
  std::string_view kind;
  int channel = 0;
  std::string_view item;
};
/// Nothing for names of another form. Takes any bytes.
std::optional<HwmonAttribute> parse_hwmon_attribute(std::string_view name);

/// "Ecore007" and "Esocket1" of amd_energy.
struct AmdEnergyLabel {
  bool is_socket = false;
  int number = 0;
};
std::optional<AmdEnergyLabel> parse_amd_energy_label(std::string_view label);

/// "Module Power Socket 0": what an ACPI power meter of an NVIDIA Grace measures.
struct GraceLabel {
  enum class Area { module, grace, cpu, sysio };
  Area area = Area::grace;
  int socket = 0;
};
std::optional<GraceLabel> parse_grace_label(std::string_view text);

/// What is known of a chip, which has one folder in /sys/class/hwmon.
struct HwmonChip {
  /// From its file `name`: "amdgpu".
  std::string name;
  /// What it sits on, for a stable id: "0000:03:00.0", "1-0040".
  std::string device;
  /// The graphics are inside the CPU's package: the power of an amdgpu is then that of the whole package.
  bool is_apu = false;
};

/// How a chip's channels are read.
enum class HwmonFamily {
  /// energyN_input of CPU cores and sockets, with labels (out-of-tree driver of AMD).
  amd_energy,
  /// i915, xe: energyN_input of a graphics card.
  intel_gpu,
  /// power1_average or power1_input of a graphics card, or of a package with graphics.
  amd_gpu,
  /// power1_average of what ACPI says: the machine, or an area of an NVIDIA Grace.
  acpi_meter,
  /// inN_input times currN_input, N = 1 to 3, with labels: the rails of a Jetson.
  rails_by_current,
  /// powerN_input (and energyN_input) of a rail that only the board's maker knows.
  rail,
  /// powerN_input of a power supply, with labels.
  power_supply,
};

/// Which chips are known; nothing for one that says nothing of energy or power.
std::optional<HwmonFamily> hwmon_family(std::string_view chip_name);

/// What channel `channel` of a chip measures, by its label: id, parent, name, scope, accuracy and the bounds
/// of what can be believed; `via` and `kind` are left open. Nothing for a channel that is to be left out,
/// such as one rail of a power supply whose total is another channel. A rail that is not known to be inside
/// or beside anything is `reported_only`.
std::optional<SourceInfo> describe_hwmon_channel(HwmonFamily family, const HwmonChip& chip, int channel,
                                                 std::string_view label);

}  // namespace joulery::power
