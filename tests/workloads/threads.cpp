// threads TRUTH SECONDS COUNT: threads burn and end; the process waits for them.
#include <thread>
#include <vector>

#include "burn.hpp"

namespace {
void burn_thread(double more) {
  const auto used = [] {
    timespec now = {};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
  };
  volatile unsigned sink = 0;
  while (used() < more) {
    for (unsigned i = 0; i < 2000; ++i) sink = sink + i;
  }
}
}  // namespace

int main(int count, char** arguments) {
  if (count != 4) return 2;
  const double seconds = std::atof(arguments[2]);
  std::vector<std::thread> threads;
  for (int i = 0; i < std::atoi(arguments[3]); ++i) threads.emplace_back(burn_thread, seconds);
  for (auto& thread : threads) thread.join();
  workloads::tell_and_exit(arguments[1]);
}
