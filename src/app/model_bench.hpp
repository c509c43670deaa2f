#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "app/application.hpp"
#include "data/dataset.hpp"
#include "data/near_duplicates.hpp"
#include "engine/engine.hpp"
#include "engine/precision_report.hpp"
#include "evaluate/measurement.hpp"
#include "evaluate/robustness.hpp"
#include "evaluate/task.hpp"
#include "onnx/finding.hpp"

namespace joulery::app {

/// One side of a bench.
struct SubjectRequest {
  /// A model's file or a bundle's folder.
  std::string model;
  /// "onnxruntime", "openvino"; empty: the first that there is.
  std::string engine;
  engine::SessionOptions options;
};

/// If the model is a bundle's folder: what its deployment.toml says. User error for one that makes no sense.
Status apply_deployment(SubjectRequest& subject);

/// What `joulery bench MODEL` is asked for, beyond the settings.
struct ModelBenchRequest {
  SubjectRequest subject;
  std::optional<SubjectRequest> versus;
  /// --engine-path or empty.
  std::string engine_path;
  evaluate::Protocol protocol;
  /// The inputs are filled in from the model. Without a path the data are made up, which tells of speed only.
  data::DatasetRequest data;
  std::optional<evaluate::TaskKind> task;
  evaluate::TaskOptions task_options;
  /// Of the data, for quality; 0: all.
  std::uint64_t most_samples = 0;
  /// Judge on spoiled inputs too, so many samples of each kind.
  bool robustness = false;
  std::uint64_t robustness_samples = 256;
  /// Say where the time goes.
  bool explain = false;
  /// Of the run; empty: the model's.
  std::string name;
  std::map<std::string, std::string> tags;
  meter::FootprintOptions footprint;
};

/// What was measured: the model, and what it ran in.
struct SubjectFacts {
  std::string model;
  std::string name;
  std::string sha256;
  std::uint64_t file_bytes = 0;
  std::int64_t opset = 0;
  std::uint64_t parameters = 0;
  std::uint64_t weight_bytes = 0;
  /// Of one inference; nothing if not all of them are known.
  std::optional<std::uint64_t> macs;
  /// Operators that MACs could not be told of.
  std::size_t uncounted_operators = 0;
  onnx::Findings findings;
  engine::EngineInfo engine;
  engine::SessionOptions options;
  std::vector<engine::Port> inputs;
  std::vector<engine::Port> outputs;
};

/// Quality on spoiled inputs, and what the model then costs.
struct RobustnessOutcome {
  /// "images", "features", "tokens": what the inputs were taken for, and how.
  std::string kind;
  std::string input;
  std::string note;
  std::uint64_t samples = 0;
  evaluate::Robustness figures;
  /// Per inference, clean and for each row of the figures; of a few calls.
  double clean_cpu_seconds = 0;
  std::vector<double> cpu_seconds;
  /// Of all of this test, the engine's part.
  bool energy_known = false;
  Quantity<Joules> energy;
  double seconds = 0;
};

/// Where the time of a call goes.
struct Explanation {
  /// The longest first, of all profiled calls.
  std::vector<engine::OperatorTime> operators;
  std::uint64_t calls = 0;
  engine::PrecisionReport precision;
  std::vector<meter::Warning> reasons;
};

/// What was asked for and went wrong after there were figures.
struct BenchProblem {
  /// "judging the answers of a.onnx".
  std::string doing;
  Error error;
};

/// Looking for samples that are alike takes 1.5 kB for each.
constexpr std::uint64_t kMostCompared = 20'000;

struct ModelBenchOutcome {
  std::string run_id;
  bool stored = false;
  std::int64_t start_utc_ns = 0;
  std::int64_t end_utc_ns = 0;
  std::int64_t start_boottime_ns = 0;
  std::int64_t end_boottime_ns = 0;
  evaluate::Protocol protocol;
  std::vector<SubjectFacts> subjects;
  data::DatasetInfo data;
  /// Samples among the first kMostCompared that are alike, if their quality was asked for.
  std::optional<data::DuplicateReport> duplicates;
  /// Batches that the calls rotate through.
  std::size_t batches = 0;
  evaluate::MeasurementResult measurement;
  /// One for each subject, if a task was asked for.
  std::vector<evaluate::QualityReport> quality;
  /// One for each subject, if they were asked for.
  std::vector<RobustnessOutcome> robustness;
  std::vector<Explanation> explanations;
  std::vector<meter::Warning> warnings;
  /// All figures that do not rest on these stand.
  std::vector<BenchProblem> problems;
  /// Somebody asked it to end before it was through.
  bool interrupted = false;
  /// docs/schemas/bench.schema.json
  std::string document;
};

class ModelBenchObserver {
 public:
  virtual ~ModelBenchObserver() = default;
  virtual void on_progress(const evaluate::MeasureProgress& progress) = 0;
  virtual void on_step(const std::string& what) = 0;
  virtual bool interrupted() = 0;
};

/// Measures a model, or two in turn, and judges what they answer. An error before anything was measured is
/// an error of the whole; a later one is a problem of the outcome.
Result<ModelBenchOutcome> bench_model(Application& application, const ModelBenchRequest& request,
                                      ModelBenchObserver& observer);

std::string model_bench_document(const ModelBenchRequest& request, const ModelBenchOutcome& outcome);
/// Stores the run of the bench with its document as evidence.
Status store_model_bench(Application& application, const ModelBenchRequest& request,
                         const ModelBenchOutcome& outcome);

/// Quantiles of the latency of calls.
struct LatencyFigure {
  double probability = 0;
  double seconds = 0;
  std::optional<double> low;
  std::optional<double> high;
  /// MLPerf's early stopping: with 99 % confidence the true quantile is no higher; nothing for too few calls.
  std::optional<double> bound_seconds;
  std::uint64_t calls_needed = 0;
};
std::vector<LatencyFigure> latency_figures(const evaluate::SubjectResult& subject, double level);
/// "124/s", "54510/s": never with an exponent.
std::string rate_text(double per_second);

}  // namespace joulery::app
