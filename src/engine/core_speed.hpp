#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace joulery::engine {

/// How fast the CPU is on which a thread runs, at one moment.
struct CoreSpeed {
  /// Cycles a second, from a chain of multiplications of which each waits for the one before: it depends on
  /// the clock alone. Takes one for 3 cycles, as x86-64 CPUs of the last fifteen years do; on others it is
  /// right up to a factor that does not change.
  double hertz = 0;
  /// Such cycles that a fixed piece of arithmetic takes. The clock does not change it; a neighbour on the
  /// same core (simultaneous multithreading) does. A virtual machine has no other way to see that: time in
  /// which others share the core is not booked as stolen.
  double work_cycles = 0;
};

/// What cycles of the work can be compared among: which work it is, and what made machine code of it.
std::string speed_probe_name();

/// Looks at the speed of the core that the calling thread is on, in less than 20 µs.
class SpeedProbe {
 public:
  SpeedProbe();
  CoreSpeed look() const;

 private:
  /// Four numbers in a register, which every CPU that we build for has, so that the work is the same on all.
  using FourFloats = float __attribute__((vector_size(16)));
  void work(int passes) const;

  std::vector<FourFloats> weights_;
  std::vector<FourFloats> factors_;
};

}  // namespace joulery::engine
