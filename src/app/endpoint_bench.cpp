#include "app/endpoint_bench.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/ids.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

namespace endpoint = evaluate::endpoint;

/// More than this share of one core, and the load may be what is slow.
constexpr double kBusyClient = 0.8;
constexpr double kLateSeconds = 0.005;
constexpr double kStealShare = 0.05;
constexpr double kSloShare = 0.99;
constexpr std::size_t kMostOpenRequests = 512;

/// Starts and ends the meter with the requests that count, and counts the loads.
class Observer final : public endpoint::LoadObserver {
 public:
  Observer(EndpointObserver& observer, EndpointMeter* meter, std::size_t load, std::size_t loads)
      : observer_(observer), meter_(meter), load_(load), loads_(loads) {}
  void on_begin() override {
    if (meter_ != nullptr) started_ = meter_->start();
  }
  void on_end() override {
    if (meter_ == nullptr || !started_) return;
    metered_ = meter_->stop();
  }
  void on_progress(const endpoint::LoadProgress& progress) override {
    observer_.on_progress(load_, loads_, progress);
  }
  bool interrupted() override { return observer_.interrupted(); }

  /// Nothing without a meter, or if the load never began.
  std::optional<Result<MeteredEndpoint>> take_metered() {
    if (!started_) return Result<MeteredEndpoint>(std::unexpected(started_.error()));
    return std::move(metered_);
  }

 private:
  EndpointObserver& observer_;
  EndpointMeter* meter_;
  std::size_t load_;
  std::size_t loads_;
  Status started_;
  std::optional<Result<MeteredEndpoint>> metered_;
};

endpoint::LoadPlan plan_of(const EndpointRequest& request, const EndpointLoad& load) {
  endpoint::LoadPlan plan{.concurrency = load.concurrency,
                          .length = request.length,
                          .warmup = request.warmup.value_or(std::max<std::size_t>(load.concurrency, 1))};
  if (load.arrivals == "constant")
    plan.arrivals = endpoint::constant_arrivals(*load.rate_per_second, request.length);
  if (load.arrivals == "poisson") {
    plan.arrivals = endpoint::poisson_arrivals(*load.rate_per_second, request.length, request.target.seed);
  }
  if (load.arrivals == "trace") plan.arrivals = endpoint::cut(request.trace, request.length);
  return plan;
}

/// What the reader should know of the load itself.
void add_load_warnings(EndpointPoint& point) {
  const endpoint::LoadFigures& figures = point.figures;
  const double cpu_share = point.client_cpu_seconds / figures.window_seconds;
  if (cpu_share > kBusyClient) {
    point.warnings.push_back(
        {fmt::format("the load generator itself used {:.0f} % of a core: it may be what is slow",
                     cpu_share * 100),
         "lower the load, or run several with a part of it each"});
  }
  if (point.load.concurrency == 0 && figures.send_delay &&
      figures.send_delay->quantiles[3].value > kLateSeconds) {
    point.warnings.push_back(
        {fmt::format(
             "1 % of the requests were sent {} or more after their time; latencies count from that time",
             format_duration(figures.send_delay->quantiles[3].value)),
         fmt::format("at most {} requests are under way at a time", kMostOpenRequests)});
  }
  if (point.steal_seconds > kStealShare * figures.window_seconds) {
    point.warnings.push_back({fmt::format("other guests of this host took {} of CPU time meanwhile",
                                          format_duration(point.steal_seconds)),
                              "figures of a quieter time may be better"});
  }
  if (figures.completed == 0 && !point.interrupted) {
    point.warnings.push_back({"no request went through", ""});
  } else if (figures.request_latency && !figures.request_latency->quantiles[3].high) {
    point.warnings.push_back(
        {fmt::format("{} requests are too few for the upper end of a p99", figures.completed),
         "299 are enough: --requests 299"});
  }
}

Result<EndpointPoint> run_point(Application& application, const EndpointRequest& request,
                                http::EventLoop& loop, http::Client& client, const ConnectedEndpoint& server,
                                ChosenMeter& chosen, std::size_t index, EndpointObserver& observer) {
  EndpointPoint point;
  point.load = request.loads[index];
  const endpoint::LoadPlan plan = plan_of(request, point.load);
  point.warmup = plan.warmup;
  const Clock& clock = application.clock();
  point.run_id = make_run_id(clock.realtime_ns());
  Observer load_observer(observer, chosen.meter.get(), index, request.loads.size());
  point.start_utc_ns = clock.realtime_ns();
  point.start_boottime_ns = clock.boottime_ns();
  endpoint::LoadResult result = endpoint::run_load(loop, client, *server.protocol, plan, load_observer);
  point.end_utc_ns = clock.realtime_ns();
  point.end_boottime_ns = clock.boottime_ns();
  point.interrupted = result.interrupted;
  point.held_back = result.held_back;
  point.client_cpu_seconds = result.client_cpu_seconds;
  point.figures = endpoint::compute_figures(result.records, result.start_ns, result.end_ns, request.slo);
  if (auto metered = load_observer.take_metered()) {
    if (*metered) {
      point.energy = endpoint::energy_figures((*metered)->reading, point.figures);
      point.carbon = (*metered)->carbon;
      point.server_cpu_seconds = (*metered)->reading.cpu_seconds;
      point.steal_seconds = (*metered)->steal_seconds;
      point.warnings = std::move((*metered)->warnings);
      if (!point.energy) {
        point.warnings.push_back(
            {"the server's energy is not known: nothing of it was seen while the load ran",
             "a longer load, such as --duration 30s, may tell; joulery doctor shows what is metered"});
      }
    } else {
      point.warnings.push_back(
          {"the server's energy is not known: " + metered->error().message, metered->error().hint});
    }
  }
  add_load_warnings(point);
  return point;
}

/// A warning that holds for every load is told once.
void gather_warnings(EndpointOutcome& outcome) {
  const auto same = [](const meter::Warning& a) {
    return [&a](const meter::Warning& b) { return a.text == b.text; };
  };
  if (outcome.points.size() < 2) return;
  const std::vector<meter::Warning> first = outcome.points.front().warnings;
  for (const meter::Warning& warning : first) {
    const bool everywhere = std::ranges::all_of(outcome.points, [&](const EndpointPoint& point) {
      return std::ranges::any_of(point.warnings, same(warning));
    });
    if (!everywhere) continue;
    outcome.warnings.push_back(warning);
    for (EndpointPoint& point : outcome.points) std::erase_if(point.warnings, same(warning));
  }
}

}  // namespace

std::string load_text(const EndpointLoad& load) {
  if (load.concurrency > 0) return fmt::format("{} at a time", load.concurrency);
  if (!load.rate_per_second) return load.arrivals;
  return fmt::format("{:g}/s {}", *load.rate_per_second, load.arrivals);
}

Result<EndpointOutcome> bench_endpoint(Application& application, const EndpointRequest& request,
                                       EndpointObserver& observer) {
  http::EventLoop loop(application.clock());
  http::ClientOptions options{.connect_seconds = std::min(10.0, request.timeout_seconds),
                              .total_seconds = request.timeout_seconds,
                              .most_connections = kMostOpenRequests,
                              .certificate_file = request.certificate_file};
  for (const EndpointLoad& load : request.loads) {
    options.most_connections = std::max(options.most_connections, load.concurrency);
  }
  JOULERY_ASSIGN(const auto client, http::Client::create(loop, request.target.url, options));
  JOULERY_ASSIGN(const ConnectedEndpoint server, connect_endpoint(loop, *client, request.target));
  JOULERY_ASSIGN(ChosenMeter chosen, choose_endpoint_meter(application, request.target.url, request.meter));

  EndpointOutcome outcome{.bench_id = make_run_id(application.clock().realtime_ns()),
                          .address = server.address,
                          .protocol = server.protocol->name(),
                          .model = server.protocol->model(),
                          .streaming = server.protocol->streaming(),
                          .different_requests = server.different_requests,
                          .metered_by = chosen.what,
                          .points = {},
                          .warnings = server.warnings,
                          .document = {}};
  if (chosen.missing) outcome.warnings.push_back(*chosen.missing);
  for (std::size_t i = 0; i < request.loads.size() && !outcome.interrupted; ++i) {
    JOULERY_ASSIGN(EndpointPoint point,
                   run_point(application, request, loop, *client, server, chosen, i, observer));
    outcome.interrupted = point.interrupted;
    // Broken off before the first request that counts, there is nothing to tell.
    if (point.figures.requests > 0) outcome.points.push_back(std::move(point));
  }
  gather_warnings(outcome);
  for (EndpointPoint& point : outcome.points) {
    const Status stored = store_endpoint_run(application, request, outcome, point,
                                             endpoint_document(request, outcome, {&point, 1}));
    point.stored = stored.has_value();
    if (!stored) {
      outcome.warnings.push_back({stored.error().message, stored.error().hint});
    }
  }
  outcome.document = endpoint_document(request, outcome, outcome.points);
  return outcome;
}

const EndpointPoint* cheapest_within_slo(const EndpointOutcome& outcome) {
  const auto cost = [](const EndpointPoint& point) -> std::optional<double> {
    if (!point.energy || !point.figures.slo_share || *point.figures.slo_share < kSloShare)
      return std::nullopt;
    const auto& per =
        point.energy->per_output_token ? point.energy->per_output_token : point.energy->per_request;
    if (!per) return std::nullopt;
    return per->gross.value();
  };
  const EndpointPoint* best = nullptr;
  for (const EndpointPoint& point : outcome.points) {
    if (cost(point) && (best == nullptr || *cost(point) < *cost(*best))) best = &point;
  }
  return best;
}

}  // namespace joulery::app
