#include "power/power_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "power/cpu_tables.hpp"

namespace joulery::power {
namespace {

/// Wall power of a server at full load and idle over the TDP of its chips: medians of 691 SPECpower_ssj2008
/// results whose CPU model is in our table (5 to 95 %: 0.86 to 1.51, and 0.13 to 0.50).
constexpr double kServerFullOverTdp = 1.13;
constexpr double kServerIdleOverTdp = 0.23;
/// Package power at full load over TDP. With it the load curve has no bias in the median over 96 RAPL
/// readings of four machines, and 90 % of them lie within x0.36 to x1.96 of the curve.
constexpr double kPackageFullOverTdp = 0.7;
/// Idle over full load of the normalised load curve.
constexpr double kIdleOverFull = 0.12;
constexpr double kMemoryIdleWattsPerGib = 0.2;
constexpr double kMemoryFullWattsPerGib = 0.6;
/// A server thread of unknown make: 2.7 to 3.9 W at full load were medians of 2017 to 2026, idle a quarter of
/// it.
constexpr double kUnknownFullWattsPerThread = 3.0;
constexpr double kUnknownIdleWattsPerThread = 0.75;
constexpr double kUnknownLow = 0.3;
constexpr double kUnknownHigh = 2.5;

/// How far from idle (0) to full (1) power is at a load, piecewise linear: 0.12, 0.32, 0.73 and 1 of full
/// power at loads of 0, 0.1, 0.5 and 1, set to run from 0 to 1.
double load_curve(double share) {
  constexpr std::array<double, 4> kLoads{0.0, 0.1, 0.5, 1.0};
  constexpr std::array<double, 4> kPower{0.0, (0.32 - 0.12) / 0.88, (0.73 - 0.12) / 0.88, 1.0};
  if (!(share > 0)) return 0;
  for (std::size_t i = 1; i < kLoads.size(); ++i) {
    if (share > kLoads[i]) continue;
    const double part = (share - kLoads[i - 1]) / (kLoads[i] - kLoads[i - 1]);
    return kPower[i - 1] + part * (kPower[i] - kPower[i - 1]);
  }
  return 1;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// A workstation's Xeon W is built and cooled like a desktop.
bool is_server_name(std::string_view name) {
  if (contains(name, "Xeon W") || contains(name, "Xeon w")) return false;
  for (const char* line : {"Xeon", "EPYC", "Opteron", "Ampere", "Graviton", "Neoverse"}) {
    if (contains(name, line)) return true;
  }
  return false;
}

bool is_client_name(std::string_view name) {
  for (const char* line : {"Core", "Ryzen", "Athlon", "Pentium", "Celeron", "Atom", "Phenom", "Sempron",
                           "FX-", "Apple", "Xeon W", "Xeon w", "Intel N", "Cortex-A"}) {
    if (contains(name, line)) return true;
  }
  return false;
}

std::string_view table_vendor(const MachineIdentity& identity) {
  if (identity.cpu_vendor == "GenuineIntel") return "intel";
  if (identity.cpu_vendor == "AuthenticAMD") return "amd";
  if (identity.cpu_vendor == "Apple") return "apple";
  return "ampere";
}

/// Threads of one package of the host; 0 if nothing tells. A virtual machine's own topology is made up.
double package_threads(const MachineIdentity& identity, const TdpRow& row, bool server) {
  if (!identity.virtual_machine)
    return static_cast<double>(identity.threads_online) / std::max(identity.packages, 1);
  if (row.threads > 0) return row.threads;
  if (row.cores > 0) return server ? 2.0 * row.cores : row.cores;
  return 0;
}

std::string slice_text(double cpus) {
  return fmt::format("{:.4g} {}", cpus, cpus == 1 ? "thread" : "threads");
}

}  // namespace

double PowerModel::cpu_watts(double busy_share) const {
  return idle_watts + (full_watts - idle_watts) * load_curve(busy_share);
}

double PowerModel::memory_watts(double busy_share) const {
  return memory_idle_watts + (memory_full_watts - memory_idle_watts) * std::clamp(busy_share, 0.0, 1.0);
}

PowerModel make_power_model(const MachineIdentity& identity) {
  PowerModel model;
  model.slice_cpus = identity.quota_cpus > 0 ? identity.quota_cpus : std::max(identity.threads_online, 1);
  const bool server = is_server_name(identity.cpu_model);
  const bool client = is_client_name(identity.cpu_model);
  const auto tdp = find_tdp(table_vendor(identity), identity.cpu_model);
  const double host_threads = tdp ? package_threads(identity, *tdp, server) : 0;

  if (server && tdp && tdp->published && host_threads > 0) {
    const double watts = tdp->watts * model.slice_cpus / host_threads;
    model.idle_watts = kServerIdleOverTdp * watts;
    model.full_watts = kServerFullOverTdp * watts;
    model.basis = fmt::format("TDP of {} ({:.4g} W for {:.4g} threads), as a whole server with memory, {}",
                              identity.cpu_model, tdp->watts, host_threads, slice_text(model.slice_cpus));
    return model;
  }
  // QEMU calls its CPUs "Intel Core Processor (Haswell)" on servers too.
  const bool hidden_in_guest = identity.virtual_machine && !tdp;
  const auto family = client && !hidden_in_guest
                          ? std::nullopt
                          : find_family(server_family(identity.cpu_vendor, identity.family, identity.model,
                                                      identity.stepping));
  if (family) {
    model.idle_watts = family->idle_watts_per_thread * model.slice_cpus;
    model.full_watts = family->full_watts_per_thread * model.slice_cpus;
    model.basis = fmt::format("{} of a typical {} server, its memory included", slice_text(model.slice_cpus),
                              family->family);
    return model;
  }
  if (tdp) {
    const double threads = host_threads > 0 ? host_threads : std::max(identity.threads_online, 1);
    const double watts = tdp->watts * model.slice_cpus / threads;
    model.full_watts = kPackageFullOverTdp * watts;
    model.idle_watts = kIdleOverFull * model.full_watts;
    model.memory_idle_watts = kMemoryIdleWattsPerGib * identity.memory_gib;
    model.memory_full_watts = kMemoryFullWattsPerGib * identity.memory_gib;
    model.basis = fmt::format("TDP of {} ({:.4g} W for {:.4g} threads) and {:.3g} GiB of memory, {}",
                              identity.cpu_model, tdp->watts, threads, identity.memory_gib,
                              slice_text(model.slice_cpus));
    return model;
  }
  model.idle_watts = kUnknownIdleWattsPerThread * model.slice_cpus;
  model.full_watts = kUnknownFullWattsPerThread * model.slice_cpus;
  model.low_factor = kUnknownLow;
  model.high_factor = kUnknownHigh;
  model.basis =
      fmt::format("typical server thread, because no table knows '{}', {}",
                  identity.cpu_model.empty() ? "this CPU" : identity.cpu_model, slice_text(model.slice_cpus));
  return model;
}

}  // namespace joulery::power
