#pragma once

#include <cstdint>

namespace joulery::stats {

/// Seeded random numbers that are the same on every platform and library (SplitMix64, Steele et al. 2014):
/// for simulation, not for secrets.
class RandomStream {
 public:
  explicit RandomStream(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
    return mixed ^ (mixed >> 31);
  }
  /// In [0, 1).
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  /// In [0, bound); bound > 0. The bias of at most bound/2^53 is of no account here.
  std::uint64_t below(std::uint64_t bound) {
    return static_cast<std::uint64_t>(unit() * static_cast<double>(bound));
  }

 private:
  std::uint64_t state_;
};

}  // namespace joulery::stats
