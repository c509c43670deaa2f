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
    return device.parent == index && !device.replaced && device.suspected == 0 && device.mirror_of == index;
  }
  void add_late(double joules) {
    tick.machine_joules += joules;
    tick.late_joules += joules;
  }
  void replace_dead_root(std::size_t index);
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
};

void Sampler::State::suspect_mirrors() {
  pairs.clear();
  for (std::size_t second = 0; second < devices.size(); ++second) {
    for (std::size_t first = 0; first < second; ++first) {
      const Device& a = devices[first];
      const Device& b = devices[second];
      const SourceInfo& info = a.source->info();
      const SourceInfo& other = b.source->info();
      // GPUs have identities of their own: what is equal there is chance.
      const bool alike =
          info.scope != Scope::gpu && a.parent == first && b.parent == second && info.scope == other.scope &&
          info.via == other.via && info.kind == ReadingKind::cumulative_joules &&
          other.kind == ReadingKind::cumulative_joules && info.provenance == Provenance::measured;
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
    if (--b.suspected == 0 && b.mirror_of == pair.second) {
      add_late(b.withheld_joules);
      b.withheld_joules = 0;
    }
    return;
  }
  pair.joules += larger;
  if (++pair.equal_ticks < kMirrorTicks || pair.joules < kMirrorJoules) return;
  pair.open = false;
  --b.suspected;
  b.mirror_of = a.mirror_of;
}

/// A root that has stood still since the start, as psys does on many boards, measures nothing: its children,
/// which do move, count instead, with what they have read so far.
void Sampler::State::replace_dead_root(std::size_t index) {
  for (std::size_t i = 0; i < devices.size(); ++i) {
    Device& child = devices[i];
    if (i == index || child.parent != index || !child.meter.has_moved()) continue;
    child.parent = i;
    // Should it wake up later, it would count twice.
    devices[index].replaced = true;
    add_late(child.meter.total().joules);
  }
}

Sampler::Sampler(std::vector<std::unique_ptr<Source>> sources, const Clock& clock)
    : state_(std::make_unique<State>(clock)) {
  state_->devices.reserve(sources.size());
  for (auto& source : sources) {
    if (!source) continue;
    const SourceInfo& info = source->info();
    const std::size_t index = state_->devices.size();
    state_->devices.push_back({std::move(source), DeviceMeter(info), index, index, 0, 0, false});
  }
  for (auto& device : state_->devices) {
    const std::string& parent = device.source->info().parent_id;
    if (parent.empty()) continue;
    for (std::size_t i = 0; i < state_->devices.size(); ++i) {
      if (&state_->devices[i] != &device && state_->devices[i].source->info().device_id == parent)
        device.parent = i;
    }
  }
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
    const DeviceMeter& meter = state.devices[i].meter;
    if (has_flag(meter.sample().flags, SampleFlag::stale) && !meter.has_moved()) state.replace_dead_root(i);
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
    if (device.meter.stands_still() && !device.meter.has_moved()) state.replace_dead_root(i);
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
std::size_t Sampler::mirror_of(std::size_t index) const {
  return state_->devices[index].mirror_of;
}

}  // namespace joulery::power
