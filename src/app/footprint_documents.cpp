#include "app/footprint_documents.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

#include "base/text.hpp"

namespace joulery::app {
namespace {

using Json = nlohmann::ordered_json;
using footprint::Derivation;
using footprint::Factor;

constexpr int kSchemaVersion = 1;

template <class Unit>
Json quantity(const Quantity<Unit>& figure) {
  return quantity_json(figure.untyped(), figure.interval());
}

Json factor_json(const Factor& factor) {
  return {{"key", factor.key},
          {"label", factor.label},
          {"value", factor.value},
          {"unit", factor.unit},
          {"low", factor.low},
          {"high", factor.high},
          {"provenance", provenance_name(factor.provenance)},
          {"basis", factor.basis},
          {"source", factor.source},
          {"year", factor.year == 0 ? Json(nullptr) : Json(factor.year)}};
}

Json derivation_json(const Derivation& derivation) {
  Json factors = Json::array();
  for (const Factor& factor : derivation.factors) factors.push_back(factor_json(factor));
  Json terms = Json::array();
  for (const footprint::Term& term : derivation.terms)
    terms.push_back({{"times", term.times}, {"over", term.over}});
  return {{"figure", derivation.figure}, {"label", derivation.label},
          {"words", derivation.words},   {"value", derivation.value},
          {"unit", derivation.unit},     {"low", derivation.low},
          {"high", derivation.high},     {"provenance", provenance_name(derivation.provenance)},
          {"terms", std::move(terms)},   {"factors", std::move(factors)}};
}

Provenance parse_provenance(const std::string& name) {
  for (const Provenance provenance : {Provenance::measured, Provenance::derived, Provenance::modelled}) {
    if (name == provenance_name(provenance)) return provenance;
  }
  return Provenance::assumed;
}

Factor read_factor(const Json& json) {
  return {.key = json.at("key"),
          .label = json.at("label"),
          .value = json.at("value"),
          .unit = json.at("unit"),
          .low = json.at("low"),
          .high = json.at("high"),
          .provenance = parse_provenance(json.at("provenance")),
          .basis = json.at("basis"),
          .source = json.at("source"),
          .year = json.at("year").is_number_integer() ? json.at("year").get<int>() : 0};
}

Derivation read_derivation(const Json& json) {
  Derivation derivation{.figure = json.at("figure"),
                        .label = json.at("label"),
                        .words = json.at("words"),
                        .factors = {},
                        .terms = {},
                        .value = json.at("value"),
                        .unit = json.at("unit"),
                        .low = json.at("low"),
                        .high = json.at("high"),
                        .provenance = parse_provenance(json.at("provenance"))};
  for (const Json& factor : json.at("factors")) derivation.factors.push_back(read_factor(factor));
  for (const Json& term : json.at("terms")) {
    derivation.terms.push_back({.times = term.at("times").get<std::vector<std::string>>(),
                                .over = term.at("over").get<std::vector<std::string>>()});
  }
  return derivation;
}

void add_sci(const footprint::Footprint& footprint, Json& document) {
  document["sci"] = {
      {"sci_gco2e", quantity(footprint.sci)},
      {"operational_gco2e", quantity(footprint.sci_operational)},
      {"per", {{"count", footprint.per.count}, {"unit", footprint.per.unit}}},
      {"energy", footprint.reserved ? "whole machine" : "proportional share"},
      {"boundary", "the machine's energy with PUE, and making the machine; no network, no clients"}};
  if (footprint.sci_for_ai) {
    document["sci_ai"] = {{"score", footprint::persona_name(footprint.sci_for_ai->persona)},
                          {"sci_gco2e", quantity(footprint.sci)},
                          {"per_unit", footprint.per.unit},
                          {"stages", footprint::persona_boundary(footprint.sci_for_ai->persona)},
                          {"rationale", footprint.sci_for_ai->rationale}};
  }
}

/// What belongs to an answer: carbon rests on the grid's derivation, everything on energy's.
bool belongs(const Derivation& derivation, const std::string& figure) {
  if (figure.empty() || derivation.figure == figure) return true;
  const std::string& name = derivation.figure;
  if (figure == "energy") return name == "machine";
  if (figure == "embodied") return false;
  if (name == "energy" || name == "machine") return true;
  if (name == "grid_intensity") return figure == "carbon" || figure == "sci";
  return figure == "sci" && name == "embodied";
}

void read_evidence(const std::string& text, WhyReport& report) {
  const Json document = Json::parse(text, nullptr, false);
  if (document.is_discarded() || !document.is_object() || !document.contains("derivations")) {
    report.missing.emplace_back(
        "this version of the record has totals only; runs from now on keep every factor");
    return;
  }
  for (const Json& derivation : document.at("derivations"))
    report.derivations.push_back(read_derivation(derivation));
  report.zone = document.at("grid").at("zone_name");
  report.intensity = document.at("grid").at("kind");
}

}  // namespace

const std::vector<std::string>& figure_names() {
  static const std::vector<std::string> kNames = {"energy", "carbon", "water", "embodied", "cost", "sci"};
  return kNames;
}

Json quantity_json(const UncertainValue& figure, const Interval& range) {
  return {{"value", figure.value()},
          {"low", range.low},
          {"high", range.high},
          {"level", range.level},
          {"interval", range.is_confidence ? "confidence" : "plausible"},
          {"provenance", provenance_name(figure.provenance())},
          {"basis", figure.basis()}};
}

void add_footprint(const footprint::Footprint& footprint, bool energy_known, Json& document) {
  const auto quantity_or_null = [&](const auto& figure) {
    return energy_known ? quantity(figure) : Json(nullptr);
  };
  const footprint::Site& site = footprint.site;
  const footprint::IntensityKind& kind = site.intensity.kind;
  document["grid"] = {
      {"zone", site.zone.id},
      {"zone_name", site.zone.name},
      {"kind", footprint::kind_name(kind)},
      {"signal", kind.signal == footprint::Signal::average ? "average" : "marginal"},
      {"boundary", kind.boundary == footprint::Boundary::lifecycle ? "lifecycle" : "direct"},
      {"accounting", kind.accounting == footprint::Accounting::location ? "location" : "market"},
      {"gco2e_per_kwh", site.intensity.factor.value},
      {"year", site.intensity.factor.year},
      {"pue", site.pue.value()}};
  document["water_litres"] = quantity_or_null(footprint.water.total);
  document["water_on_site_litres"] = quantity_or_null(footprint.water.on_site);
  document["water_reservoir_litres"] = quantity_or_null(footprint.water.evaporation);
  document["embodied_gco2e"] = quantity(footprint.embodied);
  if (footprint.cost) {
    document["cost"] = quantity_or_null(*footprint.cost);
    document["currency"] = site.currency;
  }
  document["sci"] = nullptr;
  if (energy_known) add_sci(footprint, document);
  document["derivations"] = Json::array();
  for (const Derivation& derivation : footprint.derivations)
    document["derivations"].push_back(derivation_json(derivation));
}

Result<WhyReport> why_report(const footprint::DataSet& data, const record::Run& run,
                             std::span<const record::Evidence> evidence, const std::string& figure) {
  WhyReport report;
  report.run_id = run.id;
  report.name = run.name;
  bool found = false;
  for (const record::Evidence& one : evidence) {
    if (one.type != "joulery/run") continue;
    found = true;
    try {
      read_evidence(one.json, report);
    } catch (const Json::exception& error) {
      return internal_error(fmt::format("the evidence of run {} is not one that this version knows: {}",
                                        run.id, printable(error.what())));
    }
  }
  if (!found) {
    report.missing.emplace_back(
        "its meter was cut off, or another program logged it: there is no evidence, so no factors are known");
  }
  std::erase_if(report.derivations,
                [&](const Derivation& derivation) { return !belongs(derivation, figure); });
  const auto asked = [&](const Derivation& derivation) { return derivation.figure == figure; };
  if (!figure.empty() && report.missing.empty() &&
      std::none_of(report.derivations.begin(), report.derivations.end(), asked)) {
    return user_error(fmt::format("run {} has no {}", run.id, figure),
                      figure == "cost" ? "there was no price: --price \"0.25 EUR\" at the next run" : "");
  }
  for (const Derivation& derivation : report.derivations) {
    if (derivation.figure != "carbon") continue;
    JOULERY_ASSIGN(report.equivalences, footprint::equivalences(data, derivation.value));
  }
  return report;
}

std::string why_document(const WhyReport& report) {
  Json document = {{"schema_version", kSchemaVersion},
                   {"run_id", report.run_id},
                   {"name", report.name},
                   {"zone", report.zone},
                   {"intensity", report.intensity},
                   {"missing", report.missing}};
  document["derivations"] = Json::array();
  for (const Derivation& derivation : report.derivations)
    document["derivations"].push_back(derivation_json(derivation));
  document["equivalences"] = Json::array();
  for (const footprint::Equivalence& one : report.equivalences)
    document["equivalences"].push_back({{"text", one.text}, {"source", one.source}});
  return document.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string data_document(std::span<const TableInUse> tables) {
  Json document = {{"schema_version", kSchemaVersion}, {"tables", Json::array()}};
  for (const TableInUse& table : tables) {
    document["tables"].push_back({{"name", table.name},
                                  {"summary", table.summary},
                                  {"origin", table.origin},
                                  {"file", table.file},
                                  {"rows", table.rows},
                                  {"sources", table.sources},
                                  {"imported_at", table.imported_at},
                                  {"problem", table.problem}});
  }
  return document.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace joulery::app
