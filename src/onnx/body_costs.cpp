#include "onnx/body_costs.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "onnx/edit.hpp"
#include "onnx/functions.hpp"
#include "onnx/operator_macs.hpp"
#include "onnx/passes/node_rewrite.hpp"
#include "onnx/passes/pattern.hpp"
#include "onnx/real_shapes.hpp"
#include "onnx/tensor_values.hpp"

namespace joulery::onnx {
namespace {

/// Bodies in bodies are copied twice for each Loop around them: somewhere it ends.
constexpr std::size_t kMostCopiedNodes = 20'000;
/// A branch that is not taken may fail on this input, and is then asked for in ever smaller parts.
constexpr std::size_t kMostEvaluations = 40;
/// From here on Scan has no batch of its own.
constexpr std::int64_t kScanOpset = 9;

const Graph* body_of(const Node& node, std::string_view name) {
  const Attribute* attribute = node.attribute(name);
  const auto* graph = attribute == nullptr ? nullptr : std::get_if<Box<Graph>>(&attribute->value);
  return graph == nullptr || !graph->has_value() ? nullptr : &**graph;
}

/// A body's nodes as they stand in the main graph, as if it were run once.
struct Copy {
  std::size_t first = 0;
  std::size_t end = 0;
  /// What the body's outputs are called there.
  std::vector<std::string> outputs;
};

/// A node with bodies: what stands for one trip, and how many there are.
struct Opened {
  /// Each must cost the same.
  std::vector<Copy> copies;
  /// Values that must be of the same shape.
  std::vector<std::pair<std::string, std::string>> alike;
  std::uint64_t trips = 1;
  /// If not empty: there are as many trips as this value is long along the axis.
  std::string scanned;
  std::int64_t axis = 0;
};

/// Copies bodies into the main graph, where every value can be asked for its shape. What they take from
/// outside is there already; what each trip gives them is that of the first trip.
class BodyOpener {
 public:
  BodyOpener(Graph& graph, std::int64_t opset) : graph_(graph), names_(graph), opset_(opset) {
    for (std::size_t i = 0; i < graph.initializers.size(); ++i) initializers_[graph.initializers[i].name] = i;
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) note_outputs(i);
  }

  /// Those of copies too, which come after them.
  void open_all() {
    const std::size_t most = graph_.nodes.size() + kMostCopiedNodes;
    for (std::size_t i = 0; i < graph_.nodes.size() && graph_.nodes.size() < most; ++i) {
      if (!has_subgraph(graph_.nodes[i]) || has_bodies_without_macs(graph_.nodes[i])) continue;
      // The list of nodes grows meanwhile.
      const Node node = graph_.nodes[i];
      std::optional<Opened> opened;
      if (is_standard(node, "If")) opened = open_if(node);
      if (is_standard(node, "Loop")) opened = open_loop(node);
      if (is_standard(node, "Scan") && opset_ >= kScanOpset) opened = open_scan(node);
      if (opened) opened_.emplace(i, std::move(*opened));
    }
  }

  const Opened* find(std::size_t node) const {
    const auto found = opened_.find(node);
    return found == opened_.end() ? nullptr : &found->second;
  }

 private:
  void note_outputs(std::size_t node) {
    for (const std::string& output : graph_.nodes[node].outputs) {
      if (!output.empty()) producers_[output] = node;
    }
  }

  std::string add_node(std::string op, std::vector<std::string> inputs, std::vector<Attribute> attributes) {
    Node node;
    node.op_type = std::move(op);
    node.inputs = std::move(inputs);
    node.outputs = {names_.make("body_" + node.op_type)};
    node.attributes = std::move(attributes);
    graph_.nodes.push_back(std::move(node));
    note_outputs(graph_.nodes.size() - 1);
    return graph_.nodes.back().outputs[0];
  }

  std::string add_number(std::int64_t number, bool has_dimension) {
    Tensor tensor = make_tensor("", {}, std::vector<std::int64_t>{number});
    if (has_dimension) tensor.dims = {1};
    return add_node("Constant", {}, {attribute_of("value", Box<Tensor>(std::move(tensor)))});
  }

  /// Values of its own get new names, and its inputs those that are given.
  std::optional<Copy> copy(const Graph& body, const std::vector<std::string>& inputs) {
    if (inputs.size() != body.inputs.size() || !body.sparse_initializers.empty()) return std::nullopt;
    Replacements names;
    for (std::size_t i = 0; i < inputs.size(); ++i) names[body.inputs[i].name] = inputs[i];
    for (const Tensor& tensor : body.initializers) names[tensor.name] = names_.make(tensor.name);
    for (const Node& node : body.nodes) {
      for (const std::string& output : node.outputs) {
        if (!output.empty()) names[output] = names_.make(output);
      }
    }
    Graph renamed = body;
    rename_values(renamed, names);
    for (Tensor& tensor : renamed.initializers) {
      initializers_[tensor.name] = graph_.initializers.size();
      graph_.initializers.push_back(std::move(tensor));
    }
    Copy made{.first = graph_.nodes.size(), .end = graph_.nodes.size() + renamed.nodes.size(), .outputs = {}};
    for (Node& node : renamed.nodes) {
      // Such a name may be that of the node which the body belongs to.
      node.name.clear();
      graph_.nodes.push_back(std::move(node));
      note_outputs(graph_.nodes.size() - 1);
    }
    for (const ValueInfo& output : renamed.outputs) made.outputs.push_back(output.name);
    return made;
  }

  /// The single number that a value is in every run; nothing if that depends on anything.
  std::optional<std::int64_t> constant(std::string value) const {
    for (std::size_t step = 0; step <= graph_.nodes.size(); ++step) {
      if (const auto found = initializers_.find(value); found != initializers_.end())
        return number_in(graph_.initializers[found->second]);
      const auto producer = producers_.find(value);
      if (producer == producers_.end()) return std::nullopt;
      const Node& node = graph_.nodes[producer->second];
      if (is_standard(node, "Identity") && !node.inputs.empty()) {
        value = node.inputs[0];
        continue;
      }
      const Attribute* given = is_standard(node, "Constant") ? node.attribute("value") : nullptr;
      const auto* tensor = given == nullptr ? nullptr : std::get_if<Box<Tensor>>(&given->value);
      if (tensor == nullptr || !tensor->has_value()) return std::nullopt;
      return number_in(**tensor);
    }
    return std::nullopt;
  }

  static std::optional<std::int64_t> number_in(const Tensor& tensor) {
    const auto values = integer_values(tensor);
    if (!values || values->size() != 1) return std::nullopt;
    return values->front();
  }

  std::optional<Opened> open_if(const Node& node) {
    const Graph* then_branch = body_of(node, "then_branch");
    const Graph* else_branch = body_of(node, "else_branch");
    if (then_branch == nullptr || else_branch == nullptr || node.inputs.size() != 1) return std::nullopt;
    const auto condition = constant(node.inputs[0]);
    Opened opened;
    for (const Graph* branch : {then_branch, else_branch}) {
      if (condition && (*condition != 0) != (branch == then_branch)) continue;
      auto made = copy(*branch, {});
      if (!made) return std::nullopt;
      opened.copies.push_back(std::move(*made));
    }
    return opened;
  }

  static bool has_dimension(const ValueInfo& value) {
    const auto* type = value.type ? std::get_if<TensorType>(&value.type->value) : nullptr;
    return type != nullptr && type->shape && !type->shape->dimensions.empty();
  }

  std::optional<Opened> open_loop(const Node& node) {
    const Graph* body = body_of(node, "body");
    if (body == nullptr || node.inputs.size() < 2 || body->inputs.size() != node.inputs.size())
      return std::nullopt;
    const auto trips = constant(node.inputs[0]);
    if (!trips || *trips < 0) return std::nullopt;
    std::string condition = node.inputs[1];
    if (condition.empty()) {
      Tensor truth;
      truth.data_type = DataType::boolean;
      truth.storage = TensorStorage::raw;
      truth.data = SharedBytes::copy_of(std::vector<std::uint8_t>{1});
      if (has_dimension(body->inputs[1])) truth.dims = {1};
      condition = add_node("Constant", {}, {attribute_of("value", Box<Tensor>(std::move(truth)))});
    }
    if (constant(condition) != 1) return std::nullopt;
    Opened opened{
        .copies = {}, .alike = {}, .trips = static_cast<std::uint64_t>(*trips), .scanned = {}, .axis = 0};
    for (const std::int64_t trip : {std::int64_t{0}, *trips - 1}) {
      if (trip < 0 || (trip == 0 && !opened.copies.empty())) continue;
      std::vector<std::string> inputs{add_number(trip, has_dimension(body->inputs[0])), condition};
      inputs.insert(inputs.end(), node.inputs.begin() + 2, node.inputs.end());
      auto made = copy(*body, inputs);
      if (!made || made->outputs.size() + 1 < inputs.size() || constant(made->outputs[0]) != 1)
        return std::nullopt;
      for (std::size_t i = 2; i < inputs.size(); ++i)
        opened.alike.emplace_back(inputs[i], made->outputs[i - 1]);
      opened.copies.push_back(std::move(*made));
    }
    return opened;
  }

  std::optional<Opened> open_scan(const Node& node) {
    const Graph* body = body_of(node, "body");
    const Attribute* counted = node.attribute("num_scan_inputs");
    const auto* scans = counted == nullptr ? nullptr : std::get_if<std::int64_t>(&counted->value);
    if (body == nullptr || scans == nullptr || *scans < 1 || *scans > std::ssize(node.inputs))
      return std::nullopt;
    const Attribute* given = node.attribute("scan_input_axes");
    const auto* axes = given == nullptr ? nullptr : std::get_if<std::vector<std::int64_t>>(&given->value);
    if (axes != nullptr && std::ssize(*axes) != *scans) return std::nullopt;
    const std::size_t states = node.inputs.size() - static_cast<std::size_t>(*scans);
    const auto axis_of = [&](std::size_t input) {
      return axes == nullptr || input < states ? 0 : (*axes)[input - states];
    };
    std::vector<std::string> inputs(node.inputs.begin(),
                                    node.inputs.begin() + static_cast<std::ptrdiff_t>(states));
    const std::string zero = add_number(0, false);
    for (std::size_t i = states; i < node.inputs.size(); ++i)
      inputs.push_back(add_node("Gather", {node.inputs[i], zero}, {attribute_of("axis", axis_of(i))}));
    auto made = copy(*body, inputs);
    if (!made || made->outputs.size() < states) return std::nullopt;
    Opened opened{
        .copies = {}, .alike = {}, .trips = 1, .scanned = node.inputs[states], .axis = axis_of(states)};
    for (std::size_t i = 0; i < states; ++i) opened.alike.emplace_back(inputs[i], made->outputs[i]);
    opened.copies.push_back(std::move(*made));
    return opened;
  }

  Graph& graph_;
  FreshNames names_;
  std::int64_t opset_;
  std::unordered_map<std::string, std::size_t> initializers_, producers_;
  std::unordered_map<std::size_t, Opened> opened_;
};

/// Adds up copies, with the shapes of all values that could be found out.
class BodyCounter {
 public:
  BodyCounter(const Model& model, const BodyOpener& opener, const ValueShapes& shapes)
      : nodes_(model.graph->nodes), functions_(model), opener_(opener), shapes_(shapes) {}

  BodyCost node(std::size_t index) const {
    const Node& node = nodes_[index];
    if (functions_.find(node) != nullptr) return {};
    if (!has_subgraph(node)) return {operator_macs(node, shapes_), other_operations(node, shapes_)};
    BodyCost cost;
    if (const Opened* opened = opener_.find(index)) cost = all_trips(*opened);
    if (has_bodies_without_macs(node)) cost.macs = 0;
    return cost;
  }

 private:
  BodyCost all_trips(const Opened& opened) const {
    const auto trips = trips_of(opened);
    if (!trips) return {};
    if (*trips == 0) return {0, 0};
    for (const auto& [a, b] : opened.alike) {
      const auto first = shapes_.find(a);
      const auto second = shapes_.find(b);
      if (first == shapes_.end() || second == shapes_.end() || first->second.dims != second->second.dims)
        return {};
    }
    BodyCost trip = copy(opened.copies.front());
    for (const Copy& other : opened.copies) {
      const BodyCost cost = copy(other);
      if (cost.macs != trip.macs) trip.macs.reset();
      if (cost.other_operations != trip.other_operations) trip.other_operations.reset();
    }
    if (trip.macs) trip.macs = product(*trip.macs, *trips);
    if (trip.other_operations) trip.other_operations = product(*trip.other_operations, *trips);
    return trip;
  }

  std::optional<std::uint64_t> trips_of(const Opened& opened) const {
    if (opened.scanned.empty()) return opened.trips;
    const auto found = shapes_.find(opened.scanned);
    if (found == shapes_.end()) return std::nullopt;
    const std::vector<std::int64_t>& dims = found->second.dims;
    const std::int64_t axis = opened.axis < 0 ? opened.axis + std::ssize(dims) : opened.axis;
    if (axis < 0 || axis >= std::ssize(dims)) return std::nullopt;
    const std::int64_t trips = dims[static_cast<std::size_t>(axis)];
    return trips < 0 ? std::nullopt : std::optional(static_cast<std::uint64_t>(trips));
  }

  BodyCost copy(const Copy& made) const {
    BodyCost total{0, 0};
    for (std::size_t i = made.first; i < made.end; ++i) {
      const BodyCost cost = node(i);
      total.macs = added(total.macs, cost.macs);
      total.other_operations = added(total.other_operations, cost.other_operations);
    }
    return total;
  }

  static std::optional<std::uint64_t> added(std::optional<std::uint64_t> a, std::optional<std::uint64_t> b) {
    return a && b ? std::optional(sum(*a, *b)) : std::nullopt;
  }

  const std::vector<Node>& nodes_;
  FunctionTable functions_;
  const BodyOpener& opener_;
  const ValueShapes& shapes_;
};

std::int64_t standard_opset(const Model& model) {
  for (const OpsetId& opset : model.opset_imports) {
    if (canonical_domain(opset.domain).empty()) return opset.version;
  }
  return 0;
}

bool multiplies_nowhere(const Graph& graph) {
  return std::ranges::all_of(graph.nodes, [](const Node& node) {
    if (has_subgraph(node)) return has_bodies_without_macs(node);
    // A call of a function is of a domain that only the model knows.
    const std::string_view domain = canonical_domain(node.domain);
    const bool is_known = domain.empty() || domain == "ai.onnx.ml" || domain == "com.microsoft";
    return is_known && operator_macs(node, {}) == 0U;
  });
}

}  // namespace

bool has_bodies_without_macs(const Node& node) {
  return std::ranges::all_of(node.attributes, [](const Attribute& attribute) {
    if (const auto* inner = std::get_if<Box<Graph>>(&attribute.value))
      return !inner->has_value() || multiplies_nowhere(**inner);
    const auto* list = std::get_if<std::vector<Graph>>(&attribute.value);
    return list == nullptr || std::ranges::all_of(*list, multiplies_nowhere);
  });
}

BodyCosts body_costs(const Model& model, std::span<const Tensor> inputs, const ValueShapes& shapes,
                     Evaluator& evaluator) {
  BodyCosts costs;
  if (!model.graph.has_value()) return costs;
  const std::vector<Node>& nodes = model.graph->nodes;
  if (std::ranges::none_of(nodes, has_subgraph)) return costs;
  constexpr std::int64_t kInitializersAreNoInputs = 4;
  Model opened = model;
  opened.ir_version = std::max(opened.ir_version, kInitializersAreNoInputs);
  BodyOpener opener(*opened.graph, standard_opset(model));
  opener.open_all();
  std::vector<std::string> values;
  for (std::size_t i = nodes.size(); i < opened.graph->nodes.size(); ++i) {
    std::ranges::copy_if(opened.graph->nodes[i].outputs, std::back_inserter(values),
                         [](const std::string& name) { return !name.empty(); });
  }
  ValueShapes all = shapes;
  for (const Tensor& tensor : opened.graph->initializers) all[tensor.name] = {tensor.data_type, tensor.dims};
  if (!values.empty()) {
    RealShapesOptions options;
    options.most_evaluations = kMostEvaluations;
    if (auto found = real_shapes_of(opened, values, inputs, evaluator, options)) all.merge(found->shapes);
  }
  const BodyCounter counter(opened, opener, all);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (has_subgraph(nodes[i])) costs[i] = counter.node(i);
  }
  return costs;
}

}  // namespace joulery::onnx
