#include "meter/footprint_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "base/text.hpp"

namespace joulery::meter {
namespace {

using footprint::Derivation;
using footprint::Factor;

int year_of(std::int64_t utc_ns) {
  const auto seconds = static_cast<std::time_t>(utc_ns / kNanosecondsPerSecond);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return parts.tm_year + 1900;
}

bool is_server_cpu(const std::string& model) {
  for (const char* word : {"Xeon", "EPYC", "Neoverse", "Graviton", "Ampere", "Opteron"}) {
    if (model.find(word) != std::string::npos) return true;
  }
  return false;
}

Derivation sum_of(std::string figure, std::string label, std::string words, const Quantity<Joules>& energy) {
  Derivation why{.figure = std::move(figure),
                 .label = std::move(label),
                 .words = std::move(words),
                 .factors = {},
                 .terms = {},
                 .unit = {}};
  footprint::conclude(why, energy, "J");
  return why;
}

/// The machine is the sum of its counters; the run's energy is its part of what was active and of idle.
void derive_energy(const MeteredRun& result, std::vector<Derivation>& derivations) {
  Derivation machine =
      sum_of("machine", "energy of the machine",
             "the sum of what its counters or models say, each device once", result.energy_machine);
  for (const DeviceReport& device : result.devices) {
    if (!device.is_root) continue;
    Factor factor = footprint::make_factor(device.info.device_id, device.info.name, device.energy, 1, "J");
    factor.basis = "by " + device.info.via + (factor.basis.empty() ? "" : "; " + factor.basis);
    machine.factors.push_back(std::move(factor));
    machine.terms.push_back({.times = {device.info.device_id}, .over = {}});
  }
  Derivation energy = sum_of("energy", "energy of the run", "active energy + share of idle", result.energy);
  Factor active = footprint::make_factor("active", "active energy", result.energy_active, 1, "J");
  active.basis = fmt::format(
      "energy above idle, shared second by second by CPU time: {:.6g} s of the run's {:.6g} s busy on the "
      "machine{}{}",
      result.cpu_seconds, result.machine_busy_seconds, active.basis.empty() ? "" : "; ", active.basis);
  for (const GpuReport& gpu : result.gpus) active.basis += fmt::format("; {}: {}", gpu.share.name, gpu.basis);
  Factor idle = footprint::make_factor("idle_share", "share of idle", result.energy_idle_share, 1, "J");
  idle.basis = fmt::format("of {:.6g} J idle ({:.4g} W, {}) by the policy '{}'", result.energy_idle.value(),
                           result.idle_watts, result.idle_basis,
                           result.idle_policy == IdlePolicy::proportional ? "proportional"
                           : result.idle_policy == IdlePolicy::none       ? "none"
                                                                          : "all");
  energy.factors = {std::move(active), std::move(idle)};
  energy.terms = {{.times = {"active"}, .over = {}}, {.times = {"idle_share"}, .over = {}}};
  derivations.insert(derivations.begin(), {std::move(energy), std::move(machine)});
}

Result<footprint::Site> site_or_fallback(const FootprintOptions& options, int year, MeteredRun& result,
                                         const footprint::DataSet& built_in,
                                         const footprint::DataSet*& used) {
  used = options.data != nullptr ? options.data : &built_in;
  auto site = footprint::find_site(*used, options.request, year);
  if (site) return site;
  result.warnings.push_back(
      {"carbon and the like are computed with the built-in tables: " + site.error().message,
       site.error().hint});
  used = &built_in;
  site = footprint::find_site(*used, options.request, year);
  if (site) return site;
  // A zone that only the user's table knew.
  footprint::SiteRequest world;
  world.pue = options.request.pue;
  world.price = options.request.price;
  return footprint::find_site(*used, world, year);
}

/// SCI wants idle of what is reserved, also where the run's own policy leaves it out.
Quantity<Joules> sci_energy(const MeteredRun& result, double idle_share) {
  // What unknown idle power takes from the active part it gives to the idle one: their sum is known better
  // than a sum of both.
  if (result.idle_policy == IdlePolicy::proportional) return result.energy;
  return result.energy_active + result.energy_idle * idle_share;
}

/// A GPU that nobody used is nobody's; the run's part of the others is its part of their use.
void fill_gpu_share(const MeteredRun& result, footprint::Usage& usage) {
  if (result.gpus.empty()) return;
  double sum = 0;
  for (const GpuReport& gpu : result.gpus) {
    if (gpu.share.busy_seconds > 0)
      sum += std::clamp(gpu.share.workload_seconds / gpu.share.busy_seconds, 0.0, 1.0);
  }
  usage.gpu_share = sum / static_cast<double>(result.gpus.size());
  usage.gpu_share_basis = fmt::format("mean over {} GPUs of the run's part of their use", result.gpus.size());
}

}  // namespace

std::vector<const DeviceReport*> graphics_cards(const MeteredRun& result) {
  const auto is_gpu = [](const DeviceReport& device) { return device.info.scope == power::Scope::gpu; };
  std::vector<const DeviceReport*> cards;
  for (const DeviceReport& device : result.devices) {
    const bool part = std::any_of(result.devices.begin(), result.devices.end(), [&](const auto& other) {
      return is_gpu(other) && &other != &device && other.info.device_id == device.info.parent_id;
    });
    if (is_gpu(device) && !part && device.mirror_of.empty()) cards.push_back(&device);
  }
  return cards;
}

footprint::Hardware read_hardware(const SystemRoot& root, const power::MachineIdentity& identity,
                                  const MeteredRun& result) {
  footprint::Hardware hardware;
  hardware.cpu_packages = identity.packages;
  hardware.cpu_threads = identity.threads_online;
  constexpr double kBytesPerGigabyte = 1e9;
  hardware.memory_gigabytes = result.host.host.memory_bytes / kBytesPerGigabyte;
  hardware.virtual_machine = identity.virtual_machine;
  hardware.server = identity.packages > 1 || is_server_cpu(identity.cpu_model);
  for (const DeviceReport* card : graphics_cards(result))
    hardware.gpus.push_back(power::model_name(card->info));
  for (const std::string& name : root.list("/sys/block")) {
    const bool disc = name.starts_with("sd") || name.starts_with("nvme") || name.starts_with("vd") ||
                      name.starts_with("xvd") || name.starts_with("hd") || name.starts_with("mmcblk");
    const std::string folder = "/sys/block/" + name;
    // A namespace of NVMe over fabrics and a card reader without a card have no size.
    const auto sectors = root.read_integer(folder + "/size");
    if (!disc || !sectors || *sectors <= 0 || name.find("boot") != std::string::npos) continue;
    if (root.read_integer(folder + "/removable").value_or(0) == 1) continue;
    constexpr double kBytesPerSector = 512;
    hardware.drives.push_back({.rotational = root.read_integer(folder + "/queue/rotational").value_or(0) == 1,
                               .gigabytes = double(*sectors) * kBytesPerSector / kBytesPerGigabyte});
  }
  return hardware;
}

void fill_footprint(const FootprintOptions& options, const footprint::Hardware& hardware,
                    double proportional_idle_joules, MeteredRun& result) {
  const footprint::DataSet built_in;
  const footprint::DataSet* data = nullptr;
  auto site = site_or_fallback(options, year_of(result.run.start_utc_ns), result, built_in, data);
  if (!site) {
    result.warnings.push_back({"there is no carbon figure: " + site.error().message, site.error().hint});
    return;
  }
  footprint::Usage usage;
  usage.energy = result.energy;
  usage.duration_seconds = result.duration_seconds;
  usage.reserved = options.reserved;
  usage.hardware = hardware;
  usage.sci_for_ai = options.sci_for_ai;
  if (result.per) usage.per = footprint::FunctionalUnit{result.per->count, result.per->unit};
  const double idle = result.split.idle_joules;
  if (options.reserved) {
    usage.sci_energy = result.energy_machine;
    usage.resource_share_basis = "the whole machine is reserved";
  } else {
    usage.sci_energy = sci_energy(result, idle > 0 ? proportional_idle_joules / idle : 0);
    usage.resource_share = result.machine_busy_seconds > 0
                               ? std::clamp(result.cpu_seconds / result.machine_busy_seconds, 0.0, 1.0)
                               : 1;
    usage.resource_share_basis = fmt::format("{:.6g} s of {:.6g} s that the machine was busy",
                                             result.cpu_seconds, result.machine_busy_seconds);
    fill_gpu_share(result, usage);
  }
  auto computed = footprint::compute_footprint(*data, std::move(*site), usage);
  if (!computed) {
    result.warnings.push_back(
        {"carbon and the like are not known: " + computed.error().message, computed.error().hint});
    return;
  }
  result.carbon = computed->carbon;
  if (result.energy_known()) {
    derive_energy(result, computed->derivations);
  } else {
    // The share of making the machine goes by time; all else is a multiple of energy.
    std::erase_if(computed->derivations, [](const Derivation& one) { return one.figure != "embodied"; });
  }
  if (!computed->site.zone.note.empty()) result.warnings.push_back({computed->site.zone.note, {}});
  result.footprint = std::move(*computed);
}

void record_footprint(MeteredRun& result) {
  if (!result.footprint) return;
  record::Run& run = result.run;
  const footprint::Footprint& footprint = *result.footprint;
  const auto quantity = [&](const std::string& key, const auto& figure) {
    const Interval range = figure.interval();
    for (const auto& [end, value] :
         {std::pair{"", figure.value()}, {"_low", range.low}, {"_high", range.high}}) {
      run.metrics.push_back({.key = record::kOwnMetricPrefix + key + end,
                             .point = {.value = value, .timestamp_ms = run.end_utc_ns / 1'000'000}});
    }
  };
  quantity("embodied_gco2e", footprint.embodied);
  if (result.energy_known()) {
    quantity("water_litres", footprint.water.total);
    quantity("sci_gco2e", footprint.sci);
    if (footprint.cost) quantity("cost", *footprint.cost);
    run.tags["joulery.carbon_provenance"] = provenance_name(footprint.carbon.provenance());
  }
  if (footprint.cost) run.tags["joulery.currency"] = footprint.site.currency;
  run.tags["joulery.zone"] = footprint.site.zone.id;
  run.tags["joulery.intensity"] = footprint::kind_name(footprint.site.intensity.kind);
  run.tags["joulery.sci_unit"] = footprint.per.unit;
  run.tags["joulery.sci_energy"] = footprint.reserved ? "whole machine" : "proportional share";
  if (footprint.sci_for_ai)
    run.tags["joulery.sci_ai"] = footprint::persona_name(footprint.sci_for_ai->persona);
}

}  // namespace joulery::meter
