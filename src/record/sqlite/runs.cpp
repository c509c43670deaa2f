// Experiments and runs: put, find, load, delete.

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "record/sqlite/sqlite_store.hpp"

namespace joulery::record::sqlite {
namespace {

constexpr std::size_t kMaxIdBytes = 256;
constexpr std::size_t kMinPrefix = 4;

/// MLflow's rule for run ids, so that what comes from there fits.
bool is_plausible_run_id(std::string_view id) {
  const auto is_word = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  if (id.empty() || id.size() > kMaxIdBytes || !is_word(id.front()) || id.front() == '_') return false;
  return std::all_of(id.begin(), id.end(), [&](char c) { return is_word(c) || c == '-'; });
}

std::string json_array(const std::vector<std::int64_t>& rows) {
  return fmt::format("[{}]", fmt::join(rows, ","));
}

Experiment read_experiment(const Statement& row) {
  Experiment experiment;
  experiment.id = row.integer(0);
  experiment.name = row.text(1);
  experiment.deleted = row.integer(2) != 0;
  experiment.created_ms = row.integer(3);
  experiment.updated_ms = row.integer(4);
  return experiment;
}

}  // namespace

Result<std::int64_t> SqliteStore::experiment_row(const std::string& name) {
  JOULERY_ASSIGN(const auto known, find("SELECT id FROM experiments WHERE name = ?", name));
  if (known) return *known;
  if (name.empty() || name.size() > kMaxExperimentNameBytes) {
    return user_error(fmt::format("an experiment's name has 1 to {} bytes", kMaxExperimentNameBytes));
  }
  const std::int64_t now_ms = clock_.realtime_ns() / 1'000'000;
  // MLflow's clients take it for granted that Default is experiment 0.
  JOULERY_ASSIGN(Statement insert,
                 database_->prepare(name == kDefaultExperiment
                                        ? "INSERT INTO experiments (id, name, created_ms, updated_ms) "
                                          "VALUES (0, ?, ?, ?)"
                                        : "INSERT INTO experiments (name, created_ms, updated_ms) "
                                          "VALUES (?, ?, ?)"));
  JOULERY_CHECK_OK(insert.bind(name).bind(now_ms).bind(now_ms).run());
  return database_->last_insert_rowid();
}

Result<Experiment> SqliteStore::experiment(const std::string& name) {
  constexpr const char* kSelect =
      "SELECT id, name, deleted, created_ms, updated_ms FROM experiments WHERE name = ?";
  Experiment experiment;
  JOULERY_ASSIGN(const auto known, find("SELECT id FROM experiments WHERE name = ?", name));
  if (!known) {
    const auto make = [&]() -> Status {
      const auto row = experiment_row(name);
      if (!row) return std::unexpected(row.error());
      return {};
    };
    JOULERY_CHECK_OK(write(make));
  }
  JOULERY_ASSIGN(Statement select, database_->prepare(kSelect));
  JOULERY_ASSIGN(const bool found, select.bind(name).step());
  if (!found) return internal_error(fmt::format("experiment '{}' vanished", printable(name)));
  experiment = read_experiment(select);
  JOULERY_ASSIGN(Statement tags,
                 database_->prepare("SELECT key, value FROM experiment_tags WHERE experiment = ?"));
  tags.bind(experiment.id);
  while (true) {
    JOULERY_ASSIGN(const bool row, tags.step());
    if (!row) return experiment;
    experiment.tags.emplace(tags.text(0), tags.text(1));
  }
}

Result<std::vector<Experiment>> SqliteStore::experiments(bool with_deleted) {
  std::vector<Experiment> all;
  std::map<std::int64_t, std::size_t> index;
  JOULERY_ASSIGN(Statement select,
                 database_->prepare(
                     "SELECT id, name, deleted, created_ms, updated_ms FROM experiments WHERE deleted <= ? "
                     "ORDER BY id"));
  select.bind(with_deleted);
  while (true) {
    JOULERY_ASSIGN(const bool row, select.step());
    if (!row) break;
    all.push_back(read_experiment(select));
    index[all.back().id] = all.size() - 1;
  }
  JOULERY_ASSIGN(Statement tags, database_->prepare("SELECT experiment, key, value FROM experiment_tags"));
  while (true) {
    JOULERY_ASSIGN(const bool row, tags.step());
    if (!row) return all;
    if (const auto at = index.find(tags.integer(0)); at != index.end()) {
      all[at->second].tags.emplace(tags.text(1), tags.text(2));
    }
  }
}

Result<std::int64_t> SqliteStore::run_row(const std::string& id, bool for_writing) {
  JOULERY_ASSIGN(Statement select, database_->prepare("SELECT id, deleted FROM runs WHERE uuid = ?"));
  JOULERY_ASSIGN(const bool row, select.bind(id).step());
  if (!row) return unknown_run(id);
  if (for_writing && select.integer(1) != 0) {
    return user_error(fmt::format("run {} is deleted and takes no more data", id), "restore it first");
  }
  return select.integer(0);
}

Status SqliteStore::put_param(std::int64_t run, const std::string& run_id, const std::string& key,
                              const std::string& value) {
  JOULERY_ASSIGN(const std::int64_t key_id, key_row(key));
  JOULERY_ASSIGN(
      Statement insert,
      database_->prepare("INSERT INTO params (run, key, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"));
  JOULERY_CHECK_OK(insert.bind(run).bind(key_id).bind(value).run());
  if (database_->changes() == 1) return {};
  JOULERY_ASSIGN(Statement select, database_->prepare("SELECT value FROM params WHERE run = ? AND key = ?"));
  JOULERY_ASSIGN(const bool row, select.bind(run).bind(key_id).step());
  if (row && select.text(0) == value) return {};
  return user_error(fmt::format("param '{}' of run {} is '{}' and can't become '{}'", printable(key), run_id,
                                printable(select.text(0)), printable(value)),
                    "params never change; use a tag, or another run");
}

Status SqliteStore::put_tag(std::int64_t run, const std::string& key, const std::string& value) {
  JOULERY_ASSIGN(const std::int64_t key_id, key_row(key));
  JOULERY_ASSIGN(
      Statement insert,
      database_->prepare("INSERT INTO tags (run, key, value) VALUES (?, ?, ?) "
                         "ON CONFLICT DO UPDATE SET value = excluded.value WHERE value <> excluded.value"));
  return insert.bind(run).bind(key_id).bind(value).run();
}

Status SqliteStore::put_run_fields(const Run& run, std::int64_t& row) {
  if (!is_plausible_run_id(run.id)) {
    return user_error(fmt::format("'{}' is no run id", printable(run.id.substr(0, 80))),
                      "a run id is made of letters, digits, '_' and '-', at most 256 of them");
  }
  JOULERY_ASSIGN(const std::int64_t experiment, experiment_row(run.experiment));
  std::optional<std::int64_t> host;
  std::optional<std::int64_t> boot;
  if (!run.host_id.empty()) {
    JOULERY_ASSIGN(host, host_row(run.host_id));
  }
  if (!run.boot_id.empty()) {
    JOULERY_ASSIGN(boot, find("SELECT id FROM boots WHERE uuid = ?", run.boot_id));
    if (!boot)
      return user_error(fmt::format("run {} names an unknown boot '{}'", run.id, printable(run.boot_id)));
  }
  JOULERY_ASSIGN(Statement select, database_->prepare("SELECT id, deleted FROM runs WHERE uuid = ?"));
  JOULERY_ASSIGN(const bool exists, select.bind(run.id).step());
  if (exists && select.integer(1) != 0) {
    return user_error(fmt::format("run {} is deleted and takes no more data", run.id), "restore it first");
  }
  if (exists) row = select.integer(0);
  JOULERY_ASSIGN(
      Statement put,
      database_->prepare(exists ? "UPDATE runs SET experiment = ?, name = ?, user = ?, status = ?, "
                                  "start_utc_ns = ?, end_utc_ns = ?, "
                                  "start_boottime_ns = ?, end_boottime_ns = ?, host = nullif(?, -1), boot = "
                                  "nullif(?, -1) WHERE uuid = ?"
                                : "INSERT INTO runs (experiment, name, user, status, start_utc_ns, "
                                  "end_utc_ns, start_boottime_ns, "
                                  "end_boottime_ns, host, boot, uuid, deleted, deleted_utc_ns) "
                                  "VALUES (?, ?, ?, ?, ?, ?, ?, ?, nullif(?, -1), nullif(?, -1), ?, ?, ?)"));
  put.bind(experiment).bind(run.name).bind(run.user).bind(run_status_name(run.status));
  put.bind(run.start_utc_ns).bind(run.end_utc_ns).bind(run.start_boottime_ns).bind(run.end_boottime_ns);
  put.bind(host.value_or(-1)).bind(boot.value_or(-1)).bind(run.id);
  if (!exists) put.bind(run.deleted).bind(run.deleted ? clock_.realtime_ns() : 0);
  JOULERY_CHECK_OK(put.run());
  if (!exists) row = database_->last_insert_rowid();
  return {};
}

Status SqliteStore::put_whole_run(const Run& run) {
  std::int64_t row = 0;
  JOULERY_CHECK_OK(put_run_fields(run, row));
  for (const auto& [key, value] : run.params) JOULERY_CHECK_OK(put_param(row, run.id, key, value));
  for (const auto& [key, value] : run.tags) JOULERY_CHECK_OK(put_tag(row, key, value));
  for (const LatestMetric& metric : run.metrics) {
    JOULERY_ASSIGN(const std::int64_t key, key_row(metric.key));
    JOULERY_CHECK_OK(append_points(row, key, {&metric.point, 1}));
  }
  return {};
}

Status SqliteStore::put_run(const Run& run) {
  return write([&] { return put_whole_run(run); });
}

std::unexpected<Error> SqliteStore::unknown_run(const std::string& id) {
  const std::string message = fmt::format("there is no run '{}'", printable(id.substr(0, 80)));
  std::vector<std::string> names{"last"};
  auto select = database_->prepare(
      "SELECT name FROM runs WHERE deleted = 0 AND name <> '' "
      "ORDER BY start_utc_ns DESC LIMIT 2000");
  if (select) {
    while (true) {
      const auto row = select->step();
      if (!row || !*row) break;
      names.push_back(select->text(0));
    }
  }
  if (const auto near = did_you_mean(id, names)) {
    return user_error(message, fmt::format("did you mean '{}'?", printable(*near)));
  }
  return user_error(message, "list them with: joulery runs");
}

std::unexpected<Error> SqliteStore::misplaced(std::int64_t row) const {
  return environment_error(fmt::format("the store '{}' is damaged: run {} is not where it should be",
                                       printable(database_->path()), row),
                           sqlite::recovery_hint(database_->path()));
}

Result<std::int64_t> SqliteStore::resolve_run(const std::string& id) {
  const auto first_two =
      [&](Statement& statement) -> Result<std::vector<std::pair<std::int64_t, std::string>>> {
    std::vector<std::pair<std::int64_t, std::string>> found;
    while (true) {
      JOULERY_ASSIGN(const bool row, statement.step());
      if (!row) return found;
      found.emplace_back(statement.integer(0), statement.text(1));
    }
  };
  JOULERY_ASSIGN(Statement exact, database_->prepare("SELECT id, uuid FROM runs WHERE uuid = ?"));
  exact.bind(id);
  JOULERY_ASSIGN(const auto same, first_two(exact));
  if (!same.empty()) {
    if (same[0].second != id) return misplaced(same[0].first);
    return same[0].first;
  }
  if (id == "last") {
    JOULERY_ASSIGN(const std::int64_t last,
                   database_->integer("SELECT coalesce((SELECT id FROM runs WHERE deleted = 0 "
                                      "ORDER BY start_utc_ns DESC, uuid DESC LIMIT 1), -1)"));
    if (last >= 0) return last;
    return user_error("there is no run yet", "make one with: joulery run -- CMD");
  }
  JOULERY_ASSIGN(Statement by_name,
                 database_->prepare("SELECT id, uuid FROM runs WHERE name = ? ORDER BY deleted, "
                                    "start_utc_ns DESC LIMIT 2"));
  by_name.bind(id);
  JOULERY_ASSIGN(const auto named, first_two(by_name));
  if (named.size() == 1) return named[0].first;
  if (named.size() > 1) {
    return user_error(fmt::format("more than one run is named '{}', such as {} and {}", printable(id),
                                  named[0].second, named[1].second),
                      id.find_first_of("'\"`$\\") == std::string::npos
                          ? fmt::format("name it by its id; list them with: joulery runs \"run_name = '{}'\"",
                                        printable(id))
                          : "name it by its id; list them with: joulery runs");
  }
  if (!is_plausible_run_id(id)) return unknown_run(id);
  const std::string beyond = id + "{";  // after every character that an id may have
  JOULERY_ASSIGN(Statement by_prefix,
                 database_->prepare("SELECT id, uuid FROM runs WHERE uuid >= ? AND uuid < ? LIMIT 2"));
  by_prefix.bind(id).bind(beyond);
  JOULERY_ASSIGN(const auto starting, first_two(by_prefix));
  for (const auto& [row, uuid] : starting) {
    if (!uuid.starts_with(id)) return misplaced(row);
  }
  if (!starting.empty() && id.size() < kMinPrefix) {
    return user_error(fmt::format("'{}' is too little of a run's id", id),
                      fmt::format("give at least {} digits; list runs with: joulery runs", kMinPrefix));
  }
  if (starting.size() == 1) return starting[0].first;
  if (starting.size() > 1) {
    return user_error(fmt::format("more than one run starts with '{}', such as {} and {}", id,
                                  starting[0].second, starting[1].second),
                      "give more of its digits");
  }
  return unknown_run(id);
}

Result<Run> SqliteStore::run(const std::string& id) {
  JOULERY_ASSIGN(const std::int64_t row, resolve_run(id));
  JOULERY_ASSIGN(auto runs, load_runs({row}));
  return std::move(runs[0]);
}

Result<std::vector<Run>> SqliteStore::load_runs(const std::vector<std::int64_t>& rows) {
  std::vector<Run> runs(rows.size());
  std::unordered_map<std::int64_t, Run*> by_row;
  for (std::size_t i = 0; i < rows.size(); ++i) by_row[rows[i]] = &runs[i];
  const std::string ids = json_array(rows);
  const auto each = [&](const char* sql, const auto& take) -> Status {
    JOULERY_ASSIGN(Statement select, database_->prepare(sql));
    select.bind(ids);
    while (true) {
      JOULERY_ASSIGN(const bool row, select.step());
      if (!row) return {};
      const auto run = by_row.find(select.integer(0));
      if (run == by_row.end()) return misplaced(select.integer(0));
      JOULERY_CHECK_OK(take(select, *run->second));
    }
  };
  JOULERY_CHECK_OK(
      each("SELECT r.id, r.uuid, r.name, e.name, r.user, r.status, r.deleted, r.start_utc_ns, r.end_utc_ns, "
           "r.start_boottime_ns, r.end_boottime_ns, h.uuid, b.uuid FROM json_each(?) j CROSS JOIN runs r ON "
           "r.id = j.value "
           "JOIN experiments e ON e.id = r.experiment LEFT JOIN hosts h ON h.id = r.host LEFT JOIN boots b "
           "ON b.id = r.boot",
           [](const Statement& row, Run& run) -> Status {
             run.id = row.text(1);
             run.name = row.text(2);
             run.experiment = row.text(3);
             run.user = row.text(4);
             run.status = run_status_from_name(row.text(5)).value_or(RunStatus::running);
             run.deleted = row.integer(6) != 0;
             run.start_utc_ns = row.integer(7);
             run.end_utc_ns = row.integer(8);
             run.start_boottime_ns = row.integer(9);
             run.end_boottime_ns = row.integer(10);
             run.host_id = row.text(11);
             run.boot_id = row.text(12);
             return {};
           }));
  JOULERY_CHECK_OK(
      each("SELECT p.run, p.key, p.value FROM json_each(?) j CROSS JOIN params p ON p.run = j.value",
           [this](const Statement& row, Run& run) -> Status {
             JOULERY_ASSIGN(const std::string* key, key_name(row.integer(1)));
             run.params.emplace(*key, row.text(2));
             return {};
           }));
  JOULERY_CHECK_OK(
      each("SELECT t.run, t.key, t.value FROM json_each(?) j CROSS JOIN tags t ON t.run = j.value",
           [this](const Statement& row, Run& run) -> Status {
             JOULERY_ASSIGN(const std::string* key, key_name(row.integer(1)));
             run.tags.emplace(*key, row.text(2));
             return {};
           }));
  JOULERY_CHECK_OK(
      each("SELECT m.run, m.key, m.value, m.timestamp_ms, m.step FROM json_each(?) j CROSS JOIN metrics m ON "
           "m.run = j.value",
           [this](const Statement& row, Run& run) -> Status {
             JOULERY_ASSIGN(const std::string* key, key_name(row.integer(1)));
             run.metrics.push_back({*key, {row.real(2), row.integer(3), row.integer(4)}});
             return {};
           }));
  for (Run& run : runs) {
    std::sort(run.metrics.begin(), run.metrics.end(),
              [](const LatestMetric& a, const LatestMetric& b) { return a.key < b.key; });
  }
  return runs;
}

Status SqliteStore::set_deleted(const std::string& id, bool deleted) {
  return write([&]() -> Status {
    JOULERY_ASSIGN(const std::int64_t row, resolve_run(id));
    JOULERY_ASSIGN(
        Statement update,
        database_->prepare("UPDATE runs SET deleted = ?, deleted_utc_ns = ? WHERE id = ? AND deleted <> ?"));
    return update.bind(deleted).bind(deleted ? clock_.realtime_ns() : 0).bind(row).bind(deleted).run();
  });
}

Status SqliteStore::delete_run(const std::string& id) {
  return set_deleted(id, true);
}

Status SqliteStore::restore_run(const std::string& id) {
  return set_deleted(id, false);
}

}  // namespace joulery::record::sqlite
