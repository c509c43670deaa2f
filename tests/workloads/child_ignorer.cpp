// child_ignorer TRUTH SECONDS COUNT: its children, one after the other, are reaped by the kernel (SIGCHLD is
// ignored), so that their time is in nobody's account.
#include <sys/wait.h>

#include <csignal>

#include "burn.hpp"

int main(int count, char** arguments) {
  if (count != 4) return 2;
  const char* truth = arguments[1];
  const double seconds = std::atof(arguments[2]);
  const int children = std::atoi(arguments[3]);
  ::signal(SIGCHLD, SIG_IGN);
  for (int i = 0; i < children; ++i) {
    if (::fork() == 0) {
      workloads::burn(seconds);
      workloads::tell_and_exit(truth);
    }
    // Returns when no child is left.
    while (::wait(nullptr) > 0) {
    }
  }
  workloads::tell_and_exit(truth);
}
