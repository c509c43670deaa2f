#include "evaluate/measurement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "engine/measure.hpp"
#include "evaluate/endpoint/arrivals.hpp"
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

/// Arrivals that a budget must be long enough for, on average.
constexpr double kFewestArrivals = 2;
/// A queue is worked off for so long at most.
constexpr double kLongestQueue = 30;

double seconds_of(std::int64_t nanoseconds) {
  return static_cast<double>(nanoseconds) * 1e-9;
}

/// Keeps a sample of all latencies, each as likely as any other (Vitter 1985, algorithm R).
class LatencySample {
 public:
  explicit LatencySample(std::uint64_t seed) : random_(seed) {}
  void add(std::span<const std::int64_t> latencies, std::vector<std::int64_t>& kept) {
    for (const std::int64_t latency : latencies) {
      ++seen_;
      if (kept.size() < kMostLatencies) {
        kept.push_back(latency);
      } else if (const std::uint64_t place = random_.below(seen_); place < kept.size()) {
        kept[place] = latency;
      }
    }
  }

 private:
  stats::RandomStream random_;
  std::uint64_t seen_ = 0;
};

class Measurement {
 public:
  Measurement(std::span<const Subject> subjects, const Protocol& protocol, const MeasureWorld& world)
      : subjects_(subjects), protocol_(protocol), world_(world), energies_(subjects.size()) {
    for (std::size_t i = 0; i < subjects.size(); ++i) samples_.emplace_back(protocol.seed + i);
  }

  Result<MeasurementResult> run() {
    start_ns_ = world_.clock.monotonic_ns();
    surroundings_ = SurroundingsReader(world_.sensors);
    for (const Subject& subject : subjects_) {
      result_.subjects.emplace_back();
      result_.subjects.back().label = subject.label;
      result_.subjects.back().batch = subject.batch;
    }
    while (!finished()) {
      if (Status process = measure_process(); !process) {
        if (!keep_whole_processes()) return std::unexpected(std::move(process).error());
        result_.ending = Ending::failed;
        result_.failure = std::move(process).error();
        break;
      }
    }
    conclude();
    return std::move(result_);
  }

 private:
  struct Running {
    std::unique_ptr<engine::Session> session;
    std::unique_ptr<meter::WindowMeter> window;
    engine::ProcessUsage usage;
    std::uint64_t calls_before = 0;
    /// CPU time of its blocks.
    double block_cpu_seconds = 0;
  };

  double elapsed() const { return seconds_of(world_.clock.monotonic_ns() - start_ns_); }

  bool asked_to_stop(const char* doing) {
    if (!world_.should_stop) return false;
    const MeasureProgress progress{.elapsed_seconds = elapsed(),
                                   .budget_seconds = protocol_.budget_seconds,
                                   .blocks = result_.subjects[0].cpu_blocks.values.size(),
                                   .disturbed = result_.speed.disturbed,
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
    if (result_.subjects[0].cpu_blocks.groups() == 0) return false;
    judge_blocks();
    half_width_ = 0;
    bool known = !result_.speed.always_disturbed;
    std::size_t blocks = 0;
    std::size_t processes = 0;
    for (SubjectResult& subject : result_.subjects) {
      subject.cpu_seconds = figure_of(times_of(subject).cpu);
      known = known && subject.cpu_seconds && subject.cpu_seconds->has_interval;
      if (!subject.cpu_seconds) continue;
      half_width_ = std::max(half_width_, subject.cpu_seconds->relative_half_width());
      blocks = subject.cpu_seconds->blocks;
      processes = subject.cpu_seconds->groups;
    }
    const bool enough = blocks >= protocol_.least_blocks && processes >= protocol_.least_processes;
    // Whoever looks often enough sees a narrow interval by chance: after each look a quarter more is needed.
    const bool may_look = processes >= next_look_;
    if (enough && may_look) next_look_ = processes + std::max<std::size_t>(1, processes / 4);
    if (enough && may_look && known && half_width_ <= protocol_.target_half_width) {
      result_.ending = Ending::target_reached;
      return true;
    }
    if (elapsed() < protocol_.budget_seconds) return false;
    result_.ending = Ending::budget_spent;
    return true;
  }

  /// Under arrivals a CPU sleeps and wakes, and how it does is part of what is asked: all counts as it was.
  bool looks_at_core() const {
    return protocol_.arrivals == Arrivals::closed_loop &&
           std::ranges::all_of(subjects_, &Subject::quiet_between_calls);
  }

  void judge_blocks() {
    if (!looks_at_core()) return;
    std::vector<std::span<const SlicedBlock>> sides;
    for (const SubjectResult& subject : result_.subjects) sides.emplace_back(subject.slices);
    result_.speed = judge_speed(sides, world_.speed_history, blocks_of_process());
  }

  CountedTimes times_of(const SubjectResult& subject) const {
    if (!looks_at_core()) return {.cpu = subject.cpu_blocks, .wall = subject.wall_blocks};
    return counted_times(subject.slices, subject.cpu_blocks.group_starts, static_cast<double>(subject.batch),
                         result_.speed);
  }

  std::optional<Figure> figure_of(const GroupedValues& values) const {
    auto figure = grouped_mean(values, protocol_.level, protocol_.seed);
    if (!figure || !looks_at_core()) return figure;
    figure->provenance = Provenance::derived;
    return with_speed_doubt(*figure, result_.speed);
  }

  std::optional<Figure> ratio_of(const GroupedValues& a, const GroupedValues& b) const {
    auto figure = grouped_ratio(a, b, protocol_.level, protocol_.seed);
    if (figure && looks_at_core()) figure->provenance = Provenance::derived;
    return figure;
  }

  std::size_t blocks_of_process() const {
    const std::size_t processes = std::max<std::size_t>(1, protocol_.least_processes);
    return std::max<std::size_t>(1, (protocol_.least_blocks + processes - 1) / processes);
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
    if (asked_to_stop("measuring")) return {};
    for (std::size_t i = 0; i < subjects_.size(); ++i) {
      result_.subjects[i].cpu_blocks.begin_group();
      result_.subjects[i].wall_blocks.begin_group();
      JOULERY_CHECK_OK(open_window(i, running[i]));
    }
    const std::size_t blocks = blocks_of_process();
    for (std::size_t block = 0; block < blocks; ++block) {
      // The first process always gives one block of each, whatever the budget.
      if (block > 0 && (elapsed() >= protocol_.budget_seconds || asked_to_stop("measuring"))) break;
      const bool turned = block % 2 == 1;
      for (std::size_t turn = 0; turn < subjects_.size(); ++turn) {
        const std::size_t i = turned ? subjects_.size() - 1 - turn : turn;
        JOULERY_CHECK_OK(run_block(i, running[i]));
      }
      ++block_number_;
    }
    for (std::size_t i = 0; i < subjects_.size(); ++i) JOULERY_CHECK_OK(close_window(i, running[i]));
    surroundings_.look(result_.surroundings);
    ++whole_processes_;
    return {};
  }

  /// Takes away the blocks of a process that was not ended. False if nothing is left.
  bool keep_whole_processes() {
    for (SubjectResult& subject : result_.subjects) {
      for (GroupedValues* blocks : {&subject.cpu_blocks, &subject.wall_blocks}) {
        if (blocks->groups() <= whole_processes_) continue;
        blocks->values.resize(blocks->group_starts[whole_processes_]);
        blocks->group_starts.resize(whole_processes_);
      }
      subject.slices.resize(subject.cpu_blocks.values.size());
    }
    return whole_processes_ > 0;
  }

  Status cold_start(std::size_t i, Running& running) {
    const std::int64_t before = world_.clock.monotonic_ns();
    JOULERY_ASSIGN(running.session, subjects_[i].load());
    JOULERY_CHECK_OK(subjects_[i].bind(*running.session, 0));
    JOULERY_ASSIGN(const engine::BlockResult first,
                   running.session->run_block({.calls = 1, .seconds = 1e-9}));
    const double wall = seconds_of(world_.clock.monotonic_ns() - before);
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
      JOULERY_CHECK_OK(subjects_[i].bind(*running.session, static_cast<std::uint64_t>(block)));
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
    if (!world_.meter) return {};
    JOULERY_ASSIGN(running.window, world_.meter(running.usage.pid));
    return {};
  }

  Status close_window(std::size_t i, Running& running) {
    SubjectResult& subject = result_.subjects[i];
    if (running.window) {
      meter::MeteredWindow window = running.window->stop();
      // Those of the other windows say the same, with other numbers.
      if (result_.warnings.empty()) result_.warnings = window.warnings;
      energy_known_ = energy_known_ && window.energy_known();
      if (energy_known_) {
        const auto calls = static_cast<double>(subject.calls - running.calls_before);
        energies_[i].add(window, calls * static_cast<double>(subject.batch), running.block_cpu_seconds);
      }
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

  /// 0: none. All slices are kept: of a long measurement there are no more.
  double slice_seconds() const {
    constexpr double kSlice = 0.0005;
    constexpr double kMostSlices = 600'000;
    if (!looks_at_core()) return 0;
    return std::max(kSlice, protocol_.budget_seconds / kMostSlices);
  }

  engine::BlockPlan plan_block() {
    engine::BlockPlan plan{
        .calls = kMostCalls, .seconds = protocol_.block_seconds, .slice_seconds = slice_seconds()};
    if (protocol_.arrivals == Arrivals::poisson) {
      plan.seconds =
          std::clamp(kArrivalsInBlock / protocol_.rate_hz, protocol_.block_seconds, kLongestArrivalBlock);
      const std::uint64_t seed = protocol_.seed + 0x9e37'79b9 * (block_number_ + 1);
      plan.arrivals_ns = endpoint::poisson_arrivals(protocol_.rate_hz,
                                                    {.requests = kMostCalls, .seconds = plan.seconds}, seed);
      // However rare calls are, a block has one.
      if (plan.arrivals_ns.empty())
        plan.arrivals_ns = endpoint::poisson_arrivals(protocol_.rate_hz, {.requests = 1}, seed);
    }
    if (protocol_.arrivals == Arrivals::trace) plan.arrivals_ns = protocol_.trace_ns;
    if (!plan.arrivals_ns.empty()) {
      // Arrivals end the block, not the time: a queue is worked off, but not for ever.
      plan.calls = plan.arrivals_ns.size();
      const double span = std::max(protocol_.block_seconds, seconds_of(plan.arrivals_ns.back()));
      plan.seconds = span + std::min(9 * span, kLongestQueue);
    }
    return plan;
  }

  Status run_block(std::size_t i, Running& running) {
    JOULERY_CHECK_OK(subjects_[i].bind(*running.session, block_number_));
    const engine::BlockPlan plan = plan_block();
    JOULERY_ASSIGN(engine::BlockResult block, running.session->run_block(plan));
    if (looks_at_core() && block.slices.empty())
      return internal_error("a block without a look at the core's speed");
    SubjectResult& subject = result_.subjects[i];
    running.block_cpu_seconds += block.cpu_seconds;
    subject.slices.push_back({std::move(block.slices), std::move(block.speeds)});
    const auto inferences = static_cast<double>(block.calls) * static_cast<double>(subject.batch);
    subject.cpu_blocks.values.push_back(block.cpu_seconds / inferences);
    subject.wall_blocks.values.push_back(block.wall_seconds / inferences);
    subject.calls += block.calls;
    if (!plan.arrivals_ns.empty()) subject.unserved_calls += plan.calls - std::min(plan.calls, block.calls);
    samples_[i].add(block.latencies_ns, subject.latencies_ns);
    return {};
  }

  void conclude() {
    judge_blocks();
    for (std::size_t i = 0; i < result_.subjects.size(); ++i) {
      SubjectResult& subject = result_.subjects[i];
      const CountedTimes times = times_of(subject);
      subject.cpu_seconds = figure_of(times.cpu);
      subject.wall_seconds = figure_of(times.wall);
      subject.cpu_seconds_as_run = grouped_mean(subject.cpu_blocks, protocol_.level, protocol_.seed);
      subject.wall_seconds_as_run = grouped_mean(subject.wall_blocks, protocol_.level, protocol_.seed);
      std::ranges::sort(subject.latencies_ns);
      if (!energy_known_ || !(energies_[i].inferences > 0)) continue;
      subject.energy = energy_per_inference(
          energies_[i],
          repeated_energy(energies_[i], subject.cpu_seconds_as_run, protocol_.level, protocol_.seed),
          subject.wall_seconds_as_run);
      // Windows of two subjects are about the same time: what the machine drew was for both.
      subject.energy.machine_known = result_.subjects.size() == 1;
      if (result_.window) subject.energy.idle_basis = result_.window->idle_basis;
    }
    result_.surroundings.other_busy_seconds = std::max(0.0, other_busy_);
    if (result_.subjects.size() == 2) {
      const SubjectResult& a = result_.subjects[0];
      const SubjectResult& b = result_.subjects[1];
      const CountedTimes of_a = times_of(a);
      const CountedTimes of_b = times_of(b);
      result_.cpu_ratio = ratio_of(of_a.cpu, of_b.cpu);
      result_.wall_ratio = ratio_of(of_a.wall, of_b.wall);
      const auto as_run = grouped_ratio(a.cpu_blocks, b.cpu_blocks, protocol_.level, protocol_.seed);
      result_.energy_ratio = energy_ratio(
          a.energy, b.energy,
          repeated_energy_ratio(energies_[0], energies_[1], as_run, protocol_.level, protocol_.seed));
    }
    result_.seconds = elapsed();
  }

  std::span<const Subject> subjects_;
  const Protocol& protocol_;
  const MeasureWorld& world_;
  MeasurementResult result_;
  std::vector<EnergySum> energies_;
  bool energy_known_ = true;
  std::vector<LatencySample> samples_;
  std::size_t whole_processes_ = 0;
  SurroundingsReader surroundings_;
  std::int64_t start_ns_ = 0;
  std::uint64_t block_number_ = 0;
  double half_width_ = 0;
  std::size_t next_look_ = 0;
  double other_busy_ = 0;
  bool interrupted_ = false;
};

Status check(std::span<const Subject> subjects, const Protocol& protocol) {
  if (subjects.empty() || subjects.size() > 2) return internal_error("one or two subjects can be measured");
  if (protocol.arrivals == Arrivals::poisson && !(protocol.rate_hz > 0)) {
    return user_error("arrivals at random need a rate above 0 calls a second");
  }
  if (protocol.arrivals == Arrivals::poisson &&
      protocol.rate_hz * protocol.budget_seconds < kFewestArrivals) {
    return user_error(fmt::format("at {:.4g} calls a second hardly one comes within {}", protocol.rate_hz,
                                  format_duration(protocol.budget_seconds)),
                      "give it more time with --budget, or a higher --rate");
  }
  if (protocol.arrivals == Arrivals::trace && protocol.trace_ns.empty()) {
    return user_error("the trace of arrivals is empty");
  }
  if (!std::ranges::is_sorted(protocol.trace_ns) ||
      (!protocol.trace_ns.empty() && protocol.trace_ns.front() < 0)) {
    return user_error("the trace of arrivals does not ascend from 0");
  }
  if (protocol.trace_ns.size() > engine::kMostBlockCalls) {
    return user_error(fmt::format("the trace has {} calls, more than {}", protocol.trace_ns.size(),
                                  engine::kMostBlockCalls),
                      "give a part of it: it is played again and again");
  }
  if (protocol.arrivals == Arrivals::trace &&
      seconds_of(protocol.trace_ns.back()) > protocol.budget_seconds) {
    return user_error(fmt::format("the trace lasts {}, longer than the time of measuring, {}",
                                  format_duration(seconds_of(protocol.trace_ns.back())),
                                  format_duration(protocol.budget_seconds)),
                      "give a part of it, or more time with --budget: it is played several times");
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
    case Ending::failed:
      return "failed";
  }
  return "?";
}

Result<MeasurementResult> measure(std::span<const Subject> subjects, const Protocol& protocol,
                                  const MeasureWorld& world) {
  JOULERY_CHECK_OK(check(subjects, protocol));
  return Measurement(subjects, protocol, world).run();
}

}  // namespace joulery::evaluate
