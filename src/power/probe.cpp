#include "power/probe.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "power/cpu_tables.hpp"
#include "power/machine_load.hpp"
#include "power/nvml_source.hpp"
#include "power/power_model.hpp"
#include "power/rapl.hpp"

namespace joulery::power {
namespace {

constexpr double kPlausibleOverTdp = 4;
constexpr double kUnknownPackageWatts = 2000;

double plausible_package_watts(const MachineIdentity& identity) {
  const char* vendor = identity.cpu_vendor == "GenuineIntel" ? "intel" : "amd";
  const auto tdp = find_tdp(vendor, identity.cpu_model);
  if (!tdp || !tdp->published) return kUnknownPackageWatts;
  return std::clamp(kPlausibleOverTdp * tdp->watts, 100.0, kUnknownPackageWatts);
}

/// The kernel's list of servers whose psys register has a unit of its own.
bool platform_counts_whole_joules(const MachineIdentity& identity) {
  constexpr int kSapphireRapids = 0x8F;
  constexpr int kEmeraldRapids = 0xCF;
  return identity.cpu_vendor == "GenuineIntel" && identity.family == 6 &&
         (identity.model == kSapphireRapids || identity.model == kEmeraldRapids);
}

ProbeResult probe_model(const SystemRoot& root, const Result<MachineIdentity>& identity) {
  ProbeResult result;
  result.via = "power model";
  if (!identity.has_value()) {
    result.reason = identity.error().message;
    result.enable = identity.error().hint;
    return result;
  }
  const PowerModel model = make_power_model(*identity);
  auto load = MachineLoadReader::open(root, LoadExtent::slice);
  if (!load.has_value()) {
    result.reason = load.error().message;
    result.enable = load.error().hint;
    return result;
  }
  result.state = ProbeResult::State::available;
  result.reason = fmt::format("{}: {:.3g} W idle to {:.3g} W at full load, x{:.3g} to x{:.3g}", model.basis,
                              model.watts(0), model.watts(1), model.low_factor, model.high_factor);
  if (model.has_separate_memory()) {
    if (auto again = MachineLoadReader::open(root, LoadExtent::slice); again.has_value()) {
      result.sources.push_back(make_memory_model_source(model, std::move(*again)));
    }
  }
  result.sources.insert(result.sources.begin(), make_model_source(model, std::move(*load)));
  return result;
}

bool covers_cpu(const SourceInfo& info) {
  switch (info.scope) {
    case Scope::wall:
    case Scope::board:
    case Scope::psys:
    case Scope::package:
    case Scope::die:
      return true;
    default:
      return false;
  }
}

/// Leaves one count of the memory beside a model: the measured one if the model has memory apart, else the
/// model's own, which is inside its figure for the whole machine and cannot be taken out of it.
void count_memory_once(std::vector<std::unique_ptr<Source>>& sources) {
  const auto has = [&](Scope scope, Provenance provenance) {
    return std::any_of(sources.begin(), sources.end(), [&](const auto& source) {
      return source->info().scope == scope && source->info().provenance == provenance;
    });
  };
  if (!has(Scope::machine_model, Provenance::modelled)) return;
  if (!has(Scope::dram, Provenance::measured)) return;
  const Provenance twice =
      has(Scope::dram, Provenance::modelled) ? Provenance::modelled : Provenance::measured;
  std::erase_if(sources, [&](const auto& source) {
    return source->info().scope == Scope::dram && source->info().provenance == twice;
  });
}

/// A module of CPU and GPU holds the CPU, whose own sensors are then parts of it. With several modules it
/// does not matter which holds which: sums are the same.
void put_cpu_into_module(std::vector<std::unique_ptr<Source>>& sources) {
  const auto module = std::find_if(sources.begin(), sources.end(), [](const auto& source) {
    return source->info().scope == Scope::board && source->info().device_id.starts_with("nvml:");
  });
  if (module == sources.end()) return;
  for (const auto& source : sources) {
    SourceInfo* info = source->edit_info();
    const bool of_cpu = source->info().scope == Scope::package || source->info().scope == Scope::die ||
                        source->info().scope == Scope::dram;
    if (info != nullptr && of_cpu && info->parent_id.empty()) info->parent_id = (*module)->info().device_id;
  }
}

}  // namespace

ProbeReport probe(const SystemRoot& root, SystemCalls& calls, NvmlLibrary* nvml) {
  const auto identity = read_machine_identity(root);
  RaplMachine machine;
  machine.plausible_package_watts = kUnknownPackageWatts;
  if (identity.has_value()) {
    machine.virtual_machine = identity->virtual_machine;
    machine.plausible_package_watts = plausible_package_watts(*identity);
    machine.platform_counts_whole_joules = platform_counts_whole_joules(*identity);
  }
  RaplProbe perf = probe_perf_power(root, calls, machine);
  RaplProbe powercap = probe_powercap(root, machine);
  link_rapl_parents({&perf, &powercap});
  ProbeReport report;
  report.results.push_back(std::move(perf.result));
  report.results.push_back(std::move(powercap.result));
  if (nvml != nullptr) {
    NvmlProbe gpus = probe_nvml(root, nvml);
    report.results.push_back(std::move(gpus.result));
    report.gpus = std::move(gpus.gpus);
  }
  report.results.push_back(probe_model(root, identity));
  return report;
}

std::vector<std::unique_ptr<Source>> choose_sources(ProbeReport& report) {
  std::vector<std::unique_ptr<Source>> chosen;
  const auto is_chosen = [&](const std::string& id) {
    return std::any_of(chosen.begin(), chosen.end(),
                       [&](const auto& source) { return source->info().device_id == id; });
  };
  for (const bool measured : {true, false}) {
    const bool cpu_covered = std::any_of(chosen.begin(), chosen.end(),
                                         [](const auto& source) { return covers_cpu(source->info()); });
    if (!measured && cpu_covered) break;
    for (ProbeResult& result : report.results) {
      for (auto& source : result.sources) {
        if (!source || is_chosen(source->info().device_id)) continue;
        if ((source->info().provenance == Provenance::measured) == measured)
          chosen.push_back(std::move(source));
      }
      std::erase(result.sources, nullptr);
    }
  }
  // A part whose whole is not read is no measure of the CPU, and beside psys or the model it would count
  // twice.
  std::vector<std::unique_ptr<Source>> kept;
  std::vector<bool> whole;
  for (const auto& source : chosen) {
    const SourceInfo& info = source->info();
    whole.push_back((info.scope != Scope::core && info.scope != Scope::uncore) || is_chosen(info.parent_id));
  }
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (whole[i]) kept.push_back(std::move(chosen[i]));
  }
  count_memory_once(kept);
  put_cpu_into_module(kept);
  return kept;
}

}  // namespace joulery::power
