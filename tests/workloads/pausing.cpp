// pausing TRUTH SECONDS: a child burns, stops itself, is continued and burns again.
#include <sys/wait.h>

#include <csignal>

#include "burn.hpp"

int main(int count, char** arguments) {
  if (count != 3) return 2;
  const char* truth = arguments[1];
  const double seconds = std::atof(arguments[2]);
  const pid_t child = ::fork();
  if (child == 0) {
    workloads::burn(seconds / 2);
    ::raise(SIGSTOP);
    workloads::burn(seconds / 2);
    workloads::tell_and_exit(truth);
  }
  int status = 0;
  if (::waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status)) return 1;
  ::kill(child, SIGCONT);
  ::waitpid(child, &status, 0);
  workloads::tell_and_exit(truth);
}
