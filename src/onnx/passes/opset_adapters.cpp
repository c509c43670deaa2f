#include <algorithm>
#include <array>

#include "onnx/passes/node_rewrite.hpp"
#include "onnx/tensor_values.hpp"

namespace joulery::onnx {
namespace {

using Integers = std::vector<std::int64_t>;

/// An attribute that is a list of whole numbers becomes an input; none stays none.
Status list_to_input(NodeRewrite& rewrite, const char* name, std::size_t at) {
  const auto list = rewrite.take<Integers>(name);
  if (list && !list->empty()) rewrite.set_input(at, rewrite.constant(*list));
  return {};
}

Status axes_to_input(NodeRewrite& rewrite, std::int64_t) {
  return list_to_input(rewrite, "axes", 1);
}

Status split_to_input(NodeRewrite& rewrite, std::int64_t) {
  return list_to_input(rewrite, "split", 1);
}

/// Equal parts must be asked for.
Status split_count(NodeRewrite& rewrite, std::int64_t) {
  if (!rewrite.has_input(1)) rewrite.set("num_outputs", std::ssize(rewrite.node().outputs));
  return {};
}

Status drop_spatial(NodeRewrite& rewrite, std::int64_t version) {
  if (rewrite.take<std::int64_t>("spatial").value_or(1) != 1) {
    return rewrite.refuse(version, "a mean for each place (spatial=0) is no longer possible");
  }
  return {};
}

Status drop_training_outputs(NodeRewrite& rewrite, std::int64_t version) {
  for (std::size_t i = 1; i < rewrite.node().outputs.size(); ++i) {
    if (rewrite.uses_output(i)) return rewrite.refuse(version, "its outputs of training are used");
  }
  rewrite.node().outputs.resize(1);
  return {};
}

/// The mask was of the type of the data, and is of truth values now.
Status drop_mask(NodeRewrite& rewrite, std::int64_t version) {
  if (rewrite.uses_output(1)) return rewrite.refuse(version, "its mask is used");
  rewrite.node().outputs.resize(1);
  return {};
}

/// Without the input that turns training on, the ratio has no effect.
Status drop_ratio(NodeRewrite& rewrite, std::int64_t) {
  rewrite.take<float>("ratio");
  return {};
}

Status upsample_scales(NodeRewrite& rewrite, std::int64_t version) {
  const auto scales = rewrite.take<std::vector<float>>("scales");
  if (!scales) return rewrite.refuse(version, "it has no scales");
  rewrite.set_input(1, rewrite.constant(make_tensor("", {std::ssize(*scales)}, *scales)));
  return {};
}

Status upsample_to_resize(NodeRewrite& rewrite, std::int64_t) {
  rewrite.node().op_type = "Resize";
  rewrite.facts().enlarged.insert(rewrite.node().outputs.at(0));
  return {};
}

/// A version that did not say how places are found. Engines round down where the result is larger, and up
/// where it is smaller.
Status resize_modes(NodeRewrite& rewrite, std::int64_t version) {
  if (!rewrite.has_input(1)) return rewrite.refuse(version, "it has no scales");
  const std::string scales = rewrite.node().inputs[1];
  const auto* mode = rewrite.node().attribute("mode");
  const auto* text = mode == nullptr ? nullptr : std::get_if<std::string>(&mode->value);
  const bool is_nearest = text == nullptr || *text == "nearest";
  rewrite.set("coordinate_transformation_mode", std::string("asymmetric"));
  if (is_nearest) {
    const UpgradeFacts& facts = rewrite.facts();
    const auto found = facts.constants.find(scales);
    const bool only_enlarges = facts.enlarged.contains(rewrite.node().outputs.at(0));
    if (found == facts.constants.end() && !only_enlarges) {
      return rewrite.refuse(version, "its scales are not constant, on which the way of rounding hangs");
    }
    const std::vector<double> factors = only_enlarges ? std::vector<double>() : found->second;
    const bool larger = std::ranges::all_of(factors, [](double scale) { return scale >= 1; });
    const bool smaller = std::ranges::all_of(factors, [](double scale) { return scale <= 1; });
    if (!larger && !smaller) return rewrite.refuse(version, "it makes one side larger and another smaller");
    rewrite.set("nearest_mode", std::string(larger ? "floor" : "ceil"));
  }
  rewrite.set_input(1, "");
  rewrite.set_input(2, scales);
  return {};
}

/// Scales that do not count could be an empty tensor; now they must be left out.
Status resize_one_size(NodeRewrite& rewrite, std::int64_t version) {
  const auto* mode = rewrite.node().attribute("coordinate_transformation_mode");
  const auto* text = mode == nullptr ? nullptr : std::get_if<std::string>(&mode->value);
  if (text != nullptr && *text == "tf_half_pixel_for_nn") {
    return rewrite.refuse(version, "its way to find places (tf_half_pixel_for_nn) is gone");
  }
  if (rewrite.has_input(3)) rewrite.set_input(2, "");
  return {};
}

Status slice_to_inputs(NodeRewrite& rewrite, std::int64_t version) {
  const auto starts = rewrite.take<Integers>("starts");
  const auto ends = rewrite.take<Integers>("ends");
  if (!starts || !ends) return rewrite.refuse(version, "it has no starts or ends");
  rewrite.set_input(1, rewrite.constant(*starts));
  rewrite.set_input(2, rewrite.constant(*ends));
  return list_to_input(rewrite, "axes", 3);
}

Status top_k_to_input(NodeRewrite& rewrite, std::int64_t version) {
  const auto k = rewrite.take<std::int64_t>("k");
  if (!k) return rewrite.refuse(version, "it has no k");
  rewrite.set_input(1, rewrite.constant(Integers{*k}));
  return {};
}

Status number_to_input(NodeRewrite& rewrite, const char* name, std::size_t at, std::int64_t version) {
  const auto number = rewrite.take<float>(name);
  if (!number) return {};
  auto value = rewrite.number_like(rewrite.node().inputs.at(0), *number);
  if (!value) return rewrite.refuse(version, "the type of its input is not known");
  rewrite.set_input(at, std::move(*value));
  return {};
}

Status clip_to_inputs(NodeRewrite& rewrite, std::int64_t version) {
  JOULERY_CHECK_OK(number_to_input(rewrite, "min", 1, version));
  return number_to_input(rewrite, "max", 2, version);
}

Status pad_to_inputs(NodeRewrite& rewrite, std::int64_t version) {
  const auto pads = rewrite.take<Integers>("pads");
  if (!pads) return rewrite.refuse(version, "it has no pads");
  rewrite.set_input(1, rewrite.constant(*pads));
  const auto* value = rewrite.node().attribute("value");
  const auto* number = value == nullptr ? nullptr : std::get_if<float>(&value->value);
  // Zero is what it is without.
  if (number != nullptr && *number == 0) {
    rewrite.take<float>("value");
    return {};
  }
  return number_to_input(rewrite, "value", 2, version);
}

Status scatter_elements(NodeRewrite& rewrite, std::int64_t) {
  rewrite.node().op_type = "ScatterElements";
  return {};
}

/// It went over all dimensions from `axis` on, and goes over one now.
Status softmax_axis(NodeRewrite& rewrite, std::int64_t) {
  Node& node = rewrite.node();
  const std::int64_t axis = rewrite.take<std::int64_t>("axis").value_or(1);
  const auto rank = rewrite.facts().ranks.find(node.inputs.at(0));
  if (rank != rewrite.facts().ranks.end() &&
      (axis == -1 || axis + 1 == static_cast<std::int64_t>(rank->second))) {
    rewrite.set("axis", std::int64_t{-1});
    return {};
  }
  const std::string shape = rewrite.before("Shape", {node.inputs[0]}, {});
  node.inputs[0] = rewrite.before("Flatten", {node.inputs[0]}, {attribute_of("axis", axis)});
  rewrite.set("axis", std::int64_t{-1});
  Node back;
  back.op_type = "Reshape";
  back.outputs = node.outputs;
  node.outputs = {rewrite.fresh(node.outputs.at(0) + "_flat")};
  back.inputs = {node.outputs[0], shape};
  rewrite.after(std::move(back));
  return {};
}

Status roi_align_mode(NodeRewrite& rewrite, std::int64_t) {
  rewrite.set("coordinate_transformation_mode", std::string("output_half_pixel"));
  return {};
}

Status grid_sample_mode(NodeRewrite& rewrite, std::int64_t) {
  if (const auto mode = rewrite.take<std::string>("mode")) {
    const char* name = *mode == "bilinear" ? "linear" : *mode == "bicubic" ? "cubic" : mode->c_str();
    rewrite.set("mode", std::string(name));
  }
  return {};
}

Status transform_axis(NodeRewrite& rewrite, std::int64_t) {
  const std::int64_t axis = rewrite.take<std::int64_t>("axis").value_or(1);
  rewrite.set_input(2, rewrite.constant(make_tensor("", {}, Integers{axis})));
  return {};
}

/// Scale and shift were one for each group, and are one for each channel now.
Status group_norm_channels(NodeRewrite& rewrite, std::int64_t version) {
  Node& node = rewrite.node();
  const auto* attribute = node.attribute("num_groups");
  const auto* groups = attribute == nullptr ? nullptr : std::get_if<std::int64_t>(&attribute->value);
  if (groups == nullptr || node.inputs.size() != 3) return rewrite.refuse(version, "it has no num_groups");
  const std::string shape =
      rewrite.before("Shape", {node.inputs[0]},
                     {attribute_of("start", std::int64_t{1}), attribute_of("end", std::int64_t{2})});
  const std::string count = rewrite.constant(Integers{*groups});
  const std::string each = rewrite.before("Div", {shape, count}, {});
  const std::string spread = rewrite.before("Concat", {count, each}, {attribute_of("axis", std::int64_t{0})});
  const std::string last = rewrite.constant(Integers{1});
  const std::string all = rewrite.constant(Integers{-1});
  for (const std::size_t at : {1U, 2U}) {
    const std::string column = rewrite.before("Unsqueeze", {node.inputs[at], last}, {});
    node.inputs[at] = rewrite.before("Reshape", {rewrite.before("Expand", {column, spread}, {}), all}, {});
  }
  return {};
}

Status refuse_batch(NodeRewrite& rewrite, std::int64_t version) {
  return rewrite.refuse(version, "its inputs have a dimension for the batch, which newer ones have not");
}

struct KnownAdapter {
  std::string_view op_type;
  std::int64_t version;
  Adapter adapter;
};

constexpr auto kAdapters = std::to_array<KnownAdapter>({
    {"BatchNormalization", 9, &drop_spatial},
    {"Scan", 9, &refuse_batch},
    {"Upsample", 9, &upsample_scales},
    {"Dropout", 10, &drop_mask},
    {"Slice", 10, &slice_to_inputs},
    {"TopK", 10, &top_k_to_input},
    {"Upsample", 10, &upsample_to_resize},
    {"Clip", 11, &clip_to_inputs},
    {"Pad", 11, &pad_to_inputs},
    {"Resize", 11, &resize_modes},
    {"Scatter", 11, &scatter_elements},
    {"Dropout", 12, &drop_ratio},
    {"Hardmax", 13, &softmax_axis},
    {"LogSoftmax", 13, &softmax_axis},
    {"ReduceSum", 13, &axes_to_input},
    {"Resize", 13, &resize_one_size},
    {"Softmax", 13, &softmax_axis},
    {"Split", 13, &split_to_input},
    {"Squeeze", 13, &axes_to_input},
    {"Unsqueeze", 13, &axes_to_input},
    {"BatchNormalization", 14, &drop_training_outputs},
    {"RoiAlign", 16, &roi_align_mode},
    {"ReduceL1", 18, &axes_to_input},
    {"ReduceL2", 18, &axes_to_input},
    {"ReduceLogSum", 18, &axes_to_input},
    {"ReduceLogSumExp", 18, &axes_to_input},
    {"ReduceMax", 18, &axes_to_input},
    {"ReduceMean", 18, &axes_to_input},
    {"ReduceMin", 18, &axes_to_input},
    {"ReduceProd", 18, &axes_to_input},
    {"ReduceSumSquare", 18, &axes_to_input},
    {"Split", 18, &split_count},
    {"DFT", 20, &transform_axis},
    {"GridSample", 20, &grid_sample_mode},
    {"GroupNormalization", 21, &group_norm_channels},
});

}  // namespace

Adapter adapter_of(std::string_view op_type, std::int64_t version) {
  const auto* const found = std::ranges::find_if(kAdapters, [&](const KnownAdapter& known) {
    return known.op_type == op_type && known.version == version;
  });
  return found == kAdapters.end() ? nullptr : found->adapter;
}

}  // namespace joulery::onnx
