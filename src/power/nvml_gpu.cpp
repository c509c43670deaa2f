#include "power/nvml_gpu.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>

#include "base/text.hpp"

namespace joulery::power {
namespace {

using nvml::Functions;
using nvml::Return;

constexpr double kJoulesPerMillijoule = 1e-3;
constexpr double kWattsPerMilliwatt = 1e-3;
constexpr std::size_t kProcessRoom = 256;
/// More than any GPU has; a driver that asks for more is not believed.
constexpr std::size_t kMostProcesses = 65536;
/// Power is asked for beside the counter no more often than this: each question costs time.
constexpr double kCheckSeconds = 0.5;
/// Nothing is compared over more: power was not looked at often enough. Over less while it matters at once,
/// and over less again where readings have failed in between.
constexpr double kMostCheckSeconds = 5;
constexpr double kMostJudgedSeconds = 1;
constexpr double kMostSecondsOverFailures = 0.5;
/// Without an answer of the power for longer, a counter of which nothing is known is believed.
constexpr double kPatienceSeconds = 2;
/// A counter this many times off from power over this long does not count in the unit that it claims. A mean
/// over a second comes late by that much.
constexpr double kWrongUnitFactor = 20;
constexpr double kWrongUnitSeconds = 1;
constexpr double kWrongUnitSecondsOfMeans = 2;
constexpr double kWrongUnitLeastJoules = 1;
/// A device that is on draws at least this much.
constexpr double kLeastWatts = 0.5;
/// Counter and power show the same moment at most this far apart.
constexpr double kUpdateSeconds = 0.1;

std::uint32_t size_of(const auto& container) {
  return static_cast<std::uint32_t>(container.size());
}

Reading failed_reading(std::int64_t boottime_ns, Return code) {
  return {.value = 0, .boottime_ns = boottime_ns, .valid = false, .error_number = nvml::return_errno(code)};
}

}  // namespace

const char* power_way_name(NvmlPowerWay way) {
  switch (way) {
    case NvmlPowerWay::none:
      return "";
    case NvmlPowerWay::field_instant:
      return "instant power";
    case NvmlPowerWay::field_average:
      return "power as a mean over a second";
    case NvmlPowerWay::power_usage:
      return "power";
  }
  return "";
}

Return NvmlGpu::read_energy(double& joules) const {
  unsigned long long millijoules = 0;
  const Return code = api_.call(&Functions::total_energy, handle_, &millijoules);
  joules = static_cast<double>(millijoules) * kJoulesPerMillijoule;
  return code;
}

Return NvmlGpu::read_power(NvmlPowerWay way, std::uint32_t scope, double& watts) const {
  watts = 0;
  if (way == NvmlPowerWay::none) return nvml::kNotSupported;
  if (way == NvmlPowerWay::power_usage) {
    std::uint32_t milliwatts = 0;
    const Return code = api_.call(&Functions::power_usage, handle_, &milliwatts);
    watts = milliwatts * kWattsPerMilliwatt;
    return code;
  }
  return read_field(way == NvmlPowerWay::field_instant ? nvml::kFieldPowerInstant : nvml::kFieldPowerAverage,
                    scope, watts);
}

Return NvmlGpu::read_field(std::uint32_t field_id, std::uint32_t scope, double& watts) const {
  watts = 0;
  nvml::FieldValue field{};
  field.field_id = field_id;
  field.scope_id = scope;
  field.result = nvml::kUnknown;
  const Return code = api_.call(&Functions::field_values, handle_, 1, &field);
  if (code != nvml::kSuccess) return code;
  // The call itself succeeds when its fields do not.
  if (field.result != nvml::kSuccess) return field.result;
  const auto milliwatts = nvml::number_in(field);
  if (!milliwatts || !std::isfinite(*milliwatts)) return nvml::kNoData;
  watts = *milliwatts * kWattsPerMilliwatt;
  return code;
}

NvmlPowerWay NvmlGpu::find_power_way(std::uint32_t scope) const {
  double watts = 0;
  for (const NvmlPowerWay way : {NvmlPowerWay::field_instant, NvmlPowerWay::field_average}) {
    // A scope that the board does not have reads as zero on some drivers.
    if (read_power(way, scope, watts) == nvml::kSuccess && (scope == nvml::kScopeGpu || watts > 0))
      return way;
  }
  if (scope == nvml::kScopeGpu && read_power(NvmlPowerWay::power_usage, scope, watts) == nvml::kSuccess)
    return NvmlPowerWay::power_usage;
  return NvmlPowerWay::none;
}

Return NvmlGpu::read_power_limit(double& watts) const {
  std::uint32_t milliwatts = 0;
  const Return code = api_.call(&Functions::enforced_power_limit, handle_, &milliwatts);
  watts = milliwatts * kWattsPerMilliwatt;
  return code;
}

Return NvmlGpu::read_highest_limit(double& watts) const {
  return read_field(nvml::kFieldPowerMaxLimit, nvml::kScopeGpu, watts);
}

std::string NvmlGpu::name() const {
  std::array<char, nvml::kNameBytes> text{};
  if (api_.call(&Functions::name, handle_, text.data(), size_of(text)) != nvml::kSuccess) return "NVIDIA GPU";
  text.back() = '\0';
  return printable(text.data());
}

void NvmlGpu::find_instances() {
  std::uint32_t current = 0;
  std::uint32_t pending = 0;
  facts_.mig = api_.call(&Functions::mig_mode, handle_, &current, &pending) == nvml::kSuccess &&
               current == nvml::kMigEnabled;
  std::uint32_t most = 0;
  if (!facts_.mig || api_.call(&Functions::mig_device_count, handle_, &most) != nvml::kSuccess) return;
  double multiprocessors = 0;
  for (std::uint32_t i = 0; i < std::min<std::uint32_t>(most, 64); ++i) {
    Instance instance;
    if (api_.call(&Functions::mig_device, handle_, i, &instance.handle) != nvml::kSuccess) continue;
    nvml::DeviceAttributes attributes{};
    if (api_.call(&Functions::attributes, instance.handle, &attributes) != nvml::kSuccess) continue;
    instance.weight = attributes.multiprocessor_count;
    multiprocessors += instance.weight;
    instances_.push_back(instance);
  }
  for (Instance& instance : instances_) {
    instance.weight = multiprocessors > 0 ? instance.weight / multiprocessors : 1.0 / size_of(instances_);
  }
}

void NvmlGpu::describe_sharing() {
  samples_.resize(kProcessRoom);
  holders_.resize(kProcessRoom);
  instances_.clear();
  find_instances();
  std::uint32_t count = size_of(samples_);
  const Return use = api_.call(&Functions::process_utilization, handle_, samples_.data(), &count, 0ULL);
  tells_use_ =
      !facts_.mig && (use == nvml::kSuccess || use == nvml::kNotFound || use == nvml::kInsufficientSize);
  std::vector<GpuProcess> processes;
  const bool tells_holders = look_at_presence(processes) == GpuLook::presence;
  if (tells_use_) {
    facts_.sharing = "by what each process uses of the multiprocessors over time";
  } else if (facts_.mig && !instances_.empty() && tells_holders) {
    facts_.sharing = fmt::format(
        "by MIG instance: the whole GPU's energy in proportion to the multiprocessors of the {} in use; "
        "an instance's own use and energy are not told",
        format_count(double(instances_.size()), "instances"));
  } else if (tells_holders) {
    facts_.sharing = fmt::format(
        "the whole device, while a process of the workload holds it: use by process is not told ({})",
        nvml::return_text(use));
  } else {
    facts_.sharing =
        fmt::format("the whole device: which processes use it is not told ({})", nvml::return_text(use));
  }
}

GpuLook NvmlGpu::look_at_use(std::vector<GpuProcess>& processes) {
  processes.clear();
  if (!tells_use_) return GpuLook::unknown;
  std::uint32_t count = size_of(samples_);
  const auto ask = [&] {
    count = size_of(samples_);
    return api_.call(&Functions::process_utilization, handle_, samples_.data(), &count,
                     static_cast<unsigned long long>(last_seen_microseconds_));
  };
  Return code = ask();
  if (code == nvml::kInsufficientSize && count > samples_.size() && count <= kMostProcesses) {
    samples_.resize(count + kProcessRoom);
    code = ask();
  }
  if (code == nvml::kNotFound || code == nvml::kNoData) {
    // Nobody has used it.
    count = 0;
    code = nvml::kSuccess;
  }
  if (code != nvml::kSuccess) return GpuLook::failed;
  const bool first = !looked_;
  looked_ = true;
  std::uint64_t newest = last_seen_microseconds_;
  for (std::size_t i = 0; i < std::min<std::size_t>(count, samples_.size()); ++i) {
    const nvml::ProcessUtilization& sample = samples_[i];
    newest = std::max(newest, sample.timestamp);
    // Some drivers fill in entries that they have no figure for with nonsense.
    const bool sensible = sample.pid > 0 && sample.pid <= (1U << 30) && sample.sm > 0 && sample.sm <= 100;
    if (sensible && !first && sample.timestamp > last_seen_microseconds_)
      processes.push_back({static_cast<int>(sample.pid), 0, sample.sm / 100.0});
  }
  last_seen_microseconds_ = newest;
  return GpuLook::use;
}

GpuLook NvmlGpu::append_holders(nvml::Device device, int instance, double weight,
                                std::vector<GpuProcess>& processes) {
  bool told = false;
  for (const auto function : {&Functions::compute_processes, &Functions::graphics_processes}) {
    std::uint32_t count = size_of(holders_);
    Return code = api_.call(function, device, &count, holders_.data());
    if (code == nvml::kInsufficientSize && count > holders_.size() && count <= kMostProcesses) {
      holders_.resize(count + kProcessRoom);
      count = size_of(holders_);
      code = api_.call(function, device, &count, holders_.data());
    }
    if (code == nvml::kGpuIsLost) return GpuLook::failed;
    if (code != nvml::kSuccess) continue;
    told = true;
    for (std::size_t i = 0; i < std::min<std::size_t>(count, holders_.size()); ++i) {
      const std::uint32_t pid = holders_[i].pid;
      if (pid > 0 && pid <= (1U << 30)) processes.push_back({static_cast<int>(pid), instance, weight});
    }
  }
  return told ? GpuLook::presence : GpuLook::unknown;
}

GpuLook NvmlGpu::look_at_presence(std::vector<GpuProcess>& processes) {
  processes.clear();
  if (!facts_.mig) return append_holders(handle_, 0, 1, processes);
  GpuLook look = GpuLook::unknown;
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    look = append_holders(instances_[i].handle, static_cast<int>(i), instances_[i].weight, processes);
    if (look != GpuLook::presence) return look;
  }
  return look;
}

bool NvmlGpu::recover(const Clock& clock) {
  const std::int64_t now = clock.monotonic_ns();
  if (now < next_recovery_ns_) return false;
  next_recovery_ns_ = now + kNanosecondsPerSecond;
  nvml::Device handle = nullptr;
  if (api_.call(&Functions::device_by_uuid, uuid_.c_str(), &handle) != nvml::kSuccess || handle == nullptr)
    return false;
  handle_ = handle;
  return true;
}

Reading NvmlGpu::power_reading(const Clock& clock, NvmlPowerWay way, std::uint32_t scope) {
  const std::int64_t before = clock.boottime_ns();
  double watts = 0;
  Return code = read_power(way, scope, watts);
  if (code != nvml::kSuccess && recover(clock)) code = read_power(way, scope, watts);
  const std::int64_t middle = before + (clock.boottime_ns() - before) / 2;
  if (code != nvml::kSuccess) return failed_reading(middle, code);
  return {.value = watts, .boottime_ns = middle, .valid = true, .error_number = 0};
}

Reading NvmlGpu::energy_reading(const Clock& clock) {
  const std::int64_t before = clock.boottime_ns();
  double joules = 0;
  Return code = read_energy(joules);
  if (code != nvml::kSuccess && recover(clock)) code = read_energy(joules);
  Reading reading = {.value = joules,
                     .boottime_ns = before + (clock.boottime_ns() - before) / 2,
                     .valid = true,
                     .error_number = 0};
  if (code != nvml::kSuccess) {
    check_failed_ = true;
    return failed_reading(reading.boottime_ns, code);
  }
  check(clock.monotonic_ns(), joules, reading);
  if (!check_.counter_given_up) return reading;
  reading.valid = false;
  reading.error_number = ERANGE;
  return reading;
}

void NvmlGpu::check(std::int64_t now_ns, double joules, Reading& reading) {
  const bool began_anew = joules < last_joules_;
  last_joules_ = joules;
  if (unit_is_right_) {
    static_cast<void>(compare(now_ns, joules));
    give_counted(joules);
  } else if (!has_given_ || (began_anew && !check_.power_stands_in)) {
    static_cast<void>(compare(now_ns, joules));
    has_given_ = true;
    given_joules_ = joules;
    given_at_joules_ = joules;
    judged_.other_joules = joules - judged_.counter_joules;
  } else {
    judge(now_ns, joules, reading);
  }
  reading.value = given_joules_;
}

void NvmlGpu::give_counted(double joules) {
  const double counted = joules - given_at_joules_;
  // One that began anew goes backwards for whoever reads it, too.
  given_joules_ = counted < 0 ? joules : given_joules_ + counted;
  judged_.other_joules += counted;
  given_at_joules_ = joules;
}

void NvmlGpu::judge(std::int64_t now_ns, double joules, Reading& reading) {
  const bool stood_in = check_.power_stands_in;
  const double unanswered = check_ns_ > 0 ? static_cast<double>(now_ns - check_ns_) * 1e-9 : 0;
  switch (compare(now_ns, joules)) {
    case Compared::added: {
      const double before = given_joules_;
      const bool stands_in = unit_seems_wrong();
      check_.power_stands_in = stands_in;
      check_.counter_impossible = stands_in && counter_is_impossible();
      // What was given is not taken back.
      given_joules_ = std::max(
          before, judged_.other_joules + (stands_in ? judged_.power_joules : judged_.counter_joules));
      given_at_joules_ = joules;
      if (stands_in != stood_in)
        reading.late_joules = std::max(0.0, given_joules_ - before - step_watts_ * step_seconds_);
      conclude(stands_in);
      return;
    }
    case Compared::too_far_apart:
      // Power says nothing of that time; the counter does, unless nothing is known of its unit yet.
      reading.after_gap = stood_in || (judged_.seconds <= 0 && !takes_counter_);
      if (!stood_in) give_counted(joules);
      given_at_joules_ = joules;
      return;
    case Compared::no_power:
      takes_counter_ = takes_counter_ || (!stood_in && unanswered > kPatienceSeconds);
      if (takes_counter_ && !stood_in) {
        give_counted(joules);
        has_checked_ = false;
      } else {
        reading.valid = false;
        reading.error_number = nvml::return_errno(check_code_);
      }
      return;
    case Compared::impossible:
      reading.valid = !stood_in;
      reading.error_number = stood_in ? ENODATA : 0;
      if (stood_in) return;
      give_counted(joules);
      has_checked_ = false;
      return;
  }
}

NvmlGpu::Compared NvmlGpu::compare(std::int64_t now_ns, double joules) {
  if (check_way_ == NvmlPowerWay::none) return Compared::impossible;
  const double seconds = static_cast<double>(now_ns - check_ns_) * 1e-9;
  if (unit_is_right_ && check_ns_ > 0 && seconds < kCheckSeconds) return Compared::too_far_apart;
  double watts = 0;
  check_code_ = read_power(check_way_, nvml::kScopeGpu, watts);
  const bool impossible = check_code_ == nvml::kSuccess && most_watts_ > 0 && watts > most_watts_;
  if (check_code_ != nvml::kSuccess || impossible) {
    check_failed_ = true;
    // From now on, where there is nothing before to compare with.
    if (check_ns_ == 0) check_ns_ = now_ns;
    return impossible ? Compared::impossible : Compared::no_power;
  }
  const double counted = joules - check_joules_;
  const double most_seconds = check_failed_    ? kMostSecondsOverFailures
                              : unit_is_right_ ? kMostCheckSeconds
                                               : kMostJudgedSeconds;
  // A nanosecond's grace for what comes out of the clock's arithmetic.
  const bool comparable = has_checked_ && counted >= 0 && seconds < most_seconds + 1e-9;
  if (comparable) {
    const double drawn = (check_watts_ + watts) / 2 * seconds;
    check_.counter_joules += counted;
    check_.power_joules += drawn;
    check_.seconds += seconds;
    judged_.counter_joules += counted;
    judged_.power_joules += drawn;
    judged_.seconds += seconds;
    step_watts_ = std::max(check_watts_, watts);
    step_seconds_ = seconds;
  }
  has_checked_ = true;
  check_failed_ = false;
  check_ns_ = now_ns;
  check_joules_ = joules;
  check_watts_ = watts;
  return comparable ? Compared::added : Compared::too_far_apart;
}

bool NvmlGpu::unit_seems_wrong() const {
  // A counter that does not move at all is another matter: a dead one. So is power that says next to nothing.
  if (judged_.counter_joules <= 0 || judged_.power_joules < kLeastWatts * judged_.seconds) return false;
  // Too much is doubted at once, because what was given is not taken back; what comes late is given later.
  const double slack = step_watts_ * kUpdateSeconds;
  return judged_.counter_joules > kWrongUnitFactor * judged_.power_joules ||
         judged_.counter_joules * kWrongUnitFactor < judged_.power_joules - slack;
}

bool NvmlGpu::counter_is_impossible() const {
  const bool too_much =
      most_watts_ > 0 && judged_.counter_joules > most_watts_ * (judged_.seconds + kUpdateSeconds);
  return too_much || (judged_.counter_joules < judged_.power_joules &&
                      judged_.counter_joules < kLeastWatts * (judged_.seconds - kUpdateSeconds));
}

void NvmlGpu::conclude(bool wrong) {
  const double patience =
      check_way_ == NvmlPowerWay::field_instant ? kWrongUnitSeconds : kWrongUnitSecondsOfMeans;
  // A nanosecond's grace for what comes out of the clock's arithmetic.
  if (judged_.seconds < patience - 1e-9 || judged_.counter_joules <= 0) return;
  if (judged_.power_joules < kWrongUnitLeastJoules) return;
  check_.counter_given_up = wrong;
  unit_is_right_ = !wrong;
}

}  // namespace joulery::power
