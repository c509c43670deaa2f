#include "app/engines.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

#include "app/bench_engine.hpp"
#include "base/dynamic_library.hpp"
#include "base/text.hpp"
#include "power/cpu_identity.hpp"

namespace joulery::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchemaVersion = 1;
/// A library that needs longer to say its version is of no use.
constexpr double kOpenTimeoutSeconds = 60;

/// A bench may go on for hours.
constexpr double kBenchCpuSeconds = 1e6;
constexpr double kBenchCallSeconds = 600;

engine::SearchContext search_context(const Application& application, const std::string& engine_path) {
  const config::Environment& environment = application.environment();
  std::string active = environment.get("VIRTUAL_ENV");
  if (active.empty()) active = environment.get("CONDA_PREFIX");
  return {.engine_path = engine_path,
          .python_environment = active,
          .home = environment.home,
          .library_directory = own_library_directory()};
}

EngineEntry examine(const Application& application, engine::FoundEngine found) {
  EngineEntry entry{.found = std::move(found), .info = {}, .problem = {}};
  if (entry.found.problem) {
    entry.problem = entry.found.problem;
    return entry;
  }
  engine::WorkerLimits limits;
  limits.load_timeout_seconds = kOpenTimeoutSeconds;
  const engine::EngineLocation location{.name = entry.found.kind->name,
                                        .library = entry.found.library,
                                        .plugin_directory = own_library_directory()};
  auto opened = engine::open_contained_engine(location, engine_worker(application), limits);
  if (opened) {
    entry.info = (*opened)->info();
  } else {
    entry.problem = std::move(opened).error();
  }
  return entry;
}

Json engine_json(const EngineEntry& entry, const engine::CpuFeatures& cpu) {
  Json devices = Json::array();
  Json precisions = Json::array();
  if (entry.info) {
    for (const engine::Device& device : entry.info->devices) {
      devices.push_back({{"name", device.name}, {"description", device.description}});
    }
    for (const std::string& precision : entry.info->precisions) {
      precisions.push_back({{"name", precision}, {"cpu_features", cpu.speeding_up(precision)}});
    }
  }
  Json problem = nullptr;
  if (entry.problem) problem = {{"message", entry.problem->message}, {"hint", entry.problem->hint}};
  return {{"name", entry.found.kind->name},
          {"title", entry.found.kind->title},
          {"version", entry.info ? Json(entry.info->version) : Json(nullptr)},
          {"library", entry.found.library},
          {"found_in", entry.found.what},
          {"usable", entry.info.has_value()},
          {"in_use", entry.in_use},
          {"devices", std::move(devices)},
          {"precisions", std::move(precisions)},
          {"problem", std::move(problem)}};
}

}  // namespace

bool EnginesReport::usable() const {
  return std::ranges::any_of(engines, [](const EngineEntry& entry) { return entry.info.has_value(); });
}

engine::WorkerProgram engine_worker(const Application& application) {
  // Whatever became of the file that we were started from, this is still us.
  engine::WorkerProgram program{.path = "/proc/self/exe", .arguments = {kEngineWorkerVerb}};
  for (const char* name :
       {"LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "TBB_ENABLE_SANITIZERS"}) {
    const std::string value = application.environment().get(name);
    if (!value.empty()) program.environment.push_back(std::string(name) + "=" + value);
  }
  return program;
}

Result<EnginesReport> look_for_engines(Application& application, const std::string& engine_path) {
  EnginesReport report;
  JOULERY_ASSIGN(const auto places,
                 engine::search_places(application.root(), search_context(application, engine_path)));
  for (engine::FoundEngine& found : engine::find_engines(application.root(), places)) {
    EngineEntry entry = examine(application, std::move(found));
    entry.in_use = entry.info && std::ranges::none_of(report.engines, [&](const EngineEntry& other) {
                     return other.in_use && other.found.kind == entry.found.kind;
                   });
    report.engines.push_back(std::move(entry));
  }
  for (const engine::EngineKind& kind : engine::engine_kinds()) {
    const bool found = std::ranges::any_of(
        report.engines, [&](const EngineEntry& entry) { return entry.found.kind == &kind; });
    if (!found) report.missing.push_back(&kind);
  }
  if (const auto cpuinfo = application.root().read_text("/proc/cpuinfo")) {
    report.cpu_model = power::parse_cpuinfo(*cpuinfo).model_name;
    report.cpu = engine::parse_cpu_features(*cpuinfo);
  }
  return report;
}

Result<std::unique_ptr<engine::Engine>> open_bench_engine(const Application& application,
                                                          const std::string& kind,
                                                          const std::string& engine_path,
                                                          const std::string& profile_folder) {
  JOULERY_ASSIGN(const auto places,
                 engine::search_places(application.root(), search_context(application, engine_path)));
  const auto kinds = engine::engine_kinds();
  if (!kind.empty() && std::ranges::none_of(kinds, [&](const auto& one) { return one.name == kind; })) {
    return user_error(fmt::format("there is no engine '{}'", printable(kind)),
                      "`joulery engines` lists them");
  }
  engine::WorkerLimits limits;
  limits.cpu_seconds = kBenchCpuSeconds;
  limits.run_timeout_seconds = kBenchCallSeconds;
  limits.profile_folder = profile_folder;
  std::optional<Error> problem;
  for (const engine::FoundEngine& found : engine::find_engines(application.root(), places)) {
    if (!kind.empty() && kind != found.kind->name) continue;
    if (found.problem) {
      problem = problem ? problem : found.problem;
      continue;
    }
    const engine::EngineLocation location{
        .name = found.kind->name, .library = found.library, .plugin_directory = own_library_directory()};
    auto opened = engine::open_contained_engine(location, engine_worker(application), limits);
    if (opened) return std::move(*opened);
    problem = problem ? problem : std::move(opened).error();
  }
  if (problem) return std::unexpected(*problem);
  return environment_error(kind.empty() ? std::string("no engine that could run the model was found")
                                        : fmt::format("the engine {} is not installed", kind),
                           fmt::format("pip install {}; `joulery engines` shows where they are looked for",
                                       kind.empty() ? "onnxruntime" : kind));
}

std::string engines_document(const EnginesReport& report) {
  Json engines = Json::array();
  for (const EngineEntry& entry : report.engines) engines.push_back(engine_json(entry, report.cpu));
  Json missing = Json::array();
  for (const engine::EngineKind* kind : report.missing) {
    missing.push_back({{"name", kind->name},
                       {"title", kind->title},
                       {"install", std::string("pip install ") + kind->name}});
  }
  const Json document{{"schema_version", kSchemaVersion},
                      {"version", version()},
                      {"usable", report.usable()},
                      {"cpu", {{"model", report.cpu_model}, {"features", report.cpu.flags}}},
                      {"engines", std::move(engines)},
                      {"missing", std::move(missing)}};
  // Paths need not be UTF-8; JSON must be.
  return document.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace joulery::app
