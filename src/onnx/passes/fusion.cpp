#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "onnx/edit.hpp"
#include "onnx/passes/pass.hpp"
#include "onnx/passes/pattern.hpp"
#include "onnx/tensor_values.hpp"

namespace joulery::onnx {
namespace {

/// What the graph itself says of the rank of its values.
std::unordered_map<std::string_view, std::size_t> ranks_of(const Graph& graph) {
  std::unordered_map<std::string_view, std::size_t> ranks;
  for (const auto* list : {&graph.inputs, &graph.value_infos, &graph.outputs}) {
    for (const ValueInfo& value : *list) {
      const auto* type = value.type ? std::get_if<TensorType>(&value.type->value) : nullptr;
      if (type != nullptr && type->shape) ranks.emplace(value.name, type->shape->dimensions.size());
    }
  }
  return ranks;
}

class GemmFusion : public Pass {
 public:
  std::string_view name() const override { return "Gemm fusion"; }

 private:
  Result<Change> apply_impl(Graph& graph, const PassContext& context) const override {
    const Known known{GraphIndex(graph), Constants(graph, context.ir_version), ranks_of(graph)};
    std::set<std::size_t> gone;
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      if (is_standard(graph.nodes[i], "MatMul") && fuse(graph, known, i)) gone.insert(i);
    }
    remove_nodes(graph, gone);
    return Change{gone.size()};
  }

  struct Known {
    GraphIndex index;
    Constants constants;
    std::unordered_map<std::string_view, std::size_t> ranks;
  };

  /// Makes a Gemm of the Add behind the MatMul `i`.
  static bool fuse(Graph& graph, const Known& known, std::size_t i) {
    const Node& product = graph.nodes[i];
    if (product.inputs.size() != 2 || product.outputs.size() != 1) return false;
    const Tensor* weights = known.constants.find(graph, product.inputs[1]);
    if (weights == nullptr || weights->dims.size() != 2 || !is_float(weights->data_type)) return false;
    const auto rank = known.ranks.find(product.inputs[0]);
    if (rank == known.ranks.end() || rank->second != 2) return false;
    const std::size_t at = only_consumer(known.index, product.outputs[0]);
    if (at == GraphIndex::kNone) return false;
    Node& sum = graph.nodes[at];
    if (!is_standard(sum, "Add") || sum.inputs.size() != 2) return false;
    const std::string bias_name = sum.inputs[0] == product.outputs[0] ? sum.inputs[1] : sum.inputs[0];
    const Tensor* bias = known.constants.find(graph, bias_name);
    if (bias == nullptr || bias->data_type != weights->data_type || !is_row(bias->dims, weights->dims[1]))
      return false;
    sum.op_type = "Gemm";
    sum.inputs = {product.inputs[0], product.inputs[1], bias_name};
    sum.attributes.clear();
    return true;
  }

  static bool is_float(DataType type) { return type == DataType::float32 || type == DataType::float64; }
  /// One number, or one for each column: what an Add spreads over the rows without making more of them.
  static bool is_row(const std::vector<std::int64_t>& dims, std::int64_t columns) {
    if (dims.empty() || dims.size() > 2 || (dims.size() == 2 && dims[0] != 1)) return false;
    return dims.back() == columns || dims.back() == 1;
  }
};

/// The parameters of a BatchNormalization, one for each channel.
struct Normalization {
  std::vector<double> scale, shift;
};

class BatchNormFolding : public Pass {
 public:
  std::string_view name() const override { return "batch norm folding"; }

 private:
  Result<Change> apply_impl(Graph& graph, const PassContext& context) const override {
    const GraphIndex index(graph);
    const Constants constants(graph, context.ir_version);
    FreshNames names(graph);
    std::set<std::size_t> gone;
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      if (is_standard(graph.nodes[i], "Conv") && fold(graph, index, i, constants, names)) gone.insert(i);
    }
    remove_nodes(graph, gone);
    return Change{gone.size()};
  }

  /// Makes a Conv of the BatchNormalization behind the Conv `i`, so that what lies between stays before it.
  static bool fold(Graph& graph, const GraphIndex& index, std::size_t i, const Constants& constants,
                   FreshNames& names) {
    const Node conv = graph.nodes[i];
    if (conv.inputs.size() < 2 || conv.outputs.size() != 1) return false;
    const std::size_t at = only_consumer(index, conv.outputs[0]);
    if (at == GraphIndex::kNone || !is_inference_norm(graph.nodes[at], conv.outputs[0])) return false;
    // Weights that others have too stay tied, and are not multiplied.
    if (only_consumer(index, conv.inputs[1]) != i) return false;
    const Tensor* weights = constant_float(graph, conv.inputs[1], constants);
    if (weights == nullptr || weights->dims.empty() || weights->dims[0] <= 0) return false;
    const auto channels = static_cast<std::size_t>(weights->dims[0]);
    const auto norm = normalization_of(graph, graph.nodes[at], channels, constants);
    if (!norm) return false;
    std::vector<double> bias(channels, 0.0);
    if (conv.inputs.size() > 2 && !conv.inputs[2].empty()) {
      const auto given = constant_values(graph, conv.inputs[2], channels, constants);
      if (!given) return false;
      bias = *given;
    }
    const auto values = real_values(*weights);
    if (!values) return false;
    std::vector<float> new_weights;
    std::vector<float> new_bias;
    if (!compute(*values, bias, *norm, new_weights, new_bias)) return false;
    Node& folded = graph.nodes[at];
    const std::vector<std::int64_t> dims = weights->dims;
    const std::string weight_name =
        add_initializer(graph, names, make_tensor(conv.inputs[1] + "_folded", dims, new_weights));
    const std::string bias_name =
        add_initializer(graph, names, make_tensor(weight_name + "_bias", {dims[0]}, new_bias));
    folded.op_type = "Conv";
    folded.attributes = conv.attributes;
    folded.inputs = {conv.inputs[0], weight_name, bias_name};
    folded.outputs.resize(1);
    return true;
  }

  static bool compute(const std::vector<double>& weights, const std::vector<double>& bias,
                      const Normalization& norm, std::vector<float>& new_weights,
                      std::vector<float>& new_bias) {
    const std::size_t channels = norm.scale.size();
    if (weights.empty()) return false;
    const std::size_t each = weights.size() / channels;
    bool is_finite = true;
    const auto take = [&is_finite](double value, std::vector<float>& out) {
      is_finite = is_finite && std::abs(value) <= double{std::numeric_limits<float>::max()};
      out.push_back(is_finite ? static_cast<float>(value) : 0.0F);
    };
    for (std::size_t i = 0; i < weights.size(); ++i) take(weights[i] * norm.scale[i / each], new_weights);
    for (std::size_t i = 0; i < channels; ++i) take(bias[i] * norm.scale[i] + norm.shift[i], new_bias);
    return is_finite;
  }

  static bool is_inference_norm(const Node& node, const std::string& input) {
    if (!is_standard(node, "BatchNormalization") || node.inputs.size() != 5 || node.inputs[0] != input)
      return false;
    if (std::ranges::count(node.inputs, input) != 1) return false;
    for (std::size_t i = 1; i < node.outputs.size(); ++i) {
      if (!node.outputs[i].empty()) return false;
    }
    for (const Attribute& attribute : node.attributes) {
      // "spatial" (until opset 8) is 1 by default: one mean for a channel.
      const auto* number = std::get_if<std::int64_t>(&attribute.value);
      if (attribute.name == "training_mode" && (number == nullptr || *number != 0)) return false;
      if (attribute.name == "spatial" && (number == nullptr || *number != 1)) return false;
    }
    return true;
  }

  static const Tensor* constant_float(const Graph& graph, const std::string& name,
                                      const Constants& constants) {
    const Tensor* tensor = constants.find(graph, name);
    return tensor != nullptr && tensor->data_type == DataType::float32 ? tensor : nullptr;
  }

  static std::optional<std::vector<double>> constant_values(const Graph& graph, const std::string& name,
                                                            std::size_t count, const Constants& constants) {
    const Tensor* tensor = constant_float(graph, name, constants);
    if (tensor == nullptr || tensor->dims.size() != 1) return std::nullopt;
    auto values = real_values(*tensor);
    if (!values || values->size() != count) return std::nullopt;
    return std::move(*values);
  }

  static std::optional<Normalization> normalization_of(const Graph& graph, const Node& node,
                                                       std::size_t channels, const Constants& constants) {
    double epsilon = 1e-5F;
    if (const Attribute* given = node.attribute("epsilon")) {
      const auto* number = std::get_if<float>(&given->value);
      if (number == nullptr) return std::nullopt;
      epsilon = *number;
    }
    std::vector<std::vector<double>> parameters;
    for (std::size_t i = 1; i < 5; ++i) {
      auto values = constant_values(graph, node.inputs[i], channels, constants);
      if (!values) return std::nullopt;
      parameters.push_back(std::move(*values));
    }
    Normalization norm;
    for (std::size_t i = 0; i < channels; ++i) {
      const double variance = parameters[3][i] + epsilon;
      if (!(variance > 0)) return std::nullopt;
      norm.scale.push_back(parameters[0][i] / std::sqrt(variance));
      norm.shift.push_back(parameters[1][i] - parameters[2][i] * norm.scale[i]);
    }
    return norm;
  }
};

}  // namespace

std::unique_ptr<Pass> make_gemm_fusion() {
  return std::make_unique<GemmFusion>();
}

std::unique_ptr<Pass> make_batch_norm_folding() {
  return std::make_unique<BatchNormFolding>();
}

}  // namespace joulery::onnx
