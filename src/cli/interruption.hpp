#pragma once

#include <signal.h>

#include <array>

namespace joulery::cli {

/// While it lives, the first Ctrl-C (or SIGTERM) is only noted, so that work ends with what there is; a
/// second one ends the program. One at a time.
class Interruptible {
 public:
  Interruptible();
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  static constexpr std::array kSignals{SIGINT, SIGTERM};
  std::array<struct sigaction, kSignals.size()> before_{};
};

/// The signal that was noted last since one was made; 0 for none.
int interrupted_by();

}  // namespace joulery::cli
