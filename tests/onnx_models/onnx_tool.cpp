// Does with model files what the room `onnx` can do, for tests that compare it with other programs.
//
//   onnx_tool copy IN_FOLDER OUT_FOLDER [in_model | side_file]   every *.onnx of a folder, read, inspected
//   and written onnx_tool inspect FILE                              findings, one a line; exit 1 if one is
//   critical onnx_tool raw FILE                                  name, type and raw bytes of every
//   initializer
//   onnx_tool cost FILE ENGINE LIBRARY PLUGINS [NAME=1,3,…]   parameters, bytes, multiply-accumulates, other
//   operations and nodes left out, with shapes from a run on zeros; then each value with type and shape
//   onnx_tool fold IN OUT ENGINE LIBRARY PLUGINS   constant folding; onnx_tool upgrade IN OUT OPSET

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>

#include "base/text.hpp"
#include "engine/engine.hpp"
#include "engine/evaluator.hpp"
#include "onnx/check.hpp"
#include "onnx/cost.hpp"
#include "onnx/passes/opset_upgrade.hpp"
#include "onnx/passes/pass.hpp"
#include "onnx/policy.hpp"
#include "onnx/read.hpp"
#include "onnx/real_shapes.hpp"
#include "onnx/tensor_values.hpp"
#include "onnx/write.hpp"

namespace {

using namespace joulery;
using namespace joulery::onnx;

void print(const std::string& line) {
  std::fputs((line + "\n").c_str(), stdout);
}

int fail(const Error& error) {
  std::fputs(fmt::format("{}\nhint: {}\n", error.message, error.hint).c_str(), stderr);
  return 2;
}

int tell(const Findings& findings) {
  static constexpr const char* kNames[] = {"note", "warning", "critical"};
  for (const Finding& finding : findings) {
    print(fmt::format("{} {} {}: {}", kNames[static_cast<int>(finding.severity)], finding.rule, finding.where,
                      finding.what));
  }
  return has_critical(findings) ? 1 : 0;
}

int inspect(const std::string& path) {
  auto inspected = inspect_file(path);
  if (!inspected) return fail(inspected.error());
  const int policy = tell(inspected->findings);
  const int structure = tell(check_model(inspected->model));
  return std::max(policy, structure);
}

Status copy_file(const std::string& from, const std::string& to, WriteOptions::Data data) {
  JOULERY_ASSIGN(const Model model, read_model(from));
  JOULERY_CHECK_OK(require_sound(check_model(model), from));
  WriteOptions options;
  options.data = data;
  options.side_file_from_bytes = 16;
  JOULERY_CHECK_OK(write_model(model, to, options));
  JOULERY_ASSIGN(const Model again, read_model(to));
  JOULERY_ASSIGN(const std::string before, model_hash(model));
  JOULERY_ASSIGN(const std::string after, model_hash(again));
  if (data == WriteOptions::Data::in_model && before != after) return internal_error(from + " has changed");
  return {};
}

int copy(const std::string& from, const std::string& to, const std::string& where) {
  const auto data = where == "side_file" ? WriteOptions::Data::in_side_file : WriteOptions::Data::in_model;
  int result = 0;
  for (const auto& entry : std::filesystem::directory_iterator(from)) {
    if (entry.path().extension() != ".onnx") continue;
    const std::string name = entry.path().filename().string();
    const Status status = copy_file(entry.path().string(), (std::filesystem::path(to) / name).string(), data);
    if (!status) result = fail(status.error());
  }
  return result;
}

Result<std::size_t> apply_named(const std::string& name, const std::string& from, const std::string& to) {
  JOULERY_ASSIGN(Model model, read_model(from));
  JOULERY_CHECK_OK(require_sound(check_model(model), from));
  auto passes = standard_passes();
  if (name != "all") std::erase_if(passes, [&](const auto& pass) { return pass->name() != name; });
  if (passes.empty()) return user_error(fmt::format("no pass is called '{}'", name));
  JOULERY_ASSIGN(const Change change, apply_passes(model, passes));
  JOULERY_CHECK_OK(require_sound(check_model(model), to));
  JOULERY_ASSIGN(const WrittenModel written, write_model(model, to));
  return change.count;
}

int passes(const std::string& name, const std::string& from, const std::string& to) {
  const auto count = apply_named(name, from, to);
  if (!count) return fail(count.error());
  print(fmt::format("{}", *count));
  return 0;
}

int raw(const std::string& path) {
  auto model = read_model(path);
  if (!model) return fail(model.error());
  for (const Tensor& tensor : model->graph->initializers) {
    const auto bytes = raw_bytes(tensor);
    if (!bytes) return fail(bytes.error());
    std::string hex;
    for (const std::uint8_t byte : bytes->span()) hex += fmt::format("{:02x}", byte);
    print(fmt::format("{} {} {}", tensor.name, data_type_name(tensor.data_type), hex));
  }
  return 0;
}

using Words = std::vector<std::string>;

Result<std::unique_ptr<engine::Engine>> open(const Words& words, std::size_t at) {
  return engine::open_engine(
      {.name = words[at], .library = words[at + 1], .plugin_directory = words[at + 2]});
}

/// Zeros of the declared type; open dimensions are 1 unless `words` say more.
Result<std::vector<Tensor>> zeros(const Graph& graph, const Words& words, std::size_t at) {
  std::vector<Tensor> inputs;
  for (const ValueInfo& input : graph.inputs) {
    if (std::ranges::find(graph.initializers, input.name, &Tensor::name) != graph.initializers.end())
      continue;
    const auto* type = input.type ? std::get_if<TensorType>(&input.type->value) : nullptr;
    if (type == nullptr || !type->shape) return user_error("an input is no tensor");
    Tensor tensor;
    tensor.name = input.name;
    tensor.data_type = type->element;
    for (const Dimension& dimension : type->shape->dimensions) {
      const auto* size = std::get_if<std::int64_t>(&dimension.size);
      tensor.dims.push_back(size == nullptr || *size < 0 ? 1 : *size);
    }
    for (std::size_t i = at; i < words.size(); ++i) {
      if (!words[i].starts_with(input.name + "=")) continue;
      JOULERY_ASSIGN(const data::Shape shape, data::Shape::parse(words[i].substr(input.name.size() + 1)));
      tensor.dims.assign(shape.dimensions().begin(), shape.dimensions().end());
    }
    tensor.storage = TensorStorage::raw;
    const auto bytes = raw_size(tensor.data_type, element_count(tensor.dims).value_or(0));
    tensor.data = SharedBytes::adopt(std::vector<std::uint8_t>(bytes.value_or(0)));
    inputs.push_back(std::move(tensor));
  }
  return inputs;
}

Status cost(const Words& words) {
  JOULERY_ASSIGN(const Model model, read_model(words[1]));
  JOULERY_ASSIGN(const auto engine, open(words, 2));
  JOULERY_ASSIGN(const std::vector<Tensor> inputs, zeros(*model.graph, words, 5));
  engine::EngineEvaluator evaluator(*engine);
  JOULERY_ASSIGN(const RealShapes shapes, real_shapes(model, inputs, evaluator));
  const ModelCost cost = model_cost(model, shapes.shapes);
  print(fmt::format("parameters {}\nbytes {}\nmacs {}\nother {}\nuncounted {}\nunknown {}", cost.parameters,
                    cost.total_weight_bytes(), cost.macs, cost.other_operations, cost.uncounted.size(),
                    shapes.unknown.size()));
  for (const auto& [name, shape] : shapes.shapes) {
    print(fmt::format("value {} {} [{}]", name, data_type_name(shape.type), fmt::join(shape.dims, ",")));
  }
  return {};
}

Status fold(const Words& words) {
  JOULERY_ASSIGN(Model model, read_model(words[1]));
  JOULERY_ASSIGN(const auto engine, open(words, 3));
  engine::EngineEvaluator evaluator(*engine);
  std::vector<std::unique_ptr<Pass>> both;
  both.push_back(make_constant_folding(evaluator));
  both.push_back(make_dead_removal());
  JOULERY_ASSIGN(const Change change, apply_passes(model, both));
  JOULERY_CHECK_OK(require_sound(check_model(model), words[2]));
  JOULERY_ASSIGN(const WrittenModel written, write_model(model, words[2]));
  print(fmt::format("{}", change.count));
  return {};
}

Status upgrade(const Words& words) {
  JOULERY_ASSIGN(Model model, read_model(words[1]));
  const auto target = parse_int64(words[3]);
  const auto change = upgrade_opset(model, target.value_or(kDefaultOpset));
  if (!change) {
    JOULERY_ASSIGN(const Model before, read_model(words[1]));
    if (!(model == before)) return internal_error("a refused model has changed");
    return std::unexpected(change.error());
  }
  JOULERY_CHECK_OK(require_sound(check_model(model), words[2]));
  JOULERY_ASSIGN(const WrittenModel written, write_model(model, words[2]));
  print(fmt::format("{}", change->count));
  return {};
}

/// "Softmax 13" for each operator and version that the upgrade knows.
void print_versions() {
  for (const OperatorVersion& version : known_operator_versions()) {
    print(fmt::format("{} {}", version.op_type, version.version));
  }
}

int finish(const Status& status) {
  return status ? 0 : fail(status.error());
}

}  // namespace

int main(int count, char** arguments) {
  const std::vector<std::string> words(arguments + 1, arguments + count);
  if (words.size() == 2 && words[0] == "inspect") return inspect(words[1]);
  if (words.size() == 2 && words[0] == "raw") return raw(words[1]);
  if (words.size() == 4 && words[0] == "copy") return copy(words[1], words[2], words[3]);
  if (words.size() == 4 && words[0] == "passes") return passes(words[1], words[2], words[3]);
  if (words.size() >= 5 && words[0] == "cost") return finish(cost(words));
  if (words.size() == 6 && words[0] == "fold") return finish(fold(words));
  if (words.size() == 4 && words[0] == "upgrade") return finish(upgrade(words));
  if (words.size() == 1 && words[0] == "versions") {
    print_versions();
    return 0;
  }
  return 64;
}
