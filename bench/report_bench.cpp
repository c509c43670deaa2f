// The report of a run of 24 h at 10 Hz with two counters and the workload's series: 3 × 864,000 samples.
// Prints a table.

#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <string>

#include "app/report.hpp"
#include "base/ids.hpp"
#include "record/store.hpp"

namespace {

using namespace joulery;

constexpr std::int64_t kSamples = 864'000;
constexpr std::int64_t kWindowNs = 100'000'000;

/// A load that comes and goes, with noise, so that blocks are no smaller than those of a real counter.
double joules_at(std::int64_t i, std::uint64_t& random) {
  random = random * 6364136223846793005ULL + 1442695040888963407ULL;
  const double noise = double(random >> 40U) / double(1U << 24U) - 0.5;
  return 0.1 * (60 + 30 * std::sin(double(i) / 5000) + 8 * noise);
}

bool fill(record::Store& store, const record::Run& run, const char* device, std::uint64_t random) {
  record::PowerBlockEncoder encoder;
  std::int64_t now = run.start_boottime_ns;
  encoder.begin(now);
  std::uint64_t sequence = 0;
  for (std::int64_t i = 0; i < kSamples; ++i) {
    const record::PowerSample sample{now + kWindowNs, joules_at(i, random), 0};
    if (!encoder.add(sample)) {
      if (!store.put_power_block(run.id, device, ++sequence, encoder.encode())) return false;
      encoder.begin(now);
      encoder.add(sample);
    }
    now = sample.boottime_ns;
  }
  return store.put_power_block(run.id, device, ++sequence, encoder.encode()).has_value();
}

class Day final : public record::Store::TransactionBody {
 public:
  explicit Day(const record::Run& run) : run_(run) {}
  Status run(record::Store& store) override {
    JOULERY_CHECK_OK(store.put_host({.id = run_.host_id, .name = "bench", .cpu_model = {}, .os = {}}));
    for (const char* id : {"package-0", "package-1", record::kDerivedWorkloadDevice}) {
      record::Device device;
      device.id = device.name = id;
      device.host_id = run_.host_id;
      JOULERY_CHECK_OK(store.put_device(device));
    }
    JOULERY_CHECK_OK(store.put_run(run_));
    std::uint64_t random = 1;
    for (const char* id : {"package-0", "package-1", record::kDerivedWorkloadDevice}) {
      if (!fill(store, run_, id, ++random)) return internal_error("a block was refused");
    }
    return {};
  }

 private:
  const record::Run& run_;
};

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return double(time.tv_sec) + double(time.tv_nsec) / 1e9;
}

int measure(const std::string& folder) {
  auto store = record::open_sqlite_store(folder + "/joulery.db");
  if (!store) return 1;
  record::Run run;
  run.id = make_run_id(1'700'000'000'000'000'000);
  run.name = "a day";
  run.experiment = "Default";
  run.status = record::RunStatus::finished;
  run.host_id = "h";
  run.start_utc_ns = 1'700'000'000'000'000'000;
  run.start_boottime_ns = kWindowNs;
  Day day(run);
  if (const Status put = (*store)->transaction(day); !put) {
    std::fprintf(stderr, "%s\n", put.error().message.c_str());
    return 1;
  }
  const footprint::DataSet data;
  std::printf("| samples | wall, s | CPU, s | page, kB |\n|---|---|---|---|\n");
  for (int round = 0; round < 5; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    const double cpu = cpu_seconds();
    const auto runs = app::find_reported_runs(**store, {"last"});
    const auto report = app::make_report(**store, data, *runs, 0);
    if (!report) return 1;
    const std::string page = app::report_page(*report);
    std::printf("| %lld | %.3f | %.3f | %.0f |\n", static_cast<long long>(3 * kSamples),
                std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
                cpu_seconds() - cpu, double(page.size()) / 1e3);
  }
  return 0;
}

}  // namespace

int main() {
  std::string folder = (std::filesystem::temp_directory_path() / "joulery_report.XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return 1;
  const int code = measure(folder);
  std::filesystem::remove_all(folder);
  return code;
}
