#include "evaluate/measurement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.hpp"
#include "engine/measure.hpp"
#include "evaluate/surroundings.hpp"
#include "stats/random_stream.hpp"

namespace joulery::evaluate {
namespace {

/// More calls tell nothing more of a block's mean, and latencies must be kept.
constexpr std::uint64_t kMostCalls = 20'000;
/// Blocks before the first that counts: caches, frequency and the engine's own memory settle.
constexpr int kFewestWarmUps = 2;
constexpr int kMostWarmUps = 20;
constexpr double kLongestWarmUp = 2;
constexpr double kSettled = 0.03;
/// A block under arrivals has about so many calls.
constexpr double kArrivalsInBlock = 20;
constexpr double kLongestArrivalBlock = 5;

/// Windows of one bench rest on the same sources, each by a range of its own: one range for each source, by
/// the energy of the windows.
UncertainValue with_merged_sources(const UncertainValue& sum) {
  struct Weighed {
    SystematicSource source;
    double low = 0, high = 0, weight = 0;
  };
  std::map<std::string, Weighed> by_id;
  for (const UncertainValue::Part& part : sum.parts()) {
    for (const SystematicSource& source : part.sources) {
      Weighed& weighed = by_id[source.id];
      if (weighed.weight == 0) weighed.source = source;
      weighed.low += source.low * part.value;
      weighed.high += source.high * part.value;
      weighed.weight += part.value;
    }
  }
  const double value = sum.value();
  if (value <= 0) return sum;
  std::vector<SystematicSource> sources;
  for (auto& [id, weighed] : by_id) {
    // A part that does not rest on it counts with a factor of 1.
    weighed.source.low = std::clamp((weighed.low + value - weighed.weight) / value, 0.0, 1.0);
    weighed.source.high = std::max((weighed.high + value - weighed.weight) / value, 1.0);
    sources.push_back(std::move(weighed.source));
  }
  return {value, sum.provenance(), sum.standard_deviation(), sources};
}

UncertainValue without_random_part(const UncertainValue& value) {
  UncertainValue result;
  for (const UncertainValue::Part& part : value.parts())
    result.add({part.value, part.provenance, 0, part.sources});
  return result;
}

/// Sums over the windows of one subject.
struct EnergySum {
  bool known = true;
  bool any = false;
  Quantity<Joules> active, idle_share, total, machine;
  Quantity<GramsCo2e> carbon;

  void add(const meter::MeteredWindow& window) {
    known = known && window.energy_known();
    any = true;
    if (!known) return;
    active += window.energy_active;
    idle_share += window.energy_idle_share;
    total += window.energy;
    machine += window.energy_machine;
    carbon += window.carbon;
  }
};

class Measurement {
 public:
  Measurement(std::span<const Subject> subjects, const Protocol& protocol, const MeasureWorld& world)
      : subjects_(subjects), protocol_(protocol), world_(world), energies_(subjects.size()) {}

  Result<MeasurementResult> run() {
    start_ns_ = world_.clock.monotonic_ns();
    surroundings_ = SurroundingsReader(world_.sensors);
    for (const Subject& subject : subjects_) {
      result_.subjects.emplace_back();
      result_.subjects.back().label = subject.label;
      result_.subjects.back().batch = subject.batch;
    }
    while (!finished()) JOULERY_CHECK_OK(measure_process());
    conclude();
    return std::move(result_);
  }

 private:
  struct Running {
    std::unique_ptr<engine::Session> session;
    std::unique_ptr<meter::WindowMeter> window;
    engine::ProcessUsage usage;
    std::uint64_t calls_before = 0;
  };

  double elapsed() const { return double(world_.clock.monotonic_ns() - start_ns_) * 1e-9; }

  bool asked_to_stop(const char* doing) {
    if (!world_.should_stop) return false;
    const MeasureProgress progress{.elapsed_seconds = elapsed(),
                                   .budget_seconds = protocol_.budget_seconds,
                                   .blocks = result_.subjects[0].cpu_blocks.values.size(),
                                   .relative_half_width = half_width_,
                                   .doing = doing};
    interrupted_ = interrupted_ || world_.should_stop(progress);
    return interrupted_;
  }

  bool finished() {
    if (interrupted_) {
      result_.ending = Ending::interrupted;
      return true;
    }
    const SubjectResult& first = result_.subjects[0];
    if (first.cpu_blocks.groups() == 0) return false;
    half_width_ = 0;
    bool known = true;
    for (const SubjectResult& subject : result_.subjects) {
      const auto figure = grouped_mean(subject.cpu_blocks, protocol_.level, protocol_.seed);
      known = known && figure && figure->has_interval;
      if (figure) half_width_ = std::max(half_width_, figure->relative_half_width());
    }
    const bool enough = first.cpu_blocks.values.size() >= protocol_.least_blocks &&
                        first.cpu_blocks.groups() >= protocol_.least_processes;
    if (enough && known && half_width_ <= protocol_.target_half_width) {
      result_.ending = Ending::target_reached;
      return true;
    }
    if (elapsed() < protocol_.budget_seconds) return false;
    result_.ending = Ending::budget_spent;
    return true;
  }

  /// Loads every subject in a new process, warms it up, and runs this process's part of the blocks.
  Status measure_process() {
    std::vector<Running> running(subjects_.size());
    for (std::size_t i = 0; i < subjects_.size(); ++i) {
      if (asked_to_stop("loading")) return {};
      JOULERY_CHECK_OK(cold_start(i, running[i]));
    }
    for (std::size_t i = 0; i < subjects_.size(); ++i) {
      JOULERY_CHECK_OK(warm_up(i, running[i]));
    }
    for (std::size_t i = 0; i < subjects_.size(); ++i) {
      result_.subjects[i].cpu_blocks.begin_group();
      result_.subjects[i].wall_blocks.begin_group();
      JOULERY_CHECK_OK(open_window(i, running[i]));
    }
    const std::size_t blocks =
        std::max<std::size_t>(1, (protocol_.least_blocks + protocol_.least_processes - 1) /
                                     std::max<std::size_t>(1, protocol_.least_processes));
    for (std::size_t block = 0; block < blocks && !asked_to_stop("measuring"); ++block) {
      // The first process always gives one block of each, whatever the budget.
      if (block > 0 && elapsed() >= protocol_.budget_seconds) break;
      const bool turned = block % 2 == 1;
      for (std::size_t turn = 0; turn < subjects_.size(); ++turn) {
        const std::size_t i = turned ? subjects_.size() - 1 - turn : turn;
        JOULERY_CHECK_OK(run_block(i, running[i]));
      }
    }
    for (std::size_t i = 0; i < subjects_.size(); ++i) JOULERY_CHECK_OK(close_window(i, running[i]));
    surroundings_.look(result_.surroundings);
    return {};
  }

  Status cold_start(std::size_t i, Running& running) {
    const std::int64_t before = world_.clock.monotonic_ns();
    JOULERY_ASSIGN(running.session, subjects_[i].load());
    JOULERY_CHECK_OK(subjects_[i].bind(*running.session, next_input_++));
    JOULERY_ASSIGN(const engine::BlockResult first,
                   running.session->run_block({.calls = 1, .seconds = 1e-9}));
    const double wall = double(world_.clock.monotonic_ns() - before) * 1e-9;
    JOULERY_ASSIGN(running.usage, running.session->usage());
    SubjectResult& subject = result_.subjects[i];
    subject.cold_starts.push_back({.wall_seconds = wall,
                                   .cpu_seconds = running.usage.cpu_seconds,
                                   .first_call_seconds = first.wall_seconds});
    if (subject.effective_options.empty()) {
      const auto options = running.session->effective_options();
      subject.effective_options.assign(options.begin(), options.end());
    }
    subject.resident_bytes = std::max(subject.resident_bytes, running.usage.resident_bytes);
    return {};
  }

  Status warm_up(std::size_t i, Running& running) {
    const double end = elapsed() + kLongestWarmUp;
    double before = 0;
    for (int block = 0; block < kMostWarmUps; ++block) {
      if (asked_to_stop("warming up")) return {};
      JOULERY_CHECK_OK(subjects_[i].bind(*running.session, next_input_++));
      JOULERY_ASSIGN(const engine::BlockResult warm,
                     running.session->run_block({.calls = kMostCalls, .seconds = protocol_.block_seconds}));
      const double now = warm.cpu_seconds / static_cast<double>(warm.calls);
      if (block + 1 >= kFewestWarmUps && std::abs(now - before) <= kSettled * before) break;
      if (block + 1 >= kFewestWarmUps && elapsed() > end) break;
      before = now;
    }
    return {};
  }

  Status open_window(std::size_t i, Running& running) {
    running.calls_before = result_.subjects[i].calls;
    if (!world_.meter || !energies_[i].known) return {};
    JOULERY_ASSIGN(running.window, world_.meter(running.usage.pid));
    return {};
  }

  Status close_window(std::size_t i, Running& running) {
    SubjectResult& subject = result_.subjects[i];
    if (running.window) {
      meter::MeteredWindow window = running.window->stop();
      energies_[i].add(window);
      // Windows of two subjects are about the same time.
      if (i == 0) {
        result_.surroundings.steal_seconds += window.steal_seconds;
        result_.surroundings.wall_seconds += window.duration_seconds;
        other_busy_ += window.machine_busy_seconds - window.cpu_seconds;
        result_.surroundings.cpus = window.machine_cpus;
      } else {
        other_busy_ -= window.cpu_seconds;
      }
      result_.window = std::move(window);
    }
    JOULERY_ASSIGN(const engine::ProcessUsage usage, running.session->usage());
    subject.peak_resident_bytes = std::max(subject.peak_resident_bytes, usage.peak_resident_bytes);
    return {};
  }

  engine::BlockPlan plan_block() {
    engine::BlockPlan plan{.calls = kMostCalls, .seconds = protocol_.block_seconds};
    if (protocol_.arrivals == Arrivals::poisson) {
      plan.seconds =
          std::clamp(kArrivalsInBlock / protocol_.rate_hz, protocol_.block_seconds, kLongestArrivalBlock);
      stats::RandomStream random(protocol_.seed + 0x9e37'79b9 * (block_number_ + 1));
      double at = 0;
      while (plan.arrivals_ns.size() < kMostCalls) {
        at -= std::log(1 - random.unit()) / protocol_.rate_hz;
        if (at > plan.seconds && !plan.arrivals_ns.empty()) break;
        plan.arrivals_ns.push_back(static_cast<std::int64_t>(at * 1e9));
      }
    }
    if (protocol_.arrivals == Arrivals::trace) {
      const std::vector<double>& trace = protocol_.trace_seconds;
      const std::size_t calls = std::min<std::size_t>(trace.size(), kMostCalls);
      for (std::size_t i = 0; i < calls; ++i)
        plan.arrivals_ns.push_back(static_cast<std::int64_t>(trace[i] * 1e9));
      plan.seconds = std::max(protocol_.block_seconds, trace[calls - 1] + 1e-9);
    }
    if (!plan.arrivals_ns.empty()) {
      // Arrivals end the block, not the time: a queue is worked off.
      plan.calls = plan.arrivals_ns.size();
      plan.seconds = std::max(plan.seconds, static_cast<double>(plan.arrivals_ns.back()) * 1e-9) * 10;
    }
    return plan;
  }

  Status run_block(std::size_t i, Running& running) {
    JOULERY_CHECK_OK(subjects_[i].bind(*running.session, next_input_++));
    const engine::BlockPlan plan = plan_block();
    if (i + 1 == subjects_.size()) ++block_number_;
    JOULERY_ASSIGN(const engine::BlockResult block, running.session->run_block(plan));
    SubjectResult& subject = result_.subjects[i];
    const auto inferences = static_cast<double>(block.calls) * static_cast<double>(subject.batch);
    subject.cpu_blocks.values.push_back(block.cpu_seconds / inferences);
    subject.wall_blocks.values.push_back(block.wall_seconds / inferences);
    subject.calls += block.calls;
    subject.latencies_ns.insert(subject.latencies_ns.end(), block.latencies_ns.begin(),
                                block.latencies_ns.end());
    return {};
  }

  void conclude() {
    for (std::size_t i = 0; i < result_.subjects.size(); ++i) {
      SubjectResult& subject = result_.subjects[i];
      subject.cpu_seconds = grouped_mean(subject.cpu_blocks, protocol_.level, protocol_.seed);
      subject.wall_seconds = grouped_mean(subject.wall_blocks, protocol_.level, protocol_.seed);
      std::ranges::sort(subject.latencies_ns);
      fill_energy(energies_[i], subject);
    }
    result_.surroundings.other_busy_seconds = std::max(0.0, other_busy_);
    if (result_.subjects.size() == 2) compare(result_.subjects[0], result_.subjects[1]);
    result_.seconds = elapsed();
  }

  /// What blocks differ by in CPU time they differ by in energy: the random part of the energy's range.
  static Quantity<Joules> per_inference(const Quantity<Joules>& sum, double inferences,
                                        const std::optional<Figure>& cpu) {
    const Quantity<Joules> mean(with_merged_sources(sum.untyped()).scaled(1 / inferences));
    if (!cpu || !cpu->has_interval) return mean;
    const double deviation = cpu->relative_half_width() / kDeviationsOfLevel * mean.value();
    return mean + Quantity<Joules>(0, Provenance::measured, deviation);
  }

  void fill_energy(const EnergySum& sum, SubjectResult& subject) {
    if (!sum.any || !sum.known || subject.calls == 0) return;
    const double inferences = static_cast<double>(subject.calls) * static_cast<double>(subject.batch);
    InferenceEnergy& energy = subject.energy;
    energy.known = true;
    energy.active = per_inference(sum.active, inferences, subject.cpu_seconds);
    energy.idle_share = per_inference(sum.idle_share, inferences, subject.cpu_seconds);
    energy.total = per_inference(sum.total, inferences, subject.cpu_seconds);
    energy.machine = per_inference(sum.machine, inferences, subject.wall_seconds);
    energy.carbon = Quantity<GramsCo2e>(with_merged_sources(sum.carbon.untyped()).scaled(1 / inferences));
    if (result_.window) energy.idle_basis = result_.window->idle_basis;
  }

  void compare(const SubjectResult& a, const SubjectResult& b) {
    result_.cpu_ratio = grouped_ratio(a.cpu_blocks, b.cpu_blocks, protocol_.level, protocol_.seed);
    result_.wall_ratio = grouped_ratio(a.wall_blocks, b.wall_blocks, protocol_.level, protocol_.seed);
    if (!a.energy.known || !b.energy.known || !(a.energy.total.value() > 0)) return;
    // What blocks differ by is in the pairs already, where drift cancels.
    const auto systematic = [](const Quantity<Joules>& energy) {
      return Quantity<Joules>(without_random_part(energy.untyped()));
    };
    Quantity<Ratio> energy_ratio = ratio(systematic(b.energy.total), systematic(a.energy.total));
    if (result_.cpu_ratio && result_.cpu_ratio->has_interval) {
      const double deviation =
          result_.cpu_ratio->relative_half_width() / kDeviationsOfLevel * energy_ratio.value();
      energy_ratio += Quantity<Ratio>(0, Provenance::measured, deviation);
    }
    result_.energy_ratio = energy_ratio;
  }

  /// An interval at 95 % is about two standard deviations to each side.
  static constexpr double kDeviationsOfLevel = 1.96;

  std::span<const Subject> subjects_;
  const Protocol& protocol_;
  const MeasureWorld& world_;
  MeasurementResult result_;
  std::vector<EnergySum> energies_;
  SurroundingsReader surroundings_;
  std::int64_t start_ns_ = 0;
  std::uint64_t next_input_ = 0;
  std::uint64_t block_number_ = 0;
  double half_width_ = 0;
  double other_busy_ = 0;
  bool interrupted_ = false;
};

Status check(std::span<const Subject> subjects, const Protocol& protocol) {
  if (subjects.empty() || subjects.size() > 2) return internal_error("one or two subjects can be measured");
  if (protocol.arrivals == Arrivals::poisson && !(protocol.rate_hz > 0)) {
    return user_error("arrivals at random need a rate above 0 calls a second");
  }
  if (protocol.arrivals == Arrivals::trace && protocol.trace_seconds.empty()) {
    return user_error("the trace of arrivals is empty");
  }
  if (!std::ranges::is_sorted(protocol.trace_seconds) ||
      (!protocol.trace_seconds.empty() && protocol.trace_seconds.front() < 0)) {
    return user_error("the trace of arrivals does not ascend from 0");
  }
  return {};
}

}  // namespace

const char* arrivals_name(Arrivals arrivals) {
  switch (arrivals) {
    case Arrivals::closed_loop:
      return "closed loop";
    case Arrivals::poisson:
      return "Poisson";
    case Arrivals::trace:
      return "trace";
  }
  return "?";
}

const char* ending_name(Ending ending) {
  switch (ending) {
    case Ending::target_reached:
      return "target reached";
    case Ending::budget_spent:
      return "budget spent";
    case Ending::interrupted:
      return "interrupted";
  }
  return "?";
}

Result<MeasurementResult> measure(std::span<const Subject> subjects, const Protocol& protocol,
                                  const MeasureWorld& world) {
  JOULERY_CHECK_OK(check(subjects, protocol));
  return Measurement(subjects, protocol, world).run();
}

}  // namespace joulery::evaluate
