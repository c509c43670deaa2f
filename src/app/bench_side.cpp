#include "app/bench_side.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "app/bench_engine.hpp"
#include "base/dynamic_library.hpp"
#include "base/text.hpp"
#include "bundle/deployment.hpp"
#include "engine/evaluator.hpp"
#include "engine/options.hpp"
#include "onnx/cost.hpp"
#include "onnx/real_shapes.hpp"

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
engine::ShapeOverride* asked_shape(const engine::Port& port, std::size_t inputs,
                                   engine::SessionOptions& options) {
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

/// Parameters, and MACs with the shapes of a real run.
void fill_cost(BenchSide& side, SubjectFacts& facts, std::vector<meter::Warning>& warnings) {
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
  JOULERY_ASSIGN(ModelFile file, ModelFile::open(request.model));
  JOULERY_ASSIGN(std::unique_ptr<engine::Engine> engine,
                 open_bench_engine(application, request.engine, engine_path));
  auto side = std::make_unique<BenchSide>(request, std::move(file), std::move(engine));
  JOULERY_ASSIGN(const std::vector<engine::Port> declared, side->file.inputs());
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
  return side;
}

Result<std::unique_ptr<data::Dataset>> open_bench_data(const ModelBenchRequest& request,
                                                       const BenchSide& side) {
  data::DatasetRequest wanted = request.data;
  for (const engine::Port& port : side.inputs)
    wanted.inputs.push_back({.name = port.name, .type = port.type, .shape = port.shape});
  wanted.plugin_directory = own_library_directory();
  wanted.needs_labels = request.task && *request.task != evaluate::TaskKind::agree;
  if (wanted.path.empty()) {
    if (wanted.needs_labels) {
      return user_error("made-up data tell of speed, not of quality",
                        "give samples with labels with --data, or compare with f32 by --task agree");
    }
    wanted.format = data::Format::synthetic;
    JOULERY_CHECK_OK(check_shapes(side));
  }
  return data::open_dataset(wanted);
}

Status fill_feed(BenchSide& side, data::Dataset& dataset) {
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
