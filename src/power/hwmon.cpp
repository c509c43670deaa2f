#include "power/hwmon.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <map>

#include "base/text.hpp"
#include "power/cpu_topology.hpp"
#include "power/fallback_source.hpp"
#include "power/hwmon_rules.hpp"

namespace joulery::power {
namespace {

constexpr double kMicro = 1e-6;
/// Volts and amperes are in thousandths.
constexpr double kMilliTimesMilli = 1e-6;
/// A read of each core costs an interrupt to it.
constexpr int kMostCores = 16;

/// What a source reads.
struct HwmonFiles {
  PolledFile value;
  /// The value is the product with this one.
  std::optional<PolledFile> factor;
  /// Of a card: reading the sensor of one that the kernel has put to sleep may wake it.
  std::optional<PolledFile> runtime_status;
};

/// A number in one file, or the product of the numbers in two.
class HwmonSource final : public Source {
 public:
  HwmonSource(SourceInfo info, HwmonFiles files, double scale)
      : info_(std::move(info)), files_(std::move(files)), scale_(scale) {}
  const SourceInfo& info() const override { return info_; }
  SourceInfo* edit_info() override { return &info_; }

  Reading read(const Clock& clock) override {
    Reading reading;
    const std::int64_t before = clock.boottime_ns();
    if (sleeps()) {
      // It draws nothing to speak of, and its counter stands still.
      const bool is_power = info_.kind == ReadingKind::watts;
      reading.value = is_power ? 0 : last_value_;
      reading.valid = is_power || has_value_;
      reading.error_number = reading.valid ? 0 : ENODATA;
    } else {
      reading.error_number = read_value(reading.value);
      reading.valid = reading.error_number == 0;
      if (reading.valid) {
        last_value_ = reading.value;
        has_value_ = true;
      }
    }
    reading.boottime_ns = before + (clock.boottime_ns() - before) / 2;
    return reading;
  }

 private:
  static int read_number(PolledFile& file, double& value) {
    std::array<char, 64> buffer;
    const std::string_view text = file.read(buffer);
    const auto number = parse_int64(trim(text));
    if (!number) return file.last_errno() != 0 ? file.last_errno() : EINVAL;
    value = static_cast<double>(*number);
    return 0;
  }

  bool sleeps() {
    if (!files_.runtime_status) return false;
    std::array<char, 32> buffer;
    return trim(files_.runtime_status->read(buffer)) == "suspended";
  }
  int read_value(double& value) {
    double number = 0;
    if (const int error = read_number(files_.value, number); error != 0) return error;
    double factor = 1;
    if (files_.factor) {
      if (const int error = read_number(*files_.factor, factor); error != 0) return error;
    }
    value = number * factor * scale_;
    return 0;
  }

  SourceInfo info_;
  HwmonFiles files_;
  double scale_;
  bool has_value_ = false;
  double last_value_ = 0;
};

/// Files of one channel, relative to the chip's folder; empty if it has none.
struct Channel {
  std::string energy;
  std::string power;
  std::string voltage;
  std::string current;
  std::string label;
};

struct Chip {
  HwmonChip known;
  HwmonFamily family = HwmonFamily::rail;
  /// Where its attributes are: its folder in /sys/class/hwmon, or `device` in there for old drivers.
  std::string folder;
  std::map<int, Channel> channels;
};

struct Findings {
  int denied = 0;
  std::string denied_folder;
  int skipped_cores = 0;
  std::vector<std::string> doubtful;
};

std::string last_component(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

std::map<int, Channel> find_channels(const SystemRoot& root, const std::string& folder) {
  std::map<int, Channel> channels;
  for (const std::string& file : root.list(folder)) {
    const auto attribute = parse_hwmon_attribute(file);
    if (!attribute) continue;
    Channel& channel = channels[attribute->channel];
    if (attribute->kind == "energy" && attribute->item == "input") channel.energy = file;
    // An average over the time between two reads is worth more than a moment.
    if (attribute->kind == "power" && attribute->item == "average") channel.power = file;
    if (attribute->kind == "power" && attribute->item == "input" && channel.power.empty())
      channel.power = file;
    if (attribute->kind == "in" && attribute->item == "input") channel.voltage = file;
    if (attribute->kind == "curr" && attribute->item == "input") channel.current = file;
  }
  return channels;
}

std::string label_of(const SystemRoot& root, const Chip& chip, int number, const Channel& channel) {
  const char* kind = "power";
  if (chip.family == HwmonFamily::rails_by_current) {
    kind = "in";
  } else if (chip.family == HwmonFamily::acpi_meter) {
    return root.read_line(fmt::format("{}/power{}_oem_info", chip.folder, number)).value_or("");
  } else if (!channel.energy.empty()) {
    kind = "energy";
  }
  return root.read_line(fmt::format("{}/{}{}_label", chip.folder, kind, number)).value_or("");
}

std::optional<Chip> read_chip(const SystemRoot& root, const std::string& entry) {
  Chip chip;
  chip.folder = "/sys/class/hwmon/" + entry;
  auto name = root.read_line(chip.folder + "/name");
  if (!name.has_value()) name = root.read_line(chip.folder + "/device/name");
  const auto family = hwmon_family(name.value_or(""));
  if (!family) return std::nullopt;
  chip.family = *family;
  chip.known.name = *name;
  const std::string device = root.canonical(chip.folder + "/device");
  chip.known.device = device.empty() ? entry : printable(last_component(device));
  chip.known.is_apu = root.read_line(chip.folder + "/in1_label").value_or("") == "vddnb";
  chip.channels = find_channels(root, chip.folder);
  if (chip.channels.empty() && root.exists(chip.folder + "/device")) {
    chip.folder += "/device";
    chip.channels = find_channels(root, chip.folder);
  }
  return chip;
}

/// Opens and reads once. Null if it can't be read; what is denied is counted.
std::unique_ptr<Source> open_source(const SystemRoot& root, const Chip& chip, SourceInfo info,
                                    ReadingKind kind, const std::string& first, const std::string& second,
                                    double scale, Findings& findings) {
  const std::string path = chip.folder + "/" + first;
  auto file = PolledFile::open(root, path);
  if (!file.has_value()) {
    const FileDescriptor again(::open(root.resolve(path).c_str(), O_RDONLY | O_CLOEXEC));
    if (!again.valid() && (errno == EACCES || errno == EPERM)) {
      ++findings.denied;
      findings.denied_folder = chip.folder;
    }
    return nullptr;
  }
  HwmonFiles files{.value = std::move(*file), .factor = std::nullopt, .runtime_status = std::nullopt};
  if (!second.empty()) {
    auto other = PolledFile::open(root, chip.folder + "/" + second);
    if (!other.has_value()) return nullptr;
    files.factor = std::move(*other);
  }
  if (info.scope == Scope::gpu) {
    auto status = PolledFile::open(root, chip.folder + "/device/power/runtime_status");
    if (status.has_value()) files.runtime_status = std::move(*status);
  }
  info.via = "hwmon";
  info.kind = kind;
  // Power is measured, and energy is worked out of it.
  if (kind == ReadingKind::watts) {
    info.provenance = Provenance::derived;
    info.resolution_joules = 0;
  }
  return std::make_unique<HwmonSource>(std::move(info), std::move(files), scale);
}

/// Why a first reading is not to be believed; empty if nothing speaks against it.
std::string doubt(Source& source) {
  const SourceInfo& info = source.info();
  // Nothing but the value itself is looked at, so the time does not matter.
  const ManualClock clock;
  const Reading reading = source.read(clock);
  if (!reading.valid) {
    // A card that sleeps gives nothing and wakes up later.
    if (info.scope == Scope::gpu) return {};
    return fmt::format("{} can't be read ({})", info.name, errno_text(reading.error_number));
  }
  if (reading.value < 0) return fmt::format("{} tells a negative value", info.name);
  if (info.kind != ReadingKind::watts) return {};
  if (reading.value > info.max_plausible_watts) {
    return fmt::format("{} tells {}, which it can't draw", info.name, format_si(reading.value, "W"));
  }
  const bool may_be_off = info.scope == Scope::gpu && reading.value == 0;
  if (reading.value < info.min_plausible_watts && !may_be_off) {
    return fmt::format("{} tells {}, as if its unit were wrong", info.name, format_si(reading.value, "W"));
  }
  return {};
}

void set_acpi_facts(const SystemRoot& root, const Chip& chip, int number, SourceInfo& info) {
  const std::string prefix = fmt::format("{}/power{}_", chip.folder, number);
  if (const auto interval = root.read_integer(prefix + "average_interval");
      interval.has_value() && *interval > 0 && *interval <= 3'600'000) {
    info.update_seconds = static_cast<double>(*interval) * 1e-3;
  }
  const std::string text = root.read_line(prefix + "accuracy").value_or("");
  const auto accuracy = parse_double(trim(std::string_view(text).substr(0, text.find('%'))));
  if (accuracy && *accuracy > 0 && *accuracy <= 100) {
    const double error = 1 - *accuracy / 100;
    info.accuracy_low = 1 - error;
    info.accuracy_high = 1 + error;
    info.accuracy_basis = fmt::format("ACPI power meter: {:.3g} % accurate, says its firmware", *accuracy);
  }
}

class Opener {
 public:
  Opener(const SystemRoot& root, const RaplMachine& machine, ProbeResult& result, Findings& findings)
      : root_(root), machine_(machine), result_(result), findings_(findings) {}

  void open(const Chip& chip) {
    for (const auto& [number, channel] : chip.channels) open_channel(chip, number, channel);
  }

 private:
  void open_channel(const Chip& chip, int number, const Channel& channel) {
    const std::string label = label_of(root_, chip, number, channel);
    auto info = describe_hwmon_channel(chip.family, chip.known, number, label);
    if (!info) return;
    if (info->scope == Scope::package) {
      info->max_plausible_watts = std::min(info->max_plausible_watts, machine_.plausible_package_watts);
    }
    if (chip.family == HwmonFamily::acpi_meter) {
      const auto battery = root_.read_integer(fmt::format("{}/power{}_is_battery", chip.folder, number));
      if (battery.has_value() && *battery == 1) return;
      set_acpi_facts(root_, chip, number, *info);
    }
    if (chip.family == HwmonFamily::amd_energy && info->scope == Scope::core && !place_core(label, *info))
      return;
    if (chip.family == HwmonFamily::rails_by_current) {
      open_rail(chip, number, channel, std::move(*info));
      return;
    }
    std::unique_ptr<Source> energy;
    std::unique_ptr<Source> power;
    if (!channel.energy.empty()) {
      energy = open_source(root_, chip, *info, ReadingKind::cumulative_joules, channel.energy, "", kMicro,
                           findings_);
    }
    if (!channel.power.empty()) {
      power = open_source(root_, chip, *info, ReadingKind::watts, channel.power, "", kMicro, findings_);
    }
    keep(make_believed(std::move(energy), std::move(power)));
  }

  /// Channels 4 to 7 are shunt voltages and sums.
  void open_rail(const Chip& chip, int number, const Channel& channel, SourceInfo info) {
    constexpr int kLastRail = 3;
    if (number < 1 || number > kLastRail || channel.voltage.empty() || channel.current.empty()) return;
    const auto enabled = root_.read_integer(fmt::format("{}/in{}_enable", chip.folder, number));
    if (enabled.has_value() && *enabled == 0) return;
    keep(make_believed(nullptr, open_source(root_, chip, std::move(info), ReadingKind::watts, channel.voltage,
                                            channel.current, kMilliTimesMilli, findings_)));
  }

  /// The core's package, by the topology of the CPU of that number. False for one too many.
  bool place_core(std::string_view label, SourceInfo& info) {
    const auto parsed = parse_amd_energy_label(label);
    if (cores_ >= kMostCores) {
      ++findings_.skipped_cores;
      return false;
    }
    ++cores_;
    const auto places = read_cpu_places(root_, {parsed ? parsed->number : 0});
    info.parent_id = rapl_source_info({Scope::package, places.empty() ? 0 : places[0].package, -1}).device_id;
    info.device_id = fmt::format("{}:{}", info.parent_id, info.device_id);
    return true;
  }

  std::unique_ptr<Source> make_believed(std::unique_ptr<Source> energy, std::unique_ptr<Source> power) {
    for (auto* source : {&energy, &power}) {
      if (!*source) continue;
      if (const std::string why = doubt(**source); !why.empty()) {
        findings_.doubtful.push_back(why);
        source->reset();
      }
    }
    if (!energy && !power) return nullptr;
    return make_fallback_source(std::move(energy), std::move(power));
  }

  void keep(std::unique_ptr<Source> source) {
    if (source) result_.sources.push_back(std::move(source));
  }

  const SystemRoot& root_;
  const RaplMachine& machine_;
  ProbeResult& result_;
  Findings& findings_;
  int cores_ = 0;
};

/// The firmware has a power meter, but its driver is not loaded.
bool has_idle_acpi_meter(const SystemRoot& root) {
  const auto devices = root.list("/sys/bus/acpi/devices");
  return std::any_of(devices.begin(), devices.end(),
                     [](const std::string& name) { return name.starts_with("ACPI000D"); });
}

void explain(const SystemRoot& root, const RaplMachine& machine, const Findings& findings,
             bool has_acpi_meter, ProbeResult& result) {
  if (!result.sources.empty()) {
    result.state = ProbeResult::State::available;
    result.reason = format_count(double(result.sources.size()), "sensors") + " of energy or power";
  } else if (findings.denied > 0) {
    result.reason = "sensors of energy or power found, but only root may read them";
  } else if (findings.doubtful.empty()) {
    result.reason = machine.virtual_machine
                        ? "a virtual machine is not shown the host's sensors"
                        : "no sensor under /sys/class/hwmon tells energy or power of a device known here";
  }
  if (findings.denied > 0) {
    result.state = ProbeResult::State::limited;
    if (!result.sources.empty()) result.reason += fmt::format(", {} readable by root only", findings.denied);
    result.enable = fmt::format(
        "sudo groupadd --system --force joulery\nsudo usermod --append --groups joulery \"$USER\"\n"
        "sudo chgrp joulery {0}/energy*_input\nsudo chmod g+r {0}/energy*_input\nnewgrp joulery",
        findings.denied_folder);
    result.cost = kRaplRisk;
  }
  for (const std::string& why : findings.doubtful) {
    result.reason += fmt::format("{}{}: left out", result.reason.empty() ? "" : "; ", why);
  }
  if (findings.skipped_cores > 0) {
    result.reason +=
        fmt::format("; {} more cores would cost a read each and are left out", findings.skipped_cores);
  }
  if (!has_acpi_meter && result.enable.empty() && has_idle_acpi_meter(root)) {
    result.enable = "sudo modprobe acpi_power_meter";
  }
}

}  // namespace

ProbeResult probe_hwmon(const SystemRoot& root, const RaplMachine& machine) {
  ProbeResult result;
  result.via = "hwmon";
  Findings findings;
  Opener opener(root, machine, result, findings);
  bool has_acpi_meter = false;
  for (const std::string& entry : root.list("/sys/class/hwmon")) {
    const auto chip = read_chip(root, entry);
    if (!chip) continue;
    has_acpi_meter |= chip->family == HwmonFamily::acpi_meter;
    opener.open(*chip);
  }
  explain(root, machine, findings, has_acpi_meter, result);
  return result;
}

}  // namespace joulery::power
