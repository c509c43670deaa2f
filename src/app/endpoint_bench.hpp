#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/application.hpp"
#include "app/endpoint_meter.hpp"
#include "app/endpoint_server.hpp"
#include "evaluate/endpoint/load_generator.hpp"

namespace joulery::app {

/// One load of a bench.
struct EndpointLoad {
  /// Requests at a time; 0: an open loop.
  std::size_t concurrency = 1;
  /// Of an open loop; nothing for a trace.
  std::optional<double> rate_per_second = {};
  /// "constant", "poisson" or "trace"; empty for a closed loop.
  std::string arrivals = {};
};

/// What `joulery bench URL` is asked for, beyond the settings.
struct EndpointRequest {
  EndpointTarget target;
  std::vector<EndpointLoad> loads;
  /// Of loads with arrivals "trace".
  evaluate::endpoint::Arrivals trace;
  evaluate::endpoint::LoadLength length;
  /// Requests before each load; nothing: as many as are sent at a time, at least one.
  std::optional<std::size_t> warmup;
  evaluate::endpoint::Slo slo;
  double timeout_seconds = 600;
  std::string certificate_file;
  EndpointMeterRequest meter;
  /// Of the runs; empty: the model's.
  std::string name;
  std::map<std::string, std::string> tags;
  /// "made-up words" or the file's name.
  std::string prompts_from;
};

/// What one load found.
struct EndpointPoint {
  std::string run_id;
  bool stored = false;
  EndpointLoad load;
  std::int64_t start_utc_ns = 0;
  std::int64_t end_utc_ns = 0;
  std::int64_t start_boottime_ns = 0;
  std::int64_t end_boottime_ns = 0;
  std::size_t warmup = 0;
  bool interrupted = false;
  std::size_t held_back = 0;
  double client_cpu_seconds = 0;
  evaluate::endpoint::LoadFigures figures;
  std::optional<evaluate::endpoint::EnergyFigures> energy;
  std::optional<Quantity<GramsCo2e>> carbon;
  std::optional<double> server_cpu_seconds;
  double steal_seconds = 0;
  std::vector<meter::Warning> warnings;
};

struct EndpointOutcome {
  /// Of all loads of this bench: the tag joulery.bench of their runs.
  std::string bench_id;
  std::string address;
  std::string protocol;
  std::string model;
  bool streaming = false;
  std::size_t different_requests = 0;
  /// How the server was metered; empty if it was not.
  std::string metered_by;
  std::vector<EndpointPoint> points;
  std::vector<meter::Warning> warnings;
  bool interrupted = false;
  /// The JSON of docs/schemas/bench_endpoint.schema.json.
  std::string document;
};

class EndpointObserver {
 public:
  virtual ~EndpointObserver() = default;
  virtual void on_progress(std::size_t load, std::size_t loads,
                           const evaluate::endpoint::LoadProgress& progress) = 0;
  virtual bool interrupted() = 0;
};

/// Runs every load, one after the other, and stores a run of each. What went wrong with single requests is a
/// figure; an error means that there is none.
Result<EndpointOutcome> bench_endpoint(Application& application, const EndpointRequest& request,
                                       EndpointObserver& observer);

/// The load with the least energy per token (or per request, without tokens) of those whose requests kept the
/// SLO in 99 % of cases; nothing without an SLO or energy.
const EndpointPoint* cheapest_within_slo(const EndpointOutcome& outcome);

/// "4 at a time", "2/s poisson", "trace"
std::string load_text(const EndpointLoad& load);

/// The JSON of the outcome with these of its points.
std::string endpoint_document(const EndpointRequest& request, const EndpointOutcome& outcome,
                              std::span<const EndpointPoint> points);
/// Stores the run of one point, with its document as evidence.
Status store_endpoint_run(Application& application, const EndpointRequest& request,
                          const EndpointOutcome& outcome, const EndpointPoint& point,
                          const std::string& document);

}  // namespace joulery::app
