#include "cli/run_summary.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <string.h>

#include "base/text.hpp"

namespace joulery::cli {
namespace {

using Json = nlohmann::json;

/// "measured" in green, "modelled" and "assumed" in yellow: how far to trust a line at a glance.
std::string provenance_tag(const std::string& provenance, const Palette& colors) {
  const auto color = provenance == "measured" || provenance == "derived" ? colors.green : colors.yellow;
  return fmt::format("{}{:<9}{}", color, provenance, colors.reset);
}

struct Figure {
  double value, low, high, level;
  std::string provenance, basis, interval;
  explicit Figure(const Json& json)
      : value(json.at("value")),
        low(json.at("low")),
        high(json.at("high")),
        level(json.at("level")),
        provenance(printable(json.at("provenance").get<std::string>())),
        basis(printable(json.at("basis").get<std::string>())),
        interval(printable(json.at("interval").get<std::string>())) {}
  std::string range(const char* unit) const {
    if (low == high) return {};
    return fmt::format("{} to {}, {} range", format_si(low, unit), format_si(high, unit), interval);
  }
};

std::string grams(double value) {
  return format_si(value, "g");
}

std::string signal_name(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name != nullptr ? name : fmt::format("NAL {}", signal);
}

class Summary {
 public:
  Summary(const Json& run, const Palette& colors) : run_(run), colors_(colors) {}

  std::string text() {
    header();
    times();
    energy();
    carbon();
    per_unit();
    basis();
    warnings();
    footer();
    return text_;
  }

 private:
  void line(std::string_view label, const std::string& value, const std::string& provenance,
            const std::string& rest) {
    text_ += fmt::format("  {:<10} {}{:>9}{}  {}  {}\n", label, colors_.bold, value, colors_.reset,
                         provenance_tag(provenance, colors_), rest);
    while (text_.size() > 1 && text_[text_.size() - 2] == ' ') text_.erase(text_.size() - 2, 1);
  }
  void continuation(const std::string& rest) {
    text_ += fmt::format("  {:<33}{}{}{}\n", "", colors_.dim, rest, colors_.reset);
  }

  void header() {
    const int code = run_.at("exit_code");
    const int signal = run_.at("signal");
    const std::string end =
        signal != 0 ? fmt::format("killed by SIG{}", signal_name(signal)) : fmt::format("exit {}", code);
    constexpr std::size_t kLongestShown = 200;
    std::string command = run_.at("command");
    if (command.size() > kLongestShown) command = command.substr(0, kLongestShown) + " …";
    const std::string name = run_.at("name");
    // The name says something only if it is not the program's own.
    const std::string program = command.substr(0, command.find(' '));
    const bool named = program.substr(program.rfind('/') + 1) != name;
    text_ += fmt::format("\n{}{}{}{}  {}{}{}\n", colors_.bold, named ? printable(name) + ": " : "",
                         printable(command), colors_.reset, code == 0 ? colors_.green : colors_.red, end,
                         colors_.reset);
  }

  void times() {
    const double duration = run_.at("duration_seconds");
    const double command = run_.at("command_seconds");
    const double cpu = run_.at("cpu_seconds");
    const double memory = run_.at("peak_memory_bytes");
    // Earlier versions wrote 0 where the machine did not say.
    const int cpus = run_.at("machine_cpus").is_null() ? 0 : run_.at("machine_cpus").get<int>();
    line("wall time", format_duration(duration), "measured",
         duration - command > 0.05 ? fmt::format("the command itself {}", format_duration(command)) : "");
    std::string rest;
    if (duration > 0 && cpus > 0) rest = fmt::format("{:.2f} of {} CPUs on average", cpu / duration, cpus);
    if (memory > 0) rest += fmt::format("{}peak memory {}", rest.empty() ? "" : ", ", format_bytes(memory));
    line("CPU time", format_duration(cpu), "measured", rest);
  }

  void energy() {
    if (run_.at("energy_joules").is_null()) {
      text_ += fmt::format("  {:<10} {:>9}  {}\n", "energy", "unknown",
                           run_.at("devices").empty() ? "nothing here tells or models power"
                                                      : "no counter moved in this time");
      return;
    }
    const Figure figure(run_.at("energy_joules"));
    const Figure machine(run_.at("energy_machine_joules"));
    line("energy", format_si(figure.value, "J"), figure.provenance, figure.range("J"));
    continuation(fmt::format("active {}, share of idle {}",
                             format_si(run_.at("energy_active_joules").at("value"), "J"),
                             format_si(run_.at("energy_idle_share_joules").at("value"), "J")));
    if (run_.at("idle_watts_low") != run_.at("idle_watts_high")) {
      continuation(
          fmt::format("idle power may be {} to {}; `joulery doctor` measures it on the quiet machine",
                      format_si(run_.at("idle_watts_low"), "W"), format_si(run_.at("idle_watts_high"), "W")));
    }
    gpus();
    line("machine", format_si(machine.value, "J"), machine.provenance,
         fmt::format("{} mean, {} peak{}", format_si(run_.at("machine_mean_watts"), "W"),
                     format_si(run_.at("machine_peak_watts"), "W"), peak_time()));
    continuation(fmt::format("idle {}, other programs {}",
                             format_si(run_.at("energy_idle_joules").at("value"), "J"),
                             format_si(run_.at("energy_other_active_joules").at("value"), "J")));
  }

  /// Said where counters are too slow for the fifth of a second that peaks usually are of. Runs that were
  /// recorded before this was told have none.
  std::string peak_time() const {
    constexpr double kUsualSeconds = 0.2;
    const double seconds = run_.value("machine_peak_seconds", 0.0);
    return seconds > kUsualSeconds ? " over " + format_duration(seconds) : "";
  }

  void gpus() {
    if (!run_.contains("gpus") || run_.at("energy_gpu_joules").is_null()) return;
    const Figure figure(run_.at("energy_gpu_joules"));
    line("of it GPU", format_si(figure.value, "J"), figure.provenance, figure.range("J"));
    for (const Json& gpu : run_.at("gpus")) {
      if (gpu.at("energy_joules").is_null()) continue;
      continuation(fmt::format("{}: {} of {}", printable(gpu.at("name").get<std::string>()),
                               format_si(gpu.at("energy_joules").at("value"), "J"),
                               format_si(gpu.at("energy_machine_joules").at("value"), "J")));
    }
  }

  void carbon() {
    if (!run_.at("carbon_gco2e").is_null()) {
      const Figure figure(run_.at("carbon_gco2e"));
      line("carbon", grams(figure.value), figure.provenance,
           fmt::format("{} to {} CO2e, {} range", grams(figure.low), grams(figure.high), figure.interval));
    }
    footprint();
  }

  /// Of runs since a place can be named.
  void footprint() {
    if (!run_.contains("grid")) return;
    const bool energy_known = !run_.at("sci").is_null();
    const Json& grid = run_.at("grid");
    const bool world = grid.at("zone") == "WORLD";
    if (energy_known) {
      const std::string kind = grid.at("boundary");
      continuation(
          fmt::format("{}, {:.0f} g/kWh {} of {}, PUE {:.4g}{}",
                      world ? "world average grid" : printable(grid.at("zone_name").get<std::string>()),
                      grid.at("gco2e_per_kwh").get<double>(), kind, grid.at("year").get<int>(),
                      grid.at("pue").get<double>(), world ? "; --zone FR tells the place" : ""));
      other("water", run_.at("water_litres"), "l", "");
    }
    other("embodied", run_.at("embodied_gco2e"), "g", "share of making the machine");
    if (!energy_known) return;
    if (run_.contains("cost")) {
      const Figure cost(run_.at("cost"));
      const std::string currency = printable(run_.at("currency").get<std::string>());
      line("cost", fmt::format("{:.3g}", cost.value), cost.provenance,
           fmt::format("{} of electricity, {:.3g} to {:.3g} {}, {} range", currency, cost.low, cost.high,
                       currency, cost.interval));
    }
    // Asked for a place, but not for money.
    if (!world && !run_.contains("cost")) {
      text_ +=
          fmt::format("  {:<10} {:>9}  no price of electricity is known: --price \"0.25 EUR\" tells it\n",
                      "cost", "unknown");
    }
    const Json& sci = run_.at("sci");
    const bool reserved = sci.at("energy") == "whole machine";
    other(
        "SCI", sci.at("sci_gco2e"), "g",
        fmt::format("per unit ({}), energy of the {}", printable(sci.at("per").at("unit").get<std::string>()),
                    reserved ? "whole machine" : "run's share"));
    sci_for_ai();
  }
  /// One score of two that are never merged: which, and what is inside its boundary.
  void sci_for_ai() {
    if (!run_.contains("sci_ai") || !run_.at("sci_ai").is_object()) return;
    const Json& ai = run_.at("sci_ai");
    other("SCI for AI", ai.at("sci_gco2e"), "g",
          fmt::format("{} score, per unit ({})", printable(ai.at("score").get<std::string>()),
                      printable(ai.at("per_unit").get<std::string>())));
    continuation(fmt::format("its stages: {}", printable(ai.at("stages").get<std::string>())));
    const std::string rationale = ai.at("rationale");
    if (!rationale.empty()) continuation(printable(rationale));
  }
  void other(const char* label, const Json& json, const char* unit, const std::string& rest) {
    const Figure figure(json);
    line(label, format_si(figure.value, unit), figure.provenance,
         figure.range(unit) + (rest.empty() || figure.range(unit).empty() ? "" : ", ") + rest);
  }

  void per_unit() {
    if (!run_.contains("per")) return;
    const Json& per = run_.at("per");
    const std::string rest =
        fmt::format("of {}; {} CPU time, {} wall time each",
                    printable(format_count(per.at("count"), per.at("unit").get<std::string>())),
                    format_si(per.at("cpu_seconds"), "s"), format_si(per.at("duration_seconds"), "s"));
    if (per.at("energy_joules").is_null()) {
      text_ += fmt::format("  {:<10} {:>9}  {}\n", "per unit", "unknown", rest);
      return;
    }
    const Figure figure(per.at("energy_joules"));
    const std::string range = figure.range("J");
    line("per unit", format_si(figure.value, "J"), figure.provenance,
         range + (range.empty() ? "" : ", ") + rest);
  }

  void basis() {
    text_ += fmt::format("  {:<10} CPU time by {}", "known by",
                         printable(run_.at("attribution").get<std::string>()));
    for (const Json& device : run_.at("devices")) {
      if (device.at("counted").get<bool>())
        text_ += fmt::format("; {} by {}", printable(device.at("name").get<std::string>()),
                             printable(device.at("via").get<std::string>()));
    }
    text_ += "\n";
    if (run_.at("energy_joules").is_null()) return;
    if (run_.contains("gpus")) {
      for (const Json& gpu : run_.at("gpus")) {
        continuation(fmt::format("{}: {}", printable(gpu.at("name").get<std::string>()),
                                 gpu.at("basis").get<std::string>()));
      }
    }
    const std::string basis = Figure(run_.at("energy_joules")).basis;
    for (std::string_view rest = basis; !rest.empty();) {
      const auto end = rest.find("; ");
      continuation(std::string(rest.substr(0, end)));
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 2);
    }
  }

  void warnings() {
    for (const Json& warning : run_.at("warnings")) {
      text_ += fmt::format("  {}!{} {}\n", colors_.yellow, colors_.reset,
                           printable(warning.at("text").get<std::string>()));
      const std::string hint = warning.at("hint");
      if (!hint.empty())
        text_ += fmt::format("    {}hint:{} {}\n", colors_.cyan, colors_.reset, printable(hint));
    }
  }

  void footer() {
    const std::string id = run_.at("run_id");
    const Json& energy = run_.at("energy_joules");
    const bool modelled = !energy.is_null() && energy.at("provenance") == "modelled";
    text_ += fmt::format("  {}run {}{}\n", colors_.dim, printable(id), colors_.reset);
    if (modelled) {
      text_ += fmt::format(
          "  {}joules here come from a model: compare CPU time, which is measured; `joulery doctor` says "
          "more{}\n",
          colors_.dim, colors_.reset);
    }
  }

  const Json& run_;
  const Palette& colors_;
  std::string text_;
};

}  // namespace

Result<std::string> run_summary(const std::string& document, const Palette& colors) {
  const Json run = Json::parse(document, nullptr, false);
  if (run.is_discarded()) return internal_error("the run's document is not JSON");
  try {
    return Summary(run, colors).text();
  } catch (const Json::exception& error) {
    return internal_error(
        fmt::format("the run's document is not one that this version knows: {}", printable(error.what())));
  }
}

std::string sci_for_ai_text(const std::string& document, const Palette& colors) {
  const Json run = Json::parse(document, nullptr, false);
  if (!run.is_object() || !run.contains("sci_ai") || !run.at("sci_ai").is_object()) return {};
  try {
    const Json& ai = run.at("sci_ai");
    const Figure figure(ai.at("sci_gco2e"));
    std::string text = fmt::format("\n{}SCI for AI, {} score{}: {:.9g} g per {} ({:.4g} to {:.4g}), {}\n",
                                   colors.bold, printable(ai.at("score").get<std::string>()), colors.reset,
                                   figure.value, printable(singular(ai.at("per_unit").get<std::string>())),
                                   figure.low, figure.high, figure.provenance);
    text += fmt::format("  = sci, as above; its stages: {}\n", printable(ai.at("stages").get<std::string>()));
    const std::string rationale = ai.at("rationale");
    if (!rationale.empty()) text += fmt::format("  {}\n", printable(rationale));
    return text;
  } catch (const Json::exception&) {
    return {};
  }
}

}  // namespace joulery::cli
