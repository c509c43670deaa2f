#pragma once

#include <nlohmann/json_fwd.hpp>

#include <span>
#include <string>
#include <vector>

#include "app/footprint.hpp"
#include "base/quantity.hpp"
#include "base/result.hpp"
#include "footprint/footprint.hpp"
#include "record/model.hpp"

namespace joulery::app {

/// A figure as every document writes it.
nlohmann::ordered_json quantity_json(const UncertainValue& figure, const Interval& range);

/// Adds carbon's companions and their derivations to a run's document; what rests on energy is null while
/// that is unknown.
void add_footprint(const footprint::Footprint& footprint, bool energy_known,
                   nlohmann::ordered_json& document);

/// How a recorded run's figures came about, read back from its evidence.
struct WhyReport {
  std::string run_id;
  std::string name;
  std::string zone;
  std::string intensity;
  std::vector<footprint::Derivation> derivations;
  std::vector<footprint::Equivalence> equivalences;
  /// What this run, of an older version or cut off, can't tell; empty if nothing.
  std::vector<std::string> missing;
};
/// `figure` empty: all. User error for a figure that the run does not have.
Result<WhyReport> why_report(const footprint::DataSet& data, const record::Run& run,
                             std::span<const record::Evidence> evidence, const std::string& figure);
/// docs/schemas/why.schema.json
std::string why_document(const WhyReport& report);
/// docs/schemas/data.schema.json
std::string data_document(std::span<const TableInUse> tables);
/// "energy", "carbon" …
const std::vector<std::string>& figure_names();

}  // namespace joulery::app
