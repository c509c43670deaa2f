#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "onnx/edit.hpp"
#include "onnx/passes/pass.hpp"
#include "onnx/passes/pattern.hpp"
#include "onnx/tensor_values.hpp"

namespace joulery::onnx {
namespace {

/// A constant of float32 as numbers.
struct Numbers {
  std::vector<std::int64_t> dims;
  std::vector<double> values;
};

/// Position of an element in a tensor that is spread over a larger shape.
std::size_t spread_position(const std::vector<std::int64_t>& from, const std::vector<std::int64_t>& to,
                            std::size_t at) {
  std::size_t position = 0;
  std::size_t stride = 1;
  for (std::size_t i = 0; i < to.size(); ++i) {
    const std::size_t axis = to.size() - 1 - i;
    const auto size = static_cast<std::size_t>(to[axis]);
    const std::size_t coordinate = at % size;
    at /= size;
    if (i >= from.size()) continue;
    const auto own = static_cast<std::size_t>(from[from.size() - 1 - i]);
    if (own > 1) position += coordinate * stride;
    stride *= own;
  }
  return position;
}

/// True if a tensor of shape `from` can be spread over `to` as it is.
bool fits_in(const std::vector<std::int64_t>& from, const std::vector<std::int64_t>& to) {
  if (from.size() > to.size()) return false;
  for (std::size_t i = 0; i < from.size(); ++i) {
    const std::int64_t own = from[from.size() - 1 - i];
    if (own != 1 && own != to[to.size() - 1 - i]) return false;
  }
  return true;
}

/// The sum, in the shape of one of the two. Nothing if it needs a third, or is not finite.
std::optional<Tensor> sum_of(const Numbers& a, const Numbers& b, std::string name) {
  const Numbers& large = fits_in(b.dims, a.dims) ? a : b;
  const Numbers& small = &large == &a ? b : a;
  if (!fits_in(small.dims, large.dims)) return std::nullopt;
  std::vector<float> values;
  values.reserve(large.values.size());
  for (std::size_t i = 0; i < large.values.size(); ++i) {
    const double value = large.values[i] + small.values[spread_position(small.dims, large.dims, i)];
    // An infinity may be there on purpose, as in masks, but its sum with another one is none of ours.
    if (!(std::abs(value) <= double{std::numeric_limits<float>::max()})) return std::nullopt;
    values.push_back(static_cast<float>(value));
  }
  return make_tensor(std::move(name), large.dims, values);
}

class BiasFolding : public Pass {
 public:
  std::string_view name() const override { return "bias folding"; }

 private:
  Result<Change> apply_impl(Graph& graph, const PassContext& context) const override {
    Known known{graph, GraphIndex(graph), Constants(graph, context.ir_version), FreshNames(graph)};
    std::set<std::size_t> gone;
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      if (fold(known, i)) gone.insert(i);
    }
    remove_nodes(graph, gone);
    return Change{gone.size()};
  }

  struct Known {
    Graph& graph;
    GraphIndex index;
    Constants constants;
    FreshNames names;

    const Tensor* constant(const std::string& name) const {
      const Tensor* tensor = constants.find(graph, name);
      return tensor != nullptr && tensor->data_type == DataType::float32 ? tensor : nullptr;
    }
    std::optional<Numbers> numbers(const std::string& name) const {
      const Tensor* tensor = constant(name);
      if (tensor == nullptr) return std::nullopt;
      auto values = real_values(*tensor);
      if (!values || values->empty()) return std::nullopt;
      return Numbers{tensor->dims, std::move(*values)};
    }
  };

  /// Makes of the Add behind node `i` what both compute, so that what lies between stays before it.
  static bool fold(Known& known, std::size_t i) {
    const Node first = known.graph.nodes[i];
    const bool is_sum = is_standard(first, "Add");
    const bool is_convolution = is_standard(first, "Conv") || is_standard(first, "ConvTranspose");
    if (!is_sum && !is_convolution && !is_standard(first, "Gemm")) return false;
    if (first.outputs.size() != 1 || first.inputs.size() < 2) return false;
    const std::size_t at = only_consumer(known.index, first.outputs[0]);
    if (at == GraphIndex::kNone || !is_standard(known.graph.nodes[at], "Add")) return false;
    Node& sum = known.graph.nodes[at];
    if (sum.inputs.size() != 2 || sum.inputs[0] == sum.inputs[1]) return false;
    const std::string& other = sum.inputs[0] == first.outputs[0] ? sum.inputs[1] : sum.inputs[0];
    const auto added = known.numbers(other);
    if (!added) return false;
    if (is_sum) return fold_sum(known, first, sum, *added);
    return is_convolution ? fold_convolution(known, first, sum, *added)
                          : fold_product(known, first, sum, *added);
  }

  static bool fold_sum(Known& known, const Node& first, Node& sum, const Numbers& added) {
    const std::size_t constant_at = known.constant(first.inputs[1]) != nullptr ? 1 : 0;
    const auto own = known.numbers(first.inputs[constant_at]);
    // Two constants are for constant folding.
    if (!own || known.constant(first.inputs[1 - constant_at]) != nullptr) return false;
    auto total = sum_of(*own, added, first.inputs[constant_at] + "_sum");
    if (!total) return false;
    sum.inputs = {first.inputs[1 - constant_at],
                  add_initializer(known.graph, known.names, std::move(*total))};
    return true;
  }

  static std::int64_t channels_of(const Node& node, const Tensor& weights) {
    if (weights.dims.size() < 3) return 0;
    if (node.op_type == "Conv") return weights.dims[0];
    const Attribute* group = node.attribute("group");
    const auto* number = group == nullptr ? nullptr : std::get_if<std::int64_t>(&group->value);
    std::int64_t channels = 0;
    return __builtin_mul_overflow(weights.dims[1], number == nullptr ? 1 : *number, &channels) ? 0 : channels;
  }

  static bool fold_convolution(Known& known, const Node& first, Node& sum, const Numbers& added) {
    const Tensor* weights = known.constant(first.inputs[1]);
    if (weights == nullptr) return false;
    const std::int64_t channels = channels_of(first, *weights);
    if (channels <= 0 || added.dims.size() > weights->dims.size()) return false;
    // The channel is the second dimension of the result; all others must be 1.
    const std::size_t behind = weights->dims.size() - 2;
    std::int64_t own = 1;
    for (std::size_t k = 0; k < added.dims.size(); ++k) {
      const std::int64_t size = added.dims[added.dims.size() - 1 - k];
      if (k == behind) own = size;
      if (k != behind && size != 1) return false;
    }
    if (own != 1 && own != channels) return false;
    Numbers bias{{channels}, std::vector<double>(static_cast<std::size_t>(channels), 0.0)};
    const bool has_bias = first.inputs.size() > 2 && !first.inputs[2].empty();
    if (has_bias) {
      auto given = known.numbers(first.inputs[2]);
      if (!given || given->dims != bias.dims) return false;
      bias = std::move(*given);
    }
    auto total =
        sum_of(bias, {{own}, added.values}, (has_bias ? first.inputs[2] : first.inputs[1]) + "_bias");
    if (!total) return false;
    const std::string name = add_initializer(known.graph, known.names, std::move(*total));
    replace(sum, first, name);
    return true;
  }

  static bool fold_product(Known& known, const Node& first, Node& sum, const Numbers& added) {
    const Tensor* weights = known.constant(first.inputs[1]);
    if (weights == nullptr || weights->dims.size() != 2) return false;
    const Attribute* transposed = first.attribute("transB");
    const auto* number = transposed == nullptr ? nullptr : std::get_if<std::int64_t>(&transposed->value);
    const std::int64_t columns = weights->dims[number != nullptr && *number != 0 ? 0 : 1];
    if (!is_row(added.dims, columns)) return false;
    Numbers row{{1}, {0.0}};
    if (first.inputs.size() > 2 && !first.inputs[2].empty()) {
      auto given = known.numbers(first.inputs[2]);
      if (!given || !is_row(given->dims, columns)) return false;
      row = std::move(*given);
      const Attribute* beta = first.attribute("beta");
      const auto* factor = beta == nullptr ? nullptr : std::get_if<float>(&beta->value);
      for (double& value : row.values) value *= factor == nullptr ? 1.0 : double{*factor};
    }
    auto total = sum_of(row, added, first.inputs[1] + "_bias");
    if (!total) return false;
    const std::string name = add_initializer(known.graph, known.names, std::move(*total));
    replace(sum, first, name);
    std::erase_if(sum.attributes, [](const Attribute& attribute) { return attribute.name == "beta"; });
    return true;
  }

  static bool is_row(const std::vector<std::int64_t>& dims, std::int64_t columns) {
    if (dims.empty()) return true;
    if (dims.size() > 2 || (dims.size() == 2 && dims[0] != 1)) return false;
    return dims.back() == columns || dims.back() == 1;
  }

  static void replace(Node& sum, const Node& first, const std::string& bias) {
    sum.op_type = first.op_type;
    sum.attributes = first.attributes;
    sum.inputs = {first.inputs[0], first.inputs[1], bias};
  }
};

}  // namespace

std::unique_ptr<Pass> make_bias_folding() {
  return std::make_unique<BiasFolding>();
}

}  // namespace joulery::onnx
