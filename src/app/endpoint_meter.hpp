#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/application.hpp"
#include "evaluate/endpoint/energy.hpp"
#include "http/url.hpp"
#include "meter/followed.hpp"

namespace joulery::app {

/// How the server's energy is to be known.
struct EndpointMeterRequest {
  /// Of the process or cgroup that the user names.
  std::optional<meter::Followed> followed;
  std::optional<evaluate::endpoint::AssumedPower> assumed;
  /// No energy at all.
  bool none = false;
  meter::FootprintOptions footprint;
};

/// The server's energy and what goes with it, of one load.
struct MeteredEndpoint {
  evaluate::endpoint::EnergyReading reading;
  std::optional<Quantity<GramsCo2e>> carbon;
  /// Kernel time lost to other guests of the host while the load ran.
  double steal_seconds = 0;
  std::vector<meter::Warning> warnings;
};

/// Meters the server's part of a load: start() just before it, stop() right after.
class EndpointMeter {
 public:
  virtual ~EndpointMeter() = default;
  virtual Status start() = 0;
  virtual Result<MeteredEndpoint> stop() = 0;
};

/// How the server is metered.
struct ChosenMeter {
  std::unique_ptr<EndpointMeter> meter;  // null: there is no energy
  /// "pid 4242 (llama-server)", "cgroup /x", "stated power"; empty without a meter.
  std::string what;
  int pid = 0;
  /// Why there is no energy, and how to get it.
  std::optional<meter::Warning> missing;
};
/// What the request names, else the process that listens on the port if the server is on this machine. User
/// error if what it names is not there.
Result<ChosenMeter> choose_endpoint_meter(Application& application, const http::Url& url,
                                          const EndpointMeterRequest& request);

}  // namespace joulery::app
