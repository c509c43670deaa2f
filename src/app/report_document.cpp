#include <nlohmann/json.hpp>

#include "app/report.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

using Json = nlohmann::ordered_json;

Json or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json figure_json(const std::optional<ReportFigure>& figure) {
  if (!figure) return nullptr;
  return {{"value", figure->value},
          {"low", figure->has_range ? Json(figure->low) : Json(nullptr)},
          {"high", figure->has_range ? Json(figure->high) : Json(nullptr)},
          {"level", 0.9},
          {"interval", figure->confidence ? "confidence" : "plausible"},
          {"provenance", provenance_name(figure->provenance)},
          {"basis", figure->basis}};
}

Json parts_json(const std::vector<ReportPart>& parts) {
  Json all = Json::array();
  for (const ReportPart& part : parts) {
    all.push_back({{"label", part.label},
                   {"share", part.share},
                   {"of_the_run", part.of_the_run},
                   {"figure", figure_json(part.figure)}});
  }
  return all;
}

Json power_json(const std::vector<ReportSeries>& power) {
  static constexpr const char* kKinds[] = {"machine", "workload", "device"};
  Json all = Json::array();
  for (const ReportSeries& series : power) {
    Json points = Json::array();
    for (const PowerPoint& point : series.profile.points) {
      points.push_back({{"start_seconds", point.start_seconds},
                        {"end_seconds", point.end_seconds},
                        {"mean_watts", point.mean_watts},
                        {"low_watts", point.low_watts},
                        {"high_watts", point.high_watts}});
    }
    all.push_back({{"label", series.label},
                   {"kind", kKinds[static_cast<int>(series.kind)]},
                   {"samples", series.profile.samples},
                   {"energy_joules", series.profile.joules},
                   {"mean_watts", series.profile.mean_watts},
                   {"peak_watts", series.profile.peak_watts},
                   {"peak_at_seconds", series.profile.peak_at_seconds},
                   {"points", std::move(points)}});
  }
  return all;
}

Json advice_json(const std::vector<Advice>& advice) {
  Json all = Json::array();
  for (const Advice& each : advice) {
    const bool saves = each.kind == Advice::Kind::saves;
    all.push_back({{"kind", saves ? "saves" : "surer"},
                   {"key", each.key},
                   {"title", each.title},
                   {"text", each.text},
                   {"effect", each.effect},
                   {"command", each.command},
                   {"figure", each.figure},
                   {"share_low", saves ? Json(each.share_low) : Json(nullptr)},
                   {"share_high", saves ? Json(each.share_high) : Json(nullptr)},
                   {"range_factor", saves ? Json(nullptr) : Json(each.range_factor)}});
  }
  return all;
}

Json run_json(const RunReport& run) {
  Json equivalences = Json::array();
  for (const footprint::Equivalence& one : run.equivalences)
    equivalences.push_back({{"text", one.text}, {"source", one.source}});
  return {{"run_id", run.run.id},
          {"name", run.run.name},
          {"command", run.command},
          {"end", run.end},
          {"failed", run.failed},
          {"start_time", format_utc(run.run.start_utc_ns)},
          {"missing", run.missing},
          {"duration_seconds", or_null(run.duration_seconds)},
          {"cpu_seconds", or_null(run.cpu_seconds)},
          {"energy_joules", figure_json(run.energy)},
          {"carbon_gco2e", figure_json(run.carbon)},
          {"embodied_gco2e", figure_json(run.embodied)},
          {"water_litres", figure_json(run.water)},
          {"cost", figure_json(run.cost)},
          {"currency", run.currency},
          {"machine_parts", parts_json(run.split)},
          {"power", power_json(run.power)},
          {"equivalences", std::move(equivalences)},
          {"advice", advice_json(run.advice)}};
}

}  // namespace

std::string report_document(const Report& report) {
  Json document = {{"schema_version", 1}, {"generated_at", report.generated_at}, {"runs", Json::array()}};
  for (const RunReport& run : report.runs) document["runs"].push_back(run_json(run));
  return document.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace joulery::app
