#include "app/doctor_checks.hpp"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/files.hpp"
#include "base/ids.hpp"
#include "base/text.hpp"
#include "stats/summary.hpp"

namespace joulery::app {
namespace {

using State = DoctorCheck::State;

constexpr int kNoiseBlocks = 40;
constexpr double kNoiseBlockSeconds = 0.01;

double thread_cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + double(now.tv_nsec) / 1e9;
}

/// A fixed piece of arithmetic that the compiler can't drop.
std::uint64_t spin(std::uint64_t rounds, std::uint64_t seed) {
  for (std::uint64_t i = 0; i < rounds; ++i) seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
  return seed;
}

NoiseLevel measure_noise(const Clock& clock) {
  std::uint64_t seed = 1;
  std::uint64_t rounds = 1 << 16;
  double seconds = 0;
  while (seconds < kNoiseBlockSeconds / 2) {
    rounds *= 2;
    const double before = thread_cpu_seconds();
    seed = spin(rounds, seed);
    seconds = thread_cpu_seconds() - before;
  }
  std::vector<double> wall;
  std::vector<double> cpu;
  for (int i = 0; i < kNoiseBlocks; ++i) {
    const std::int64_t wall_before = clock.monotonic_ns();
    const double cpu_before = thread_cpu_seconds();
    seed = spin(rounds, seed);
    cpu.push_back(thread_cpu_seconds() - cpu_before);
    wall.push_back(double(clock.monotonic_ns() - wall_before) / 1e9 + (seed == 0 ? 1e-18 : 0));
  }
  const stats::MeanInterval wall_mean = stats::mean_interval(wall, 0.9);
  const stats::MeanInterval cpu_mean = stats::mean_interval(cpu, 0.9);
  return {.blocks = kNoiseBlocks,
          .block_seconds = wall_mean.mean,
          .wall_variation = wall_mean.standard_deviation / wall_mean.mean,
          .cpu_variation = cpu_mean.standard_deviation / cpu_mean.mean,
          .lag1_autocorrelation = stats::lag1_autocorrelation(wall)};
}

/// What of the settings comes from `place`, as "run.hz, run.idle".
std::string settings_from(const config::Config& config, const std::string& place) {
  std::vector<std::string> keys;
  for (const auto& [key, setting] : config.all()) {
    if (setting.where.starts_with(place)) keys.push_back(key);
  }
  return fmt::format("{}", fmt::join(keys, ", "));
}

}  // namespace

void check_clock(Application& application, DoctorReport& report) {
  DoctorCheck check{.area = "clock",
                    .name = "clock",
                    .reason = {},
                    .resolution = {},
                    .accuracy = {},
                    .cost = {},
                    .enable = {}};
  const std::string source =
      application.root()
          .read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource")
          .value_or("unknown");
  timespec resolution{};
  clock_getres(CLOCK_BOOTTIME, &resolution);
  const Clock& clock = application.clock();
  constexpr int kReads = 1000;
  const std::int64_t before = clock.monotonic_ns();
  for (int i = 0; i < kReads; ++i) static_cast<void>(clock.boottime_ns());
  const double cost_ns = double(clock.monotonic_ns() - before) / kReads;
  check.reason = fmt::format("clock source {}, a read takes {:.0f} ns", source, cost_ns);
  check.resolution = fmt::format("{} ns", resolution.tv_nsec);
  const bool coarse = resolution.tv_nsec > 1'000'000 || cost_ns > 2000;
  check.state = coarse ? State::limited : State::good;
  if (coarse) {
    check.cost = "short runs are measured less exactly, and sampling costs more";
    check.enable = "echo tsc | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource";
  }
  report.checks.push_back(std::move(check));
}

void check_noise(Application& application, DoctorReport& report) {
  report.noise = measure_noise(application.clock());
  const double variation = std::max(report.noise.wall_variation, report.noise.cpu_variation);
  DoctorCheck check{.area = "noise",
                    .name = "noise (A/A run)",
                    .reason = {},
                    .resolution = {},
                    .accuracy = {},
                    .cost = {},
                    .enable = {}};
  check.state = variation < 0.03 ? State::good : State::limited;
  check.reason = fmt::format(
      "the same {1} of work done {0} times varies by {2:.1f} % in wall time and {3:.1f} % in CPU time "
      "(lag-1 correlation {4:.2f})",
      report.noise.blocks, format_duration(report.noise.block_seconds), 100 * report.noise.wall_variation,
      100 * report.noise.cpu_variation, report.noise.lag1_autocorrelation);
  if (check.state != State::good) {
    check.cost = "differences of a few per cent between two runs mean nothing";
    check.enable = "close other programs, then use `joulery run --repeat 10 --warmup 1`";
  }
  report.checks.push_back(std::move(check));
}

void check_store(Application& application, DoctorReport& report) {
  DoctorCheck check{.area = "store",
                    .name = "store",
                    .reason = {},
                    .resolution = {},
                    .accuracy = {},
                    .cost = {},
                    .enable = {},
                    .essential = true};
  record::IngestReport recovered;
  const auto path = application.store_path();
  const auto store = path ? application.open_store(Application::StoreAccess::read_write, &recovered)
                          : Result<std::unique_ptr<record::Store>>(std::unexpected(path.error()));
  if (!store) {
    check.reason = store.error().message;
    check.enable = store.error().hint;
    report.checks.push_back(std::move(check));
    return;
  }
  const bool network = filesystem_kind(*path) == FilesystemKind::network;
  const bool all_stored = recovered.kept.empty() && recovered.refused.empty();
  check.state = network || !all_stored ? State::limited : State::good;
  check.reason = fmt::format("{} can be written", printable(*path));
  if (network) {
    check.reason += ", on a network file system";
    check.cost = "slower, and many writers at once rely on the server's locks";
    check.enable = "put the store on a local disk: export JOULERY_STORE=/var/lib/…/joulery.db";
  }
  if (!recovered.recovered_run_ids.empty()) {
    check.reason +=
        fmt::format("; recovered {} runs whose meter was killed", recovered.recovered_run_ids.size());
  }
  for (const auto& [file, why] : recovered.kept) {
    check.reason += fmt::format("; kept {}: {}", printable(file), printable(why));
  }
  for (const record::IngestReport::Refused& refused : recovered.refused) {
    check.reason += fmt::format("; moved to {}: {}", printable(refused.moved_to), printable(refused.reason));
  }
  report.checks.push_back(std::move(check));
}

void check_spool(Application& application, DoctorReport& report) {
  const std::string folder = application.config().text("spool");
  DoctorCheck check{.area = "spool",
                    .name = "spool",
                    .reason = {},
                    .resolution = {},
                    .accuracy = {},
                    .cost = {},
                    .enable = {}};
  auto writer = record::SpoolWriter::create(folder, make_run_id(application.clock().realtime_ns()));
  if (writer) {
    ::unlink(writer->path().c_str());
    check.state = filesystem_kind(folder) == FilesystemKind::network ? State::limited : State::good;
    check.reason =
        fmt::format("{} can be written; a run goes there first, so that nothing is lost if it is killed",
                    printable(folder));
    if (check.state == State::limited) {
      check.cost = "every sample goes over the network";
      check.enable = "export JOULERY_SPOOL=/var/tmp/…";
    }
    const auto store = application.store_path();
    const int others = store ? record::count_spools_of_others(folder, record::spool_tag(*store)) : 0;
    if (others > 0) {
      check.reason += fmt::format(
          "; {} there of runs for other stores, going on or cut off: each is stored by the next command "
          "with its --store",
          others);
    }
  } else {
    check.reason = writer.error().message;
    check.enable = writer.error().hint;
    check.cost = "runs are metered, but not kept";
  }
  report.checks.push_back(std::move(check));
}

void check_settings(Application& application, DoctorReport& report) {
  const config::Config& config = application.config();
  DoctorCheck check{.area = "settings",
                    .name = "settings",
                    .state = State::good,
                    .reason = {},
                    .resolution = {},
                    .accuracy = {},
                    .cost = {},
                    .enable = {}};
  std::vector<std::string> found;
  std::vector<std::string> looked_for;
  for (const config::SettingsFile& file : config.files()) {
    const std::string path = printable(file.path);
    if (file.state == config::SettingsFile::State::read) {
      const std::string keys = settings_from(config, file.path + ":");
      found.push_back(fmt::format("{} sets {}", path, keys.empty() ? "nothing that is in effect" : keys));
    } else if (file.state == config::SettingsFile::State::foreign) {
      found.push_back(fmt::format("{} is not read: it {}", path, file.reason));
      check.state = State::limited;
      check.enable =
          "cp joulery.toml mine && mv mine joulery.toml    # in its folder, if you trust what it says";
    } else if (looked_for.size() < 2) {
      looked_for.push_back(path);
    }
  }
  for (const auto& [key, setting] : config.all()) {
    if (setting.origin == config::Origin::environment)
      found.push_back(fmt::format("{} sets {}", setting.where, key));
  }
  check.reason = found.empty()
                     ? fmt::format("all as built in; there is no {}, nor a joulery.toml in the folders above",
                                   fmt::join(looked_for, " and no "))
                     : fmt::format("{}", fmt::join(found, "; "));
  report.checks.push_back(std::move(check));
}

}  // namespace joulery::app
