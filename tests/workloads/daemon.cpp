// daemon TRUTH SECONDS: leaves a daemon behind (two forks, a session of its own) that burns after its parent
// has ended.
#include <sys/stat.h>
#include <sys/wait.h>

#include "burn.hpp"

int main(int count, char** arguments) {
  if (count != 3) return 2;
  const char* truth = arguments[1];
  const double seconds = std::atof(arguments[2]);
  if (::fork() == 0) {
    ::setsid();
    if (::fork() != 0) workloads::tell_and_exit(truth);
    workloads::burn(seconds);
    workloads::tell_and_exit(truth);
  }
  ::wait(nullptr);
  workloads::burn(seconds / 10);
  workloads::tell_and_exit(truth);
}
