#include "record/sqlite/schema.hpp"

#include <fmt/format.h>

#include <array>

#include "base/text.hpp"

namespace joulery::record::sqlite {
namespace {

// Keys are interned once for metrics, params and tags; AUTOINCREMENT so that an id never comes to mean
// another name. A NULL value of a metric is NaN. The index of metrics holds the value, so that a filter or an
// order by a metric reads one narrow stretch of it, and moves no entry when the value changes.
constexpr const char* kVersion1 = R"sql(
CREATE TABLE keys (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE) STRICT;

CREATE TABLE experiments (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, deleted INTEGER NOT NULL DEFAULT 0,
  deleted_utc_ns INTEGER NOT NULL DEFAULT 0, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL) STRICT;
CREATE TABLE experiment_tags (
  experiment INTEGER NOT NULL REFERENCES experiments(id) ON DELETE CASCADE, key TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (experiment, key)) STRICT, WITHOUT ROWID;

CREATE TABLE hosts (
  id INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, name TEXT NOT NULL, cpu_model TEXT NOT NULL,
  cpu_threads INTEGER NOT NULL, memory_bytes REAL NOT NULL, os TEXT NOT NULL, virtual_machine INTEGER NOT NULL) STRICT;
CREATE TABLE boots (
  id INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, host INTEGER NOT NULL REFERENCES hosts(id),
  booted_utc_ns INTEGER NOT NULL) STRICT;
CREATE TABLE devices (
  id INTEGER PRIMARY KEY, host INTEGER NOT NULL REFERENCES hosts(id), device_id TEXT NOT NULL, name TEXT NOT NULL,
  scope TEXT NOT NULL, via TEXT NOT NULL, parent_id TEXT NOT NULL, provenance TEXT NOT NULL,
  accuracy_low REAL NOT NULL, accuracy_high REAL NOT NULL, accuracy_basis TEXT NOT NULL,
  UNIQUE (host, device_id)) STRICT;

CREATE TABLE runs (
  id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL UNIQUE,
  experiment INTEGER NOT NULL REFERENCES experiments(id), name TEXT NOT NULL, user TEXT NOT NULL, status TEXT NOT NULL,
  deleted INTEGER NOT NULL DEFAULT 0, deleted_utc_ns INTEGER NOT NULL DEFAULT 0,
  start_utc_ns INTEGER NOT NULL, end_utc_ns INTEGER NOT NULL,
  start_boottime_ns INTEGER NOT NULL, end_boottime_ns INTEGER NOT NULL,
  host INTEGER REFERENCES hosts(id), boot INTEGER REFERENCES boots(id)) STRICT;
CREATE INDEX runs_by_start ON runs (deleted, start_utc_ns DESC, uuid);
CREATE INDEX runs_by_experiment ON runs (experiment, deleted, start_utc_ns DESC);
CREATE INDEX runs_by_name ON runs (name);

CREATE TABLE params (
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, key INTEGER NOT NULL REFERENCES keys(id),
  value TEXT NOT NULL, PRIMARY KEY (run, key)) STRICT, WITHOUT ROWID;
CREATE INDEX params_by_value ON params (key, value, run);
CREATE TABLE tags (
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, key INTEGER NOT NULL REFERENCES keys(id),
  value TEXT NOT NULL, PRIMARY KEY (run, key)) STRICT, WITHOUT ROWID;
CREATE INDEX tags_by_value ON tags (key, value, run);

CREATE TABLE metrics (
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, key INTEGER NOT NULL REFERENCES keys(id),
  step INTEGER NOT NULL, timestamp_ms INTEGER NOT NULL, value REAL,
  next_block INTEGER NOT NULL, seals INTEGER NOT NULL, PRIMARY KEY (run, key)) STRICT, WITHOUT ROWID;
CREATE INDEX metrics_by_key ON metrics (key, run, value);
CREATE TABLE metric_tails (
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, key INTEGER NOT NULL, points BLOB NOT NULL,
  PRIMARY KEY (run, key)) STRICT, WITHOUT ROWID;
CREATE TABLE metric_blocks (
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, key INTEGER NOT NULL, sequence INTEGER NOT NULL,
  level INTEGER NOT NULL, count INTEGER NOT NULL, rollup BLOB NOT NULL, points BLOB NOT NULL,
  PRIMARY KEY (run, key, sequence)) STRICT, WITHOUT ROWID;
CREATE TABLE metric_writers (
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, writer TEXT NOT NULL, sequence INTEGER NOT NULL,
  PRIMARY KEY (run, writer)) STRICT, WITHOUT ROWID;
CREATE TABLE metric_writers_ahead (
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, writer TEXT NOT NULL, sequence INTEGER NOT NULL,
  PRIMARY KEY (run, writer, sequence)) STRICT, WITHOUT ROWID;

CREATE TABLE power_blocks (
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, device INTEGER NOT NULL REFERENCES devices(id),
  sequence INTEGER NOT NULL, joules REAL NOT NULL, samples BLOB NOT NULL,
  PRIMARY KEY (run, device, sequence)) STRICT, WITHOUT ROWID;
CREATE INDEX power_blocks_by_device ON power_blocks (device);

CREATE TABLE evidence (
  id INTEGER PRIMARY KEY, subject TEXT NOT NULL, type TEXT NOT NULL, version INTEGER NOT NULL, json BLOB NOT NULL,
  sha256 TEXT NOT NULL, created_utc_ns INTEGER NOT NULL, UNIQUE (subject, type, sha256)) STRICT;

CREATE TABLE datasets (
  id INTEGER PRIMARY KEY, experiment INTEGER NOT NULL REFERENCES experiments(id) ON DELETE CASCADE,
  name TEXT NOT NULL, digest TEXT NOT NULL, source_type TEXT NOT NULL, source TEXT NOT NULL, schema TEXT NOT NULL,
  profile TEXT NOT NULL, UNIQUE (experiment, name, digest)) STRICT;
CREATE INDEX datasets_by_name ON datasets (name);
CREATE TABLE inputs (
  id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  dataset INTEGER NOT NULL REFERENCES datasets(id) ON DELETE CASCADE, UNIQUE (run, dataset)) STRICT;
CREATE INDEX inputs_by_dataset ON inputs (dataset);
CREATE TABLE input_tags (
  input INTEGER NOT NULL REFERENCES inputs(id) ON DELETE CASCADE, name TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (input, name)) STRICT, WITHOUT ROWID;

CREATE TABLE models (
  id INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, experiment INTEGER NOT NULL REFERENCES experiments(id) ON DELETE CASCADE,
  name TEXT NOT NULL, model_type TEXT NOT NULL, source_run_id TEXT NOT NULL, artifact_uri TEXT NOT NULL,
  status TEXT NOT NULL, created_ms INTEGER NOT NULL) STRICT;
CREATE INDEX models_by_experiment ON models (experiment);
CREATE INDEX models_by_run ON models (source_run_id);
CREATE TABLE model_tags (
  model INTEGER NOT NULL REFERENCES models(id) ON DELETE CASCADE, key TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (model, key)) STRICT, WITHOUT ROWID;
CREATE TABLE model_params (
  model INTEGER NOT NULL REFERENCES models(id) ON DELETE CASCADE, key TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (model, key)) STRICT, WITHOUT ROWID;

CREATE TABLE artifacts (
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, path TEXT NOT NULL, size_bytes INTEGER NOT NULL,
  sha256 TEXT NOT NULL, PRIMARY KEY (run, path)) STRICT, WITHOUT ROWID;
)sql";

constexpr std::array kMigrations{kVersion1};

}  // namespace

std::span<const char* const> migrations() {
  return kMigrations;
}

Result<Identity> check_identity(Database& database, std::int64_t newest) {
  // One snapshot for all three: another process may be making the store right now.
  const bool own_snapshot = !database.in_transaction();
  if (own_snapshot) JOULERY_CHECK_OK(database.execute("BEGIN"));
  const auto application = database.integer("PRAGMA application_id");
  const auto version = database.integer("PRAGMA user_version");
  const auto tables = database.integer("SELECT count(*) FROM sqlite_master");
  if (own_snapshot) database.rollback();
  for (const auto* read : {&application, &version, &tables}) {
    if (!*read) return std::unexpected(read->error());
  }
  const std::string where = printable(database.path());
  const bool empty = *application == 0 && *version == 0 && *tables == 0;
  if (*application != kApplicationId && !empty) {
    return environment_error(fmt::format("'{}' is a SQLite database, but not a Joulery store", where),
                             "choose another file with --store PATH; this one was not changed");
  }
  if (*version > newest) {
    return environment_error(
        fmt::format("the store '{}' has version {}, this joulery knows versions up to {}", where, *version,
                    newest),
        "install the newer joulery that wrote it, or choose another file with --store PATH; this one was not "
        "changed");
  }
  return Identity{*version, empty};
}

Status migrate(Database& database, std::span<const char* const> steps, bool read_only) {
  const auto newest = static_cast<std::int64_t>(steps.size());
  JOULERY_ASSIGN(const Identity before, check_identity(database, newest));
  if (before.version == newest) return {};
  if (read_only && before.empty) {
    return user_error(
        fmt::format("there are no runs yet: the store '{}' is empty", printable(database.path())),
        "`joulery run --store PATH -- CMD` makes the first one");
  }
  if (read_only) {
    return environment_error(fmt::format("the store '{}' has version {} and must be brought to {} first",
                                         printable(database.path()), before.version, newest),
                             "a run brings it there: joulery run --store PATH -- true");
  }
  return database.transact([&]() -> Status {
    // Somebody else may have migrated it while we waited for the lock.
    JOULERY_ASSIGN(const Identity now, check_identity(database, newest));
    for (auto i = static_cast<std::size_t>(now.version); i < steps.size(); ++i) {
      JOULERY_CHECK_OK(database.execute(steps[i]));
    }
    return database.execute(
        fmt::format("PRAGMA application_id={}; PRAGMA user_version={};", kApplicationId, newest));
  });
}

}  // namespace joulery::record::sqlite
