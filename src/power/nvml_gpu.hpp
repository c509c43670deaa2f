#pragma once

#include <optional>
#include <string>
#include <vector>

#include "power/gpu_device.hpp"
#include "power/nvml_api.hpp"
#include "power/source.hpp"

namespace joulery::power {

/// How a power is asked for.
enum class NvmlPowerWay { none, field_instant, field_average, power_usage };
/// "instant power", "power as a mean over a second", "power"; empty for none.
const char* power_way_name(NvmlPowerWay way);

/// One physical GPU: its handle, which a reset may replace, and everything that is asked of it. Part of the
/// NVML sources.
class NvmlGpu final : public GpuDevice {
 public:
  NvmlGpu(const NvmlApi& api, nvml::Device handle, std::string uuid)
      : api_(api), handle_(handle), uuid_(std::move(uuid)) {}

  const std::string& uuid() const { return uuid_; }
  const std::string& device_id() const override { return device_id_; }
  const GpuFacts& facts() const override { return facts_; }
  GpuLook look_at_use(std::vector<GpuProcess>& processes) override;
  GpuLook look_at_presence(std::vector<GpuProcess>& processes) override;
  CrossCheck cross_check() const override { return check_; }

  /// Joules since the driver was loaded.
  nvml::Return read_energy(double& joules) const;
  /// Watts now, of the GPU, its module or its memory.
  nvml::Return read_power(NvmlPowerWay way, std::uint32_t scope, double& watts) const;
  /// The best way that this GPU and driver know; none if no way.
  NvmlPowerWay find_power_way(std::uint32_t scope) const;
  /// The limit that is in force, and the highest that the board can be set to.
  nvml::Return read_power_limit(double& watts) const;
  nvml::Return read_highest_limit(double& watts) const;
  std::string name() const;

  /// Looks up MIG instances, and whether processes are told; fills in what it finds.
  void describe_sharing();
  GpuFacts& edit_facts() { return facts_; }
  void set_device_id(std::string id) { device_id_ = std::move(id); }
  /// The power that the energy counter is checked against.
  void set_check_power(NvmlPowerWay way, const SourceInfo& info) {
    check_way_ = way;
    most_watts_ = info.max_plausible_watts;
    check_.power_accuracy_low = info.accuracy_low;
    check_.power_accuracy_high = info.accuracy_high;
  }

  /// For a source: one reading, with the time taken around it. After a failure the handle is looked up anew
  /// now and then, because a GPU that was reset has a new one.
  ///
  /// Until counter and power have once agreed, both are read. While they are too far apart for the counter's
  /// unit to be right, what is given is power summed over time from the first reading on; after a second or
  /// two of that the counter is given up: ERANGE. While it is open which of the two is right, nothing is
  /// given for a time without power, and of a longer one the next reading says so (`after_gap`).
  Reading energy_reading(const Clock& clock);
  Reading power_reading(const Clock& clock, NvmlPowerWay way, std::uint32_t scope);

 private:
  struct Instance {
    nvml::Device handle = nullptr;
    /// Its part of the multiprocessors of all instances.
    double weight = 0;
  };
  nvml::Return read_field(std::uint32_t field_id, std::uint32_t scope, double& watts) const;
  void find_instances();
  /// True if there is a new handle to try.
  bool recover(const Clock& clock);
  enum class Compared {
    /// What both say of the time since they were last compared was added.
    added,
    /// That was too long ago, or the counter began anew.
    too_far_apart,
    /// The power did not answer.
    no_power,
    /// There is no power, or none that such a board can draw.
    impossible,
  };
  /// Fills in what is given for a counter that stands at `joules`.
  void check(std::int64_t now_ns, double joules, Reading& reading);
  /// The same while the counter's unit is being judged.
  void judge(std::int64_t now_ns, double joules, Reading& reading);
  /// What was counted since the last reading is given, in whatever unit.
  void give_counted(double joules);
  Compared compare(std::int64_t now_ns, double joules);
  /// Are they too far apart for the counter's unit to be right?
  bool unit_seems_wrong() const;
  /// Can it only be the counter that is wrong?
  bool counter_is_impossible() const;
  void conclude(bool wrong);
  GpuLook append_holders(nvml::Device device, int instance, double weight,
                         std::vector<GpuProcess>& processes);

  const NvmlApi& api_;
  nvml::Device handle_;
  std::string uuid_;
  std::string device_id_;
  GpuFacts facts_;
  std::vector<Instance> instances_;
  bool tells_use_ = false;
  std::vector<nvml::ProcessUtilization> samples_;
  std::vector<nvml::ProcessInfo> holders_;
  bool looked_ = false;
  std::uint64_t last_seen_microseconds_ = 0;
  std::int64_t next_recovery_ns_ = 0;

  NvmlPowerWay check_way_ = NvmlPowerWay::none;
  CrossCheck check_;
  /// While the counter's unit is being judged: until it has been found right.
  struct Judged {
    double counter_joules = 0;
    double power_joules = 0;
    double seconds = 0;
    /// What was given beside that.
    double other_joules = 0;
  };
  Judged judged_;
  bool unit_is_right_ = false;
  bool has_given_ = false;
  /// The counter has been taken at its word because power did not answer for long.
  bool takes_counter_ = false;
  double last_joules_ = 0;
  /// What was given last, and where the counter stood then.
  double given_joules_ = 0;
  double given_at_joules_ = 0;
  double most_watts_ = 0;
  bool has_checked_ = false;
  std::int64_t check_ns_ = 0;
  /// Has a reading failed since then? Then how that of power did.
  bool check_failed_ = false;
  nvml::Return check_code_ = nvml::kSuccess;
  double check_joules_ = 0;
  double check_watts_ = 0;
  /// At most, and in all, in the time that was compared last.
  double step_watts_ = 0;
  double step_seconds_ = 0;
};

}  // namespace joulery::power
