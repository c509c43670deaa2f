#include "onnx/precision_request.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <unordered_set>

#include "onnx/edit.hpp"
#include "onnx/passes/pattern.hpp"

namespace joulery::onnx {
namespace {

bool is_one_of(std::string_view op, std::span<const std::string_view> list) {
  return std::ranges::find(list, op) != list.end();
}

/// Operators that compute on whole numbers, whose inputs need no pairs around them.
std::optional<LowPrecisionForm> own_form(const Node& node) {
  static constexpr auto kPacked =
      std::to_array<std::string_view>({"MatMulNBits", "MatMulBnb4", "GatherBlockQuantized", "QMoE"});
  static constexpr auto kInteger = std::to_array<std::string_view>(
      {"ConvInteger", "MatMulInteger", "MatMulIntegerToFloat", "MatMulInteger16", "DynamicQuantizeMatMul",
       "DynamicQuantizeLSTM", "QGemm", "QAttention", "QEmbedLayerNormalization"});
  const std::string_view domain = canonical_domain(node.domain);
  if (!domain.empty() && domain != "com.microsoft") return std::nullopt;
  if (is_one_of(node.op_type, kPacked)) return LowPrecisionForm::packed_weights;
  if (node.op_type.starts_with("QLinear") || is_one_of(node.op_type, kInteger)) {
    return LowPrecisionForm::integer_operator;
  }
  return std::nullopt;
}

bool only_moves(std::string_view op) {
  static constexpr auto kMoving = std::to_array<std::string_view>(
      {"Identity", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split", "Gather",
       "Expand", "Tile", "Shape", "Cast", "Constant", "Dropout", "QuantizeLinear", "DequantizeLinear",
       "DynamicQuantizeLinear"});
  return is_one_of(op, kMoving);
}

/// Operators with weights: their second input.
bool has_weights(std::string_view op) {
  static constexpr auto kWeighted =
      std::to_array<std::string_view>({"Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN"});
  return is_one_of(op, kWeighted);
}

class RequestReader {
 public:
  explicit RequestReader(const Graph& graph) : graph_(graph), index_(graph) {
    for (const Tensor& tensor : graph.initializers) constants_.insert(tensor.name);
  }

  std::optional<LowPrecisionForm> form_of(const Node& node) const {
    if (const auto form = own_form(node)) return form;
    if (!canonical_domain(node.domain).empty() || only_moves(node.op_type) || node.inputs.empty()) {
      return std::nullopt;
    }
    if (has_weights(node.op_type) && node.inputs.size() > 1) {
      if (!comes_from_pair(node.inputs[1])) return std::nullopt;
      return comes_from_pair(node.inputs[0]) ? LowPrecisionForm::quantise_pair
                                             : LowPrecisionForm::weights_only;
    }
    const bool all_from = std::ranges::all_of(node.inputs, [&](const std::string& input) {
      return input.empty() || constants_.contains(input) || comes_from_pair(input);
    });
    const bool any_from =
        std::ranges::any_of(node.inputs, [&](const std::string& input) { return comes_from_pair(input); });
    const bool goes_to =
        std::ranges::any_of(node.outputs, [&](const std::string& output) { return goes_to_pair(output); });
    return all_from && any_from && goes_to ? std::optional(LowPrecisionForm::quantise_pair) : std::nullopt;
  }

 private:
  bool comes_from_pair(const std::string& value) const {
    const std::size_t maker = index_.producer(value);
    return maker != GraphIndex::kNone && is_pair(graph_.nodes[maker], "DequantizeLinear");
  }
  bool goes_to_pair(const std::string& value) const {
    return std::ranges::any_of(index_.consumers(value), [&](std::size_t consumer) {
      return is_pair(graph_.nodes[consumer], "QuantizeLinear");
    });
  }
  static bool is_pair(const Node& node, std::string_view op) {
    const std::string_view domain = canonical_domain(node.domain);
    return node.op_type == op && (domain.empty() || domain == "com.microsoft");
  }

  const Graph& graph_;
  GraphIndex index_;
  std::unordered_set<std::string_view> constants_;
};

}  // namespace

const char* low_precision_form_name(LowPrecisionForm form) {
  switch (form) {
    case LowPrecisionForm::quantise_pair:
      return "quantise pair";
    case LowPrecisionForm::weights_only:
      return "weights only";
    case LowPrecisionForm::integer_operator:
      return "integer operator";
    case LowPrecisionForm::packed_weights:
      return "packed weights";
  }
  return "";
}

std::vector<LowPrecisionRequest> low_precision_requests(const Model& model) {
  std::vector<LowPrecisionRequest> requests;
  if (!model.graph.has_value()) return requests;
  const RequestReader reader(*model.graph);
  for (std::size_t i = 0; i < model.graph->nodes.size(); ++i) {
    if (const auto form = reader.form_of(model.graph->nodes[i])) requests.push_back({i, *form});
  }
  return requests;
}

std::size_t name_nodes(Model& model) {
  if (!model.graph.has_value()) return 0;
  std::unordered_set<std::string> taken;
  for (const Node& node : model.graph->nodes) taken.insert(node.name);
  std::unordered_set<std::string> seen;
  std::size_t count = 0;
  for (Node& node : model.graph->nodes) {
    if (!node.name.empty() && seen.insert(node.name).second) continue;
    const std::string wish = node.name.empty() ? node.op_type : node.name;
    for (std::size_t number = 0; node.name.empty() || seen.contains(node.name); ++number) {
      std::string name = fmt::format("{}_{}", wish, number);
      if (taken.insert(name).second) node.name = std::move(name);
    }
    seen.insert(node.name);
    ++count;
  }
  return count;
}

}  // namespace joulery::onnx
