// CodeCarbon rows into a fresh store, and the same again when all are there. Prints a table of wall and CPU
// time.

#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "app/codecarbon_csv.hpp"
#include "app/codecarbon_import.hpp"
#include "record/store.hpp"
#include "stats/random_stream.hpp"

namespace {

using joulery::app::CodeCarbonFile;

std::string emissions_file(int rows) {
  joulery::stats::RandomStream random(1);
  std::string text;
  for (const auto& column : joulery::app::codecarbon_columns()) {
    text += (text.empty() ? "" : ",") + std::string(column.name);
  }
  text += "\n";
  for (int i = 0; i < rows; ++i) {
    const double seconds = 1 + double(random.below(3'600'000)) / 1000;
    const double cpu = seconds * (5 + double(random.below(200'000)) / 1000) / 3.6e6;
    const double memory = seconds * 10 / 3.6e6;
    text += fmt::format(
        "2026-{:02}-{:02}T{:02}:{:02}:{:02},project-{},{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x},"
        "5b0fa12a-3dd7-45bb-9766-cc326314d9f1,{},{},{},{},0.0,10.0,{},0.0,{},{},0.0,France,FRA,bretagne,,,"
        "Linux-6.1.0-amd64-x86_64-with-glibc2.36,3.11.2,3.3.2,8,AMD EPYC "
        "7B13,0,,-1.6,48.1,31.3,machine,{},0.0,{},"
        "{},N,1.0,0.0\n",
        i / 28 % 12 + 1, i % 28 + 1, i / 3600 % 24, i / 60 % 60, i % 60, i % 20, random.below(1ULL << 32U),
        random.below(1U << 16U), random.below(1U << 12U), random.below(1U << 12U), random.below(1ULL << 48U),
        seconds, (cpu + memory) * 0.05, (cpu + memory) * 0.05 / seconds, cpu * 3.6e6 / seconds, cpu, memory,
        cpu + memory, double(random.below(100'000)) / 1000, double(random.below(100'000)) / 1000,
        double(random.below(31'000)) / 1000);
  }
  return text;
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

template <class Work>
bool timed(const char* name, Work&& work) {
  const auto begin = std::chrono::steady_clock::now();
  const double cpu = cpu_seconds();
  const bool good = work();
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  std::printf("| %s | %.2f | %.2f |\n", name, wall.count(), cpu_seconds() - cpu);
  return good;
}

}  // namespace

int main() {
  constexpr int kRows = 100'000;
  std::string folder = (std::filesystem::temp_directory_path() / "joulery_import.XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return 1;
  const std::string text = emissions_file(kRows);
  auto store = joulery::record::open_sqlite_store(folder + "/joulery.db");
  if (!store) return 1;
  std::printf("%d rows of 38 columns, %.0f MB\n\n| step | wall, s | CPU, s |\n|---|---|---|\n", kRows,
              double(text.size()) / 1e6);
  CodeCarbonFile file;
  const bool good = timed("read",
                          [&] {
                            auto parsed = joulery::app::parse_codecarbon_csv(text);
                            if (parsed) file = std::move(*parsed);
                            return parsed && file.rows.size() == kRows;
                          }) &&
                    timed("store",
                          [&] {
                            const auto report = joulery::app::import_codecarbon(**store, file, "bench");
                            return report && report->added == kRows;
                          }) &&
                    timed("store again: all there", [&] {
                      const auto report = joulery::app::import_codecarbon(**store, file, "bench");
                      return report && report->unchanged == kRows;
                    });
  store->reset();
  std::printf("\nstore: %.0f bytes a run\n",
              double(std::filesystem::file_size(folder + "/joulery.db")) / kRows);
  std::filesystem::remove_all(folder);
  return good ? 0 : 1;
}
