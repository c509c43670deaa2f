#pragma once

#include <string>
#include <vector>

#include "footprint/tables.hpp"
#include "meter/session.hpp"

namespace joulery::app {

/// One run under codecarbon_columns(). Units are CodeCarbon's (kWh times PUE, kg, litres on site, W as energy
/// over time); what is not known is an empty field, never 0. Energy by part is there where counters tell
/// parts apart, as the part's share of the machine. `data` names the country of a cloud region.
std::vector<std::string> codecarbon_fields(const meter::MeteredRun& run, const footprint::DataSet& data);

/// What CodeCarbon's file has no place for: ranges and how each figure is known, by run_id. Units are ours.
const std::vector<std::string>& range_columns();
std::vector<std::string> range_fields(const meter::MeteredRun& run);

/// 32 hex digits with the dashes of a UUID; anything else as it is.
std::string dashed_uuid(const std::string& id);

}  // namespace joulery::app
