#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/quantity.hpp"
#include "base/result.hpp"
#include "evaluate/endpoint/figures.hpp"

namespace joulery::evaluate::endpoint {

/// What a server drew between two moments.
struct EnergyReading {
  double seconds = 0;
  /// Of the server's processes, not of the load generator.
  std::optional<double> cpu_seconds;
  /// The server's: active and its share of idle.
  Quantity<Joules> total;
  /// Idle subtracted; absent where that is not known.
  std::optional<Quantity<Joules>> active;
  /// Of the whole machine.
  std::optional<Quantity<Joules>> machine;
};

/// Meters a server while a load runs. One start() and one stop() for each load.
class EnergyWindow {
 public:
  virtual ~EnergyWindow() = default;
  virtual Status start() = 0;
  virtual Result<EnergyReading> stop() = 0;
};

/// Power that the user states, between two values: all that follows from it is assumed.
struct AssumedPower {
  double low_watts = 0;
  double high_watts = 0;
};
/// "300" or "250-350". User error for anything else.
Result<AssumedPower> parse_assumed_power(std::string_view text);
std::unique_ptr<EnergyWindow> assumed_power_window(const AssumedPower& power, const Clock& clock);

/// Energy of a load in all units; absent where what it is divided by is not known or zero.
struct EnergyFigures {
  EnergyReading reading;
  struct Pair {
    Quantity<Joules> gross;
    std::optional<Quantity<Joules>> idle_subtracted;
  };
  std::optional<Pair> per_output_token;
  std::optional<Pair> per_total_token;
  std::optional<Pair> per_request;
  /// Wh of 1,000 output tokens, gross, as J / 3.6.
  std::optional<Quantity<Joules>> watt_hours_per_1k_output_tokens;
  std::optional<double> output_tokens_per_joule;
  std::optional<double> total_tokens_per_joule;
  std::optional<double> requests_per_joule;
  double mean_watts = 0;
  std::optional<double> output_tokens_per_second_per_watt;
  std::optional<double> goodput_per_watt;
  /// Of a request, J times its mean latency.
  std::optional<double> energy_delay_product_joule_seconds;
};
/// Nothing if the reading holds no energy.
std::optional<EnergyFigures> energy_figures(const EnergyReading& reading, const LoadFigures& load);

}  // namespace joulery::evaluate::endpoint
