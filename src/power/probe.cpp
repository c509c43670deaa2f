#include "power/probe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "power/battery.hpp"
#include "power/cpu_tables.hpp"
#include "power/hwmon.hpp"
#include "power/machine_load.hpp"
#include "power/msr.hpp"
#include "power/nvml_source.hpp"
#include "power/power_model.hpp"
#include "power/rapl.hpp"
#include "power/source_tree.hpp"

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
  result.reason =
      fmt::format("{}: {:.3g} W idle to {:.3g} W at full load", model.basis, model.watts(0), model.watts(1));
  if (model.has_separate_memory()) {
    if (auto again = MachineLoadReader::open(root, LoadExtent::slice); again.has_value()) {
      result.sources.push_back(make_memory_model_source(model, std::move(*again)));
    }
  }
  result.sources.insert(result.sources.begin(), make_model_source(model, std::move(*load)));
  return result;
}

bool covers_cpu(const SourceInfo& info) {
  if (info.reported_only) return false;
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
  const auto has = [&](Scope scope, bool sensed) {
    return std::any_of(sources.begin(), sources.end(), [&](const auto& source) {
      return source->info().scope == scope && is_sensed(source->info()) == sensed;
    });
  };
  if (!has(Scope::machine_model, false) || !has(Scope::dram, true)) return;
  const bool twice = !has(Scope::dram, false);
  std::erase_if(sources, [&](const auto& source) {
    return source->info().scope == Scope::dram && is_sensed(source->info()) == twice;
  });
}

/// Nobody should open the registers who reads them by a safer road already.
void leave_registers_closed(const ProbeResult& perf, const ProbeResult& powercap, ProbeResult& msr) {
  const ProbeResult& better = perf.sources.empty() ? powercap : perf;
  if (better.sources.empty() || !msr.sources.empty()) return;
  msr.state = ProbeResult::State::unavailable;
  msr.reason = fmt::format("not needed: {} reads the same registers", better.via);
  msr.enable.clear();
  msr.cost.clear();
}

/// SMBIOS chassis types of what runs on a battery: portable, laptop, notebook, hand-held, sub-notebook,
/// tablet, convertible, detachable.
bool is_portable(const SystemRoot& root) {
  constexpr std::array<std::int64_t, 8> kTypes{8, 9, 10, 11, 14, 30, 31, 32};
  const auto type = root.read_integer("/sys/class/dmi/id/chassis_type");
  return type.has_value() && std::find(kTypes.begin(), kTypes.end(), *type) != kTypes.end();
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
  RaplProbe msr = probe_msr(root, identity.value_or(MachineIdentity{}), machine);
  leave_registers_closed(perf.result, powercap.result, msr.result);
  link_rapl_parents({&perf, &powercap, &msr});
  ProbeReport report;
  report.portable = is_portable(root);
  report.results.push_back(std::move(perf.result));
  report.results.push_back(std::move(powercap.result));
  report.results.push_back(std::move(msr.result));
  report.results.push_back(probe_hwmon(root, machine));
  if (auto batteries = probe_batteries(root)) report.results.push_back(std::move(*batteries));
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
  for (const bool sensed : {true, false}) {
    const bool cpu_covered = std::any_of(chosen.begin(), chosen.end(),
                                         [](const auto& source) { return covers_cpu(source->info()); });
    if (!sensed && cpu_covered) break;
    for (ProbeResult& result : report.results) {
      for (auto& source : result.sources) {
        if (!source || is_chosen(source->info().device_id)) continue;
        if (is_sensed(source->info()) == sensed) chosen.push_back(std::move(source));
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
  link_sources(kept, report.portable);
  return kept;
}

}  // namespace joulery::power
