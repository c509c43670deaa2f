#pragma once

#include <optional>
#include <string>
#include <vector>

#include "meter/attribution_factory.hpp"
#include "meter/supervisor.hpp"

/// For tests only: one command under launcher, attribution and supervisor, as a session runs it, but without
/// power.
namespace joulery::meter {

/// The kernel's perf_event_open, read and close.
power::SystemCalls& kernel_calls();

struct MeteredCommand {
  std::vector<std::string> arguments;
  std::optional<Tier> tier;
  SupervisorOptions supervision{.hz = 20, .wait = WaitMode::tree, .grace_seconds = 30};
  std::string library_directory;
  std::string bus_address;
};

struct Metered {
  SupervisionResult supervision;
  WorkloadUsage usage;
  Tier tier = Tier::process_tree;
  std::vector<SkippedTier> skipped;
  std::uint64_t ticks = 0;
  /// Of all readings, none was smaller than the one before.
  bool never_decreased = true;
  int stops = 0;
};

/// An error of any step as text, and its exit code.
struct MeteredFailure {
  std::string message;
  int exit_code = 3;
};
std::expected<Metered, MeteredFailure> run_metered(const MeteredCommand& command);

/// Environment of this process as NAME=VALUE.
std::vector<std::string> own_environment();

}  // namespace joulery::meter
