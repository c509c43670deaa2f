#include "app/documents.hpp"

#include <nlohmann/json.hpp>

#include <cmath>

#include "app/footprint_documents.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchemaVersion = 1;

std::string dump(const Json& document, int indent = 2) {
  // Names from outside need not be UTF-8; JSON must be.
  return document.dump(indent, ' ', false, Json::error_handler_t::replace);
}

template <class Unit>
Json quantity(const Quantity<Unit>& figure) {
  return quantity_json(figure.untyped(), figure.interval());
}

/// What the figure is made of, so that another run's can be set against it later: what both rest on cancels.
Json parts_json(const UncertainValue& figure) {
  Json parts = Json::array();
  for (const UncertainValue::Part& part : figure.parts()) {
    Json sources = Json::array();
    for (const SystematicSource& source : part.sources) {
      sources.push_back({{"id", source.id},
                         {"low", source.low},
                         {"high", source.high},
                         {"provenance", provenance_name(source.provenance)},
                         {"basis", source.basis}});
    }
    parts.push_back({{"value", part.value},
                     {"provenance", provenance_name(part.provenance)},
                     {"sources", std::move(sources)}});
  }
  return {{"standard_deviation", figure.standard_deviation()}, {"parts", std::move(parts)}};
}

/// Null for what is not known: a zero would be read as a figure.
Json known_or_null(bool known, double value) {
  return known ? Json(value) : Json(nullptr);
}

template <class Unit>
Json quantity_or_null(bool known, const Quantity<Unit>& figure) {
  return known ? quantity(figure) : Json(nullptr);
}

Json device_json(const meter::DeviceReport& device) {
  Json flags = Json::object();
  static constexpr const char* kFlagNames[] = {"wrapped", "implausible", "backwards",           "missing",
                                               "stale",   "suspended",   "maybe_wrapped_unseen"};
  for (int bit = 0; bit < power::kSampleFlagCount; ++bit) {
    if (device.total.flag_counts[bit] > 0) flags[kFlagNames[bit]] = device.total.flag_counts[bit];
  }
  return {{"id", device.info.device_id},
          {"name", device.info.name},
          {"scope", power::scope_name(device.info.scope)},
          {"via", device.info.via},
          {"parent_id", device.info.parent_id},
          {"counted", device.is_root},
          {"mirror_of", device.mirror_of},
          {"energy_joules", quantity_or_null(device.known(), device.energy)},
          {"mean_watts", known_or_null(device.known(), device.mean_watts)},
          {"peak_watts", known_or_null(device.known() && device.peak_watts > 0, device.peak_watts)},
          {"resolution_joules", device.info.resolution_joules},
          {"bridged_joules", device.total.bridged_joules},
          {"windows", flags}};
}

Json gpu_json(const meter::GpuReport& gpu) {
  const meter::GpuShare& share = gpu.share;
  const bool known = gpu.energy_machine.value() > 0;
  const auto joules = [&](double value) { return known_or_null(known, value); };
  return {{"device_id", share.device_id},
          {"name", share.name},
          {"attribution", meter::gpu_sharing_name(share.sharing)},
          {"basis", gpu.basis},
          {"worse_known_share", share.worse_known},
          {"energy_joules", quantity_or_null(known, gpu.energy)},
          {"energy_machine_joules", quantity_or_null(known, gpu.energy_machine)},
          {"energy_active_joules", joules(share.energy.split.active_joules)},
          {"energy_idle_share_joules", joules(share.energy.split.idle_share_joules)},
          {"energy_other_active_joules", joules(share.energy.split.other_active_joules)},
          {"energy_idle_joules", joules(share.energy.split.idle_joules)},
          {"idle_watts", known_or_null(share.energy.idle.watts > 0, share.energy.idle.watts)},
          {"idle_watts_low", known_or_null(share.energy.idle.watts > 0, share.energy.idle.low_watts)},
          {"idle_watts_high", known_or_null(share.energy.idle.watts > 0, share.energy.idle.high_watts)},
          {"idle_basis", share.energy.idle.basis},
          {"busy_gpu_seconds", share.busy_seconds},
          {"workload_gpu_seconds", share.workload_seconds}};
}

const char* policy_name(meter::IdlePolicy policy) {
  switch (policy) {
    case meter::IdlePolicy::proportional:
      return "proportional";
    case meter::IdlePolicy::none:
      return "none";
    case meter::IdlePolicy::all:
      return "all";
  }
  return "proportional";
}

Json host_json(const record::Host& host) {
  return {{"id", host.id},
          {"name", host.name},
          {"cpu_model", host.cpu_model},
          {"cpu_threads", host.cpu_threads},
          {"memory_bytes", host.memory_bytes},
          {"os", host.os},
          {"virtual_machine", host.virtual_machine}};
}

Json run_json(const record::Run& run) {
  Json metrics = Json::object();
  for (const record::LatestMetric& metric : run.metrics) {
    // JSON knows no NaN and no infinity.
    metrics[metric.key] = std::isfinite(metric.point.value) ? Json(metric.point.value) : Json(nullptr);
  }
  return {{"run_id", run.id},
          {"name", run.name},
          {"experiment", run.experiment},
          {"user", run.user},
          {"status", record::run_status_name(run.status)},
          {"deleted", run.deleted},
          {"start_time", format_utc(run.start_utc_ns)},
          {"start_utc_ns", run.start_utc_ns},
          {"end_utc_ns", run.end_utc_ns},
          {"host_id", run.host_id},
          {"metrics", metrics},
          {"params", run.params},
          {"tags", run.tags}};
}

Json power_json(const std::vector<record::Store::PowerSeries>& all) {
  Json power = Json::array();
  for (const record::Store::PowerSeries& series : all) {
    Json samples = Json::array();
    const bool known = record::energy_is_known(series, all);
    for (const record::PowerSample& sample : series.samples) {
      samples.push_back({{"boottime_ns", sample.boottime_ns},
                         {"energy_joules", known_or_null(known, sample.joules)},
                         {"flags", sample.flags}});
    }
    power.push_back({{"device_id", series.device_id}, {"samples", std::move(samples)}});
  }
  return power;
}

const char* state_name(DoctorCheck::State state) {
  switch (state) {
    case DoctorCheck::State::good:
      return "good";
    case DoctorCheck::State::limited:
      return "limited";
    case DoctorCheck::State::unavailable:
      return "unavailable";
  }
  return "unavailable";
}

}  // namespace

std::string run_document(const meter::MeteredRun& run) {
  const bool known = run.energy_known();
  Json document = {{"schema_version", kSchemaVersion},
                   {"run_id", run.run.id},
                   {"name", run.run.name},
                   {"experiment", run.run.experiment},
                   {"command", run.run.tags.at("joulery.command")},
                   {"status", record::run_status_name(run.run.status)},
                   {"exit_code", run.child.shell_code()},
                   {"signal", run.child.signal},
                   {"start_time", format_utc(run.run.start_utc_ns)},
                   {"duration_seconds", run.duration_seconds},
                   {"command_seconds", run.command_seconds},
                   {"suspended_seconds", run.suspended_seconds},
                   {"cpu_seconds", run.cpu_seconds},
                   {"machine_busy_seconds", run.machine_busy_seconds},
                   {"steal_seconds", run.steal_seconds},
                   {"machine_cpus", run.machine_cpus > 0 ? Json(run.machine_cpus) : Json(nullptr)},
                   {"peak_memory_bytes", run.peak_memory_bytes},
                   {"energy_joules", quantity_or_null(known, run.energy)},
                   {"energy_active_joules", quantity_or_null(known, run.energy_active)},
                   {"energy_idle_share_joules", quantity_or_null(known, run.energy_idle_share)},
                   {"energy_machine_joules", quantity_or_null(known, run.energy_machine)},
                   {"energy_other_active_joules", quantity_or_null(known, run.energy_other_active)},
                   {"energy_idle_joules", quantity_or_null(known, run.energy_idle)},
                   {"energy_residual_joules", known_or_null(known, run.split.residual_joules)},
                   {"carbon_gco2e", quantity_or_null(known, run.carbon)},
                   {"machine_mean_watts", known_or_null(known, run.machine_mean_watts)},
                   {"machine_peak_watts", known_or_null(known, run.machine_peak_watts)},
                   {"machine_peak_seconds", known_or_null(known, run.machine_peak_seconds)},
                   {"idle_watts", known_or_null(run.idle_watts > 0, run.idle_watts)},
                   {"idle_watts_low", known_or_null(run.idle_watts > 0, run.idle_watts_low)},
                   {"idle_watts_high", known_or_null(run.idle_watts > 0, run.idle_watts_high)},
                   {"idle_basis", run.idle_basis},
                   {"idle_policy", policy_name(run.idle_policy)},
                   {"attribution", meter::tier_name(run.tier)},
                   {"attribution_can_miss", run.can_miss},
                   {"load_via", run.load_via},
                   {"left_running", run.left_running},
                   {"sample_hz", run.hz},
                   {"samples", run.ticks},
                   {"missed_samples", run.missed_ticks},
                   {"host", host_json(run.host.host)}};
  if (run.per) {
    document["per"] = {{"count", run.per->count},
                       {"unit", run.per->unit},
                       {"energy_joules", quantity_or_null(known, run.energy * (1 / run.per->count))},
                       {"cpu_seconds", run.cpu_seconds / run.per->count},
                       {"duration_seconds", run.duration_seconds / run.per->count}};
  }
  if (run.footprint) add_footprint(*run.footprint, known, document);
  Json skipped = Json::array();
  for (const meter::SkippedTier& tier : run.skipped_tiers) {
    skipped.push_back(
        {{"attribution", meter::tier_name(tier.tier)}, {"reason", tier.reason}, {"hint", tier.hint}});
  }
  document["attribution_skipped"] = std::move(skipped);
  Json devices = Json::array();
  for (const meter::DeviceReport& device : run.devices) devices.push_back(device_json(device));
  document["devices"] = std::move(devices);
  if (!run.gpus.empty()) {
    Json gpus = Json::array();
    for (const meter::GpuReport& gpu : run.gpus) gpus.push_back(gpu_json(gpu));
    document["energy_gpu_joules"] = quantity_or_null(run.gpu_energy_known(), run.energy_gpu);
    document["gpus"] = std::move(gpus);
  }
  Json warnings = Json::array();
  for (const meter::Warning& warning : run.warnings) {
    warnings.push_back({{"text", warning.text}, {"hint", warning.hint}});
  }
  document["warnings"] = std::move(warnings);
  if (run.energy_known()) {
    document["uncertainty"] = {{"energy_joules", parts_json(run.energy.untyped())},
                               {"carbon_gco2e", parts_json(run.carbon.untyped())}};
  }
  return dump(document);
}

std::string series_document(const std::string& series_id, const std::vector<std::string>& documents,
                            std::span<const SeriesMean> means, double level) {
  Json document = {
      {"schema_version", kSchemaVersion}, {"series_id", series_id}, {"repeat", documents.size()}};
  Json mean_json = Json::object();
  for (const SeriesMean& mean : means) {
    if (mean.interval.count == 0) {
      mean_json[mean.key] = nullptr;
      continue;
    }
    mean_json[mean.key] = {
        {"mean", mean.interval.mean},    {"low", mean.interval.low},
        {"high", mean.interval.high},    {"level", level},
        {"interval", "confidence"},      {"standard_deviation", mean.interval.standard_deviation},
        {"provenance", mean.provenance}, {"basis", mean.basis},
        {"runs", mean.interval.count},   {"left_out", mean.left_out}};
  }
  document["means"] = std::move(mean_json);
  document["runs"] = Json::array();
  for (const std::string& text : documents) document["runs"].push_back(Json::parse(text));
  return dump(document);
}

std::string runs_document(std::span<const record::Run> runs) {
  Json document = {{"schema_version", kSchemaVersion}, {"runs", Json::array()}};
  for (const record::Run& run : runs) document["runs"].push_back(run_json(run));
  return dump(document);
}

std::string show_document(const RunDetails& details) {
  Json document = {{"schema_version", kSchemaVersion}, {"run", run_json(details.run)}};
  document["host"] = details.host ? host_json(*details.host) : Json(nullptr);
  document["evidence"] = Json::array();
  for (const record::Evidence& evidence : details.evidence) {
    Json content = Json::parse(evidence.json, nullptr, false);
    document["evidence"].push_back(
        {{"type", evidence.type},
         {"version", evidence.version},
         {"sha256", evidence.sha256},
         {"content", content.is_discarded() ? Json(nullptr) : std::move(content)}});
  }
  if (details.with_power) {
    document["power"] = power_json(details.power);
  }
  return dump(document);
}

std::string power_document(std::span<const RunPower> runs) {
  Json document = {{"schema_version", kSchemaVersion}, {"runs", Json::array()}};
  for (const RunPower& run : runs) {
    document["runs"].push_back({{"run_id", run.run.id},
                                {"start_utc_ns", run.run.start_utc_ns},
                                {"start_boottime_ns", run.run.start_boottime_ns},
                                {"power", power_json(run.series)}});
  }
  return dump(document);
}

std::string doctor_document(const DoctorReport& report) {
  Json document = {{"schema_version", kSchemaVersion},
                   {"version", version()},
                   {"verdict", report.verdict},
                   {"usable", report.usable},
                   {"kernel", report.kernel},
                   {"host", host_json(report.host)},
                   {"idle_watts", report.idle_watts > 0 ? Json(report.idle_watts) : Json(nullptr)},
                   {"noise",
                    {{"blocks", report.noise.blocks},
                     {"block_seconds", report.noise.block_seconds},
                     {"wall_variation", report.noise.wall_variation},
                     {"cpu_variation", report.noise.cpu_variation},
                     {"lag1_autocorrelation", report.noise.lag1_autocorrelation}}}};
  document["checks"] = Json::array();
  for (const DoctorCheck& check : report.checks) {
    document["checks"].push_back({{"area", check.area},
                                  {"name", check.name},
                                  {"state", state_name(check.state)},
                                  {"in_use", check.in_use},
                                  {"essential", check.essential},
                                  {"reason", check.reason},
                                  {"resolution", check.resolution},
                                  {"accuracy", check.accuracy},
                                  {"cost", check.cost},
                                  {"enable", check.enable}});
  }
  document["devices"] = Json::array();
  for (const DoctorDevice& device : report.devices) {
    document["devices"].push_back({{"id", device.id},
                                   {"parent_id", device.parent_id},
                                   {"name", device.name},
                                   {"via", device.via},
                                   {"scope", device.scope},
                                   {"provenance", device.provenance},
                                   {"accuracy_low", device.accuracy_low},
                                   {"accuracy_high", device.accuracy_high},
                                   {"accuracy_basis", device.accuracy_basis},
                                   {"counts", device.counts},
                                   {"role", device.role}});
  }
  document["gpus"] = Json::array();
  for (const DoctorGpu& gpu : report.gpus) {
    const auto watts = [](double value) { return value > 0 ? Json(value) : Json(nullptr); };
    document["gpus"].push_back({{"device_id", gpu.device_id},
                                {"name", gpu.facts.name},
                                {"driver", gpu.facts.driver},
                                {"energy", gpu.facts.energy},
                                {"sharing", gpu.facts.sharing},
                                {"mig", gpu.facts.mig},
                                {"enforced_power_limit_watts", watts(gpu.facts.enforced_limit_watts)},
                                {"idle_watts", watts(gpu.idle_watts)}});
  }
  return dump(document);
}

std::string config_document(const config::Config& config) {
  static constexpr const char* kOrigins[] = {"default", "user file", "project file", "environment", "flag"};
  Json document = {{"schema_version", kSchemaVersion}, {"settings", Json::object()}};
  for (const auto& [key, setting] : config.all()) {
    document["settings"][key] = {{"value", setting.value},
                                 {"origin", kOrigins[static_cast<int>(setting.origin)]},
                                 {"where", setting.where}};
  }
  return dump(document);
}

}  // namespace joulery::app
