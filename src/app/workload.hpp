#pragma once

#include <string>
#include <vector>

#include "app/application.hpp"
#include "meter/session.hpp"

namespace joulery::app {

/// What `joulery run` is asked for, beyond the settings.
struct WorkloadRequest {
  std::vector<std::string> command;
  std::string name;
  std::map<std::string, std::string> tags;
  std::optional<meter::FunctionalUnit> per;
  /// Settings of the footprint, checked before the command runs.
  meter::FootprintOptions footprint = {};
  int repeat = 1;
  int warmup = 0;
};

/// One metered run and its document.
struct WorkloadOutcome {
  meter::MeteredRun run;
  /// The JSON of docs/schemas/run.schema.json; also stored as evidence about the run.
  std::string document;
  /// True if the run is in the store; if not, a warning of the run says where it is.
  bool stored = false;
};

/// "1000 images" → 1000, "images"; "image" → 1, "image". User error if the number is not above 0.
Result<meter::FunctionalUnit> parse_functional_unit(const std::string& text);
/// "auto", "cgroup", "systemd", "perf", "tree".
std::optional<meter::Tier> parse_tier(const std::string& name);

/// Handles signals as the settings say: make it before the first run of a series and keep it until the last
/// is stored.
Result<std::unique_ptr<meter::Supervisor>> make_supervisor(Application& application);

/// Meters the command once and stores the run. `index` is 1-based within a series of `request.repeat` (0 or
/// less: a warm-up, which is not stored).
meter::LaunchResult<WorkloadOutcome> run_workload(Application& application, meter::Supervisor& supervisor,
                                                  const WorkloadRequest& request,
                                                  const std::string& series_id, int index,
                                                  meter::SessionObserver* observer);

/// Power of a host when quiet, measured earlier by doctor with the same sources (their device ids). One file
/// per host: home folders are shared between hosts.
std::optional<double> load_idle_watts(const Application& application, const std::string& host_id,
                                      const std::string& sources);
Status save_idle_watts(const Application& application, const std::string& host_id, const std::string& sources,
                       double watts);

}  // namespace joulery::app
