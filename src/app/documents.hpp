#pragma once

#include <span>
#include <string>
#include <vector>

#include "app/doctor.hpp"
#include "meter/session.hpp"
#include "record/store.hpp"
#include "stats/summary.hpp"

namespace joulery::app {

/// JSON texts that the program writes. Each has `schema_version` and a schema in docs/schemas/.

/// docs/schemas/run.schema.json
std::string run_document(const meter::MeteredRun& run);
/// docs/schemas/series.schema.json: the documents of a series of repeated runs and their means.
struct SeriesMean {
  std::string key;
  /// Of no run if it is known of none.
  stats::MeanInterval interval;
  /// Runs that went through, but of which this figure is not known.
  std::size_t left_out = 0;
  std::string provenance;
  std::string basis;
};
std::string series_document(const std::string& series_id, const std::vector<std::string>& documents,
                            std::span<const SeriesMean> means, double level);
/// docs/schemas/runs.schema.json: runs of the record.
std::string runs_document(std::span<const record::Run> runs);
/// docs/schemas/show.schema.json: one run with its evidence, devices and, if asked for, power series.
struct RunDetails {
  record::Run run;
  std::optional<record::Host> host;
  std::vector<record::Evidence> evidence;
  std::vector<record::Store::PowerSeries> power;
  bool with_power = false;
};
std::string show_document(const RunDetails& details);
/// docs/schemas/power.schema.json
struct RunPower {
  record::Run run;
  std::vector<record::Store::PowerSeries> series;
};
std::string power_document(std::span<const RunPower> runs);
/// docs/schemas/doctor.schema.json
std::string doctor_document(const DoctorReport& report);
/// docs/schemas/config.schema.json
std::string config_document(const config::Config& config);

}  // namespace joulery::app
