#include "onnx/passes/opset_upgrade.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_set>
#include <utility>

#include "base/text.hpp"
#include "onnx/check.hpp"
#include "onnx/edit.hpp"
#include "onnx/passes/node_rewrite.hpp"
#include "onnx/passes/operator_history.hpp"
#include "onnx/tensor_values.hpp"
#include "onnx/walk.hpp"

namespace joulery::onnx {
namespace {

/// Constants larger than this decide on nothing.
constexpr std::uint64_t kDecidingElements = 16;

/// The first IR version that knows an opset, from 7 on.
std::int64_t ir_version_for(std::int64_t opset) {
  constexpr std::array<std::int64_t, 19> kVersions{3, 3, 4, 5, 6,  7,  7,  7,  8, 8,
                                                   8, 8, 9, 9, 10, 10, 11, 12, 13};
  return kVersions.at(static_cast<std::size_t>(opset - kOldestOpset));
}

/// Gathers what the model says of its values.
class FactReader {
 public:
  explicit FactReader(UpgradeFacts& facts) : facts_(facts) { facts_.only_float32 = true; }

  void enter_graph(const Graph& graph, const Place&, unsigned) {
    for (const auto* list : {&graph.inputs, &graph.value_infos, &graph.outputs}) {
      for (const ValueInfo& value : *list) declare(value);
    }
    for (const Tensor& tensor : graph.initializers) {
      facts_.types.emplace(tensor.name, tensor.data_type);
      facts_.ranks.emplace(tensor.name, tensor.dims.size());
      keep(tensor.name, tensor);
    }
  }
  void node(const Node& node, const Place&) {
    for (const Attribute& attribute : node.attributes) {
      const auto* number = std::get_if<std::int64_t>(&attribute.value);
      const bool is_type = attribute.name == "to" || attribute.name == "dtype";
      if (number != nullptr && is_type) see(static_cast<DataType>(*number));
      const auto* tensor = std::get_if<Box<Tensor>>(&attribute.value);
      if (tensor != nullptr && node.op_type == "Constant" && node.outputs.size() == 1) {
        keep(node.outputs[0], **tensor);
      }
    }
  }
  void tensor(const Tensor& tensor, const Place&) { see(tensor.data_type); }

 private:
  void declare(const ValueInfo& value) {
    const auto* type = value.type ? std::get_if<TensorType>(&value.type->value) : nullptr;
    if (type == nullptr) return;
    see(type->element);
    if (type->element != DataType::undefined) facts_.types.emplace(value.name, type->element);
    if (type->shape) facts_.ranks.emplace(value.name, type->shape->dimensions.size());
  }
  void see(DataType type) {
    if (type == DataType::float16 || type == DataType::float64 || type == DataType::bfloat16) {
      facts_.only_float32 = false;
    }
  }
  void keep(const std::string& name, const Tensor& tensor) {
    const auto count = element_count(tensor.dims);
    if (!count || *count > kDecidingElements) return;
    if (auto values = real_values(tensor)) facts_.constants[name] = std::move(*values);
  }

  UpgradeFacts& facts_;
};

class Upgrade {
 public:
  Upgrade(UpgradeFacts& facts, FreshNames& names, std::int64_t from, std::int64_t to)
      : facts_(facts), names_(names), from_(from), to_(to) {}

  std::size_t rewritten() const { return rewritten_; }

  Status graph(Graph& graph) {
    Status status;
    for_each_graph(graph, [&](Graph& each) {
      if (status) status = check_operators(each);
      for (std::int64_t version = from_ + 1; version <= to_ && status; ++version) {
        status = one_version(each, version);
      }
    });
    return status;
  }

 private:
  static bool is_ours(const Node& node) { return canonical_domain(node.domain).empty(); }

  Status check_operators(const Graph& graph) const {
    for (const Node& node : graph.nodes) {
      if (!is_ours(node)) continue;
      const OperatorHistory* history = history_of(node.op_type);
      if (history != nullptr && history->first <= from_) continue;
      return user_error(
          fmt::format("'{}' is no operator of opset {}, so how it becomes one of opset {} is not "
                      "known",
                      printable(node.op_type), from_, to_),
          "export the model again with a newer opset");
    }
    return {};
  }

  Status one_version(Graph& graph, std::int64_t version) {
    const auto needs = [&](const Node& node) {
      return is_ours(node) && adapter_of(node.op_type, version) != nullptr;
    };
    if (std::ranges::none_of(graph.nodes, needs)) return {};
    const GraphIndex index(graph);
    std::vector<Node> nodes;
    nodes.reserve(graph.nodes.size());
    for (Node& node : graph.nodes) {
      if (!needs(node)) {
        nodes.push_back(std::move(node));
        continue;
      }
      const Adapter adapter = adapter_of(node.op_type, version);
      NodeRewrite rewrite(std::move(node), index, names_, facts_);
      if (rewrite.node().inputs.empty() || rewrite.node().outputs.empty()) {
        return rewrite.refuse(version, "it has no input or no output");
      }
      JOULERY_CHECK_OK(adapter(rewrite, version));
      if (rewrite.refers()) return rewrite.refuse(version, "a call of its function gives an attribute");
      rewrite.finish(nodes);
      ++rewritten_;
    }
    graph.nodes = std::move(nodes);
    return {};
  }

  UpgradeFacts& facts_;
  FreshNames& names_;
  std::int64_t from_;
  std::int64_t to_;
  std::size_t rewritten_ = 0;
};

std::optional<std::int64_t> standard_opset(const std::vector<OpsetId>& imports) {
  const auto found = std::ranges::find_if(
      imports, [](const OpsetId& opset) { return canonical_domain(opset.domain).empty(); });
  return found == imports.end() ? std::nullopt : std::optional(found->version);
}

/// Some exporters import it twice, under both of its names.
void set_standard_opset(std::vector<OpsetId>& imports, std::int64_t version) {
  for (OpsetId& opset : imports) {
    if (canonical_domain(opset.domain).empty()) opset.version = version;
  }
}

Status check_versions(std::int64_t from, std::int64_t target) {
  if (from < kOldestOpset) {
    return user_error(
        fmt::format("opset {} is older than {}, from which on it can be upgraded", from, kOldestOpset),
        "export the model again with a newer opset");
  }
  if (target > kNewestUpgradeTarget) {
    return user_error(fmt::format("opset {} is not known: {} is the newest", target, kNewestUpgradeTarget));
  }
  return {};
}

/// The body of a function, as a graph for the time of the upgrade.
Result<std::size_t> upgrade_function(Function& function, const UpgradeFacts& model_facts,
                                     std::int64_t target) {
  const auto opset = standard_opset(function.opset_imports);
  if (!opset || *opset >= target) return 0;
  JOULERY_CHECK_OK(check_versions(*opset, target));
  Graph body;
  body.nodes = std::move(function.nodes);
  for (const std::string& input : function.inputs) {
    body.inputs.emplace_back();
    body.inputs.back().name = input;
  }
  for (const std::string& output : function.outputs) {
    body.outputs.emplace_back();
    body.outputs.back().name = output;
  }
  UpgradeFacts facts;
  facts.only_float32 = model_facts.only_float32;
  FreshNames names(body);
  Upgrade upgrade(facts, names, *opset, target);
  JOULERY_CHECK_OK(upgrade.graph(body));
  function.nodes = std::move(body.nodes);
  set_standard_opset(function.opset_imports, target);
  return upgrade.rewritten();
}

void raise_ir_version(Model& model, std::int64_t target) {
  const std::int64_t wanted = ir_version_for(target);
  if (model.ir_version >= wanted) return;
  if (model.ir_version < 4) {
    std::unordered_set<std::string_view> constants;
    for (const Tensor& tensor : model.graph->initializers) constants.insert(tensor.name);
    std::erase_if(model.graph->inputs,
                  [&](const ValueInfo& input) { return constants.contains(input.name); });
  }
  model.ir_version = wanted;
}

}  // namespace

Result<Change> upgrade_opset(Model& model, std::int64_t target, const ValueShapes& known) {
  if (!model.graph.has_value()) return Change{};
  const auto current = standard_opset(model.opset_imports);
  if (!current || *current >= target) return Change{};
  JOULERY_CHECK_OK(check_versions(*current, target));
  if (!model.training.empty()) return user_error("a model with training graphs can't be upgraded");
  // What fails in the middle must leave nothing half done.
  Model changed = model;
  UpgradeFacts facts;
  FactReader reader(facts);
  walk(std::as_const(changed), reader);
  for (const auto& [name, shape] : known) {
    if (shape.type != DataType::undefined) facts.types[name] = shape.type;
    facts.ranks[name] = shape.dims.size();
  }
  FreshNames names(*changed.graph);
  Upgrade upgrade(facts, names, *current, target);
  JOULERY_CHECK_OK(upgrade.graph(*changed.graph));
  Change change{upgrade.rewritten()};
  for (Function& function : changed.functions) {
    JOULERY_ASSIGN(const std::size_t count, upgrade_function(function, facts, target));
    change.count += count;
  }
  set_standard_opset(changed.opset_imports, target);
  raise_ir_version(changed, target);
  // In place: somebody may hold on to the graph.
  *model.graph = std::move(*changed.graph);
  model.functions = std::move(changed.functions);
  model.opset_imports = std::move(changed.opset_imports);
  model.ir_version = changed.ir_version;
  return change;
}

std::vector<OperatorVersion> known_operator_versions() {
  std::vector<OperatorVersion> versions;
  for (const OperatorHistory& history : all_histories()) {
    versions.push_back({history.op_type, history.first});
    for (const std::int64_t version : history.changes) versions.push_back({history.op_type, version});
  }
  return versions;
}

}  // namespace joulery::onnx
