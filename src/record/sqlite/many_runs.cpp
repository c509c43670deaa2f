// Runs by the thousand: a new run asks the tables nothing, and each name of a key is looked up once.

#include <optional>
#include <unordered_map>
#include <utility>

#include "base/ids.hpp"
#include "record/sqlite/sqlite_store.hpp"

namespace joulery::record::sqlite {
namespace {

/// Statements for rows of a run that was not there before, so that nothing is there to be asked for.
class NewRows {
 public:
  static Result<NewRows> create(Database& database) {
    JOULERY_ASSIGN(
        Statement run,
        database.prepare("INSERT INTO runs (experiment, name, user, status, start_utc_ns, end_utc_ns, "
                         "start_boottime_ns, end_boottime_ns, uuid) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
                         "ON CONFLICT DO NOTHING"));
    JOULERY_ASSIGN(Statement tag, database.prepare("INSERT INTO tags (run, key, value) VALUES (?, ?, ?)"));
    JOULERY_ASSIGN(
        Statement metric,
        database.prepare("INSERT INTO metrics (run, key, step, timestamp_ms, value, next_block, seals) "
                         "VALUES (?, ?, ?, ?, ?, 1, 0) ON CONFLICT DO NOTHING"));
    return NewRows(database, std::move(run), std::move(tag), std::move(metric));
  }

  /// The new row, or nothing if there is a run of that id.
  Result<std::optional<std::int64_t>> add_run(const Run& run, std::int64_t experiment) {
    run_.again().bind(experiment).bind(run.name).bind(run.user).bind(run_status_name(run.status));
    run_.bind(run.start_utc_ns).bind(run.end_utc_ns).bind(run.start_boottime_ns).bind(run.end_boottime_ns);
    JOULERY_CHECK_OK(run_.bind(run.id).run());
    if (database_.changes() == 0) return std::optional<std::int64_t>();
    return std::optional<std::int64_t>(database_.last_insert_rowid());
  }
  Status add_tag(std::int64_t run, std::int64_t key, const std::string& value) {
    return tag_.again().bind(run).bind(key).bind(value).run();
  }
  /// False if the run has this metric already.
  Result<bool> add_metric(std::int64_t run, std::int64_t key, const MetricPoint& point) {
    metric_.again().bind(run).bind(key).bind(point.step).bind(point.timestamp_ms).bind(point.value);
    JOULERY_CHECK_OK(metric_.run());
    return database_.changes() != 0;
  }

 private:
  NewRows(Database& database, Statement run, Statement tag, Statement metric)
      : database_(database), run_(std::move(run)), tag_(std::move(tag)), metric_(std::move(metric)) {}
  Database& database_;
  Statement run_, tag_, metric_;
};

/// What belongs to other tables, or has rules of its own.
bool is_plain(const Run& run) {
  return !run.deleted && run.params.empty() && run.host_id.empty() && run.boot_id.empty() &&
         is_run_id(run.id);
}

}  // namespace

Result<bool> SqliteStore::is_many(std::size_t runs) {
  constexpr std::size_t kWorthIt = 10'000;
  if (runs < kWorthIt) return false;
  JOULERY_ASSIGN(const std::int64_t there, database_->integer("SELECT count(*) FROM runs"));
  return static_cast<std::int64_t>(runs) >= there;
}

Status SqliteStore::expect_runs(std::size_t count) {
  if (depth_ == 0 || !put_off_indexes_.empty()) return {};
  JOULERY_ASSIGN(const bool many, is_many(count));
  if (!many) return {};
  JOULERY_ASSIGN(Statement select,
                 database_->prepare("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT "
                                    "NULL AND tbl_name IN ('runs', 'tags', 'metrics')"));
  std::vector<std::string> names;
  while (true) {
    JOULERY_ASSIGN(const bool row, select.step());
    if (!row) break;
    names.push_back(select.text(0));
    put_off_indexes_.push_back(select.text(1));
  }
  for (const std::string& name : names) JOULERY_CHECK_OK(database_->execute("DROP INDEX " + name));
  return {};
}

Status SqliteStore::make_put_off_indexes() {
  for (const std::string& sql : put_off_indexes_) JOULERY_CHECK_OK(database_->execute(sql));
  put_off_indexes_.clear();
  return {};
}

Status SqliteStore::put_runs(std::span<const Run> runs) {
  return write([&]() -> Status {
    std::unordered_map<std::string, std::int64_t> keys;
    std::unordered_map<std::string, std::int64_t> experiments;
    const auto key_of = [&](const std::string& name) -> Result<std::int64_t> {
      if (const auto known = keys.find(name); known != keys.end()) return known->second;
      JOULERY_ASSIGN(const std::int64_t row, key_row(name));
      keys.emplace(name, row);
      return row;
    };
    JOULERY_ASSIGN(NewRows rows, NewRows::create(*database_));
    std::vector<std::pair<const Run*, std::int64_t>> added;
    for (const Run& run : runs) {
      std::optional<std::int64_t> row;
      if (is_plain(run)) {
        auto experiment = experiments.find(run.experiment);
        if (experiment == experiments.end()) {
          JOULERY_ASSIGN(const std::int64_t id, experiment_row(run.experiment));
          experiment = experiments.emplace(run.experiment, id).first;
        }
        JOULERY_ASSIGN(row, rows.add_run(run, experiment->second));
      }
      if (row) {
        added.emplace_back(&run, *row);
      } else {
        JOULERY_CHECK_OK(put_whole_run(run));
      }
    }
    // Table by table: the pages of one are still at hand when its next row comes.
    for (const auto& [run, row] : added) {
      for (const auto& [name, value] : run->tags) {
        JOULERY_ASSIGN(const std::int64_t key, key_of(name));
        JOULERY_CHECK_OK(rows.add_tag(row, key, value));
      }
    }
    for (const auto& [run, row] : added) {
      for (const LatestMetric& metric : run->metrics) {
        JOULERY_ASSIGN(const std::int64_t key, key_of(metric.key));
        JOULERY_ASSIGN(const bool is_new, rows.add_metric(row, key, metric.point));
        if (!is_new) JOULERY_CHECK_OK(append_points(row, key, {&metric.point, 1}));
      }
    }
    return {};
  });
}

Result<std::vector<std::optional<Store::KnownRun>>> SqliteStore::known_runs(std::span<const std::string> ids,
                                                                            const std::string& metric,
                                                                            const std::string& tag) {
  constexpr std::int64_t kNoKey = -1;
  JOULERY_ASSIGN(const auto metric_key, find("SELECT id FROM keys WHERE name = ?", metric));
  JOULERY_ASSIGN(const auto tag_key, find("SELECT id FROM keys WHERE name = ?", tag));
  JOULERY_ASSIGN(Statement select,
                 database_->prepare("SELECT r.deleted, m.value, t.value FROM runs r "
                                    "LEFT JOIN metrics m ON m.run = r.id AND m.key = ? "
                                    "LEFT JOIN tags t ON t.run = r.id AND t.key = ? WHERE r.uuid = ?"));
  std::vector<std::optional<KnownRun>> known;
  known.reserve(ids.size());
  for (const std::string& id : ids) {
    select.again().bind(metric_key.value_or(kNoKey)).bind(tag_key.value_or(kNoKey)).bind(id);
    JOULERY_ASSIGN(const bool found, select.step());
    if (!found) {
      known.emplace_back();
      continue;
    }
    KnownRun run{.deleted = select.integer(0) != 0, .metric = std::nullopt, .tag = select.text(2)};
    if (!select.is_null(1)) run.metric = select.real(1);
    known.emplace_back(std::move(run));
  }
  return known;
}

}  // namespace joulery::record::sqlite
