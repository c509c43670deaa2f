#include "app/bench_import.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "base/ids.hpp"
#include "base/quantity.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

using Json = nlohmann::json;

/// More than any benchmark takes, far below where sums overflow.
constexpr double kMostJoules = 1e18;
constexpr double kMostSeconds = 1e9;
constexpr double kMostBytes = 1e18;
constexpr double kMostCount = 1e15;
constexpr double kJoulesPerKilowattHour = 3.6e6;
constexpr double kJoulesPerWattHour = 3600;
constexpr std::size_t kLongestValue = 500;
constexpr std::size_t kMostRemarks = 20;
constexpr const char* kOptimum = "optimum-benchmark";
constexpr const char* kEnergyScore = "aienergyscore";

const Json* member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string shown(const Json& value) {
  if (value.is_string()) return printable(value.get_ref<const std::string&>().substr(0, 60));
  if (value.is_structured()) return value.is_array() ? "a list" : "an object";
  return value.dump();
}

std::optional<std::string> text_of(const Json& object, const char* key) {
  const Json* found = member(object, key);
  if (found == nullptr || !found->is_string()) return std::nullopt;
  return printable(found->get_ref<const std::string&>()).substr(0, kLongestValue);
}

/// Nothing if it is not there; user error for what is no number, or one that can't be.
Result<std::optional<double>> number_of(const Json& object, const char* key, double most,
                                        const std::string& where) {
  const Json* found = member(object, key);
  if (found == nullptr) return std::optional<double>();
  if (!found->is_number()) {
    return user_error(fmt::format("{}.{} is '{}', which is no number", where, key, shown(*found)));
  }
  const double value = found->get<double>();
  if (!std::isfinite(value) || std::abs(value) > most) {
    return user_error(
        fmt::format("{}.{} is {:g}, more than any benchmark can have ({:g})", where, key, value, most));
  }
  return std::optional(value);
}

class ReportReader {
 public:
  BenchReport report;

 protected:
  void remark(std::string text) {
    if (report.remarks.size() < kMostRemarks) report.remarks.push_back(std::move(text));
  }

  /// A figure that is there and not negative. Differences of two measurements can be: they are left out.
  Result<std::optional<double>> amount(const Json& object, const char* key, double most,
                                       const std::string& where) {
    JOULERY_ASSIGN(const std::optional<double> value, number_of(object, key, most, where));
    if (!value || *value >= 0) return value;
    remark(fmt::format("{}.{} is {:g}, less than nothing: it is left out", where, key, *value));
    return std::optional<double>();
  }

  Status add(const std::string& figure, const Json& object, const char* key, double most,
             const std::string& where, double factor = 1) {
    JOULERY_ASSIGN(const std::optional<double> value, amount(object, key, most, where));
    if (value) report.figures[figure] = *value * factor;
    return {};
  }

  static Status unknown_unit(const std::string& where, const Json* unit, const char* known) {
    return user_error(
        unit == nullptr ? fmt::format("{} names no unit", where)
                        : fmt::format("{}'s unit is '{}', which is not known here", where, shown(*unit)),
        fmt::format("it must be {}; if you know what the file means, write that into it", known));
  }
};

/// optimum-benchmark: an object for each phase, each with what was tracked.
class OptimumReader : public ReportReader {
 public:
  Status read(const Json& document) {
    report.source = kOptimum;
    const Json* phases = member(document, "report");
    if (phases != nullptr) read_settings(document);
    return read_phases(phases != nullptr ? *phases : document);
  }

  static bool recognises(const Json& document) {
    const Json* report = member(document, "report");
    return std::ranges::any_of(kPhases, [&](const char* phase) {
      return is_phase(document, phase) || (report != nullptr && is_phase(*report, phase));
    });
  }

 private:
  /// The first that a report has is what an inference costs.
  static constexpr std::array kMain = {"forward", "generate", "call", "train"};
  static constexpr std::array kPhases = {"load_model", "first_forward", "first_generate", "first_call",
                                         "forward",    "preprocess",    "prefill",        "decode",
                                         "per_token",  "generate",      "call",           "per_step",
                                         "overall",    "warmup",        "train"};

  static bool is_phase(const Json& document, const char* name) {
    const Json* phase = member(document, name);
    if (phase == nullptr || !phase->is_object()) return false;
    return std::ranges::any_of(std::array{"memory", "latency", "throughput", "energy", "efficiency"},
                               [&](const char* key) { return phase->contains(key); });
  }

  void read_settings(const Json& document) {
    const Json* config = member(document, "config");
    if (config == nullptr) return;
    report.name = text_of(*config, "name").value_or("");
    if (const Json* backend = member(*config, "backend")) {
      for (const char* key : {"name", "version", "model", "task", "device"}) {
        if (auto value = text_of(*backend, key))
          report.params[std::string("backend.") + key] = std::move(*value);
      }
    }
    if (const Json* scenario = member(*config, "scenario")) {
      if (auto value = text_of(*scenario, "name")) report.params["scenario.name"] = std::move(*value);
    }
  }

  Status read_phases(const Json& phases) {
    const char* main = nullptr;
    for (const char* name : kMain) {
      if (main == nullptr && is_phase(phases, name)) main = name;
    }
    for (const char* name : kPhases) {
      if (is_phase(phases, name))
        JOULERY_CHECK_OK(read_phase(phases[name], name, main != nullptr && main == std::string_view(name)));
    }
    for (const auto& [name, value] : phases.items()) {
      const bool known = std::ranges::any_of(kPhases, [&](const char* phase) { return name == phase; });
      if (!known)
        remark(fmt::format("'{}' is no phase that is known here: it is left out",
                           printable(name).substr(0, 60)));
    }
    return {};
  }

  Status read_phase(const Json& phase, const std::string& name, bool main) {
    const std::string prefix = main ? "" : name + "_";
    JOULERY_CHECK_OK(read_latency(phase, name, prefix, main));
    if (const Json* memory = member(phase, "memory")) {
      const auto unit = text_of(*memory, "unit");
      if (unit != "MB") return unknown_unit(name + ".memory", member(*memory, "unit"), "MB");
      constexpr double kBytesPerMegabyte = 1e6;
      JOULERY_CHECK_OK(add(prefix + "peak_memory_bytes", *memory, "max_ram", kMostBytes / kBytesPerMegabyte,
                           name + ".memory", kBytesPerMegabyte));
    }
    JOULERY_CHECK_OK(read_throughput(phase, name, prefix));
    return read_energy(phase, name, prefix);
  }

  Status read_latency(const Json& phase, const std::string& name, const std::string& prefix, bool main) {
    const Json* latency = member(phase, "latency");
    if (latency == nullptr) return {};
    const std::string where = name + ".latency";
    if (text_of(*latency, "unit") != "s") return unknown_unit(where, member(*latency, "unit"), "s");
    JOULERY_CHECK_OK(add(prefix + "latency_mean_seconds", *latency, "mean", kMostSeconds, where));
    for (const char* key : {"p50", "p90", "p95", "p99"}) {
      JOULERY_CHECK_OK(
          add(fmt::format("{}latency_{}_seconds", prefix, key), *latency, key, kMostSeconds, where));
    }
    JOULERY_CHECK_OK(add(prefix + "calls", *latency, "count", kMostCount, where));
    JOULERY_ASSIGN(const std::optional<double> total, amount(*latency, "total", kMostSeconds, where));
    if (main) report.measured_seconds = total.value_or(0);
    return {};
  }

  /// "samples/s" → "samples".
  static std::optional<std::string> counted(const Json& object, std::string_view per) {
    auto unit = text_of(object, "unit");
    if (!unit || !unit->ends_with(per)) return std::nullopt;
    unit->resize(unit->size() - per.size());
    const bool known = std::ranges::any_of(std::array{"samples", "images", "tokens", "steps"},
                                           [&](const char* each) { return *unit == each; });
    return known ? unit : std::nullopt;
  }

  Status read_throughput(const Json& phase, const std::string& name, const std::string& prefix) {
    const Json* throughput = member(phase, "throughput");
    if (throughput == nullptr) return {};
    const auto what = counted(*throughput, "/s");
    if (!what)
      return unknown_unit(name + ".throughput", member(*throughput, "unit"),
                          "samples/s, images/s, tokens/s or steps/s");
    return add(fmt::format("{}{}_per_second", prefix, *what), *throughput, "value", kMostCount,
               name + ".throughput");
  }

  Status read_energy(const Json& phase, const std::string& name, const std::string& prefix) {
    const Json* energy = member(phase, "energy");
    const Json* efficiency = member(phase, "efficiency");
    if (energy != nullptr) {
      const std::string where = name + ".energy";
      if (text_of(*energy, "unit") != "kWh") return unknown_unit(where, member(*energy, "unit"), "kWh");
      double parts = 0;
      for (const auto& [key, figure] :
           std::array<std::pair<const char*, const char*>, 4>{{{"cpu", "energy_cpu_per_call_joules"},
                                                               {"ram", "energy_ram_per_call_joules"},
                                                               {"gpu", "energy_gpu_per_call_joules"},
                                                               {"total", "energy_per_call_joules"}}}) {
        JOULERY_CHECK_OK(add(prefix + figure, *energy, key, kMostJoules / kJoulesPerKilowattHour, where,
                             kJoulesPerKilowattHour));
        const auto found = report.figures.find(prefix + figure);
        if (found == report.figures.end()) continue;
        report.has_energy = true;
        if (std::string_view(key) != "total") parts += found->second;
      }
      check_sum(where, prefix, parts);
    }
    if (efficiency == nullptr) return {};
    const auto what = counted(*efficiency, "/kWh");
    if (!what)
      return unknown_unit(name + ".efficiency", member(*efficiency, "unit"),
                          "samples/kWh, images/kWh or tokens/kWh");
    JOULERY_ASSIGN(const std::optional<double> value,
                   amount(*efficiency, "value", 1e30, name + ".efficiency"));
    // 0 stands for energy that was too small to be seen.
    if (!value || *value <= 0) return {};
    const double joules = kJoulesPerKilowattHour / *value;
    if (joules > kMostJoules)
      return user_error(fmt::format("{}.efficiency is {:g}: {:g} J for one", name, *value, joules));
    report.figures[fmt::format("{}energy_per_{}_joules", prefix,
                               *what == "tokens"  ? "token"
                               : *what == "steps" ? "step"
                                                  : "inference")] = joules;
    report.has_energy = true;
    return {};
  }

  void check_sum(const std::string& where, const std::string& prefix, double parts) {
    const auto total = report.figures.find(prefix + "energy_per_call_joules");
    constexpr double kRounding = 0.02;
    if (total == report.figures.end() || parts <= 0) return;
    if (std::abs(total->second - parts) > kRounding * std::max(parts, total->second))
      remark(fmt::format("{}: its parts add up to {:.3g} J, and its total says {:.3g} J", where, parts,
                         total->second));
  }
};

/// AI Energy Score: energy of GPUs over a whole benchmark.
class EnergyScoreReader : public ReportReader {
 public:
  static bool recognises(const Json& document) {
    const Json* energy = member(document, "energy");
    return (member(document, "total") != nullptr &&
            (document.contains("units") || document.contains("decode_wh"))) ||
           (energy != nullptr && energy->is_object() && energy->contains("gpu_energy_wh"));
  }

  Status read(const Json& document) {
    report.source = kEnergyScore;
    JOULERY_CHECK_OK(read_total(document));
    JOULERY_CHECK_OK(read_results(document));
    if (const Json* config = member(document, "config")) {
      report.name = text_of(*config, "model").value_or(text_of(*config, "name").value_or(""));
      for (const char* key : {"backend", "model", "dataset"}) {
        if (auto value = text_of(*config, key)) report.params[key] = std::move(*value);
      }
    }
    return {};
  }

 private:
  static std::optional<double> joules_per(const Json& unit) {
    if (!unit.is_string()) return std::nullopt;
    const std::string name = to_lower(unit.get_ref<const std::string&>().substr(0, 16));
    if (name == "wh") return kJoulesPerWattHour;
    if (name == "kwh") return kJoulesPerKilowattHour;
    if (name == "j" || name == "joule" || name == "joules") return 1;
    return std::nullopt;
  }

  Status read_total(const Json& document) {
    const Json* units = member(document, "units");
    if (member(document, "total") == nullptr) return {};
    const auto factor = units == nullptr ? std::nullopt : joules_per(*units);
    if (!factor) return unknown_unit("the file", units, "Wh, kWh or J");
    JOULERY_CHECK_OK(add("energy_gpu_joules", document, "total", kMostJoules / *factor, "the file", *factor));
    report.has_energy = report.figures.contains("energy_gpu_joules");
    double sum = 0;
    for (const char* phase : {"preprocess", "prefill", "decode"}) {
      const std::string figure = fmt::format("{}_energy_gpu_joules", phase);
      // These say their unit in their names.
      JOULERY_CHECK_OK(add(figure, document, fmt::format("{}_wh", phase).c_str(),
                           kMostJoules / kJoulesPerWattHour, "the file", kJoulesPerWattHour));
      if (report.figures.contains(figure)) sum += report.figures[figure];
    }
    // Each is rounded to a hundredth of a watt-hour.
    constexpr double kRounding = 0.03 * kJoulesPerWattHour;
    const auto total = report.figures.find("energy_gpu_joules");
    if (sum > 0 && total != report.figures.end() && std::abs(sum - total->second) > kRounding + 0.01 * sum)
      remark(fmt::format("its phases add up to {:.4g} Wh, and its total says {:.4g} Wh",
                         sum / kJoulesPerWattHour, total->second / kJoulesPerWattHour));
    return {};
  }

  Status read_results(const Json& document) {
    if (const Json* energy = member(document, "energy")) {
      JOULERY_CHECK_OK(add("energy_gpu_joules", *energy, "gpu_energy_wh", kMostJoules / kJoulesPerWattHour,
                           "energy", kJoulesPerWattHour));
      JOULERY_CHECK_OK(add("carbon_gco2e", *energy, "emissions_g_co2eq", kMostJoules, "energy"));
      report.has_energy = report.figures.contains("energy_gpu_joules");
    }
    const Json* summary = member(document, "summary");
    if (summary == nullptr) return {};
    JOULERY_CHECK_OK(add("duration_seconds", *summary, "total_duration_seconds", kMostSeconds, "summary"));
    JOULERY_CHECK_OK(add("latency_mean_seconds", *summary, "avg_latency_seconds", kMostSeconds, "summary"));
    JOULERY_CHECK_OK(add("total_tokens", *summary, "total_tokens", kMostCount, "summary"));
    JOULERY_ASSIGN(const auto prompts, amount(*summary, "successful_prompts", kMostCount, "summary"));
    const auto duration = report.figures.find("duration_seconds");
    if (duration != report.figures.end()) report.measured_seconds = duration->second;
    const auto gpu = report.figures.find("energy_gpu_joules");
    if (!prompts || *prompts < 1) return {};
    report.figures["inferences"] = *prompts;
    if (gpu != report.figures.end())
      report.figures["energy_gpu_per_inference_joules"] = gpu->second / *prompts;
    return read_own(document);
  }

  /// What we ourselves wrote beside.
  Status read_own(const Json& document) {
    const Json* own = member(document, "joulery");
    if (own == nullptr) return {};
    const Json* energy = member(*own, "energy_per_1000_queries_watt_hours");
    if (energy == nullptr) return {};
    for (const auto& [key, figure] :
         std::array<std::pair<const char*, const char*>, 3>{{{"value", "energy_per_inference_joules"},
                                                             {"low", "energy_per_inference_joules_low"},
                                                             {"high", "energy_per_inference_joules_high"}}}) {
      constexpr double kQueries = 1000;
      JOULERY_CHECK_OK(add(figure, *energy, key, kMostJoules / kJoulesPerWattHour,
                           "joulery.energy_per_1000_queries_watt_hours", kJoulesPerWattHour / kQueries));
    }
    return {};
  }
};

template <class Reader>
Result<BenchReport> read_as(const Json& document) {
  Reader reader;
  JOULERY_CHECK_OK(reader.read(document));
  if (reader.report.figures.empty()) {
    return user_error("the file has no figure that could be taken",
                      "a benchmark that was cut off leaves such files behind");
  }
  return std::move(reader.report);
}

record::Run make_run(const BenchReport& report, const std::string& id, const std::string& fallback_name,
                     const std::string& experiment, std::int64_t file_utc_ns) {
  const std::string name = printable(report.name.empty() ? fallback_name : report.name);
  record::Run run{.id = id,
                  .name = name.empty() ? report.source : name.substr(0, kLongestValue),
                  .experiment = experiment,
                  .user = {},
                  .status = record::RunStatus::finished,
                  .start_utc_ns = file_utc_ns - static_cast<std::int64_t>(report.measured_seconds * 1e9),
                  .end_utc_ns = file_utc_ns,
                  .host_id = {},
                  .boot_id = {},
                  .params = report.params,
                  .tags = {},
                  .metrics = {}};
  run.start_utc_ns = std::max<std::int64_t>(0, run.start_utc_ns);
  run.tags["mlflow.runName"] = run.name;
  run.tags["joulery.source"] = report.source;
  run.tags["joulery.kind"] = "bench-model";
  run.tags[record::kEnergyProvenanceTag] =
      report.has_energy ? provenance_name(Provenance::assumed) : record::kEnergyUnknown;
  for (const auto& [key, value] : report.figures) {
    run.metrics.push_back({.key = record::kOwnMetricPrefix + key,
                           .point = {.value = value, .timestamp_ms = file_utc_ns / 1'000'000, .step = 0}});
  }
  return run;
}

class PutBenchRun final : public record::Store::TransactionBody {
 public:
  PutBenchRun(const record::Run& run, const record::Evidence& evidence, BenchImport& report)
      : run_(run), evidence_(evidence), report_(report) {}
  Status run(record::Store& store) override {
    const std::array<std::string, 1> ids{run_.id};
    JOULERY_ASSIGN(const auto known, store.known_runs(ids, "joulery/calls", "joulery.source"));
    if (known[0]) return {};
    JOULERY_CHECK_OK(store.put_run(run_));
    report_.added = true;
    return store.put_evidence(evidence_);
  }

 private:
  const record::Run& run_;
  const record::Evidence& evidence_;
  BenchImport& report_;
};

}  // namespace

Result<BenchReport> parse_bench_report(std::string_view text) {
  constexpr std::size_t kLargest = std::size_t{256} << 20U;
  if (text.size() > kLargest)
    return user_error(
        fmt::format("the file has {}: such reports are smaller", format_bytes(double(text.size()))));
  const Json document = Json::parse(text, nullptr, false);
  if (document.is_discarded()) {
    return user_error("the file is no valid JSON",
                      "it may be cut off, or hold NaN, which JSON has not; repair it or write it again");
  }
  if (OptimumReader::recognises(document)) return read_as<OptimumReader>(document);
  if (EnergyScoreReader::recognises(document)) return read_as<EnergyScoreReader>(document);
  return user_error("the JSON is no report that is known here",
                    "known are optimum-benchmark's benchmark_report.json and benchmark.json, and AI Energy "
                    "Score's GPU_ENERGY_SUMMARY.json");
}

Result<BenchImport> import_bench_report(record::Store& store, std::string_view text,
                                        const BenchReport& report, const std::string& fallback_name,
                                        const std::string& experiment, std::int64_t file_utc_ns) {
  BenchImport import;
  import.run_id = sha256_hex(fmt::format("{}\n{}", report.source, text)).substr(0, 32);
  const record::Run run = make_run(report, import.run_id, fallback_name, experiment, file_utc_ns);
  const Json content{{"source", report.source},   {"name", report.name},
                     {"figures", report.figures}, {"params", report.params},
                     {"remarks", report.remarks}, {"file_sha256", sha256_hex(text)}};
  record::Evidence evidence{.subject = "run:" + import.run_id,
                            .type = report.source + "/report",
                            .version = 1,
                            .json = content.dump(-1, ' ', false, Json::error_handler_t::replace),
                            .sha256 = {},
                            .created_utc_ns = file_utc_ns};
  evidence.sha256 = sha256_hex(evidence.json);
  PutBenchRun put(run, evidence, import);
  JOULERY_CHECK_OK(store.transaction(put));
  return import;
}

}  // namespace joulery::app
