#include "app/model_bench.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "app/bench_engine.hpp"
#include "app/model_file.hpp"
#include "app/workload.hpp"
#include "base/dynamic_library.hpp"
#include "base/ids.hpp"
#include "base/text.hpp"
#include "engine/evaluator.hpp"
#include "engine/options.hpp"
#include "evaluate/batch_buffer.hpp"
#include "meter/window_meter.hpp"
#include "onnx/cost.hpp"
#include "onnx/real_shapes.hpp"

namespace joulery::app {
namespace {

/// Calls rotate through so many batches, as far as memory allows.
constexpr std::size_t kMostBatches = 8;
constexpr std::size_t kMostFeedBytes = 256U << 20U;

/// One side of the bench, with what it needs while it is measured.
struct Side {
  Side(const SubjectRequest& asked, ModelFile opened, std::unique_ptr<engine::Engine> runs)
      : request(asked), file(std::move(opened)), engine(std::move(runs)) {}

  SubjectRequest request;
  ModelFile file;
  std::unique_ptr<engine::Engine> engine;
  std::vector<engine::Port> inputs;
  std::int64_t batch = 1;
  std::vector<evaluate::BatchBuffer> feed;

  Result<std::unique_ptr<engine::Session>> load() const {
    return engine->load(file.source(), request.options);
  }
};

Result<std::unique_ptr<Side>> open_side(const Application& application, const SubjectRequest& request,
                                        const std::string& engine_path) {
  JOULERY_ASSIGN(ModelFile file, ModelFile::open(request.model));
  JOULERY_ASSIGN(std::unique_ptr<engine::Engine> engine,
                 open_bench_engine(application, request.engine, engine_path));
  auto side = std::make_unique<Side>(request, std::move(file), std::move(engine));
  JOULERY_ASSIGN(const std::vector<engine::Port> declared, side->file.inputs());
  engine::SessionOptions& options = side->request.options;
  const bool open_batch = std::ranges::any_of(declared, [](const engine::Port& port) {
    return port.shape.rank() > 0 && port.shape[0] == data::kUnknownDimension;
  });
  if (open_batch && options.batch == 0) options.batch = 1;
  JOULERY_ASSIGN(side->inputs, engine::resolve_inputs(declared, options));
  side->batch = std::max<std::int64_t>(1, options.batch);
  if (!open_batch && options.batch > 1) {
    const bool fixed = std::ranges::any_of(declared, [&](const engine::Port& port) {
      return port.shape.rank() > 0 && port.shape[0] == options.batch;
    });
    if (!fixed) {
      return user_error(
          fmt::format("{} takes one batch size only, and it is not {}", side->file.name(), options.batch),
          fmt::format("its first input is {}: leave --batch out",
                      declared.empty() ? std::string("missing") : declared[0].shape.text()));
    }
  }
  return side;
}

/// Made-up data have no shape to take an open dimension from.
Status check_shapes(const Side& side) {
  for (const engine::Port& port : side.inputs) {
    if (port.shape.is_known()) continue;
    std::string example;
    for (std::size_t i = 0; i < port.shape.rank(); ++i) {
      const std::int64_t dimension = port.shape[i];
      example +=
          fmt::format("{}{}", i == 0 ? "" : ",", dimension == data::kUnknownDimension ? 128 : dimension);
    }
    return user_error(
        fmt::format("the model leaves the shape of input '{}' open: {}", printable(port.name),
                    port.shape.text()),
        fmt::format("say it with --shape '{}:{}' (with your own numbers), or give data with --data",
                    printable(port.name), example));
  }
  return {};
}

Result<std::unique_ptr<data::Dataset>> open_data(const ModelBenchRequest& request, const Side& side) {
  data::DatasetRequest wanted = request.data;
  for (const engine::Port& port : side.inputs)
    wanted.inputs.push_back({.name = port.name, .type = port.type, .shape = port.shape});
  wanted.plugin_directory = own_library_directory();
  if (wanted.path.empty()) {
    wanted.format = data::Format::synthetic;
    JOULERY_CHECK_OK(check_shapes(side));
  }
  wanted.needs_labels = request.task && *request.task != evaluate::TaskKind::agree;
  return data::open_dataset(wanted);
}

Status fill_feed(Side& side, data::Dataset& dataset) {
  std::size_t bytes = 0;
  while (side.feed.size() < kMostBatches && bytes < kMostFeedBytes) {
    evaluate::BatchBuffer buffer(side.inputs, side.batch);
    JOULERY_ASSIGN(const std::size_t count, buffer.fill(dataset));
    if (count == 0) break;
    // What repeats the last sample only fills up a batch that there is no other for.
    if (count < static_cast<std::size_t>(side.batch) && !side.feed.empty()) break;
    for (const data::TensorView& view : buffer.views()) bytes += view.bytes;
    side.feed.push_back(std::move(buffer));
  }
  if (side.feed.empty()) {
    return user_error(fmt::format("'{}' holds no samples", printable(dataset.info().path)));
  }
  return {};
}

/// Parameters, and MACs with the shapes of a real run.
void fill_cost(Side& side, SubjectFacts& facts, std::vector<meter::Warning>& warnings) {
  std::vector<onnx::Tensor> inputs;
  const std::vector<data::TensorView> views = side.feed[0].views();
  for (std::size_t i = 0; i < views.size(); ++i) {
    onnx::Tensor tensor;
    tensor.name = side.inputs[i].name;
    tensor.data_type = engine::onnx_type_of(views[i].type);
    tensor.dims.assign(views[i].shape.dimensions().begin(), views[i].shape.dimensions().end());
    tensor.storage = onnx::TensorStorage::raw;
    tensor.data =
        onnx::SharedBytes::copy_of({reinterpret_cast<const std::uint8_t*>(views[i].data), views[i].bytes});
    inputs.push_back(std::move(tensor));
  }
  engine::EngineEvaluator evaluator(*side.engine);
  const auto shapes = onnx::real_shapes(side.file.model(), inputs, evaluator);
  const onnx::ModelCost cost =
      onnx::model_cost(side.file.model(), shapes ? shapes->shapes : onnx::declared_shapes(side.file.model()));
  facts.parameters = cost.parameters;
  facts.weight_bytes = cost.total_weight_bytes();
  facts.uncounted_operators = cost.uncounted.size();
  if (shapes) {
    facts.macs = cost.macs / static_cast<std::uint64_t>(side.batch);
  } else {
    warnings.push_back(
        {fmt::format("operations were not counted: {}", shapes.error().message), shapes.error().hint});
  }
}

SubjectFacts facts_of(const Side& side) {
  SubjectFacts facts;
  facts.model = side.file.path();
  facts.name = side.file.name();
  facts.sha256 = side.file.sha256();
  facts.file_bytes = side.file.file_bytes();
  facts.opset = side.file.opset();
  facts.findings = side.file.findings();
  facts.engine = side.engine->info();
  facts.options = side.request.options;
  facts.inputs = side.inputs;
  return facts;
}

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
    if (request_.task && !observer_.interrupted()) JOULERY_CHECK_OK(judge_sides());
    outcome_.end_utc_ns = application_.clock().realtime_ns();
    outcome_.end_boottime_ns = application_.clock().boottime_ns();
    add_warnings();
    outcome_.document = model_bench_document(request_, outcome_);
    return std::move(outcome_);
  }

 private:
  Status open_sides() {
    JOULERY_ASSIGN(std::unique_ptr<Side> side,
                   open_side(application_, request_.subject, request_.engine_path));
    sides_.push_back(std::move(side));
    if (request_.versus) {
      JOULERY_ASSIGN(std::unique_ptr<Side> other,
                     open_side(application_, *request_.versus, request_.engine_path));
      sides_.push_back(std::move(other));
    }
    return {};
  }

  Status prepare_data() {
    for (const auto& side : sides_) {
      JOULERY_ASSIGN(const std::unique_ptr<data::Dataset> dataset, open_data(request_, *side));
      JOULERY_CHECK_OK(fill_feed(*side, *dataset));
      outcome_.data = dataset->info();
      outcome_.subjects.push_back(facts_of(*side));
      observer_.on_step("counting operations");
      fill_cost(*side, outcome_.subjects.back(), outcome_.warnings);
    }
    outcome_.batches = sides_[0]->feed.size();
    return {};
  }

  /// A slip of the pen is told before minutes of measuring.
  Status check_task() {
    if (outcome_.data.synthetic && *request_.task != evaluate::TaskKind::agree) {
      return user_error("made-up data tell of speed, not of quality", "give real data with --data");
    }
    JOULERY_ASSIGN(const std::unique_ptr<engine::Session> session, sides_[0]->load());
    evaluate::TaskOptions options = request_.task_options;
    if (options.class_names.empty()) options.class_names = outcome_.data.class_names;
    JOULERY_ASSIGN(const auto scorer,
                   evaluate::TaskScorer::create(*request_.task, options, session->outputs()));
    return {};
  }

  evaluate::Subject subject_of(const Side& side) const {
    return {
        .label = fmt::format("{} in {}", side.file.name(), side.engine->info().name),
        .load = [&side] { return side.load(); },
        .bind = [&side](engine::Session& session,
                        std::uint64_t block) { return side.feed[block % side.feed.size()].bind(session); },
        .batch = side.batch};
  }

  Status measure_sides() {
    std::vector<evaluate::Subject> subjects;
    for (const auto& side : sides_) subjects.push_back(subject_of(*side));
    const evaluate::MeasureWorld world{.clock = application_.clock(),
                                       .sensors = application_.sensors(),
                                       .meter = [this](int pid) { return open_meter(pid); },
                                       .should_stop =
                                           [this](const evaluate::MeasureProgress& progress) {
                                             observer_.on_progress(progress);
                                             return observer_.interrupted();
                                           }};
    JOULERY_ASSIGN(outcome_.measurement, evaluate::measure(subjects, request_.protocol, world));
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

  Status judge_sides() {
    const bool agree = *request_.task == evaluate::TaskKind::agree;
    for (std::size_t i = 0; i < sides_.size(); ++i) {
      observer_.on_step("judging the answers");
      JOULERY_ASSIGN(const std::unique_ptr<engine::Session> session, sides_[i]->load());
      std::unique_ptr<engine::Session> reference;
      if (agree) {
        JOULERY_ASSIGN(reference, load_reference(i));
      }
      JOULERY_CHECK_OK(judge(*sides_[i], *session, reference.get(), outcome_.subjects[i]));
    }
    return {};
  }

  Status judge(const Side& side, engine::Session& session, engine::Session* reference, SubjectFacts& facts) {
    facts.outputs.assign(session.outputs().begin(), session.outputs().end());
    JOULERY_ASSIGN(const std::unique_ptr<data::Dataset> dataset, open_data(request_, side));
    evaluate::TaskOptions options = request_.task_options;
    if (options.class_names.empty()) options.class_names = dataset->info().class_names;
    JOULERY_ASSIGN(const std::unique_ptr<evaluate::TaskScorer> scorer,
                   evaluate::TaskScorer::create(*request_.task, options, session.outputs()));
    evaluate::BatchBuffer buffer(side.inputs, side.batch);
    while (!observer_.interrupted()) {
      JOULERY_ASSIGN(std::size_t count, buffer.fill(*dataset));
      if (count == 0) break;
      if (request_.most_samples > 0) {
        if (scorer->samples() >= request_.most_samples) break;
        count = std::min<std::uint64_t>(count, request_.most_samples - scorer->samples());
      }
      JOULERY_ASSIGN(const std::vector<data::TensorView> outputs, run_on(session, buffer));
      std::vector<data::TensorView> expected;
      if (reference != nullptr) {
        JOULERY_ASSIGN(expected, run_on(*reference, buffer));
      }
      const auto labels = buffer.labels();
      const auto groups = buffer.groups();
      JOULERY_CHECK_OK(scorer->add(outputs, expected, count,
                                   reference != nullptr ? std::span<const data::Label>()
                                                        : labels.first(std::min(count, labels.size())),
                                   groups.first(std::min(count, groups.size()))));
    }
    JOULERY_ASSIGN(evaluate::QualityReport report, scorer->report());
    outcome_.quality.push_back(std::move(report));
    return {};
  }

  static Result<std::vector<data::TensorView>> run_on(engine::Session& session,
                                                      const evaluate::BatchBuffer& buffer) {
    JOULERY_CHECK_OK(buffer.bind(session));
    JOULERY_CHECK_OK(session.run());
    std::vector<data::TensorView> outputs;
    for (std::size_t i = 0; i < session.outputs().size(); ++i) {
      JOULERY_ASSIGN(const data::TensorView view, session.output(i));
      outputs.push_back(view);
    }
    return outputs;
  }

  void warn(std::string text, std::string hint) {
    outcome_.warnings.push_back({std::move(text), std::move(hint)});
  }

  void add_warnings() {
    const evaluate::MeasurementResult& measured = outcome_.measurement;
    const evaluate::Surroundings& around = measured.surroundings;
    if (measured.ending == evaluate::Ending::budget_spent) warn_of_budget();
    if (around.throttle_events > 0) {
      warn(fmt::format("a CPU was slowed down for its heat {} times", around.throttle_events),
           "let it cool, and measure again: the figures are those of a hot machine");
    }
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
    for (const evaluate::QualityReport& report : outcome_.quality) {
      for (const std::string& text : report.warnings) warn(text, {});
    }
  }

  void warn_of_budget() {
    double widest = 0;
    std::size_t blocks = 0;
    for (const evaluate::SubjectResult& subject : outcome_.measurement.subjects) {
      if (subject.cpu_seconds) widest = std::max(widest, subject.cpu_seconds->relative_half_width());
      blocks = subject.cpu_blocks.values.size();
    }
    const double target = request_.protocol.target_half_width;
    if (widest > target) {
      const double times = (widest / target) * (widest / target);
      warn(fmt::format("CPU-seconds are known to ±{:.1f} % only, not to ±{:.0f} %: the time was up after {}",
                       100 * widest, 100 * target, format_count(double(blocks), "blocks")),
           fmt::format("--budget {:.0f}s would do if the machine stays as it is",
                       std::ceil(times * outcome_.measurement.seconds)));
    } else {
      warn(fmt::format("the time was up after {}, fewer than the {} that a figure is to rest on",
                       format_count(double(blocks), "blocks"), request_.protocol.least_blocks),
           "give it more time with --budget");
    }
  }

  Application& application_;
  const ModelBenchRequest& request_;
  ModelBenchObserver& observer_;
  meter::Machine machine_;
  ModelBenchOutcome outcome_;
  std::vector<std::unique_ptr<Side>> sides_;
  std::unique_ptr<engine::Engine> reference_engine_;
};

}  // namespace

Result<ModelBenchOutcome> bench_model(Application& application, const ModelBenchRequest& request,
                                      ModelBenchObserver& observer) {
  return Bench(application, request, observer).run();
}

}  // namespace joulery::app
