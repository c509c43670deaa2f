#include "meter/gpu_accounts.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace joulery::meter {
namespace {

/// In a short run every tick looks: drivers tell use about once a second.
constexpr double kShortRunSeconds = 2;
/// A little more than the time between two looks.
constexpr double kGapSeconds = 1.2;
constexpr std::size_t kProcessRoom = 1024;
constexpr std::size_t kMostInstances = 64;

bool is_another_second(double before, double after) {
  return std::floor(after) > std::floor(before);
}

}  // namespace

const char* gpu_sharing_name(GpuSharing sharing) {
  switch (sharing) {
    case GpuSharing::process_use:
      return "process utilisation";
    case GpuSharing::sole_user:
      return "sole user";
    case GpuSharing::not_on_it:
      return "not on it";
    case GpuSharing::mig_instance:
      return "MIG instance";
    case GpuSharing::whole_with_others:
      return "whole device, shared with others";
    case GpuSharing::whole_unknown:
      return "whole device";
  }
  return "whole device";
}

GpuAccounts::GpuAccounts(const power::Sampler& sampler, std::vector<std::shared_ptr<power::GpuDevice>> gpus,
                         ProcessOwner& owner, const Clock& clock)
    : sampler_(sampler), owner_(owner), clock_(clock) {
  const std::size_t count = sampler.device_count();
  parent_.resize(count);
  state_of_.assign(count, -1);
  for (std::size_t i = 0; i < count; ++i) {
    parent_[i] = i;
    for (std::size_t j = 0; j < count; ++j) {
      if (j != i && sampler.device(j).device_id == sampler.device(i).parent_id) parent_[i] = j;
    }
    for (auto& gpu : gpus) {
      if (!gpu || gpu->device_id() != sampler.device(i).device_id) continue;
      state_of_[i] = static_cast<int>(states_.size());
      states_.emplace_back().device = i;
      states_.back().gpu = std::move(gpu);
      break;
    }
  }
  // A part of a GPU, such as its memory, is in the GPU's own energy and goes where that goes.
  for (std::size_t i = 0; i < count; ++i) {
    if (state_of_[i] < 0 && sampler.device(i).scope == power::Scope::gpu_memory)
      state_of_[i] = state_of_[parent_[i]];
  }
  processes_.reserve(kProcessRoom);
}

bool GpuAccounts::is_gpu(std::size_t device) const {
  return state_of_[device] >= 0;
}

void GpuAccounts::start() {
  last_end_seconds_ = static_cast<double>(clock_.boottime_ns()) / 1e9;
  owner_.refresh();
  for (State& state : states_) {
    static_cast<void>(state.gpu->look_at_use(processes_));
    state.joules_before = sampler_.total(state.device).joules;
  }
}

/// A GPU's energy in this window without that of parts which are shared otherwise, such as the CPU of a
/// module.
double GpuAccounts::own_joules(const State& state, const power::Tick& tick, bool late) const {
  const auto of = [&](std::size_t i) { return late ? tick.devices[i].late_joules : tick.devices[i].joules; };
  double joules = of(state.device);
  for (std::size_t i = 0; i < parent_.size(); ++i) {
    if (i != state.device && parent_[i] == state.device && state_of_[i] < 0) joules -= of(i);
  }
  return joules;
}

GpuAccounts::Rest GpuAccounts::add(const power::Tick& tick) {
  const double end_seconds = static_cast<double>(tick.boottime_ns) / 1e9;
  const bool look_now =
      elapsed_seconds_ < kShortRunSeconds || is_another_second(last_end_seconds_, end_seconds);
  elapsed_seconds_ += tick.window_seconds;
  last_end_seconds_ = end_seconds;
  owner_.refresh();
  Window whole;
  whole.seconds = tick.window_seconds;
  whole.end_seconds = end_seconds;
  whole.machine_joules = tick.machine_joules - tick.late_joules;
  machine_.set_peak_seconds(sampler_.peak_seconds());
  machine_.add(whole);
  Rest rest{.joules = whole.machine_joules, .late_joules = tick.late_joules, .workload_joules = 0};
  for (State& state : states_) {
    const double late = own_joules(state, tick, true);
    const double joules = std::max(0.0, own_joules(state, tick, false) - late);
    Window window;
    window.seconds = tick.window_seconds;
    window.end_seconds = end_seconds;
    window.machine_joules = joules;
    state.unshared_seconds += window.seconds;
    state.unshared_joules += joules;
    if (look_now) {
      state.verdict = look(state);
      share(state, window);
    }
    state.account.add(window);
    state.account.add_late(std::max(0.0, late));
    rest.joules -= joules;
    rest.late_joules -= std::max(0.0, late);
    if (state.verdict.busy > 0) rest.workload_joules += joules * state.verdict.workload / state.verdict.busy;
  }
  // Counters of a whole and of its part move at different moments: what is overdrawn is owed by what comes.
  for (double* joules : {&rest.joules, &rest.late_joules}) {
    overdrawn_joules_ += std::max(0.0, -*joules);
    *joules = std::max(0.0, *joules);
  }
  for (double* joules : {&rest.late_joules, &rest.joules}) {
    const double paid = std::min(*joules, overdrawn_joules_);
    *joules -= paid;
    overdrawn_joules_ -= paid;
  }
  return rest;
}

void GpuAccounts::share(State& state, Window& window) {
  window.busy_seconds = state.verdict.busy * state.unshared_seconds;
  window.workload_seconds = state.verdict.workload * state.unshared_seconds;
  state.busy_seconds += window.busy_seconds;
  state.workload_seconds += window.workload_seconds;
  if (state.verdict.busy > 0) {
    state.joules_by_sharing[static_cast<int>(state.verdict.sharing)] +=
        state.unshared_joules * state.verdict.workload / state.verdict.busy;
  }
  state.unshared_seconds = 0;
  state.unshared_joules = 0;
}

void GpuAccounts::finish() {
  owner_.refresh();
  for (State& state : states_) {
    if (state.unshared_seconds <= 0) continue;
    state.verdict = look(state);
    Window window;
    window.end_seconds = last_end_seconds_;
    share(state, window);
    state.account.add(window);
  }
}

double GpuAccounts::settle(double machine_joules) {
  double rest = machine_joules - overdrawn_joules_;
  for (State& state : states_) {
    // What settling added is all that the account does not have yet of a device without other parts.
    double joules = sampler_.total(state.device).joules - state.joules_before;
    for (std::size_t i = 0; i < parent_.size(); ++i) {
      if (i != state.device && parent_[i] == state.device && state_of_[i] < 0)
        joules -= sampler_.total(i).joules;
    }
    const double added = std::max(0.0, joules - state.account.machine_joules());
    // Rounding is no late energy: it would hide the quietest second.
    if (added <= 1e-9 * joules) continue;
    state.account.add_late(added);
    rest -= added;
  }
  overdrawn_joules_ = 0;
  return rest;
}

GpuAccounts::Verdict GpuAccounts::look(State& state) {
  const power::GpuLook use = state.gpu->look_at_use(processes_);
  // A device that does not answer now goes on as it did.
  if (use == power::GpuLook::failed) return state.verdict;
  if (use == power::GpuLook::use) {
    for (const power::GpuProcess& process : processes_)
      matched_ = matched_ || owner_.is_workloads(process.pid);
  }
  constexpr Verdict kAllOfIt{.busy = 1, .workload = 1, .sharing = GpuSharing::whole_unknown};
  if (!owner_.numbers_are_the_hosts() && !matched_) return kAllOfIt;
  Verdict verdict;
  if (use == power::GpuLook::use) {
    verdict = judge_use();
    const bool never_used = state.busy_seconds == 0 && state.verdict.busy == 0;
    if (verdict.busy == 0 && never_used && elapsed_seconds_ < kShortRunSeconds &&
        state.gpu->look_at_presence(processes_) == power::GpuLook::presence) {
      // Too early for the driver to tell any use.
      verdict = judge_presence(state.gpu->facts().mig);
    }
  } else {
    const power::GpuLook presence = state.gpu->look_at_presence(processes_);
    if (presence == power::GpuLook::failed) return state.verdict;
    if (presence != power::GpuLook::presence) return kAllOfIt;
    verdict = judge_presence(state.gpu->facts().mig);
  }
  // Use is told in steps, and a process may have ended since: a short time without is a gap.
  if (verdict.busy > 0) {
    state.used_at_seconds = elapsed_seconds_;
  } else if (state.used_at_seconds >= 0 && elapsed_seconds_ - state.used_at_seconds < kGapSeconds) {
    return state.verdict;
  }
  return verdict;
}

GpuAccounts::Verdict GpuAccounts::judge_use() const {
  Verdict verdict;
  for (const power::GpuProcess& process : processes_) {
    verdict.busy += process.weight;
    if (owner_.is_workloads(process.pid)) verdict.workload += process.weight;
  }
  return verdict;
}

GpuAccounts::Verdict GpuAccounts::judge_presence(bool mig) const {
  struct Instance {
    double weight = 0;
    bool workloads = false;
    bool others = false;
  };
  std::array<Instance, kMostInstances> instances;
  for (const power::GpuProcess& process : processes_) {
    if (process.instance < 0 || process.instance >= static_cast<int>(kMostInstances)) continue;
    Instance& instance = instances[static_cast<std::size_t>(process.instance)];
    instance.weight = process.weight;
    (owner_.is_workloads(process.pid) ? instance.workloads : instance.others) = true;
  }
  Verdict verdict;
  bool mixed = false;
  for (const Instance& instance : instances) {
    verdict.busy += instance.weight;
    if (instance.workloads) verdict.workload += instance.weight;
    mixed = mixed || (instance.workloads && instance.others);
  }
  verdict.sharing = verdict.workload == 0 ? GpuSharing::not_on_it
                    : mixed               ? GpuSharing::whole_with_others
                    : mig                 ? GpuSharing::mig_instance
                                          : GpuSharing::sole_user;
  return verdict;
}

std::vector<GpuShare> GpuAccounts::shares(
    IdlePolicy policy, const std::function<std::optional<double>(const std::string&)>& idle_watts) const {
  std::vector<GpuShare> shares;
  for (const State& state : states_) {
    GpuShare share;
    share.device_id = state.gpu->device_id();
    share.name = sampler_.device(state.device).name;
    const auto known = idle_watts ? idle_watts(share.device_id) : std::nullopt;
    share.energy =
        split_account(state.account,
                      known ? known_idle_power(*known, "measured while the GPU was quiet (joulery doctor)")
                            : bounded_idle_power(state.account),
                      policy);
    share.busy_seconds = state.busy_seconds;
    share.workload_seconds = state.workload_seconds;
    share.check = state.gpu->cross_check();
    double all = 0;
    int most = 0;
    for (int i = 0; i < kGpuSharings; ++i) {
      all += state.joules_by_sharing[i];
      if (state.joules_by_sharing[i] > state.joules_by_sharing[most]) most = i;
    }
    share.sharing = all > 0 ? static_cast<GpuSharing>(most) : state.verdict.sharing;
    for (int i = most + 1; i < kGpuSharings && all > 0; ++i)
      share.worse_known += state.joules_by_sharing[i] / all;
    shares.push_back(std::move(share));
  }
  return shares;
}

double GpuAccounts::workload_joules() const {
  double joules = 0;
  for (const State& state : states_) {
    joules += state.account.split(0, IdlePolicy::proportional).workload_joules;
  }
  return joules;
}

}  // namespace joulery::meter
