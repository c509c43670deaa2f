#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "record/run_filter.hpp"
#include "record/sqlite/database.hpp"
#include "record/store.hpp"

namespace joulery::record::sqlite {

/// Store in one SQLite file. Row ids are used inside only. Its methods are spread over the files of this
/// folder by subject: runs, search, metrics, devices and power, evidence, gc.
class SqliteStore final : public Store {
 public:
  /// `clock` may be null: the machine's.
  SqliteStore(std::unique_ptr<Database> database, bool wal, const Clock* clock);

  Result<Experiment> experiment(const std::string& name) override;
  Result<std::vector<Experiment>> experiments(bool with_deleted) override;
  Status put_host(const Host& host) override;
  Status put_boot(const Boot& boot) override;
  Status put_device(const Device& device) override;
  Result<std::optional<Host>> host(const std::string& id) override;
  Result<std::vector<Device>> devices(const std::string& host_id) override;
  Status put_run(const Run& run) override;
  Status expect_runs(std::size_t count) override;
  Status put_runs(std::span<const Run> runs) override;
  Result<std::vector<std::optional<KnownRun>>> known_runs(std::span<const std::string> ids,
                                                          const std::string& metric,
                                                          const std::string& tag) override;
  Result<Run> run(const std::string& id) override;
  Result<std::vector<Run>> search_runs(const RunQuery& query) override;
  Result<std::vector<UnknownMetric>> unknown_metrics(const RunQuery& query) override;
  Status delete_run(const std::string& id) override;
  Status restore_run(const std::string& id) override;
  Result<GcResult> gc(std::int64_t deleted_before_utc_ns) override;
  Status log_metrics(std::span<const MetricBatch> batches) override;
  Result<std::vector<MetricPoint>> metric_history(const std::string& run_id, const std::string& key,
                                                  std::size_t offset, std::size_t limit) override;
  Result<std::vector<HistoryBucket>> downsample_metric(const std::string& run_id, const std::string& key,
                                                       std::size_t buckets) override;
  Status put_power_block(const std::string& run_id, const std::string& device_id, std::uint64_t sequence,
                         std::span<const std::uint8_t> block) override;
  Result<std::vector<PowerSeries>> power_series(const std::string& run_id) override;
  Status put_evidence(const Evidence& evidence) override;
  Result<std::vector<Evidence>> evidence(const std::string& subject) override;
  Status put_dataset_input(const std::string& run_id, const DatasetInput& input) override;
  Result<std::vector<DatasetInput>> dataset_inputs(const std::string& run_id) override;
  Status put_model(const LoggedModel& model) override;
  Result<std::optional<LoggedModel>> model(const std::string& id) override;
  Status put_artifact(const Artifact& artifact) override;
  Result<std::vector<Artifact>> artifacts(const std::string& run_id) override;
  Status transaction(TransactionBody& body) override;

 private:
  /// Runs `body` in a transaction of its own, or as part of the one that is open.
  Status write(const std::function<Status()>& body);
  Result<std::optional<std::int64_t>> find(std::string_view sql, std::string_view value);
  /// Row of a run that exists (and may be written: is not deleted).
  Result<std::int64_t> run_row(const std::string& id, bool for_writing);
  /// Row of a key that a query names; nothing if no run has it.
  Result<std::optional<std::int64_t>> queried_key(const RunQuery& query, FilterEntity entity,
                                                  const std::string& name);
  Result<std::int64_t> key_row(const std::string& name);
  Result<std::int64_t> experiment_row(const std::string& name);
  Result<std::int64_t> host_row(const std::string& id);
  /// Row of what a person typed: an id, its start, a name, or "last".
  /// Is it worth changing the whole store for so many new runs?
  Result<bool> is_many(std::size_t runs);
  Result<std::int64_t> resolve_run(const std::string& id);
  /// The error for a row of the table of runs that a damaged index led to, though nobody asked for it.
  std::unexpected<Error> misplaced(std::int64_t row) const;
  std::unexpected<Error> unknown_run(const std::string& id);
  Status set_deleted(const std::string& id, bool deleted);
  Status put_run_fields(const Run& run, std::int64_t& row);
  /// `put_run` within a transaction.
  Status put_whole_run(const Run& run);
  Status put_param(std::int64_t run, const std::string& run_id, const std::string& key,
                   const std::string& value);
  Status put_tag(std::int64_t run, const std::string& key, const std::string& value);
  /// Runs in the order of `rows`, with params, tags and metrics, in a number of statements that does not
  /// grow.
  Result<std::vector<Run>> load_runs(const std::vector<std::int64_t>& rows);
  Result<const std::string*> key_name(std::int64_t id);
  /// SQL that restricts runs `r` to experiments.
  Result<std::string> experiment_condition(const std::vector<std::string>& names);

  /// False if this batch was stored before.
  Result<bool> claim_sequence(std::int64_t run, const std::string& writer, std::uint64_t sequence);
  Status append_points(std::int64_t run, std::int64_t key, std::span<const MetricPoint> points);
  /// Packs the tail into a block, and the blocks of a level that is full into one of the next.
  Status seal(std::int64_t run, std::int64_t key, std::vector<MetricPoint>& points, std::int64_t& next_block,
              std::int64_t& seals);
  Status merge_level(std::int64_t run, std::int64_t key, int level, std::int64_t& next_block);
  /// Points of the blocks of one level, or of all.
  Status read_blocks(std::int64_t run, std::int64_t key, std::optional<int> level,
                     std::vector<MetricPoint>& out);
  Result<std::vector<MetricPoint>> whole_history(std::int64_t run, std::int64_t key);

  std::unique_ptr<Database> database_;
  bool wal_;
  const Clock& clock_;
  Status make_put_off_indexes();

  int depth_ = 0;
  /// Statements that make the indexes again which expect_runs() dropped.
  std::vector<std::string> put_off_indexes_;
  std::optional<Error> failed_;  // of a call inside the open transaction
  std::unordered_map<std::int64_t, std::string> key_names_;
};

}  // namespace joulery::record::sqlite
