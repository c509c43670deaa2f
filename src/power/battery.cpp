#include "power/battery.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cmath>

#include "base/text.hpp"

namespace joulery::power {
namespace {

constexpr const char* kFolder = "/sys/class/power_supply/";
constexpr double kMicro = 1e-6;
constexpr double kMostWatts = 500;

/// Power where the driver tells it, else voltage times current; only while the battery is discharged.
class BatterySource final : public Source {
 public:
  BatterySource(SourceInfo info, PolledFile status, PolledFile first, std::optional<PolledFile> second)
      : info_(std::move(info)),
        status_(std::move(status)),
        first_(std::move(first)),
        second_(std::move(second)) {}
  const SourceInfo& info() const override { return info_; }
  SourceInfo* edit_info() override { return &info_; }

  Reading read(const Clock& clock) override {
    Reading reading;
    const std::int64_t before = clock.boottime_ns();
    std::array<char, 64> buffer;
    if (trim(status_.read(buffer)) != "Discharging") {
      reading.error_number = ENODATA;
    } else {
      reading.error_number = read_watts(reading.value);
    }
    reading.boottime_ns = before + (clock.boottime_ns() - before) / 2;
    reading.valid = reading.error_number == 0;
    return reading;
  }

 private:
  int read_watts(double& watts) {
    std::array<char, 64> buffer;
    const auto value = parse_int64(trim(first_.read(buffer)));
    if (!value) return first_.last_errno() != 0 ? first_.last_errno() : EINVAL;
    watts = static_cast<double>(*value) * kMicro;
    if (second_) {
      const auto factor = parse_int64(trim(second_->read(buffer)));
      if (!factor) return second_->last_errno() != 0 ? second_->last_errno() : EINVAL;
      watts *= static_cast<double>(*factor) * kMicro;
    }
    // Some drivers count what leaves the battery as negative.
    watts = std::abs(watts);
    return 0;
  }

  SourceInfo info_;
  PolledFile status_;
  PolledFile first_;
  std::optional<PolledFile> second_;
};

std::unique_ptr<Source> open_battery(const SystemRoot& root, const std::string& name) {
  const std::string folder = kFolder + name;
  auto status = PolledFile::open(root, folder + "/status");
  auto power = PolledFile::open(root, folder + "/power_now");
  std::optional<PolledFile> voltage;
  if (!power.has_value()) {
    power = PolledFile::open(root, folder + "/current_now");
    auto volts = PolledFile::open(root, folder + "/voltage_now");
    if (!volts.has_value()) return nullptr;
    voltage = std::move(*volts);
  }
  if (!status.has_value() || !power.has_value()) return nullptr;
  SourceInfo info;
  info.device_id = "battery:" + printable(name);
  info.name = "battery " + printable(name);
  info.via = "battery";
  info.scope = Scope::wall;
  info.kind = ReadingKind::watts;
  info.provenance = Provenance::derived;
  info.reported_only = true;
  info.max_plausible_watts = kMostWatts;
  info.update_seconds = 10;
  info.accuracy_low = 0.9;
  info.accuracy_high = 1.1;
  info.accuracy_basis = "the battery's own gauge, seconds late: 10 % is assumed";
  return std::make_unique<BatterySource>(std::move(info), std::move(*status), std::move(*power),
                                         std::move(voltage));
}

}  // namespace

std::optional<ProbeResult> probe_batteries(const SystemRoot& root) {
  ProbeResult result;
  result.via = "battery";
  int batteries = 0;
  for (const std::string& name : root.list("/sys/class/power_supply")) {
    const std::string folder = kFolder + name;
    if (root.read_line(folder + "/type").value_or("") != "Battery") continue;
    // Of a mouse or a headset.
    if (root.read_line(folder + "/scope").value_or("") == "Device") continue;
    ++batteries;
    if (root.read_line(folder + "/status").value_or("") != "Discharging") continue;
    if (auto source = open_battery(root, name)) {
      const ManualClock clock;
      const Reading reading = source->read(clock);
      if (reading.valid && reading.value <= kMostWatts) result.sources.push_back(std::move(source));
    }
  }
  if (batteries == 0) return std::nullopt;
  if (result.sources.empty()) {
    result.reason = "the machine is not on battery, or the battery does not tell its power";
  } else {
    result.state = ProbeResult::State::available;
    result.reason = "on battery: what it gives is reported beside the figures, not added to them";
  }
  return result;
}

}  // namespace joulery::power
