#pragma once

#include <cstdint>

#include "base/clock.hpp"

namespace joulery::meter {

/// When all processes may be looked at: often at first, for short runs, then more seldom, and the dearer a
/// look was the more seldom, so that looks cost next to nothing. Not thread-safe.
class ScanBudget {
 public:
  explicit ScanBudget(const Clock& clock) : clock_(&clock) {}
  bool is_due() const { return clock_->monotonic_ns() >= next_ns_; }
  void begin();
  void end();

 private:
  const Clock* clock_;
  std::int64_t first_ns_ = 0;
  std::int64_t next_ns_ = 0;
  std::int64_t started_cpu_ns_ = 0;
};

}  // namespace joulery::meter
