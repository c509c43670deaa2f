// play_machine FOLDER ROOT SECONDS: puts a machine of tests/machines under ROOT and lets its counters run in
// real time, for a meter that runs meanwhile. Prints "ready" once the files are there.

#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

#include "base/clock.hpp"
#include "power/machine_fixture.hpp"

int main(int count, char** arguments) {
  if (count != 4) return 2;
  try {
    joulery::power::MachineFixture machine(arguments[1], arguments[2]);
    const joulery::SystemClock clock;
    const std::int64_t start_ns = clock.monotonic_ns();
    std::puts("ready");
    std::fflush(stdout);
    const double seconds = std::strtod(arguments[3], nullptr);
    const timespec pause{.tv_sec = 0, .tv_nsec = 2'000'000};
    double now = 0;
    while (now < seconds) {
      now = static_cast<double>(clock.monotonic_ns() - start_ns) * 1e-9;
      machine.advance_to(now);
      nanosleep(&pause, nullptr);
    }
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "%s\n", problem.what());
    return 1;
  }
  return 0;
}
