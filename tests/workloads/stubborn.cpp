// stubborn TRUTH SECONDS: a child that ignores every signal it can, is told to end, and goes on.
#include <sys/wait.h>

#include <csignal>
#include <initializer_list>

#include "burn.hpp"

int main(int count, char** arguments) {
  if (count != 3) return 2;
  const char* truth = arguments[1];
  const double seconds = std::atof(arguments[2]);
  for (int signal = 1; signal < 32; ++signal) {
    if (signal != SIGCHLD) ::signal(signal, SIG_IGN);
  }
  const pid_t child = ::fork();
  if (child == 0) {
    workloads::burn(seconds);
    workloads::tell_and_exit(truth);
  }
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) ::kill(child, signal);
  workloads::burn(seconds / 4);
  ::waitpid(child, nullptr, 0);
  workloads::tell_and_exit(truth);
}
