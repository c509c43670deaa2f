#include "onnx/operator_macs.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <string_view>
#include <vector>

namespace joulery::onnx {
namespace {

using Count = std::optional<std::uint64_t>;

/// A node with the shapes of what it takes and gives.
class Sizes {
 public:
  Sizes(const Node& node, const ValueShapes& shapes) : node_(node), shapes_(shapes) {}

  const std::vector<std::int64_t>* input(std::size_t index) const { return find(node_.inputs, index); }
  const std::vector<std::int64_t>* output(std::size_t index = 0) const { return find(node_.outputs, index); }
  Count elements_in(std::size_t index) const { return elements(input(index)); }
  Count elements_out() const {
    for (std::size_t i = 0; i < node_.outputs.size(); ++i) {
      if (!node_.outputs[i].empty()) return elements(output(i));
    }
    return 0;
  }
  std::int64_t integer(std::string_view name, std::int64_t fallback) const {
    const Attribute* attribute = node_.attribute(name);
    const auto* number = attribute == nullptr ? nullptr : std::get_if<std::int64_t>(&attribute->value);
    return number == nullptr ? fallback : *number;
  }
  const std::vector<std::int64_t>* integers(std::string_view name) const {
    const Attribute* attribute = node_.attribute(name);
    return attribute == nullptr ? nullptr : std::get_if<std::vector<std::int64_t>>(&attribute->value);
  }
  const Node& node() const { return node_; }

  static Count elements(const std::vector<std::int64_t>* dims) {
    if (dims == nullptr) return std::nullopt;
    std::uint64_t count = 1;
    for (const std::int64_t size : *dims) {
      if (size < 0) return std::nullopt;
      count = product(count, static_cast<std::uint64_t>(size));
    }
    return count;
  }

 private:
  const std::vector<std::int64_t>* find(const std::vector<std::string>& names, std::size_t index) const {
    if (index >= names.size() || names[index].empty()) return nullptr;
    const auto found = shapes_.find(names[index]);
    return found == shapes_.end() ? nullptr : &found->second.dims;
  }

  const Node& node_;
  const ValueShapes& shapes_;
};

Count times(Count a, Count b) {
  if (!a || !b) return std::nullopt;
  return product(*a, *b);
}

Count dim(const std::vector<std::int64_t>* dims, std::ptrdiff_t index) {
  if (dims == nullptr) return std::nullopt;
  const std::ptrdiff_t at = index < 0 ? index + std::ssize(*dims) : index;
  if (at < 0 || at >= std::ssize(*dims) || (*dims)[static_cast<std::size_t>(at)] < 0) return std::nullopt;
  return static_cast<std::uint64_t>((*dims)[static_cast<std::size_t>(at)]);
}

/// Every element made is a sum over the window and the channels of its group: weights without their first
/// dimension. Of a transposed convolution it is the elements taken that meet such a sum.
Count convolution(const Sizes& sizes, std::size_t weights_at, bool is_transposed, std::size_t input_at = 0) {
  const auto* weights = sizes.input(weights_at);
  if (weights == nullptr || weights->empty()) return std::nullopt;
  const std::vector<std::int64_t> window(weights->begin() + 1, weights->end());
  return times(is_transposed ? sizes.elements_in(input_at) : sizes.elements_out(), Sizes::elements(&window));
}

/// Every element made is a sum over the dimension that both matrices share.
Count matrix_product(const Sizes& sizes, bool is_transposed) {
  const auto* left = sizes.input(0);
  if (left == nullptr) return std::nullopt;
  return times(sizes.elements_out(), dim(left, is_transposed && left->size() > 1 ? -2 : -1));
}

/// Every step multiplies by all weights once for each sequence.
Count recurrent(const Sizes& sizes) {
  const auto* input = sizes.input(0);
  const Count weights = sizes.elements_in(1);
  const Count recurrence = sizes.elements_in(2);
  if (!weights || !recurrence) return std::nullopt;
  std::uint64_t each = sum(*weights, *recurrence);
  if (sizes.node().inputs.size() > 7 && !sizes.node().inputs[7].empty()) {
    const Count peepholes = sizes.elements_in(7);
    if (!peepholes) return std::nullopt;
    each = sum(each, *peepholes);
  }
  return times(times(dim(input, 0), dim(input, 1)), each);
}

/// Scores of every query for every key, and the sum of values that they weigh. `width` is of all heads.
Count attention_of(Count batch, Count queries, Count keys, Count score_width, Count value_width) {
  if (!score_width || !value_width) return std::nullopt;
  return times(times(times(batch, queries), keys), sum(*score_width, *value_width));
}

/// The standard's operator: heads in a dimension of their own, or in the last one.
Count standard_attention(const Sizes& sizes) {
  const auto* query = sizes.input(0);
  const auto* key = sizes.output(1) != nullptr ? sizes.output(1) : sizes.input(1);
  const auto* value = sizes.output(2) != nullptr ? sizes.output(2) : sizes.input(2);
  const bool has_past = sizes.node().inputs.size() > 4 && !sizes.node().inputs[4].empty();
  if (query == nullptr || key == nullptr || value == nullptr) return std::nullopt;
  if (has_past && sizes.output(1) == nullptr) return std::nullopt;
  const Count keys = dim(key, -2);
  if (query->size() == 4) {
    const Count heads = dim(query, 1);
    return attention_of(dim(query, 0), dim(query, 2), keys, times(heads, dim(query, 3)),
                        times(heads, dim(value, 3)));
  }
  if (query->size() != 3 || has_past) return std::nullopt;
  const std::int64_t heads = sizes.integer("q_num_heads", 0);
  const std::int64_t value_heads = sizes.integer("kv_num_heads", 0);
  const Count width = dim(value, -1);
  if (heads <= 0 || value_heads <= 0 || !width) return std::nullopt;
  // Heads of the values are shared by several of the queries.
  const std::uint64_t value_width =
      product(*width / static_cast<std::uint64_t>(value_heads), static_cast<std::uint64_t>(heads));
  return attention_of(dim(query, 0), dim(query, 1), keys, dim(query, -1), value_width);
}

/// com.microsoft: one product makes queries, keys and values.
Count packed_attention(const Sizes& sizes) {
  const auto* input = sizes.input(0);
  const auto* weights = sizes.input(1);
  for (std::size_t i = 3; i < sizes.node().inputs.size(); ++i) {
    // What came before makes the keys more.
    const bool may_be_past = sizes.node().op_type == "Attention" ? i == 4 : i == 8;
    if (may_be_past && !sizes.node().inputs[i].empty()) return std::nullopt;
  }
  const Count projections = times(times(dim(input, 0), dim(input, 1)), Sizes::elements(weights));
  const Count width = dim(sizes.output(), -1);
  const Count scores = attention_of(dim(input, 0), dim(input, 1), dim(input, 1), width, width);
  if (!projections || !scores) return std::nullopt;
  return sum(*projections, *scores);
}

/// com.microsoft: queries, keys and values come as they are, [batch, sequence, width].
Count multi_head_attention(const Sizes& sizes) {
  const auto* query = sizes.input(0);
  const auto* key = sizes.input(1);
  const auto* value = sizes.input(2);
  if (query == nullptr || query->size() != 3 || key == nullptr || key->size() != 3) return std::nullopt;
  if (value == nullptr || value->size() != 3) return std::nullopt;
  for (const std::size_t past : {6U, 7U}) {
    if (past < sizes.node().inputs.size() && !sizes.node().inputs[past].empty()) return std::nullopt;
  }
  return attention_of(dim(query, 0), dim(query, 1), dim(key, 1), dim(query, 2), dim(value, 2));
}

/// Every element of the space of all its letters is one product. Nothing for more than two operands.
Count einsum(const Sizes& sizes) {
  const Attribute* attribute = sizes.node().attribute("equation");
  const auto* equation = attribute == nullptr ? nullptr : std::get_if<std::string>(&attribute->value);
  if (equation == nullptr || sizes.node().inputs.size() > 2 || equation->find('.') != std::string::npos)
    return std::nullopt;
  std::map<char, std::uint64_t> letters;
  std::size_t operand = 0;
  std::ptrdiff_t at = 0;
  for (const char letter : std::string_view(*equation).substr(0, equation->find("->"))) {
    if (letter == ' ') continue;
    if (letter == ',') {
      ++operand;
      at = 0;
      continue;
    }
    const Count size = dim(sizes.input(operand), at++);
    if (!size) return std::nullopt;
    letters[letter] = *size;
  }
  if (sizes.node().inputs.size() == 1) return 0;
  std::uint64_t count = 1;
  for (const auto& [letter, size] : letters) count = product(count, size);
  return count;
}

Count macs_of_standard(const Sizes& sizes) {
  const std::string_view op = sizes.node().op_type;
  if (op == "Conv" || op == "ConvInteger" || op == "DeformConv") return convolution(sizes, 1, false);
  if (op == "QLinearConv") return convolution(sizes, 3, false);
  if (op == "ConvTranspose") return convolution(sizes, 1, true);
  if (op == "Gemm") return matrix_product(sizes, sizes.integer("transA", 0) != 0);
  if (op == "MatMul" || op == "MatMulInteger" || op == "QLinearMatMul") return matrix_product(sizes, false);
  if (op == "LSTM" || op == "GRU" || op == "RNN") return recurrent(sizes);
  if (op == "Attention") return standard_attention(sizes);
  if (op == "Einsum") return einsum(sizes);
  return 0;
}

/// Operators that ONNX Runtime adds: com.microsoft and what its optimiser makes.
Count macs_of_runtime(const Sizes& sizes) {
  const std::string_view op = sizes.node().op_type;
  if (op == "FusedConv") return convolution(sizes, 1, false);
  if (op == "QLinearConv") return convolution(sizes, 3, false);
  // Weights as of Conv, all the rest in another order.
  if (op == "NhwcFusedConv" || op == "NhwcConv") return convolution(sizes, 1, false);
  if (op == "FusedGemm" || op == "QGemm") return matrix_product(sizes, sizes.integer("transA", 0) != 0);
  if (op == "FusedMatMul") return matrix_product(sizes, sizes.integer("transA", 0) != 0);
  if (op == "MatMulNBits" || op == "MatMulBnb4" || op == "MatMulIntegerToFloat" ||
      op == "DynamicQuantizeMatMul" || op == "QLinearMatMul" || op == "MatMulInteger16") {
    return matrix_product(sizes, false);
  }
  if (op == "DynamicQuantizeLSTM") return recurrent(sizes);
  if (op == "Attention" || op == "QAttention") return packed_attention(sizes);
  if (op == "MultiHeadAttention") return multi_head_attention(sizes);
  if (op == "GroupQueryAttention" || op == "QMoE" || op == "MoE") return std::nullopt;
  return 0;
}

bool is_one_of(std::string_view op, std::span<const std::string_view> list) {
  return std::ranges::find(list, op) != list.end();
}

/// Operators that compute no number of their own.
bool only_moves(std::string_view op) {
  static constexpr auto kMoving = std::to_array<std::string_view>({"Identity",
                                                                   "Reshape",
                                                                   "Flatten",
                                                                   "Transpose",
                                                                   "Squeeze",
                                                                   "Unsqueeze",
                                                                   "Concat",
                                                                   "Split",
                                                                   "Slice",
                                                                   "Gather",
                                                                   "GatherND",
                                                                   "GatherElements",
                                                                   "Scatter",
                                                                   "ScatterND",
                                                                   "Expand",
                                                                   "Tile",
                                                                   "Pad",
                                                                   "Constant",
                                                                   "ConstantOfShape",
                                                                   "Shape",
                                                                   "Size",
                                                                   "Dropout",
                                                                   "Compress",
                                                                   "ScatterElements",
                                                                   "DepthToSpace",
                                                                   "SpaceToDepth",
                                                                   "ReverseSequence",
                                                                   "EyeLike",
                                                                   "Range",
                                                                   "NonZero",
                                                                   "Trilu",
                                                                   "SequenceConstruct",
                                                                   "SequenceAt",
                                                                   "SequenceEmpty",
                                                                   "SequenceInsert",
                                                                   "SequenceErase",
                                                                   "SequenceLength",
                                                                   "SplitToSequence",
                                                                   "ConcatFromSequence",
                                                                   "Optional",
                                                                   "OptionalGetElement",
                                                                   "OptionalHasElement",
                                                                   "CenterCropPad",
                                                                   "Col2Im",
                                                                   "ReorderInput",
                                                                   "ReorderOutput",
                                                                   "QLinearConcat"});
  return is_one_of(op, kMoving);
}

bool counts_what_it_takes(std::string_view op) {
  static constexpr auto kReducing = std::to_array<std::string_view>(
      {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "QLinearGlobalAveragePool", "ArgMax", "ArgMin",
       "TopK", "Unique", "NonMaxSuppression", "LpNormalization", "DynamicQuantizeLinear"});
  return op.starts_with("Reduce") || is_one_of(op, kReducing);
}

Count window_of(const Sizes& sizes) {
  const auto* window = sizes.integers("kernel_shape");
  return window == nullptr ? std::nullopt : Sizes::elements(window);
}

}  // namespace

std::optional<std::uint64_t> operator_macs(const Node& node, const ValueShapes& shapes) {
  const Sizes sizes(node, shapes);
  const std::string_view domain = canonical_domain(node.domain);
  if (domain.empty()) return macs_of_standard(sizes);
  if (domain == "com.microsoft" || domain == "com.microsoft.nchwc" || domain == "com.ms.internal.nhwc") {
    return macs_of_runtime(sizes);
  }
  // Trees and text; what others define is not known.
  return domain == "ai.onnx.ml" ? Count(0) : std::nullopt;
}

std::optional<std::uint64_t> other_operations(const Node& node, const ValueShapes& shapes) {
  const Sizes sizes(node, shapes);
  const std::string_view op = node.op_type;
  if (only_moves(op)) return 0;
  const Count macs = operator_macs(node, shapes);
  if (!macs || *macs > 0) return macs ? Count(0) : std::nullopt;
  if (op == "MaxPool" || op == "AveragePool" || op == "LpPool" || op == "QLinearAveragePool") {
    return times(sizes.elements_out(), window_of(sizes));
  }
  if (counts_what_it_takes(op)) return sizes.elements_in(0);
  return sizes.elements_out();
}

}  // namespace joulery::onnx
