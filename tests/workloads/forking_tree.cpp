// forking_tree TRUTH SECONDS DEPTH WIDTH: every process burns, and waits for its children.
#include <sys/wait.h>

#include "burn.hpp"

int main(int count, char** arguments) {
  if (count != 5) return 2;
  const char* truth = arguments[1];
  const double seconds = std::atof(arguments[2]);
  int depth = std::atoi(arguments[3]);
  const int width = std::atoi(arguments[4]);
  for (int child = 0; depth > 0 && child < width; ++child) {
    if (::fork() == 0) {
      --depth;
      child = -1;
    }
  }
  workloads::burn(seconds);
  while (::wait(nullptr) > 0) {
  }
  workloads::tell_and_exit(truth);
}
