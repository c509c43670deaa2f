// A day at 10 Hz on a simulated clock: what a tick costs, and whether memory grows with time. Prints a table.

#include <malloc.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "meter/accounting.hpp"
#include "meter/series_recorder.hpp"
#include "power/sampler.hpp"

namespace {

class SteadySource final : public joulery::power::Source {
 public:
  explicit SteadySource(const char* id) {
    info_.device_id = id;
    info_.name = id;
    info_.wrap_joules = 262143.328850;
  }
  const joulery::power::SourceInfo& info() const override { return info_; }
  joulery::power::Reading read(const joulery::Clock& clock) override {
    const double seconds = double(clock.boottime_ns()) / 1e9;
    joules_ += (seconds - last_) * (40 + double(++reads_ % 17));
    last_ = seconds;
    while (joules_ >= info_.wrap_joules) joules_ -= info_.wrap_joules;
    return {.value = joules_, .boottime_ns = clock.boottime_ns(), .valid = true};
  }

 private:
  joulery::power::SourceInfo info_;
  double joules_ = 0;
  double last_ = 0;
  std::uint64_t reads_ = 0;
};

long resident_kib() {
  std::ifstream statm("/proc/self/statm");
  long size = 0;
  long resident = 0;
  statm >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE) / 1024;
}

}  // namespace

int main() {
  using namespace joulery;
  std::string folder = (std::filesystem::temp_directory_path() / "joulery_day.XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return 1;
  auto spool = record::SpoolWriter::create(folder, make_run_id(0));
  if (!spool) {
    std::fprintf(stderr, "%s\n", spool.error().message.c_str());
    return 1;
  }
  ManualClock clock;
  std::vector<std::unique_ptr<power::Source>> sources;
  sources.push_back(std::make_unique<SteadySource>("package-0"));
  sources.push_back(std::make_unique<SteadySource>("package-1"));
  power::Sampler sampler(std::move(sources), clock);
  meter::EnergyAccount account;
  meter::SeriesRecorder series(&*spool, {"package-0", "package-1", "workload"}, clock.boottime_ns());
  sampler.start();
  std::printf(
      "| simulated | resident KiB | heap in use | spool bytes a sample | ns a tick "
      "|\n|---|---|---|---|---|\n");
  std::uint64_t ticks = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (const int hours : {0, 1, 8, 24}) {
    while (ticks < std::uint64_t(hours) * 36000 + 600) {
      clock.advance_seconds(0.1);
      const power::Tick& tick = sampler.tick();
      account.add({.seconds = tick.window_seconds,
                   .end_seconds = double(tick.boottime_ns) / 1e9,
                   .machine_joules = tick.machine_joules,
                   .busy_seconds = 0.1,
                   .workload_seconds = 0.08});
      for (std::size_t i = 0; i < 2; ++i)
        series.add(i, {tick.boottime_ns, tick.devices[i].joules, tick.devices[i].flags});
      series.add(2, {tick.boottime_ns, tick.machine_joules * 0.8, 0});
      ++ticks;
    }
    const double ns =
        std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count();
    std::printf("| %d h + 1 min | %ld | %zu | %.2f | %.0f |\n", hours, resident_kib(), mallinfo2().uordblks,
                double(std::filesystem::file_size(spool->path())) / double(3 * ticks), ns / double(ticks));
  }
  std::filesystem::remove_all(folder);
}
