#include <nlohmann/json.hpp>

#include <cmath>

#include "app/comparison.hpp"

namespace joulery::app {
namespace {

using Json = nlohmann::ordered_json;

template <class Value>
Json or_null(const std::optional<Value>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json interval_name(const std::optional<Interval>& range) {
  if (!range) return nullptr;
  return range->is_confidence ? "confidence" : "plausible";
}

Json quantity(const UncertainValue& value, bool has_range, double level) {
  const Interval range = value.interval(level);
  std::string basis = value.basis();
  if (!has_range) {
    basis += std::string(basis.empty() ? "" : "; ") +
             "values came without a range: what they are off by themselves is not known";
  }
  // One value, or several that are the same, would be its own range.
  const bool nothing_known = !has_range && range.low == range.high;
  return {{"value", value.value()},
          {"low", nothing_known ? Json(nullptr) : Json(range.low)},
          {"high", nothing_known ? Json(nullptr) : Json(range.high)},
          {"level", range.level},
          {"interval", nothing_known ? Json(nullptr) : interval_name(range)},
          {"provenance", provenance_name(value.provenance())},
          {"basis", std::move(basis)}};
}

/// Times are numbers, all else quantities.
Json mean(const FigureComparison& figure, const std::optional<UncertainValue>& value, bool has_range,
          double level) {
  if (!value) return nullptr;
  return figure.unit == "s" ? Json(value->value()) : quantity(*value, has_range, level);
}

const char* method_name(stats::RatioEstimate::Method method) {
  switch (method) {
    case stats::RatioEstimate::Method::none:
      return "none";
    case stats::RatioEstimate::Method::student_t:
      return "student_t";
    case stats::RatioEstimate::Method::bootstrap_t:
      return "stationary_bootstrap_t";
  }
  return "none";
}

Json figure_json(const FigureComparison& figure, const Comparison& comparison) {
  Json json = {{"label", figure.label},
               {"mean_a", mean(figure, figure.mean_a, figure.has_range_a, comparison.level)},
               {"mean_b", mean(figure, figure.mean_b, figure.has_range_b, comparison.level)},
               {"ratio", nullptr},
               {"repetition", nullptr}};
  if (figure.repeated) {
    const stats::RatioEstimate& repeated = *figure.repeated;
    const bool chance_is_known = repeated.method != stats::RatioEstimate::Method::none;
    json["ratio"] = {{"value", repeated.ratio},
                     {"low", figure.range ? Json(figure.range->low) : Json(nullptr)},
                     {"high", figure.range ? Json(figure.range->high) : Json(nullptr)},
                     {"level", comparison.level},
                     {"interval", interval_name(figure.range)},
                     {"provenance", provenance_name(figure.provenance)},
                     {"basis", figure.basis}};
    json["repetition"] = {{"method", method_name(repeated.method)},
                          {"low", chance_is_known ? Json(repeated.low) : Json(nullptr)},
                          {"high", chance_is_known ? Json(repeated.high) : Json(nullptr)},
                          {"log_standard_error", repeated.log_standard_error},
                          {"block_length", repeated.block_length}};
  }
  json["systematic_low"] = figure.systematic_low;
  json["systematic_high"] = figure.systematic_high;
  json["noise_floor"] = or_null(figure.noise_floor);
  json["split_half_ratio_a"] = or_null(figure.split_half_a);
  json["split_half_ratio_b"] = or_null(figure.split_half_b);
  json["effect_size"] = or_null(figure.effect_size);
  json["equivalence_p_value"] = or_null(figure.equivalence_p_value);
  json["runs_needed"] = or_null(figure.runs_needed);
  json["verdict"] = verdict_name(figure.verdict);
  json["text"] = figure.text;
  return json;
}

Json group_json(const RunGroup& group) {
  Json json = {{"label", group.label},
               {"command", group.runs.empty() ? "" : group.runs.front().command},
               {"run_ids", Json::array()},
               {"left_out", Json::array()}};
  for (const ComparedRun& run : group.runs) json["run_ids"].push_back(run.run_id);
  for (const RunGroup::LeftOut& run : group.left_out) {
    json["left_out"].push_back({{"run_id", run.run_id}, {"reason", run.reason}});
  }
  return json;
}

}  // namespace

std::string comparison_document(const std::vector<Comparison>& comparisons) {
  Json document = {{"schema_version", 1}, {"comparisons", Json::array()}};
  for (const Comparison& comparison : comparisons) {
    Json json = {{"a", group_json(comparison.a)},
                 {"b", group_json(comparison.b)},
                 {"paired", comparison.paired},
                 {"level", comparison.level},
                 {"margin", or_null(comparison.margin)},
                 {"wanted_change", comparison.wanted_change},
                 {"per_unit", comparison.per_unit.empty() ? Json(nullptr) : Json(comparison.per_unit)},
                 {"figures", Json::object()},
                 {"warnings", Json::array()}};
    for (const FigureComparison& figure : comparison.figures) {
      json["figures"][figure.key] = figure_json(figure, comparison);
    }
    for (const meter::Warning& warning : comparison.warnings) {
      json["warnings"].push_back({{"text", warning.text}, {"hint", warning.hint}});
    }
    document["comparisons"].push_back(std::move(json));
  }
  return document.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace joulery::app
