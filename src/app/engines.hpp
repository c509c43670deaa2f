#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/application.hpp"
#include "engine/contained.hpp"
#include "engine/cpu_features.hpp"
#include "engine/engine.hpp"
#include "engine/search.hpp"

namespace joulery::app {

/// A library that was found, and what it told when it was opened in a process of its own.
struct EngineEntry {
  engine::FoundEngine found;
  std::optional<engine::EngineInfo> info;
  /// Why it can't be used.
  std::optional<Error> problem;
  /// The first usable one of its kind: the one that other commands take.
  bool in_use = false;
};

struct EnginesReport {
  std::vector<EngineEntry> engines;
  /// Kinds of which nothing was found at all.
  std::vector<const engine::EngineKind*> missing;
  std::string cpu_model;
  engine::CpuFeatures cpu;
  bool usable() const;
};

/// The verb, in no list, by which this program starts itself as an engine's worker.
constexpr const char* kEngineWorkerVerb = "engine-worker";

/// This program as a worker.
engine::WorkerProgram engine_worker(const Application& application);

/// Looks for engines and opens each, one after the other. `engine_path` is --engine-path or empty.
Result<EnginesReport> look_for_engines(Application& application, const std::string& engine_path);

/// The report as docs/schemas/engines.schema.json says.
std::string engines_document(const EnginesReport& report);

}  // namespace joulery::app
