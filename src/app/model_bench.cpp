#include "app/model_bench.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "app/bench_engine.hpp"
#include "app/bench_explain.hpp"
#include "app/bench_judge.hpp"
#include "app/bench_record.hpp"
#include "app/bench_side.hpp"
#include "app/workload.hpp"
#include "base/ids.hpp"
#include "base/text.hpp"
#include "evaluate/batch_buffer.hpp"
#include "meter/window_meter.hpp"

namespace joulery::app {
namespace {

class Bench {
 public:
  Bench(Application& application, const ModelBenchRequest& request, ModelBenchObserver& observer)
      : application_(application), request_(request), observer_(observer), machine_(application.machine()) {}

  Result<ModelBenchOutcome> run() {
    outcome_.run_id = make_run_id(application_.clock().realtime_ns());
    outcome_.protocol = request_.protocol;
    outcome_.start_utc_ns = application_.clock().realtime_ns();
    outcome_.start_boottime_ns = application_.clock().boottime_ns();
    observer_.on_step("reading the model");
    JOULERY_CHECK_OK(open_sides());
    JOULERY_CHECK_OK(prepare_data());
    if (request_.task) JOULERY_CHECK_OK(check_task());
    JOULERY_CHECK_OK(measure_sides());
    if (request_.task) judge_sides();
    if (request_.task && !outcome_.data.synthetic)
      note("looking for samples that are alike", look_for_duplicates());
    if (request_.explain) explain_sides();
    outcome_.interrupted = observer_.interrupted();
    outcome_.end_utc_ns = application_.clock().realtime_ns();
    outcome_.end_boottime_ns = application_.clock().boottime_ns();
    add_warnings();
    outcome_.document = model_bench_document(request_, outcome_);
    return std::move(outcome_);
  }

 private:
  Status open_sides() {
    JOULERY_ASSIGN(std::unique_ptr<BenchSide> side,
                   open_bench_side(application_, request_.subject, request_.engine_path));
    sides_.push_back(std::move(side));
    if (request_.versus) {
      JOULERY_ASSIGN(std::unique_ptr<BenchSide> other,
                     open_bench_side(application_, *request_.versus, request_.engine_path));
      sides_.push_back(std::move(other));
    }
    return {};
  }

  Status prepare_data() {
    for (const auto& side : sides_) {
      JOULERY_ASSIGN(const std::unique_ptr<data::Dataset> dataset, open_bench_data(request_, *side));
      JOULERY_CHECK_OK(fill_feed(*side, *dataset));
      outcome_.data = dataset->info();
      observer_.on_step("counting operations");
      outcome_.subjects.push_back(bench_facts(*side, outcome_.warnings));
    }
    outcome_.batches = sides_[0]->feed.size();
    return {};
  }

  /// A slip of the pen is told before minutes of measuring.
  Status check_task() {
    BenchJudge judge(request_, observer_);
    for (std::size_t i = 0; i < sides_.size() && !observer_.interrupted(); ++i) {
      JOULERY_ASSIGN(const JudgedSessions sessions, load_judged(i));
      JOULERY_CHECK_OK(judge.try_once(*sides_[i], *sessions.judged, sessions.reference.get()));
    }
    return {};
  }

  evaluate::Subject subject_of(const BenchSide& side) const {
    return {
        .label = fmt::format("{} in {}", side.file.name(), side.engine->info().name),
        .load = [&side] { return side.load(); },
        .bind = [&side](engine::Session& session,
                        std::uint64_t block) { return side.feed[block % side.feed.size()].bind(session); },
        .batch = side.batch,
        .quiet_between_calls = side.request.options.streams == 1 &&
                               !(side.request.options.spin && side.request.options.threads != 1)};
  }

  Status measure_sides() {
    std::vector<evaluate::Subject> subjects;
    for (const auto& side : sides_) subjects.push_back(subject_of(*side));
    const evaluate::MeasureWorld world{.clock = application_.clock(),
                                       .sensors = application_.sensors(),
                                       .meter = [this](int pid) { return open_meter(pid); },
                                       .speed_history = load_speed_history(application_),
                                       .should_stop =
                                           [this](const evaluate::MeasureProgress& progress) {
                                             observer_.on_progress(progress);
                                             return observer_.interrupted();
                                           }};
    JOULERY_ASSIGN(outcome_.measurement, evaluate::measure(subjects, request_.protocol, world));
    if (outcome_.measurement.failure)
      outcome_.problems.push_back({"measuring on", *outcome_.measurement.failure});
    return {};
  }

  Result<std::unique_ptr<meter::WindowMeter>> open_meter(int pid) {
    meter::WindowOptions options{.followed = {.pid = pid}, .run_id = outcome_.run_id};
    options.load_idle_watts = [this](const std::string& host_id, const std::string& sources) {
      return load_idle_watts(application_, host_id, sources);
    };
    options.footprint = request_.footprint;
    return meter::WindowMeter::start(machine_, options);
  }

  /// The session that `agree` is judged by: the first side for the second; for a single one the same model in
  /// ONNX Runtime with f32 and no rewriting.
  Result<std::unique_ptr<engine::Session>> load_reference(std::size_t judged) {
    if (judged == 1) return sides_[0]->load();
    if (!reference_engine_) {
      JOULERY_ASSIGN(reference_engine_, open_bench_engine(application_, "onnxruntime", request_.engine_path));
    }
    engine::SessionOptions options = sides_[0]->request.options;
    options.precision = engine::Precision::f32;
    options.optimisation = engine::Optimisation::none;
    return reference_engine_->load(sides_[0]->file.source(), options);
  }

  struct JudgedSessions {
    std::unique_ptr<engine::Session> judged;
    /// For `agree` only.
    std::unique_ptr<engine::Session> reference;
  };
  Result<JudgedSessions> load_judged(std::size_t side) {
    JudgedSessions sessions;
    JOULERY_ASSIGN(sessions.judged, sides_[side]->load());
    if (*request_.task == evaluate::TaskKind::agree) {
      JOULERY_ASSIGN(sessions.reference, load_reference(side));
    }
    return sessions;
  }

  /// Samples that are alike tell less than their number says.
  Status look_for_duplicates() {
    observer_.on_step("looking for samples that are alike");
    JOULERY_ASSIGN(const std::unique_ptr<data::Dataset> dataset, open_bench_data(request_, *sides_[0]));
    data::NearDuplicates finder;
    const std::uint64_t most =
        request_.most_samples > 0 ? std::min(request_.most_samples, kMostCompared) : kMostCompared;
    for (std::uint64_t seen = 0; seen < most && !observer_.interrupted();) {
      constexpr std::size_t kAtATime = 64;
      JOULERY_ASSIGN(const data::Batch* batch, dataset->read(std::min<std::uint64_t>(kAtATime, most - seen)));
      if (batch->count == 0) break;
      finder.add(*batch);
      seen += batch->count;
    }
    outcome_.duplicates = finder.report();
    const data::DuplicateReport& found = *outcome_.duplicates;
    constexpr std::uint64_t kOneIn = 100;
    if ((found.exact_copies + found.near_copies) * kOneIn > found.samples) {
      warn(fmt::format(
               "of {} samples {} are copies of others and {} nearly so: the intervals of quality take them "
               "for independent",
               found.samples, found.exact_copies, found.near_copies),
           "remove them, or say with --group which samples belong together");
    }
    return {};
  }

  /// An error after there were figures.
  void note(std::string doing, Status outcome) {
    // What Ctrl-C has left too little of for an answer is no news.
    if (outcome || observer_.interrupted()) return;
    outcome_.problems.push_back({std::move(doing), std::move(outcome).error()});
  }

  /// What is found of the sides one after the other; the first that goes wrong ends it, so that a place in
  /// `into` is always the side's.
  template <class Finding, class Find>
  void find_all(const char* doing, std::vector<Finding>& into, Find find) {
    for (std::size_t i = 0; i < sides_.size() && !observer_.interrupted(); ++i) {
      Result<Finding> found = find(i);
      if (!found) {
        note(fmt::format("{} of {}", doing, printable(sides_[i]->file.name())),
             std::unexpected(std::move(found).error()));
        return;
      }
      into.push_back(*std::move(found));
    }
  }

  void judge_sides() {
    BenchJudge judge(request_, observer_);
    find_all("judging the answers", outcome_.quality, [&](std::size_t i) -> Result<evaluate::QualityReport> {
      observer_.on_step("judging the answers");
      JOULERY_ASSIGN(const JudgedSessions sessions, load_judged(i));
      const auto outputs = sessions.judged->outputs();
      outcome_.subjects[i].outputs.assign(outputs.begin(), outputs.end());
      return judge.judge(*sides_[i], *sessions.judged, sessions.reference.get(), request_.most_samples);
    });
    if (!request_.robustness || outcome_.quality.empty()) return;
    find_all("judging spoiled inputs", outcome_.robustness, [&](std::size_t i) -> Result<RobustnessOutcome> {
      JOULERY_ASSIGN(const JudgedSessions sessions, load_judged(i));
      return judge.robustness(*sides_[i], *sessions.judged, sessions.reference.get(),
                              [this](int pid) { return open_meter(pid); });
    });
  }

  void explain_sides() {
    find_all("timing the operators", outcome_.explanations, [&](std::size_t i) {
      observer_.on_step("timing its operators");
      return explain(application_, request_, *sides_[i], outcome_.measurement.subjects[i]);
    });
  }

  void warn(std::string text, std::string hint) {
    outcome_.warnings.push_back({std::move(text), std::move(hint)});
  }

  void add_warnings() {
    const evaluate::MeasurementResult& measured = outcome_.measurement;
    const evaluate::Surroundings& around = measured.surroundings;
    if (measured.ending == evaluate::Ending::budget_spent) warn_of_budget();
    if (outcome_.interrupted) {
      const bool judged = measured.ending != evaluate::Ending::interrupted && !outcome_.quality.empty();
      warn(judged ? fmt::format("it was interrupted: quality is that of {}, and what comes after is missing",
                                format_count(double(outcome_.quality.back().samples), "samples"))
                  : "it was interrupted: figures are of what there was until then",
           {});
    }
    for (const meter::Warning& warning : measured.warnings) outcome_.warnings.push_back(warning);
    warn_of_load();
    if (around.throttle_events > 0) {
      warn(fmt::format("a CPU was slowed down for its heat {} times", around.throttle_events),
           "let it cool, and measure again: the figures are those of a hot machine");
    }
    warn_of_disturbance();
    const double cpu_time = around.wall_seconds * around.cpus;
    constexpr double kSomeSteal = 0.01;
    constexpr double kMuchBusy = 0.1;
    if (cpu_time > 0 && around.steal_seconds > kSomeSteal * cpu_time) {
      warn(fmt::format("{:.0f} % of the CPU time was given to other virtual machines",
                       100 * around.steal_seconds / cpu_time),
           "wall times are theirs in part; CPU-seconds are less so");
    }
    if (cpu_time > 0 && around.other_busy_seconds > kMuchBusy * cpu_time) {
      warn(fmt::format("other programs used {:.0f} % of the CPUs meanwhile",
                       100 * around.other_busy_seconds / cpu_time),
           "end them and measure again: caches and clock frequency are shared");
    }
    if (around.lowest_hertz > 0 && around.highest_hertz > 1.2 * around.lowest_hertz) {
      warn(fmt::format("the CPUs' clock varied between {} and {}", format_si(around.lowest_hertz, "Hz"),
                       format_si(around.highest_hertz, "Hz")),
           "a fixed governor (cpupower frequency-set -g performance) makes figures steadier");
    }
    for (const RobustnessOutcome& robustness : outcome_.robustness) {
      for (const std::string& text : robustness.figures.warnings) warn(text, {});
    }
    for (const evaluate::QualityReport& report : outcome_.quality) {
      for (const std::string& text : report.warnings) warn(text, {});
    }
  }

  void warn_of_disturbance() {
    const evaluate::SpeedReport& speed = outcome_.measurement.speed;
    if (!speed.always_disturbed) return;
    warn(
        fmt::format(
            "something else slowed the core in {} of {}: fixed arithmetic took {:.2f} times its usual "
            "cycles",
            speed.disturbed, format_count(double(speed.counts.size()), "blocks"), speed.slowdown),
        "all blocks count, and the ranges of times reach down by so much: measure again when the machine, or "
        "what shares its cores, is quiet");
  }

  void warn_of_load() {
    for (const evaluate::SubjectResult& subject : outcome_.measurement.subjects) {
      if (subject.unserved_calls == 0) continue;
      const auto due = static_cast<double>(subject.calls + subject.unserved_calls);
      warn(fmt::format("{} can't keep up: {:.3g} % of the calls were due but never made, and latencies are "
                       "those of the others",
                       subject.label, 100 * static_cast<double>(subject.unserved_calls) / due),
           "lower --rate, or allow more --streams or --threads");
    }
    if (outcome_.measurement.energy_ratio &&
        outcome_.measurement.energy_ratio->provenance() != Provenance::modelled) {
      warn("energy of both sides is shared by CPU time, second by second",
           "how many joules a CPU-second takes is not told apart: measure each alone for that");
    }
  }

  /// What a longer budget would have to be, as far as one can be given. Repetition narrows all of
  /// `half_width` but what two benches differ by.
  std::string budget_hint(double half_width) const {
    constexpr double kLongest = 86400;
    const double fixed = outcome_.measurement.speed.counts.empty() ? 0 : evaluate::kBetweenBenches;
    const double target = request_.protocol.target_half_width;
    if (target <= fixed) {
      return fmt::format(
          "no budget would do: two benches differ by {:.3g} %, which is part of each interval. Ask "
          "for a --target above that",
          100 * fixed);
    }
    const double times = (half_width * half_width - fixed * fixed) / (target * target - fixed * fixed);
    const double seconds = times * outcome_.measurement.seconds;
    if (!(seconds <= kLongest))
      return "a longer --budget hardly helps: look for what disturbs, or raise --target";
    return fmt::format("--budget {:.0f}s would do if the machine stays as it is", std::ceil(seconds));
  }

  void warn_of_budget() {
    // Then no budget would do, and that is told.
    if (outcome_.measurement.speed.always_disturbed) return;
    const bool some_disturbed = outcome_.measurement.speed.disturbed > 0;
    double widest = 0;
    std::size_t blocks = 0;
    for (const evaluate::SubjectResult& subject : outcome_.measurement.subjects) {
      if (subject.cpu_seconds) widest = std::max(widest, subject.cpu_seconds->relative_half_width());
      blocks = subject.cpu_seconds ? subject.cpu_seconds->blocks : 0;
    }
    const double target = request_.protocol.target_half_width;
    if (widest > target) {
      warn(fmt::format("CPU-seconds are known to ±{:.1f} % only, not to ±{:.3g} %: the time was up after {}",
                       100 * widest, 100 * target,
                       format_count(double(blocks), some_disturbed ? "undisturbed blocks" : "blocks")),
           budget_hint(widest));
    } else {
      warn(fmt::format("the time was up after {}, fewer than the {} that a figure is to rest on",
                       format_count(double(blocks), some_disturbed ? "undisturbed blocks" : "blocks"),
                       request_.protocol.least_blocks),
           some_disturbed ? "give it more time with --budget, or the machine less to do"
                          : "give it more time with --budget");
    }
  }

  Application& application_;
  const ModelBenchRequest& request_;
  ModelBenchObserver& observer_;
  meter::Machine machine_;
  ModelBenchOutcome outcome_;
  std::vector<std::unique_ptr<BenchSide>> sides_;
  std::unique_ptr<engine::Engine> reference_engine_;
};

}  // namespace

Result<ModelBenchOutcome> bench_model(Application& application, const ModelBenchRequest& request,
                                      ModelBenchObserver& observer) {
  return Bench(application, request, observer).run();
}

}  // namespace joulery::app
