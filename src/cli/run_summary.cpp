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
        provenance(json.at("provenance")),
        basis(json.at("basis")),
        interval(json.at("interval")) {}
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
    const int cpus = run_.at("machine_cpus");
    line("wall time", format_duration(duration), "measured",
         duration - command > 0.05 ? fmt::format("the command itself {}", format_duration(command)) : "");
    std::string rest;
    if (duration > 0) rest = fmt::format("{:.2f} of {} CPUs on average", cpu / duration, cpus);
    if (memory > 0) rest += fmt::format(", peak memory {}", format_bytes(memory));
    line("CPU time", format_duration(cpu), "measured", rest);
  }

  void energy() {
    if (run_.at("devices").empty()) return;
    const Figure figure(run_.at("energy_joules"));
    const Figure machine(run_.at("energy_machine_joules"));
    if (machine.value == 0) {
      text_ += fmt::format("  {:<10} {:>9}  no counter moved in this time\n", "energy", "unknown");
      return;
    }
    line("energy", format_si(figure.value, "J"), figure.provenance, figure.range("J"));
    continuation(fmt::format("active {}, share of idle {}",
                             format_si(run_.at("energy_active_joules").at("value"), "J"),
                             format_si(run_.at("energy_idle_share_joules").at("value"), "J")));
    gpus();
    line("machine", format_si(machine.value, "J"), machine.provenance,
         fmt::format("{} mean, {} peak", format_si(run_.at("machine_mean_watts"), "W"),
                     format_si(run_.at("machine_peak_watts"), "W")));
    continuation(fmt::format("idle {}, other programs {}",
                             format_si(run_.at("energy_idle_joules").at("value"), "J"),
                             format_si(run_.at("energy_other_active_joules").at("value"), "J")));
  }

  void gpus() {
    if (!run_.contains("gpus")) return;
    const Figure figure(run_.at("energy_gpu_joules"));
    line("of it GPU", format_si(figure.value, "J"), figure.provenance, figure.range("J"));
    for (const Json& gpu : run_.at("gpus")) {
      continuation(fmt::format("{}: {} of {}", printable(gpu.at("name").get<std::string>()),
                               format_si(gpu.at("energy_joules").at("value"), "J"),
                               format_si(gpu.at("energy_machine_joules").at("value"), "J")));
    }
  }

  void carbon() {
    if (run_.at("energy_machine_joules").at("value") == 0) return;
    const Figure figure(run_.at("carbon_gco2e"));
    line("carbon", grams(figure.value), figure.provenance,
         fmt::format("{} to {} CO2e, {} range", grams(figure.low), grams(figure.high), figure.interval));
    const auto grid = figure.basis.find("world average");
    if (grid != std::string::npos)
      continuation(figure.basis.substr(grid, figure.basis.find(';', grid) - grid));
  }

  void per_unit() {
    if (!run_.contains("per")) return;
    const Json& per = run_.at("per");
    const Figure figure(per.at("energy_joules"));
    line("per unit", format_si(figure.value, "J"), figure.provenance,
         fmt::format("of {} {}; {} CPU time, {} wall time each", per.at("count").get<double>(),
                     printable(per.at("unit").get<std::string>()), format_si(per.at("cpu_seconds"), "s"),
                     format_si(per.at("duration_seconds"), "s")));
  }

  void basis() {
    text_ += fmt::format("  {:<10} CPU time by {}", "known by", run_.at("attribution").get<std::string>());
    for (const Json& device : run_.at("devices")) {
      if (device.at("counted").get<bool>())
        text_ += fmt::format("; {} by {}", device.at("name").get<std::string>(),
                             device.at("via").get<std::string>());
    }
    text_ += "\n";
    if (run_.contains("gpus")) {
      for (const Json& gpu : run_.at("gpus")) {
        continuation(fmt::format("{}: {}", printable(gpu.at("name").get<std::string>()),
                                 gpu.at("basis").get<std::string>()));
      }
    }
    const std::string basis = run_.at("energy_joules").at("basis");
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
    const bool modelled = run_.at("energy_joules").at("provenance") == "modelled";
    text_ += fmt::format("  {}run {}{}\n", colors_.dim, id, colors_.reset);
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

}  // namespace joulery::cli
