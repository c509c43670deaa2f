#include "app/endpoint_meter.hpp"

#include <fmt/format.h>

#include <ctime>

#include "app/workload.hpp"
#include "base/text.hpp"
#include "evaluate/endpoint/listener.hpp"
#include "footprint/footprint.hpp"
#include "meter/window_meter.hpp"

namespace joulery::app {
namespace {

namespace endpoint = evaluate::endpoint;

constexpr const char* kHowToMeter =
    "on this machine name the server by --pid or --cgroup; elsewhere state its power: --server-watts "
    "LOW-HIGH";

int year_of(std::int64_t utc_ns) {
  const auto seconds = static_cast<std::time_t>(utc_ns / kNanosecondsPerSecond);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return parts.tm_year + 1900;
}

/// The processes of a server on this machine.
class FollowingMeter final : public EndpointMeter {
 public:
  FollowingMeter(Application& application, meter::WindowOptions options)
      : application_(application), options_(std::move(options)) {
    options_.load_idle_watts = [&application](const std::string& host_id, const std::string& sources) {
      return load_idle_watts(application, host_id, sources);
    };
  }
  Status start() override {
    JOULERY_ASSIGN(window_, meter::WindowMeter::start(application_.machine(), options_));
    return {};
  }
  Result<MeteredEndpoint> stop() override {
    if (!window_) return internal_error("the server's meter was not started");
    meter::MeteredWindow window = window_->stop();
    window_.reset();
    MeteredEndpoint metered;
    metered.reading.seconds = window.duration_seconds;
    metered.reading.cpu_seconds = window.cpu_seconds;
    metered.steal_seconds = window.steal_seconds;
    metered.warnings = std::move(window.warnings);
    if (!window.energy_known()) return metered;
    metered.reading.total = window.energy;
    metered.reading.active = window.energy_active;
    metered.reading.machine = window.energy_machine;
    if (window.footprint) metered.carbon = window.carbon;
    return metered;
  }

 private:
  Application& application_;
  meter::WindowOptions options_;
  std::unique_ptr<meter::WindowMeter> window_;
};

/// A power that the user states.
class StatedMeter final : public EndpointMeter {
 public:
  StatedMeter(Application& application, const endpoint::AssumedPower& power,
              meter::FootprintOptions footprint)
      : application_(application),
        footprint_(std::move(footprint)),
        window_(endpoint::assumed_power_window(power, application.clock())) {}
  Status start() override { return window_->start(); }
  Result<MeteredEndpoint> stop() override {
    MeteredEndpoint metered;
    JOULERY_ASSIGN(metered.reading, window_->stop());
    footprint::Usage usage;
    usage.energy = usage.sci_energy = metered.reading.total;
    usage.duration_seconds = metered.reading.seconds;
    const footprint::DataSet& data = application_.data();
    auto site = footprint::find_site(data, footprint_.request, year_of(application_.clock().realtime_ns()));
    if (site) {
      if (const auto computed = footprint::compute_footprint(data, std::move(*site), usage)) {
        metered.carbon = computed->carbon;
      }
    }
    return metered;
  }

 private:
  Application& application_;
  meter::FootprintOptions footprint_;
  std::unique_ptr<endpoint::EnergyWindow> window_;
};

ChosenMeter following(Application& application, const EndpointMeterRequest& request,
                      const meter::Followed& followed, std::string what) {
  meter::WindowOptions options;
  options.followed = followed;
  options.footprint = request.footprint;
  ChosenMeter chosen;
  chosen.meter = std::make_unique<FollowingMeter>(application, std::move(options));
  chosen.what = std::move(what);
  chosen.pid = followed.pid;
  return chosen;
}

ChosenMeter no_meter(std::string why) {
  ChosenMeter chosen;
  chosen.missing = meter::Warning{std::move(why), kHowToMeter};
  return chosen;
}

}  // namespace

Result<ChosenMeter> choose_endpoint_meter(Application& application, const http::Url& url,
                                          const EndpointMeterRequest& request) {
  if (request.none) return ChosenMeter();
  if (request.followed) {
    const meter::Followed& followed = *request.followed;
    // Looked at now: an error is better told before the load than after it.
    JOULERY_CHECK_OK(meter::follow(application.root(), application.clock(), followed));
    return following(application, request, followed,
                     followed.pid > 0 ? fmt::format("pid {}", followed.pid)
                                      : fmt::format("cgroup {}", printable(followed.cgroup)));
  }
  if (request.assumed) {
    ChosenMeter chosen;
    chosen.meter = std::make_unique<StatedMeter>(application, *request.assumed, request.footprint);
    chosen.what = "stated power";
    return chosen;
  }
  if (!endpoint::is_loopback(url.host)) {
    return no_meter(
        fmt::format("the energy of {} is not known: it can't be metered from here", printable(url.host)));
  }
  const endpoint::Listener listener = endpoint::find_listener(application.root(), url.port);
  if (listener.pid > 0) {
    return following(application, request, {.pid = listener.pid, .cgroup = {}},
                     fmt::format("pid {} ({})", listener.pid, listener.command));
  }
  return no_meter(
      listener.several
          ? fmt::format("the server's energy is not known: several programs listen on port {}", url.port)
      : listener.listening
          ? fmt::format("the server's energy is not known: whose port {} is can't be seen by this user",
                        url.port)
          : fmt::format("the server's energy is not known: no process here listens on port {}", url.port));
}

}  // namespace joulery::app
