// swarm TRUTH COUNT PROGRAM: starts PROGRAM TRUTH many times, a few at once, by vfork and exec.
#include <sys/wait.h>

#include "burn.hpp"

int main(int count, char** arguments) {
  if (count != 4) return 2;
  const char* truth = arguments[1];
  const int children = std::atoi(arguments[2]);
  const char* program = arguments[3];
  constexpr int kAtOnce = 4;
  int running = 0;
  for (int i = 0; i < children; ++i) {
    // What shells and make do, and what a meter must not lose.
    const pid_t child = ::vfork();  // NOLINT(bugprone-unsafe-functions)
    if (child == 0) {
      ::execl(program, program, truth, static_cast<char*>(nullptr));
      ::_exit(98);
    }
    if (child < 0) return 1;
    if (++running == kAtOnce && ::wait(nullptr) > 0) --running;
  }
  while (::wait(nullptr) > 0) {
  }
  workloads::tell_and_exit(truth);
}
