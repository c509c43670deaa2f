// What metering costs beside the sensors: one look at the workload's CPU time per tier, and a start with and
// without being held.
#include <benchmark/benchmark.h>
#include <linux/perf_event.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/clock.hpp"
#include "meter/attribution_factory.hpp"
#include "meter/launcher.hpp"

namespace joulery::meter {
namespace {

struct Environment {
  SystemRoot root{"/"};
  SystemClock clock;
  power::SystemCalls& calls = power::real_system_calls();
  AttributionOptions options(Tier tier) {
    return {.root = root,
            .clock = clock,
            .system_calls = calls,
            .short_id = "bench",
            .library_directory = {},
            .only = tier,
            .systemd_bus = SystemdBus::automatic,
            .systemd_bus_address = {},
            .systemd_timeout_seconds = 2};
  }
};

const std::vector<std::string> kPath = {"PATH=/usr/bin:/bin"};

/// One look, while one process of the workload sleeps.
void look(benchmark::State& state) {
  Environment environment;
  const auto tier = static_cast<Tier>(state.range(0));
  state.SetLabel(tier_name(tier));
  const AttributionOptions options = environment.options(tier);
  auto choice = make_attribution(options);
  if (!choice.has_value()) return state.SkipWithError(choice.error().message.c_str());
  const Command command{.arguments = {"sleep", "1000"}, .environment = kPath, .working_directory = {}};
  auto child =
      HeldChild::create(command, InheritedSignals::capture(), choice->attribution->cgroup_descriptor());
  if (!child.has_value() || !adopt(*choice, options, child->pid()).has_value() ||
      !child->release().has_value()) {
    return state.SkipWithError("can't start the workload");
  }
  for (auto _ : state) benchmark::DoNotOptimize(choice->attribution->read());
  ::kill(child->pid(), SIGKILL);
  ::waitpid(child->pid(), nullptr, 0);
}
BENCHMARK(look)
    ->Arg(static_cast<int>(Tier::cgroup))
    ->Arg(static_cast<int>(Tier::perf_task_clock))
    ->Arg(static_cast<int>(Tier::process_tree));

/// `true` from the choice of a tier to its end.
void metered_start(benchmark::State& state) {
  Environment environment;
  const auto tier = static_cast<Tier>(state.range(0));
  state.SetLabel(tier_name(tier));
  const AttributionOptions options = environment.options(tier);
  const Command command{.arguments = {"true"}, .environment = kPath, .working_directory = {}};
  const InheritedSignals signals = InheritedSignals::capture();
  for (auto _ : state) {
    auto choice = make_attribution(options);
    if (!choice.has_value()) return state.SkipWithError(choice.error().message.c_str());
    auto child = HeldChild::create(command, signals, choice->attribution->cgroup_descriptor());
    if (!child.has_value() || !adopt(*choice, options, child->pid()).has_value() ||
        !child->release().has_value()) {
      return state.SkipWithError("can't start the workload");
    }
    ::waitpid(child->pid(), nullptr, 0);
    choice->attribution->finish();
  }
}
BENCHMARK(metered_start)
    ->Arg(static_cast<int>(Tier::cgroup))
    ->Arg(static_cast<int>(Tier::perf_task_clock))
    ->Arg(static_cast<int>(Tier::process_tree))
    ->UseRealTime();

/// The same by posix_spawn alone.
void plain_start(benchmark::State& state) {
  char name[] = "true";
  char* arguments[] = {name, nullptr};
  for (auto _ : state) {
    pid_t pid = -1;
    if (::posix_spawnp(&pid, name, nullptr, nullptr, arguments, environ) != 0)
      return state.SkipWithError("can't spawn");
    ::waitpid(pid, nullptr, 0);
  }
}
BENCHMARK(plain_start)->UseRealTime();

}  // namespace
}  // namespace joulery::meter

BENCHMARK_MAIN();
