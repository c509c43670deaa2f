#include "power/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "power/device_meter.hpp"

namespace joulery::power {
namespace {

constexpr double kMirrorJoules = 1.0;
/// Counters that start below are new, as those of the perf PMU always are: that they are near says nothing.
constexpr double kMirrorLeastJoules = 100.0;
constexpr double kMirrorRelative = 1e-6;
constexpr double kMirrorStepRelative = 1e-3;
constexpr int kMirrorTicks = 5;
/// A device that has given nothing to believe for this long since the start measures nothing.
constexpr double kDeadSeconds = 2.0;
/// A root that shows less than this share of its parts is wrong, if that is not for its being slow: after so
/// many seconds and updates. At the end of a longer run it is wrong if accuracy does not explain it; of a
/// shorter one, below the lower share.
constexpr double kLeastShare = 0.7;
constexpr double kLeastShareAtEnd = 0.5;
constexpr double kDoubtSeconds = 5.0;
constexpr double kDoubtUpdates = 10;
constexpr double kDoubtJoules = 5.0;
constexpr double kDoubtJoulesAtEnd = 1.0;
/// Taken of sensors that say nothing of their accuracy.
constexpr double kUnstatedError = 0.1;

bool near_equal(double a, double b) {
  return std::abs(a - b) <= std::max(kMirrorJoules, kMirrorRelative * std::max(a, b));
}

}  // namespace

struct Sampler::State {
  struct Device {
    std::unique_ptr<Source> source;
    DeviceMeter meter;
    /// Its own index if nothing among the devices includes it.
    std::size_t parent = 0;
    /// The first of those that are only a whole together, as power supplies are; its own index if it is one
    /// alone. What is inside one of them is inside all.
    std::size_t group = 0;
    std::size_t mirror_of = 0;
    /// Roots before it whose counter it may mirror: not counted until it differs from all of them.
    int suspected = 0;
    double withheld_joules = 0;
    /// Its children count in its place.
    bool replaced = false;
  };
  struct Pair {
    std::size_t first = 0;
    std::size_t second = 0;
    int equal_ticks = 0;
    double joules = 0;
    bool open = true;
  };

  explicit State(const Clock& the_clock) : clock(the_clock) {}

  bool counts(const Device& device, std::size_t index) const {
    return device.parent == index && !device.replaced && device.suspected == 0 && device.mirror_of == index &&
           !reported_only(index);
  }
  bool reported_only(std::size_t index) const { return devices[index].source->info().reported_only; }
  /// `group` is the first of it, here and below.
  bool is_part_of(std::size_t index, std::size_t group) const {
    const Device& part = devices[index];
    return part.group != group && devices[part.parent].group == group && !reported_only(index);
  }
  template <class Predicate>
  bool all_of_group(std::size_t group, Predicate holds) const {
    return std::all_of(devices.begin(), devices.end(),
                       [&](const Device& device) { return device.group != group || holds(device.meter); });
  }
  void add_late(double joules) {
    tick.machine_joules += joules;
    tick.late_joules += joules;
  }
  void find_parents();
  void find_groups();
  /// The parts of devices that do not count any more take their place: of all of a group, or some would count
  /// beside what is inside them.
  void replace(std::size_t group, bool only_those_that_moved);
  void replace_dead(std::size_t group);
  void replace_never_known(std::size_t group);
  void replace_doubtful(std::size_t group);
  /// After the last tick; true if it gave way.
  bool replace_contradicted(std::size_t group);
  bool holds_a_gpu(std::size_t group) const;
  struct WholeAndParts {
    bool any_counts = false;
    double joules = 0;
    /// The most that it may have drawn by the accuracy of its sensors, and the least that its parts may have.
    double most_joules = 0;
    double parts_joules = 0;
    double parts_least_joules = 0;
    double update_seconds = 0;
    double patience_seconds() const { return std::max(kDoubtSeconds, kDoubtUpdates * update_seconds); }
  };
  WholeAndParts whole_and_parts(std::size_t group) const;
  void suspect_mirrors();
  void compare(Pair& pair);

  const Clock& clock;
  std::vector<Device> devices;
  std::vector<DeviceSample> samples;
  std::vector<Pair> pairs;
  Tick tick;
  bool started = false;
  std::int64_t boottime_ns = 0;
  std::int64_t monotonic_ns = 0;
  /// Since the start, without suspend.
  double awake_seconds = 0;
};

void Sampler::State::suspect_mirrors() {
  pairs.clear();
  for (std::size_t second = 0; second < devices.size(); ++second) {
    for (std::size_t first = 0; first < second; ++first) {
      const Device& a = devices[first];
      const Device& b = devices[second];
      const SourceInfo& info = a.source->info();
      const SourceInfo& other = b.source->info();
      // Those inside one device too: should it turn out dead, they count.
      const bool side_by_side = (a.parent == first && b.parent == second) || a.parent == b.parent;
      // Cards have counters of their own, and those of idle ones run side by side.
      const bool alike = side_by_side && info.scope == other.scope && info.scope != Scope::gpu &&
                         info.via == other.via && info.kind == ReadingKind::cumulative_joules &&
                         other.kind == ReadingKind::cumulative_joules &&
                         info.provenance == Provenance::measured;
      if (!alike || a.meter.counter() < kMirrorLeastJoules ||
          !near_equal(a.meter.counter(), b.meter.counter()))
        continue;
      pairs.push_back({first, second});
      ++devices[second].suspected;
    }
  }
}

void Sampler::State::compare(Pair& pair) {
  Device& a = devices[pair.first];
  Device& b = devices[pair.second];
  if (!pair.open || !a.meter.clean() || !b.meter.clean()) return;
  const double larger = std::max(a.meter.step_joules(), b.meter.step_joules());
  if (larger <= 0) return;
  const SourceInfo& info = a.source->info();
  // The two are read microseconds apart, and an update may fall in between.
  const double watts = tick.window_seconds > 0 ? larger / tick.window_seconds : 0;
  const double apart_seconds = std::abs(static_cast<double>(a.meter.read_ns() - b.meter.read_ns())) * 1e-9;
  const double tolerance = 2 * info.resolution_joules + kMirrorStepRelative * larger +
                           watts * (2 * info.update_seconds + apart_seconds);
  const bool equal = std::abs(a.meter.step_joules() - b.meter.step_joules()) <= tolerance;
  if (!equal || !near_equal(a.meter.counter(), b.meter.counter())) {
    pair.open = false;
    --b.suspected;
    if (counts(b, pair.second)) add_late(b.withheld_joules);
    if (b.suspected == 0) b.withheld_joules = 0;
    return;
  }
  pair.joules += larger;
  if (++pair.equal_ticks < kMirrorTicks || pair.joules < kMirrorJoules) return;
  pair.open = false;
  --b.suspected;
  b.mirror_of = a.mirror_of;
}

/// Devices that are only reported are looked through: what is inside them counts.
void Sampler::State::find_parents() {
  const auto find = [&](const std::string& id, std::size_t itself) {
    for (std::size_t i = 0; i < devices.size(); ++i) {
      if (i != itself && !id.empty() && devices[i].source->info().device_id == id) return i;
    }
    return itself;
  };
  for (std::size_t i = 0; i < devices.size(); ++i) {
    std::size_t above = i;
    for (std::size_t step = 0; step < devices.size(); ++step) {
      const std::size_t next = find(devices[above].source->info().parent_id, above);
      if (next == above) break;
      above = next;
      if (!reported_only(above)) break;
    }
    if (above != i && !reported_only(above)) devices[i].parent = above;
  }
  // A ring of parents would count nothing: it is opened at the first device that is in it.
  for (std::size_t i = 0; i < devices.size(); ++i) {
    std::size_t above = devices[i].parent;
    for (std::size_t step = 0; step < devices.size() && above != i && devices[above].parent != above; ++step)
      above = devices[above].parent;
    if (above == i) devices[i].parent = i;
  }
}

void Sampler::State::find_groups() {
  std::size_t supplies = devices.size();
  for (std::size_t i = 0; i < devices.size(); ++i) {
    devices[i].group = i;
    if (!devices[i].source->info().is_supply || reported_only(i)) continue;
    supplies = std::min(supplies, i);
    devices[i].group = supplies;
  }
}

void Sampler::State::replace(std::size_t group, bool only_those_that_moved) {
  const auto gives_way = [&](std::size_t i) {
    return is_part_of(i, group) && (!only_those_that_moved || devices[i].meter.has_moved());
  };
  bool has_parts = false;
  for (std::size_t i = 0; i < devices.size(); ++i) has_parts = has_parts || gives_way(i);
  if (!has_parts) return;
  bool was_root = false;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    Device& whole = devices[i];
    if (whole.group != group) continue;
    was_root = was_root || whole.parent == i;
    if (counts(whole, i)) add_late(-whole.meter.total().joules);
    // Should it wake up later, it would count twice.
    whole.replaced = true;
  }
  for (std::size_t i = 0; i < devices.size(); ++i) {
    if (!gives_way(i)) continue;
    Device& part = devices[i];
    part.parent = was_root ? i : devices[group].parent;
    if (counts(part, i)) add_late(part.meter.total().joules);
  }
}

/// What has stood still or could not be believed since the start, as psys on many boards: its parts, which do
/// move, count instead.
void Sampler::State::replace_dead(std::size_t group) {
  const bool dead = all_of_group(group, [](const DeviceMeter& meter) {
    return !meter.has_moved() && (meter.stands_still() || meter.total().unknown_seconds >= kDeadSeconds);
  });
  if (dead) replace(group, true);
}

/// At the end of a run that was too short to wait.
void Sampler::State::replace_never_known(std::size_t group) {
  const bool never_known = all_of_group(group, [](const DeviceMeter& meter) {
    return !meter.has_moved() && (meter.stands_still() || meter.total().unknown_seconds > 0);
  });
  if (never_known) replace(group, true);
}

Sampler::State::WholeAndParts Sampler::State::whole_and_parts(std::size_t group) const {
  WholeAndParts sum;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const Device& device = devices[i];
    const SourceInfo& info = device.source->info();
    const double joules = device.meter.total().joules;
    if (device.group == group && counts(device, i)) {
      sum.any_counts = true;
      sum.joules += joules;
      sum.most_joules += joules * (info.accuracy_high > 1 ? info.accuracy_high : 1 + kUnstatedError);
      sum.update_seconds = std::max(sum.update_seconds, info.update_seconds);
    } else if (is_part_of(i, group) && device.suspected == 0 && device.mirror_of == i) {
      sum.parts_joules += joules;
      sum.parts_least_joules += joules * (info.accuracy_low < 1 ? info.accuracy_low : 1 - kUnstatedError);
    }
  }
  return sum;
}

/// What reads less than its parts together is wrong; an average that comes late is only slow.
void Sampler::State::replace_doubtful(std::size_t group) {
  const WholeAndParts sum = whole_and_parts(group);
  if (!sum.any_counts || awake_seconds < sum.patience_seconds()) return;
  if (sum.joules >= kLeastShare * sum.parts_joules || sum.parts_joules - sum.joules <= kDoubtJoules) return;
  replace(group, false);
}

bool Sampler::State::holds_a_gpu(std::size_t group) const {
  for (std::size_t i = 0; i < devices.size(); ++i) {
    if (!is_of_gpu(devices[i].source->info())) continue;
    std::size_t above = i;
    for (std::size_t step = 0; step < devices.size() && devices[above].parent != above; ++step) {
      above = devices[above].parent;
      if (devices[above].group == group) return true;
    }
  }
  return false;
}

bool Sampler::State::replace_contradicted(std::size_t group) {
  const WholeAndParts sum = whole_and_parts(group);
  if (!sum.any_counts || sum.joules >= sum.parts_joules) return false;
  bool contradicted = false;
  if (holds_a_gpu(group)) {
    // A GPU's energy is shared by itself: no more can be shared than there is.
    constexpr double kRounding = 1e-9;
    contradicted = sum.parts_joules - sum.joules > kRounding * sum.parts_joules;
  } else if (awake_seconds < sum.patience_seconds()) {
    contradicted =
        sum.joules < kLeastShareAtEnd * sum.parts_joules && sum.parts_joules - sum.joules > kDoubtJoulesAtEnd;
  } else {
    // The last update may have come just after, or just before, the end.
    const double edge = sum.parts_joules * 2 * sum.update_seconds / awake_seconds;
    contradicted =
        sum.most_joules + edge < sum.parts_least_joules && sum.parts_joules - sum.joules > kDoubtJoules;
  }
  if (contradicted) replace(group, false);
  return contradicted;
}

Sampler::Sampler(std::vector<std::unique_ptr<Source>> sources, const Clock& clock)
    : state_(std::make_unique<State>(clock)) {
  state_->devices.reserve(sources.size());
  for (auto& source : sources) {
    if (!source) continue;
    const SourceInfo& info = source->info();
    const std::size_t index = state_->devices.size();
    state_->devices.push_back({std::move(source), DeviceMeter(info), index, index, index, 0, 0, false});
  }
  state_->find_parents();
  state_->find_groups();
  const std::size_t count = state_->devices.size();
  state_->samples.resize(count);
  state_->tick.devices = state_->samples;
}

Sampler::~Sampler() = default;

void Sampler::start() {
  State& state = *state_;
  state.started = true;
  state.boottime_ns = state.clock.boottime_ns();
  state.monotonic_ns = state.clock.monotonic_ns();
  state.tick.boottime_ns = state.boottime_ns;
  for (auto& device : state.devices) device.meter.start(device.source->read(state.clock));
  state.suspect_mirrors();
}

const Tick& Sampler::tick() {
  return tick_until(std::numeric_limits<std::int64_t>::max());
}

const Tick& Sampler::tick_until(std::int64_t window_end_boottime_ns) {
  State& state = *state_;
  if (!state.started) start();
  const std::int64_t boottime_ns = std::min(state.clock.boottime_ns(), window_end_boottime_ns);
  const std::int64_t monotonic_ns = state.clock.monotonic_ns();
  WindowTime window;
  window.seconds = static_cast<double>(std::max<std::int64_t>(boottime_ns - state.boottime_ns, 0)) * 1e-9;
  window.awake_seconds =
      std::clamp(static_cast<double>(monotonic_ns - state.monotonic_ns) * 1e-9, 0.0, window.seconds);
  state.boottime_ns = boottime_ns;
  state.monotonic_ns = monotonic_ns;
  state.awake_seconds += window.awake_seconds;
  state.tick.boottime_ns = boottime_ns;
  state.tick.window_seconds = window.seconds;
  state.tick.machine_joules = 0;
  state.tick.late_joules = 0;
  for (std::size_t i = 0; i < state.devices.size(); ++i) {
    State::Device& device = state.devices[i];
    const DeviceSample& sample =
        device.meter.add(device.source->read(state.clock), window, window_end_boottime_ns);
    state.samples[i] = sample;
    if (state.counts(device, i)) {
      state.tick.machine_joules += sample.joules;
      state.tick.late_joules += sample.late_joules;
    }
    if (device.suspected > 0) device.withheld_joules += sample.joules;
  }
  for (auto& pair : state.pairs) state.compare(pair);
  for (std::size_t i = 0; i < state.devices.size(); ++i) {
    if (state.devices[i].group != i) continue;
    state.replace_dead(i);
    state.replace_doubtful(i);
  }
  return state.tick;
}

double Sampler::settle() {
  State& state = *state_;
  state.tick.machine_joules = 0;
  state.tick.late_joules = 0;
  for (std::size_t i = 0; i < state.devices.size(); ++i) {
    State::Device& device = state.devices[i];
    const double joules = device.meter.settle();
    if (state.counts(device, i)) state.add_late(joules);
  }
  for (std::size_t i = 0; i < state.devices.size(); ++i) {
    if (state.devices[i].group == i) state.replace_never_known(i);
  }
  // Parts that count now may have parts that contradict them.
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = 0; i < state.devices.size(); ++i) {
      if (state.devices[i].group == i) changed = state.replace_contradicted(i) || changed;
    }
  }
  return state.tick.machine_joules;
}

std::size_t Sampler::device_count() const {
  return state_->devices.size();
}
const SourceInfo& Sampler::device(std::size_t index) const {
  return state_->devices[index].source->info();
}
const DeviceTotal& Sampler::total(std::size_t index) const {
  return state_->devices[index].meter.total();
}
bool Sampler::is_root(std::size_t index) const {
  return state_->counts(state_->devices[index], index);
}
double Sampler::peak_seconds() const {
  double seconds = 0;
  for (std::size_t i = 0; i < state_->devices.size(); ++i) {
    const State::Device& device = state_->devices[i];
    if (state_->counts(device, i)) seconds = std::max(seconds, device.meter.peak_seconds());
  }
  return seconds;
}
DeviceRole Sampler::role(std::size_t index) const {
  const State::Device& device = state_->devices[index];
  if (device.source->info().reported_only) return DeviceRole::reported_only;
  if (device.replaced) return DeviceRole::replaced;
  if (device.mirror_of != index) return DeviceRole::mirror;
  return device.parent == index ? DeviceRole::counted : DeviceRole::part;
}
std::size_t Sampler::mirror_of(std::size_t index) const {
  return state_->devices[index].mirror_of;
}

}  // namespace joulery::power
