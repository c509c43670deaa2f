#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/files.hpp"
#include "base/result.hpp"
#include "meter/attribution.hpp"
#include "power/system_calls.hpp"

namespace joulery::meter {

/// Which bus of systemd the scope is asked for on.
enum class SystemdBus { automatic, user, system };

struct AttributionOptions {
  const SystemRoot& root;
  const Clock& clock;
  power::SystemCalls& system_calls;
  /// Makes names of cgroups and scopes unique within this process, such as the first hex digits of the run
  /// id. Letters and digits only.
  std::string short_id;
  /// Folder of our own libraries, where the systemd plug-in is; empty: there is no plug-in.
  std::string library_directory;
  /// This tier or an error.
  std::optional<Tier> only;
  /// automatic: the system bus for root, else the user's.
  SystemdBus systemd_bus = SystemdBus::automatic;
  /// D-Bus address instead of the bus's usual one; empty: the usual one.
  std::string systemd_bus_address;
  /// How long systemd may take to answer.
  double systemd_timeout_seconds = 2;
};

/// A better tier that can't be used here.
struct SkippedTier {
  Tier tier;
  /// What failed and why, and the change that helps (may be empty).
  std::string reason;
  std::string hint;
};

struct AttributionChoice {
  std::unique_ptr<Attribution> attribution;
  /// Better tiers than the one chosen, best first.
  std::vector<SkippedTier> skipped;
};

/// The best tier that works here. Removes cgroups that dead instances of us left behind.
Result<AttributionChoice> make_attribution(const AttributionOptions& options);

/// Lets the chosen tier adopt the held child; if it can't, goes down to the next one, which is then in
/// `choice`.
Status adopt(AttributionChoice& choice, const AttributionOptions& options, int pid);

/// What each tier says on this machine, best first, for `joulery doctor`. Leaves nothing behind.
struct TierReport {
  Tier tier;
  bool usable = false;
  /// Why not, and what helps; empty if usable.
  std::string reason;
  std::string hint;
  /// What it can miss, if usable.
  std::string can_miss;
};
std::vector<TierReport> probe_tiers(const AttributionOptions& options);

}  // namespace joulery::meter
