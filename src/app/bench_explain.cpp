#include "app/bench_explain.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>

#include "app/bench_engine.hpp"
#include "app/temporary_folder.hpp"
#include "base/text.hpp"
#include "engine/cpu_features.hpp"
#include "engine/measure.hpp"
#include "onnx/encode.hpp"
#include "onnx/precision_request.hpp"
#include "onnx/write.hpp"

namespace joulery::app {
namespace {

constexpr double kProfileSeconds = 1;
constexpr std::uint64_t kProfileCalls = 500;
/// Shares from which on something is worth a sentence.
constexpr double kMuchBoundary = 0.1;
constexpr double kMuchOverhead = 0.3;
constexpr double kMuchOfOne = 0.5;
constexpr std::size_t kNamedOperators = 3;

std::string named(const std::vector<const engine::RequestedOperator*>& operators) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < operators.size() && i < kNamedOperators; ++i)
    names.push_back(fmt::format("{} '{}'", operators[i]->op_type, printable(operators[i]->node)));
  const std::size_t more = operators.size() - names.size();
  return fmt::format("{}{}", fmt::join(names, ", "), more > 0 ? fmt::format(" and {} more", more) : "");
}

/// What keeps it slow, the largest first.
std::vector<meter::Warning> reasons_of(const Application& application, const Explanation& found,
                                       const evaluate::SubjectResult& measured) {
  std::vector<meter::Warning> reasons;
  const double total = found.precision.total_seconds;
  if (total <= 0 && !found.operators.empty()) {
    reasons.push_back({"its operators are quicker than the engine's clock, which tells microseconds",
                       "a larger --batch makes them long enough to be timed"});
  }
  if (total <= 0) return reasons;
  std::vector<const engine::RequestedOperator*> not_low;
  for (const engine::RequestedOperator& one : found.precision.requested) {
    if (one.is_low == false) not_low.push_back(&one);
  }
  std::ranges::sort(not_low, std::ranges::greater{}, &engine::RequestedOperator::seconds);
  if (!not_low.empty()) {
    reasons.push_back({fmt::format("{} of {} operators that are to run with fewer bits run as floats: {}",
                                   not_low.size(), found.precision.requested.size(), named(not_low)),
                       "the engine has no such kernel for them: quantise only what it fuses"});
  }
  const double boundary = found.precision.boundary_seconds / total;
  if (boundary > kMuchBoundary) {
    reasons.push_back(
        {fmt::format("{:.0f} % of the time only changes type or layout between operators", 100 * boundary),
         "fewer changes between floats and whole numbers, or another layout, would save it"});
  }
  const auto cpuinfo = application.root().read_text("/proc/cpuinfo");
  if (!found.precision.requested.empty() && cpuinfo &&
      engine::parse_cpu_features(*cpuinfo).speeding_up("i8").empty()) {
    reasons.push_back({"this CPU has no instructions for 8-bit numbers",
                       "a quantised model is smaller here, but hardly faster"});
  }
  if (!found.operators.empty() && found.operators[0].seconds > kMuchOfOne * total &&
      found.operators.size() > 1) {
    reasons.push_back({fmt::format("{:.0f} % of the time is in one operator: {} '{}'",
                                   100 * found.operators[0].seconds / total,
                                   printable(found.operators[0].op_type), printable(found.operators[0].node)),
                       {}});
  }
  if (measured.wall_seconds_as_run && found.calls > 0) {
    const double call = measured.wall_seconds_as_run->value * static_cast<double>(measured.batch);
    const double in_operators = total / static_cast<double>(found.calls);
    if (call > 0 && in_operators < (1 - kMuchOverhead) * call) {
      reasons.push_back(
          {fmt::format("{:.0f} % of a call is spent outside of operators", 100 * (1 - in_operators / call)),
           "small models pay for the call itself, or other programs had the CPU: try a larger --batch"});
    }
  }
  return reasons;
}

}  // namespace

Result<Explanation> explain(const Application& application, const ModelBenchRequest& request,
                            const BenchSide& side, const evaluate::SubjectResult& measured) {
  JOULERY_ASSIGN(const TemporaryFolder folder, TemporaryFolder::create("the profile"));
  JOULERY_ASSIGN(
      const std::unique_ptr<engine::Engine> engine,
      open_bench_engine(application, side.engine->info().name, request.engine_path, folder.path()));
  JOULERY_ASSIGN(onnx::Model model, onnx::with_own_data(side.file.model()));
  onnx::name_nodes(model);
  const onnx::SharedBytes bytes = onnx::join(onnx::encode_model(model));
  engine::ModelSource source = side.file.source();
  source.path.clear();
  source.bytes = std::as_bytes(bytes.span());
  engine::SessionOptions options = side.request.options;
  options.streams = 1;
  options.profile = true;
  options.profile_folder = folder.path();
  JOULERY_ASSIGN(const std::unique_ptr<engine::Session> session, engine->load(source, options));
  JOULERY_CHECK_OK(side.feed[0].bind(*session));
  JOULERY_ASSIGN(const engine::BlockResult block,
                 session->run_block({.calls = kProfileCalls, .seconds = kProfileSeconds}));
  Explanation found;
  found.calls = block.calls;
  JOULERY_ASSIGN(found.operators, session->operator_times());
  std::ranges::sort(found.operators, std::ranges::greater{}, &engine::OperatorTime::seconds);
  found.precision = engine::precision_report(model, found.operators);
  found.reasons = reasons_of(application, found, measured);
  return found;
}

}  // namespace joulery::app
