#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/files.hpp"
#include "base/result.hpp"
#include "record/model.hpp"
#include "record/power_series.hpp"

namespace joulery::record {

/// Which runs, in what order.
struct RunQuery {
  /// Names; empty means all that are not deleted.
  std::vector<std::string> experiments = {};
  /// MLflow's filter grammar: "metrics.energy_joules < 100 and tags.team = 'vision'".
  std::string filter = {};
  /// "metrics.energy_joules ASC", "start_time DESC" … Empty: start_time DESC, run_id.
  std::vector<std::string> order_by = {};
  /// A metric that no run has under the key given is looked for with this before the key: "joulery/" finds
  /// our own metrics by their short names.
  std::string metric_prefix = {};
  std::size_t max_results = 1000;
  std::size_t offset = 0;
  enum class View { active, deleted, all } view = View::active;
};

/// A metric that a query names and no run has.
struct UnknownMetric {
  std::string key;
  /// A key that runs have and that may be what was meant; empty if there is none.
  std::string suggestion;
};

/// A batch for one run. A writer numbers its batches from 1, and a batch that was stored before is skipped,
/// so that a batch pushed twice is stored once.
struct MetricBatch {
  std::string run_id;
  std::string writer;
  std::uint64_t sequence = 0;
  struct Series {
    std::string key;
    std::span<const MetricPoint> points;
  };
  std::vector<Series> series;
};

/// One value per bucket of a downsampled history: smallest, largest, first and last point of each bucket.
struct HistoryBucket {
  MetricPoint first, last, lowest, highest;
  std::uint64_t count = 0;
};

/// What `gc` removed.
struct GcResult {
  std::uint64_t runs = 0;
  std::uint64_t experiments = 0;
  std::uint64_t bytes_freed = 0;
};

/// Where everything that was found out is kept, in MLflow's data model and ours. One object per thread; many
/// processes may have the same store open. Each call is one transaction: all of it or nothing. The interface
/// says nothing that SQLite and PostgreSQL do not both do.
class Store {
 public:
  virtual ~Store() = default;

  /// Existing or new, by name.
  virtual Result<Experiment> experiment(const std::string& name) = 0;
  virtual Result<std::vector<Experiment>> experiments(bool with_deleted) = 0;

  virtual Status put_host(const Host& host) = 0;
  virtual Status put_boot(const Boot& boot) = 0;
  virtual Status put_device(const Device& device) = 0;
  virtual Result<std::optional<Host>> host(const std::string& id) = 0;
  virtual Result<std::vector<Device>> devices(const std::string& host_id) = 0;

  /// Inserts a run or replaces its fields, params and tags (merged by key). Metrics in `run.metrics` are
  /// logged as points. The experiment is made if it does not exist. A param that exists with another value is
  /// a user error.
  virtual Status put_run(const Run& run) = 0;
  /// Within a transaction: so many runs are about to come. A store may leave for the end of it what is done
  /// faster for all of them at once, such as indexes; searching inside this transaction is then slow.
  virtual Status expect_runs(std::size_t count) = 0;
  /// `put_run` for each, in one transaction and without a question per field: for runs by the thousand.
  virtual Status put_runs(std::span<const Run> runs) = 0;
  /// Of a run that is there, also if it is deleted.
  struct KnownRun {
    bool deleted = false;
    /// Latest value of the metric that was asked for.
    std::optional<double> metric;
    /// Value of the tag that was asked for; empty if the run has none.
    std::string tag;
  };
  /// For each of `ids`, in their order: what is known of it, or nothing. Whole ids only.
  virtual Result<std::vector<std::optional<KnownRun>>> known_runs(std::span<const std::string> ids,
                                                                  const std::string& metric,
                                                                  const std::string& tag) = 0;
  /// User error with suggestion if there is none. `id` may be an unambiguous prefix of at least 4 digits, or
  /// a name that only one run has, or "last".
  virtual Result<Run> run(const std::string& id) = 0;
  virtual Result<std::vector<Run>> search_runs(const RunQuery& query) = 0;
  /// Metrics that the query's filter or order names and that no run of the store ever had: not an error,
  /// since the first run may be yet to come, but often a slip of the pen.
  virtual Result<std::vector<UnknownMetric>> unknown_metrics(const RunQuery& query) = 0;
  /// Marks as deleted; `gc` removes for good.
  virtual Status delete_run(const std::string& id) = 0;
  virtual Status restore_run(const std::string& id) = 0;
  virtual Result<GcResult> gc(std::int64_t deleted_before_utc_ns) = 0;

  virtual Status log_metrics(std::span<const MetricBatch> batches) = 0;
  virtual Result<std::vector<MetricPoint>> metric_history(const std::string& run_id, const std::string& key,
                                                          std::size_t offset, std::size_t limit) = 0;
  /// At most `buckets` buckets over the whole history, in order of step.
  virtual Result<std::vector<HistoryBucket>> downsample_metric(const std::string& run_id,
                                                               const std::string& key,
                                                               std::size_t buckets) = 0;

  /// Appends an encoded power block; (run, device, sequence) is stored once.
  virtual Status put_power_block(const std::string& run_id, const std::string& device_id,
                                 std::uint64_t sequence, std::span<const std::uint8_t> block) = 0;
  struct PowerSeries {
    std::string device_id;
    std::vector<PowerSample> samples;
  };
  virtual Result<std::vector<PowerSeries>> power_series(const std::string& run_id) = 0;

  virtual Status put_evidence(const Evidence& evidence) = 0;
  virtual Result<std::vector<Evidence>> evidence(const std::string& subject) = 0;

  virtual Status put_dataset_input(const std::string& run_id, const DatasetInput& input) = 0;
  virtual Result<std::vector<DatasetInput>> dataset_inputs(const std::string& run_id) = 0;
  virtual Status put_model(const LoggedModel& model) = 0;
  virtual Result<std::optional<LoggedModel>> model(const std::string& id) = 0;
  virtual Status put_artifact(const Artifact& artifact) = 0;
  virtual Result<std::vector<Artifact>> artifacts(const std::string& run_id) = 0;

  /// Runs `body` in one transaction, so that many calls commit together or not at all: one call that fails
  /// undoes all, even if `body` goes on. When this returns, the changes are on the disk and survive a power
  /// cut; a single call outside of a transaction survives the death of the process, but on a local disk a
  /// power cut may undo the last ones.
  class TransactionBody {
   public:
    virtual ~TransactionBody() = default;
    virtual Status run(Store& store) = 0;
    /// At most so many runs may come, if it is known that there may be thousands. A store may then keep all
    /// others out until they are in.
    virtual std::size_t most_runs() const { return 0; }
  };
  virtual Status transaction(TransactionBody& body) = 0;
};

/// False for a series of zeros: its source never moved, which tells of no energy, not of none drawn. What
/// was attributed to the workload is known wherever any series of the run is; it may have used nothing.
bool energy_is_known(const Store::PowerSeries& series, std::span<const Store::PowerSeries> of_run);

struct SqliteStoreOptions {
  /// Makes the file and its folder if they do not exist.
  bool create = true;
  bool read_only = false;
  /// How long to wait for another writer.
  int busy_timeout_ms = 30'000;
  /// Page cache of this connection. A hub wants more.
  std::size_t cache_bytes = 1 << 20;
  /// What holds the file, if the caller knows better than the kernel (a test that plays NFS). WAL needs
  /// shared memory between all who have the file open, which a network file system does not give.
  std::optional<FilesystemKind> filesystem = std::nullopt;
  /// For the times at which experiments were made and runs deleted. Must outlive the store; null: the
  /// machine's clock.
  const Clock* clock = nullptr;
};

/// Opens a SQLite store (WAL on a local file system, a rollback journal on a network one) and migrates an
/// older one. Errors: a newer store (environment, says which version wrote it), a file that is no store or is
/// damaged (environment, the file is left as it is and the hint says how to recover), read-only or full disk
/// (environment).
Result<std::unique_ptr<Store>> open_sqlite_store(const std::string& path,
                                                 const SqliteStoreOptions& options = {});

/// A quick look at whether a SQLite store is at `path` or can be made there, without opening it. Makes the
/// folder that it would be in. User error for what is not a file or plainly no store, environment error for
/// what is closed to us.
Status check_sqlite_place(const std::string& path);

}  // namespace joulery::record
