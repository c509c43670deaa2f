#include "cli/interruption.hpp"

namespace joulery::cli {
namespace {

volatile sig_atomic_t noted_signal = 0;

void on_signal(int signal) {
  noted_signal = signal;
}

}  // namespace

Interruptible::Interruptible() {
  noted_signal = 0;
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
