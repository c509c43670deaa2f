#include "app/bench_side.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <set>
#include <span>

#include "app/bench_engine.hpp"
#include "app/bench_limits.hpp"
#include "base/dynamic_library.hpp"
#include "base/text.hpp"
#include "bundle/deployment.hpp"
#include "engine/evaluator.hpp"
#include "engine/options.hpp"
#include "onnx/body_costs.hpp"
#include "onnx/cost.hpp"
#include "onnx/real_shapes.hpp"
#include "power/power_model.hpp"

namespace joulery::app {
namespace {

/// Calls rotate through so many batches, as far as memory allows.
constexpr std::size_t kMostBatches = 8;
constexpr std::size_t kMostFeedBytes = 256U << 20U;

bool is_open(const engine::Port& port, std::size_t dimension) {
  return port.shape.rank() > dimension && port.shape[dimension] == data::kUnknownDimension;
}

/// What to write for an input: its own numbers, the batch, and some number where the model leaves it open.
std::string shape_example(const engine::Port& port, std::int64_t batch) {
  constexpr std::int64_t kSomeNumber = 128;
  std::string dimensions;
  for (std::size_t i = 0; i < port.shape.rank(); ++i) {
    const bool behind_layers = i == 1 && port.shape.rank() > 2 && !is_open(port, 0) && port.shape[0] != batch;
    const std::int64_t open = i == 0 || behind_layers ? batch : kSomeNumber;
    dimensions += fmt::format("{}{}", i == 0 ? "" : ",", is_open(port, i) ? open : port.shape[i]);
  }
  return fmt::format("--shape '{}:{}'", printable(port.name), dimensions);
}

/// Made-up data have no shape to take an open dimension from.
Status check_shapes(const BenchSide& side) {
  std::string open;
  std::string examples;
  for (const engine::Port& port : side.inputs) {
    if (port.shape.is_known()) continue;
    open += fmt::format("{}'{}' {}", open.empty() ? "" : ", ", printable(port.name), port.shape.text());
    examples += (examples.empty() ? "" : " ") + shape_example(port, side.batch);
  }
  if (open.empty()) return {};
  return user_error(
      fmt::format("{} leaves the shape of inputs open: {}", printable(side.file.name()), open),
      fmt::format("say it with {} (with your own numbers), or give data with --data", examples));
}

/// The shape that was asked for an input; null if none was.
template <class Options>
auto* asked_shape(const engine::Port& port, std::size_t inputs, Options& options) {
  const auto found = std::ranges::find_if(options.shapes, [&](const engine::ShapeOverride& shape) {
    return shape.input == port.name || (shape.input.empty() && inputs == 1);
  });
  return found == options.shapes.end() ? nullptr : &*found;
}

/// How many samples a call has: as asked, else as a shape says whose first dimension the model leaves open,
/// else 1. Inputs whose first dimension the model leaves open get it; what else they begin with (layers, or a
/// direction) is no batch.
std::int64_t settle_batch(std::span<const engine::Port> declared, engine::SessionOptions& options) {
  // One that was asked for is given to all inputs, or told not to fit.
  const bool is_asked = options.batch > 0;
  std::int64_t batch = options.batch;
  for (const engine::Port& port : declared) {
    const engine::ShapeOverride* asked = asked_shape(port, declared.size(), options);
    if (batch == 0 && asked != nullptr && is_open(port, 0) && asked->shape.rank() > 0)
      batch = std::max<std::int64_t>(0, asked->shape[0]);
  }
  if (batch == 0) batch = 1;
  for (const engine::Port& port : declared) {
    if (!is_open(port, 0)) continue;
    if (engine::ShapeOverride* asked = asked_shape(port, declared.size(), options)) {
      if (asked->shape.rank() > 0 && asked->shape[0] < 0) asked->shape.set(0, batch);
      continue;
    }
    if (is_asked) continue;
    engine::ShapeOverride shape{.input = port.name, .shape = port.shape};
    shape.shape.set(0, batch);
    options.shapes.push_back(std::move(shape));
  }
  return batch;
}

/// What begins with a fixed dimension that is not the batch, such as the steps of a sequence, and was asked
/// for as it is: each call takes one such.
bool is_whole(const BenchSide& side, std::size_t input) {
  const engine::Port& port = side.declared[input];
  return port.shape.rank() > 0 && port.shape[0] > 1 && port.shape[0] != side.batch &&
         asked_shape(port, side.declared.size(), side.request.options) != nullptr;
}

/// Made-up samples do not tell if a fixed first dimension is the batch, so that the user must.
Status check_first_dimensions(const BenchSide& side, std::span<const data::Constant> constants) {
  const engine::Port* first = nullptr;
  std::string shapes;
  for (std::size_t i = 0; i < side.inputs.size(); ++i) {
    const engine::Port& port = side.inputs[i];
    const bool is_constant =
        std::ranges::any_of(constants, [&](const auto& constant) { return constant.input == port.name; });
    // A single dimension is a sample rather than a batch of numbers.
    const bool is_clear = port.shape.rank() < 2 || port.shape[0] <= 1 || port.shape[0] == side.batch;
    if (is_clear || is_constant || is_whole(side, i)) continue;
    if (first == nullptr) first = &port;
    shapes += (shapes.empty() ? "" : " ") + shape_example(port, side.batch);
  }
  if (first == nullptr) return {};
  const bool open_batch =
      std::ranges::any_of(side.declared, [](const engine::Port& port) { return is_open(port, 0); });
  return user_error(
      fmt::format("{} fixes the first dimension of input '{}', {}, and does not say if that is the batch",
                  printable(side.file.name()), printable(first->name), first->shape.text()),
      open_batch
          ? fmt::format("give {} if each call takes it whole, or --constant '{}=0' if it is the same for "
                        "all samples",
                        shapes, printable(first->name))
          : fmt::format("give --batch {} if it is the batch, or {} if a call is one inference",
                        first->shape[0], shapes));
}

/// The bytes of a call before anything of that size is allocated.
Status check_size(const BenchSide& side, std::span<const engine::Port> inputs) {
  std::vector<engine::Port> outputs = side.file.declared_outputs();
  for (engine::Port& port : outputs) {
    if (is_open(port, 0)) port.shape.set(0, side.batch);
  }
  return check_call_size(inputs, outputs, side.batch);
}

/// The same where only the data tell the shape.
Status check_size_of_data(const BenchSide& side, data::Dataset& dataset) {
  const auto is_known = [](const engine::Port& port) { return port.shape.is_known(); };
  if (std::ranges::all_of(side.inputs, is_known)) return {};
  JOULERY_ASSIGN(const data::Batch* sample, dataset.read(1));
  std::vector<engine::Port> inputs = side.inputs;
  for (std::size_t i = 0; sample->count > 0 && i < inputs.size(); ++i) {
    if (is_known(inputs[i])) continue;
    const bool grows = is_open(side.declared[i], 0);
    inputs[i].shape = sample->inputs[i].shape;
    if (grows && inputs[i].shape.rank() > 0) inputs[i].shape.set(0, side.batch);
  }
  JOULERY_CHECK_OK(check_size(side, inputs));
  return dataset.rewind();
}

std::vector<onnx::Tensor> tensors_of(const BenchSide& side) {
  std::vector<onnx::Tensor> inputs;
  const std::vector<data::TensorView> views = side.feed[0].views();
  for (std::size_t i = 0; i < views.size(); ++i) {
    onnx::Tensor tensor;
    tensor.name = side.inputs[i].name;
    tensor.data_type = engine::onnx_type_of(views[i].type);
    tensor.dims.assign(views[i].shape.dimensions().begin(), views[i].shape.dimensions().end());
    tensor.storage = onnx::TensorStorage::raw;
    // The feed outlives it.
    tensor.data = {nullptr, {reinterpret_cast<const std::uint8_t*>(views[i].data), views[i].bytes}};
    inputs.push_back(std::move(tensor));
  }
  return inputs;
}

/// The first sample of a batch; nothing if an input does not say by its shape how it is made of samples.
std::optional<std::vector<onnx::Tensor>> first_sample(const BenchSide& side,
                                                      std::vector<onnx::Tensor> inputs) {
  bool any_by_sample = false;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const engine::Port& port = side.declared[i];
    onnx::Tensor& tensor = inputs[i];
    const bool has_batch = !tensor.dims.empty() && tensor.dims[0] == side.batch;
    if (has_batch && !is_open(port, 0)) return std::nullopt;
    for (std::size_t j = has_batch ? 1 : 0; j < tensor.dims.size(); ++j) {
      if (is_open(port, j) && (!has_batch || tensor.dims[j] == side.batch)) return std::nullopt;
    }
    if (!has_batch) continue;
    any_by_sample = true;
    tensor.dims[0] = 1;
    tensor.data = tensor.data.part(0, tensor.data.size() / static_cast<std::size_t>(side.batch));
  }
  if (!any_by_sample) return std::nullopt;
  return inputs;
}

/// What a run costs, and how many inferences it is.
struct CountedRun {
  onnx::ModelCost cost;
  std::int64_t samples = 1;
};

Result<CountedRun> count_run(const BenchSide& side, std::span<const onnx::Tensor> inputs,
                             std::int64_t samples) {
  const onnx::Model& model = side.file.model();
  engine::EngineEvaluator evaluator(*side.engine);
  JOULERY_ASSIGN(const onnx::RealShapes real, onnx::real_shapes(model, inputs, evaluator));
  const onnx::BodyCosts bodies = onnx::body_costs(model, inputs, real.shapes, evaluator);
  return CountedRun{onnx::model_cost(model, real.shapes, bodies), samples};
}

/// A run of one sample where that can be, because that of a large batch needs its memory.
Result<CountedRun> count_smallest_run(const BenchSide& side) {
  const std::vector<onnx::Tensor> inputs = tensors_of(side);
  if (side.batch > 1) {
    if (const auto single = first_sample(side, inputs)) {
      if (auto counted = count_run(side, *single, 1)) return counted;
    }
  }
  return count_run(side, inputs, side.batch);
}

/// The operators that hide what they multiply, by type: "1 of 7 operators (Loop)".
std::string uncounted_text(const onnx::ModelCost& cost) {
  constexpr std::size_t kMostTypes = 5;
  std::set<std::string> types;
  for (const std::size_t node : cost.without_macs) types.insert(printable(cost.operators[node].op_type));
  std::string names;
  for (const std::string& type : types | std::views::take(kMostTypes))
    names += (names.empty() ? "" : ", ") + type;
  return fmt::format("{} of {} operators ({}{})", cost.without_macs.size(), cost.operators.size(), names,
                     types.size() > kMostTypes ? ", …" : "");
}

/// Parameters, and MACs with the shapes of a real run.
void fill_cost(BenchSide& side, SubjectFacts& facts, std::vector<meter::Warning>& warnings) {
  const auto run = count_smallest_run(side);
  const onnx::ModelCost cost =
      run ? run->cost : onnx::model_cost(side.file.model(), onnx::declared_shapes(side.file.model()));
  facts.parameters = cost.parameters;
  facts.weight_bytes = cost.total_weight_bytes();
  facts.uncounted_operators = cost.without_macs.size();
  if (!run) {
    warnings.push_back(
        {fmt::format("operations were not counted: {}", run.error().message), run.error().hint});
    return;
  }
  const std::uint64_t counted = cost.macs / static_cast<std::uint64_t>(run->samples);
  if (cost.without_macs.empty()) {
    facts.macs = counted;
    return;
  }
  warnings.push_back(
      {fmt::format("how many MACs {} takes is unknown: at least {}, without those of {}",
                   printable(side.file.name()), counted, uncounted_text(cost)),
       "trips and branches that depend on the input have no count, nor have calls of functions"});
}

}  // namespace

Status apply_deployment(SubjectRequest& subject) {
  JOULERY_ASSIGN(const bundle::Deployment deployment, bundle::read_deployment(subject.model));
  engine::SessionOptions& options = subject.options;
  const auto unknown = [&](const char* what, const std::string& value) {
    return user_error(fmt::format("{}/deployment.toml: there is no {} '{}'", printable(subject.model), what,
                                  printable(value)));
  };
  if (deployment.engine) subject.engine = *deployment.engine;
  if (deployment.precision) {
    const auto precision = engine::parse_precision(*deployment.precision);
    if (!precision) return unknown("precision", *deployment.precision);
    options.precision = *precision;
  }
  if (deployment.optimisation) {
    const auto optimisation = engine::parse_optimisation(*deployment.optimisation);
    if (!optimisation) return unknown("optimisation", *deployment.optimisation);
    options.optimisation = *optimisation;
  }
  options.threads = deployment.threads.value_or(options.threads);
  options.streams = deployment.streams.value_or(options.streams);
  options.batch = deployment.batch.value_or(options.batch);
  options.pin_threads = deployment.pin_threads.value_or(options.pin_threads);
  options.spin = deployment.spin.value_or(options.spin);
  options.flush_denormals = deployment.flush_denormals.value_or(options.flush_denormals);
  return {};
}

Result<std::unique_ptr<BenchSide>> open_bench_side(const Application& application,
                                                   const SubjectRequest& request,
                                                   const std::string& engine_path) {
  const auto machine = power::read_machine_identity(application.root());
  const int cpus = machine ? std::max(1, machine->threads_online) : 1;
  JOULERY_CHECK_OK(check_thread_count(request.options, static_cast<std::uint64_t>(cpus)));
  JOULERY_ASSIGN(ModelFile file, ModelFile::open(request.model));
  JOULERY_ASSIGN(std::unique_ptr<engine::Engine> engine,
                 open_bench_engine(application, request.engine, engine_path));
  auto side = std::make_unique<BenchSide>(request, std::move(file), std::move(engine));
  JOULERY_ASSIGN(side->declared, side->file.inputs());
  const std::vector<engine::Port>& declared = side->declared;
  engine::SessionOptions& options = side->request.options;
  const bool open_batch =
      std::ranges::any_of(declared, [](const engine::Port& port) { return is_open(port, 0); });
  side->batch = settle_batch(declared, options);
  JOULERY_ASSIGN(side->inputs, engine::resolve_inputs(declared, options));
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
  JOULERY_CHECK_OK(check_size(*side, side->inputs));
  return side;
}

Result<std::unique_ptr<data::Dataset>> open_bench_data(const ModelBenchRequest& request,
                                                       const BenchSide& side) {
  data::DatasetRequest wanted = request.data;
  for (std::size_t i = 0; i < side.inputs.size(); ++i) {
    const engine::Port& port = side.inputs[i];
    wanted.inputs.push_back(
        {.name = port.name, .type = port.type, .shape = port.shape, .is_whole = is_whole(side, i)});
  }
  wanted.plugin_directory = own_library_directory();
  wanted.needs_labels = request.task && *request.task != evaluate::TaskKind::agree;
  if (wanted.path.empty()) {
    if (wanted.needs_labels) {
      return user_error("made-up data tell of speed, not of quality",
                        "give samples with labels with --data, or compare with f32 by --task agree");
    }
    wanted.format = data::Format::synthetic;
    JOULERY_CHECK_OK(check_shapes(side));
    JOULERY_CHECK_OK(check_first_dimensions(side, wanted.constants));
  }
  return data::open_dataset(wanted);
}

Status fill_feed(BenchSide& side, data::Dataset& dataset) {
  JOULERY_CHECK_OK(check_size_of_data(side, dataset));
  std::size_t bytes = 0;
  // As many as fit, but one in any case.
  while (side.feed.size() < kMostBatches &&
         (side.feed.empty() || bytes + bytes / side.feed.size() <= kMostFeedBytes)) {
    evaluate::BatchBuffer buffer(side.inputs, side.batch);
    JOULERY_ASSIGN(const std::size_t count, buffer.fill(dataset));
    if (count == 0) break;
    // What repeats the last sample only fills up a batch that there is no other for.
    if (count < static_cast<std::size_t>(side.batch) && !side.feed.empty()) break;
    for (const data::TensorView& view : buffer.views()) bytes += view.bytes;
    side.feed.push_back(std::move(buffer));
  }
  if (side.feed.empty()) {
    return user_error(fmt::format("'{}' holds no samples", printable(dataset.info().path)),
                      "a model can't be measured on nothing: name other data, or leave --data out");
  }
  return {};
}

SubjectFacts bench_facts(BenchSide& side, std::vector<meter::Warning>& warnings) {
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
  fill_cost(side, facts, warnings);
  return facts;
}

}  // namespace joulery::app
