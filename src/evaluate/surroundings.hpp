#pragma once

#include <cstdint>
#include <optional>

#include "base/files.hpp"

namespace joulery::evaluate {

struct Surroundings;

/// Looks at what may disturb a measurement: the clock of the CPUs, and how often heat slowed them down. What
/// a machine does not tell stays 0.
class SurroundingsReader {
 public:
  SurroundingsReader() = default;
  /// `sensors` must outlive it. Counters count from here on.
  explicit SurroundingsReader(const SystemRoot& sensors);
  void look(Surroundings& surroundings) const;

 private:
  std::uint64_t throttle_events() const;
  const SystemRoot* sensors_ = nullptr;
  std::uint64_t events_before_ = 0;
};

}  // namespace joulery::evaluate
