#pragma once

#include <cstdlib>

namespace joulery {

/// For tests: how often to try. `./dev soak` sets JOULERY_SOAK and gets the long count.
inline int soak_count(int short_count, int long_count) {
  return std::getenv("JOULERY_SOAK") != nullptr ? long_count : short_count;
}

}  // namespace joulery
