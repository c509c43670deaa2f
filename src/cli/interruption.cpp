#include "cli/interruption.hpp"

#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace joulery::cli {
namespace {

volatile sig_atomic_t noted_signal = 0;
volatile sig_atomic_t somebody_watches = 0;

/// What is in progress may take its time, and nothing else would say that it was heard.
void on_signal(int signal) {
  noted_signal = signal;
  if (somebody_watches == 0) return;
  constexpr std::string_view kHeard = "\r\x1b[Kending after what is in progress; once more ends at once\n";
  const int error = errno;
  static_cast<void>(!::write(STDERR_FILENO, kHeard.data(), kHeard.size()));
  errno = error;
}

}  // namespace

Interruptible::Interruptible() {
  noted_signal = 0;
  somebody_watches = ::isatty(STDERR_FILENO);
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESETHAND;
  for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &before_[i]);
}

Interruptible::~Interruptible() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
}

int interrupted_by() {
  return noted_signal;
}

}  // namespace joulery::cli
