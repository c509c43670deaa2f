#include "engine/precision_report.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>
#include <unordered_map>

#include "engine/operator_precision.hpp"

namespace joulery::engine {
namespace {

/// Engine's operators by the names that a node may have had.
class OperatorIndex {
 public:
  explicit OperatorIndex(std::span<const OperatorTime> times) {
    for (const OperatorTime& time : times) {
      // Quantising and reordering are called after the node that they are made for.
      if (is_boundary(time.op_type)) continue;
      for (std::string_view name = time.node; !name.empty(); name = shortened(name)) {
        operators_.emplace(name, &time);
      }
    }
  }

  const OperatorTime* find(const onnx::Node& node) const {
    if (const OperatorTime* time = find(node.name)) return time;
    for (const std::string& output : node.outputs) {
      if (const OperatorTime* time = find(output)) return time;
    }
    return nullptr;
  }

 private:
  const OperatorTime* find(const std::string& name) const {
    const auto found = operators_.find(name);
    return name.empty() || found == operators_.end() ? nullptr : found->second;
  }
  /// Engines put what they did behind a name: "a_quant", "a/MatMulAddFusion", "a_nchwc", "a_token_5".
  static std::string_view shortened(std::string_view name) {
    constexpr std::array<std::string_view, 5> kMarks{"_quant", "_nchwc", "/MatMulAddFusion", "_token_",
                                                     "/WithoutBiases"};
    for (const std::string_view mark : kMarks) {
      const auto at = name.rfind(mark);
      if (at != std::string_view::npos && at > 0) return name.substr(0, at);
    }
    return {};
  }

  std::unordered_map<std::string_view, const OperatorTime*> operators_;
};

}  // namespace

PrecisionReport precision_report(const onnx::Model& model, std::span<const OperatorTime> times) {
  PrecisionReport report;
  for (const OperatorTime& time : times) {
    report.total_seconds += time.seconds;
    if (is_boundary(time.op_type)) {
      report.boundary_seconds += time.seconds;
      report.boundaries.push_back(time);
    } else if (is_low_precision(time.precision)) {
      report.low_seconds += time.seconds;
    }
  }
  std::ranges::sort(report.boundaries, std::ranges::greater{}, &OperatorTime::seconds);
  const OperatorIndex index(times);
  for (const onnx::LowPrecisionRequest& request : onnx::low_precision_requests(model)) {
    const onnx::Node& node = model.graph->nodes[request.index];
    RequestedOperator found{.node = node.name,
                            .op_type = node.op_type,
                            .form = request.form,
                            .is_low = std::nullopt,
                            .kernel = {},
                            .precision = {}};
    if (const OperatorTime* time = index.find(node)) {
      found.kernel = time->kernel;
      found.precision = time->precision;
      found.seconds = time->seconds;
      if (!time->precision.empty()) found.is_low = is_low_precision(time->precision);
    }
    report.low += found.is_low.value_or(false) ? 1 : 0;
    report.not_low += found.is_low.value_or(true) ? 0 : 1;
    report.requested.push_back(std::move(found));
  }
  return report;
}

}  // namespace joulery::engine
