#include "evaluate/endpoint/energy.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace joulery::evaluate::endpoint {
namespace {

constexpr double kJoulesPerWattHour = 3600;

class AssumedPowerWindow final : public EnergyWindow {
 public:
  AssumedPowerWindow(const AssumedPower& power, const Clock& clock) : power_(power), clock_(clock) {}
  Status start() override {
    start_ns_ = clock_.boottime_ns();
    return {};
  }
  Result<EnergyReading> stop() override {
    EnergyReading reading;
    reading.seconds = static_cast<double>(clock_.boottime_ns() - start_ns_) / 1e9;
    const double middle = (power_.low_watts + power_.high_watts) / 2;
    const SystematicSource source{
        .id = "assumed-server-power",
        .low = power_.low_watts / middle,
        .high = power_.high_watts / middle,
        .provenance = Provenance::assumed,
        .basis = fmt::format("the server's power as given: {:g} W", power_.low_watts) +
                 (power_.low_watts < power_.high_watts ? fmt::format(" to {:g} W", power_.high_watts) : "")};
    reading.total = Quantity<Joules>(middle * reading.seconds, Provenance::assumed, 0, {source});
    return reading;
  }

 private:
  AssumedPower power_;
  const Clock& clock_;
  std::int64_t start_ns_ = 0;
};

std::optional<EnergyFigures::Pair> per(const EnergyReading& reading, const std::optional<double>& count) {
  if (!count || *count <= 0) return std::nullopt;
  EnergyFigures::Pair pair{.gross = reading.total * (1 / *count), .idle_subtracted = std::nullopt};
  if (reading.active) pair.idle_subtracted = *reading.active * (1 / *count);
  return pair;
}

std::optional<double> over(const std::optional<double>& amount, double divisor) {
  if (!amount || divisor <= 0) return std::nullopt;
  return *amount / divisor;
}

}  // namespace

Result<AssumedPower> parse_assumed_power(std::string_view text) {
  const auto dash = text.find('-', 1);
  const auto low = parse_double(trim(text.substr(0, dash)));
  const auto high = dash == std::string_view::npos ? low : parse_double(trim(text.substr(dash + 1)));
  constexpr double kMostWatts = 1e7;
  if (!low || !high || !(*low > 0 && *low <= *high && *high <= kMostWatts)) {
    return user_error(fmt::format("--server-watts '{}' is no power in watts", printable(text)),
                      "write it like --server-watts 300 or, with its range, --server-watts 250-350");
  }
  return AssumedPower{*low, *high};
}

std::unique_ptr<EnergyWindow> assumed_power_window(const AssumedPower& power, const Clock& clock) {
  return std::make_unique<AssumedPowerWindow>(power, clock);
}

std::optional<EnergyFigures> energy_figures(const EnergyReading& reading, const LoadFigures& load) {
  const double joules = reading.total.value();
  if (!(joules > 0) || !(reading.seconds > 0)) return std::nullopt;
  EnergyFigures figures;
  figures.reading = reading;
  std::optional<double> total_tokens;
  if (load.total_output_tokens && load.total_prompt_tokens) {
    total_tokens = *load.total_output_tokens + *load.total_prompt_tokens;
  }
  const auto requests = static_cast<double>(load.completed);
  figures.per_output_token = per(reading, load.total_output_tokens);
  figures.per_total_token = per(reading, total_tokens);
  figures.per_request = per(reading, requests);
  if (figures.per_output_token) {
    figures.watt_hours_per_1k_output_tokens = figures.per_output_token->gross * (1000 / kJoulesPerWattHour);
  }
  figures.output_tokens_per_joule = over(load.total_output_tokens, joules);
  figures.total_tokens_per_joule = over(total_tokens, joules);
  figures.requests_per_joule = over(requests, joules);
  figures.mean_watts = joules / reading.seconds;
  if (load.output_tokens_per_second) {
    figures.output_tokens_per_second_per_watt =
        over(load.output_tokens_per_second->value, figures.mean_watts);
  }
  if (load.goodput) figures.goodput_per_watt = over(load.goodput->value, figures.mean_watts);
  if (load.request_latency && figures.per_request) {
    figures.energy_delay_product_joule_seconds =
        figures.per_request->gross.value() * load.request_latency->mean;
  }
  return figures;
}

}  // namespace joulery::evaluate::endpoint
