// Compares layouts of metric history (rows as MLflow keeps them, rows with interned keys, blocks with
// rollups) and measures what the store reaches. Prints a table; `--quick` runs a tenth.
//
//   cmake --preset bench && cmake --build --preset bench --target record_layout_bench
//   build/bench/bin/record_layout_bench [--quick] [FOLDER]

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <functional>
#include <random>

#include "base/ids.hpp"
#include "record/sqlite/database.hpp"
#include "record/store.hpp"

namespace {

using namespace joulery;
using namespace joulery::record;
using sqlite::Database;

template <class T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", result.error().message.c_str());
    std::exit(1);
  }
  return std::move(*result);
}
void must(const Status& status) {
  if (status) return;
  std::fprintf(stderr, "%s\n", status.error().message.c_str());
  std::exit(1);
}

double seconds_of(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// CPU time of this process so far: on a machine that others use too, it says more than the wall.
double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

/// Median of `count` repetitions, in milliseconds.
double median_ms(int count, const std::function<void()>& body) {
  std::vector<double> times;
  for (int i = 0; i < count; ++i) times.push_back(seconds_of(body) * 1e3);
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

double file_bytes(const std::string& path) {
  double sum = 0;
  for (const char* suffix : {"", "-wal"}) {
    std::error_code error;
    const auto size = std::filesystem::file_size(path + suffix, error);
    if (!error) sum += static_cast<double>(size);
  }
  return sum;
}

std::vector<std::string> keys() {
  std::vector<std::string> names;
  for (int i = 0; i < 10; ++i) names.push_back("train/metric_" + std::to_string(i));
  return names;
}

/// A way to keep points: `log` is one transaction.
class Layout {
 public:
  virtual ~Layout() = default;
  virtual void add_run(const std::string& run) = 0;
  virtual void log(const std::vector<MetricBatch>& batches) = 0;
  virtual std::size_t downsample(const std::string& run, const std::string& key, std::size_t buckets) = 0;
  virtual void settle() = 0;
};

class Blocks final : public Layout {
 public:
  explicit Blocks(const std::string& path) : path_(path), store_(must(open_sqlite_store(path))) {}
  void add_run(const std::string& id) override {
    Run run;
    run.id = id;
    run.experiment = "Default";
    must(store_->put_run(run));
  }
  void log(const std::vector<MetricBatch>& batches) override { must(store_->log_metrics(batches)); }
  std::size_t downsample(const std::string& run, const std::string& key, std::size_t buckets) override {
    return must(store_->downsample_metric(run, key, buckets)).size();
  }
  void settle() override {
    auto database = must(Database::open(path_, {}));
    must(database->execute("PRAGMA wal_checkpoint(TRUNCATE)"));
  }

 private:
  std::string path_;
  std::unique_ptr<Store> store_;
};

class Rows final : public Layout {
 public:
  Rows(const std::string& path, bool interned)
      : interned_(interned), database_(must(Database::open(path, {}))) {
    must(database_->execute(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=1000"));
    must(database_->execute(interned
                                ? "CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT UNIQUE) STRICT;"
                                  "CREATE TABLE metrics (run INTEGER, key INTEGER, step INTEGER, timestamp "
                                  "INTEGER, value REAL, PRIMARY KEY "
                                  "(run, key, step, timestamp, value)) STRICT, WITHOUT ROWID;"
                                  "CREATE TABLE latest (run INTEGER, key INTEGER, step INTEGER, timestamp "
                                  "INTEGER, value REAL, PRIMARY "
                                  "KEY (run, key)) STRICT, WITHOUT ROWID;"
                                : "CREATE TABLE metrics (run TEXT, key TEXT, step INTEGER, timestamp "
                                  "INTEGER, value REAL, is_nan INTEGER "
                                  "DEFAULT 0, PRIMARY KEY (key, timestamp, step, run, value, is_nan)) STRICT;"
                                  "CREATE INDEX metrics_run ON metrics (run);"
                                  "CREATE INDEX metrics_of_run ON metrics (run, key, step);"
                                  "CREATE TABLE latest (run TEXT, key TEXT, step INTEGER, timestamp INTEGER, "
                                  "value REAL, PRIMARY KEY (run, "
                                  "key)) STRICT;"));
  }
  void add_run(const std::string& id) override {
    if (interned_) name_row(id);
  }
  void log(const std::vector<MetricBatch>& batches) override {
    must(database_->transact([&]() -> Status {
      for (const MetricBatch& batch : batches) {
        for (const auto& series : batch.series) log_series(batch.run_id, series);
      }
      return {};
    }));
  }
  std::size_t downsample(const std::string& run, const std::string& key, std::size_t buckets) override {
    auto count = bind_owner(
        must(database_->prepare("SELECT count(*) FROM metrics WHERE run = ? AND key = ?")), run, key);
    must(count.step());
    const auto wanted = (static_cast<std::size_t>(count.integer(0)) + buckets - 1) / buckets;
    auto select =
        bind_owner(must(database_->prepare(
                       "SELECT step, timestamp, value FROM metrics WHERE run = ? AND key = ? ORDER BY step")),
                   run, key);
    std::vector<HistoryBucket> result;
    for (std::size_t i = 0; must(select.step()); ++i) {
      const MetricPoint point{select.real(2), select.integer(1), select.integer(0)};
      if (i % wanted == 0) result.push_back({point, point, point, point, 0});
      HistoryBucket& bucket = result.back();
      bucket.last = point;
      if (point.value < bucket.lowest.value) bucket.lowest = point;
      if (point.value > bucket.highest.value) bucket.highest = point;
      ++bucket.count;
    }
    return result.size();
  }
  void settle() override { must(database_->execute("PRAGMA wal_checkpoint(TRUNCATE)")); }

 private:
  sqlite::Statement bind_owner(sqlite::Statement statement, const std::string& run, const std::string& key) {
    if (interned_) {
      statement.bind(name_row(run)).bind(name_row(key));
    } else {
      statement.bind(run).bind(key);
    }
    return statement;
  }
  std::int64_t name_row(const std::string& name) {
    auto select = must(database_->prepare("SELECT id FROM names WHERE name = ?"));
    if (must(select.bind(name).step())) return select.integer(0);
    auto insert = must(database_->prepare("INSERT INTO names (name) VALUES (?)"));
    must(insert.bind(name).run());
    return database_->last_insert_rowid();
  }
  void log_series(const std::string& run, const MetricBatch::Series& series) {
    for (const MetricPoint& point : series.points) {
      auto insert = bind_owner(
          must(database_->prepare("INSERT INTO metrics (run, key, step, timestamp, value) VALUES (?, ?, "
                                  "?, ?, ?) ON CONFLICT DO NOTHING")),
          run, series.key);
      must(insert.bind(point.step).bind(point.timestamp_ms).bind(point.value).run());
    }
    const MetricPoint& last = series.points.back();
    auto latest = bind_owner(
        must(database_->prepare("INSERT INTO latest (run, key, step, timestamp, value) VALUES (?, ?, ?, "
                                "?, ?) ON CONFLICT DO UPDATE SET step = excluded.step, timestamp = "
                                "excluded.timestamp, value = excluded.value WHERE excluded.step >= "
                                "step")),
        run, series.key);
    must(latest.bind(last.step).bind(last.timestamp_ms).bind(last.value).run());
  }
  bool interned_;
  std::unique_ptr<Database> database_;
};

struct Figures {
  double batch_points_per_second = 0;
  double batch_points_per_cpu_second = 0;
  double single_points_per_second = 0;
  double grouped_points_per_second = 0;
  double downsample_ms = 0;
  double bytes_per_point = 0;
};

std::vector<MetricPoint> noisy(std::size_t count, std::int64_t from) {
  static std::mt19937_64 random(3);
  static std::normal_distribution<double> noise(0, 0.05);
  std::vector<MetricPoint> points;
  for (std::size_t i = 0; i < count; ++i) {
    const auto step = from + static_cast<std::int64_t>(i);
    points.push_back({2.0 / (1 + 1e-5 * static_cast<double>(step)) + noise(random),
                      1'700'000'000'000 + step * 37 + step % 5, step});
  }
  return points;
}

Figures measure(Layout& layout, const std::string& path, std::size_t scale) {
  Figures figures;
  const auto names = keys();
  for (const char* id : {"runbatches", "runsingle", "rungrouped", "runlong"}) layout.add_run(id);

  const std::size_t batches = 500 / scale;
  std::vector<std::vector<MetricPoint>> points;
  for (std::size_t i = 0; i < batches * names.size(); ++i)
    points.push_back(noisy(100, static_cast<std::int64_t>(i / names.size() * 100)));
  const double cpu_before = cpu_seconds();
  double seconds = seconds_of([&] {
    for (std::size_t i = 0; i < batches; ++i) {
      MetricBatch batch{"runbatches", "w", i + 1, {}};
      for (std::size_t k = 0; k < names.size(); ++k)
        batch.series.push_back({names[k], points[i * names.size() + k]});
      layout.log({batch});
    }
  });
  figures.batch_points_per_second = static_cast<double>(batches * 1000) / seconds;
  figures.batch_points_per_cpu_second = static_cast<double>(batches * 1000) / (cpu_seconds() - cpu_before);

  const std::size_t singles = 20'000 / scale;
  const auto single = noisy(singles, 0);
  seconds = seconds_of([&] {
    for (std::size_t i = 0; i < singles; ++i) {
      layout.log({{"runsingle", "w", i + 1, {{names[i % 10], {&single[i], 1}}}}});
    }
  });
  figures.single_points_per_second = static_cast<double>(singles) / seconds;

  seconds = seconds_of([&] {
    for (std::size_t i = 0; i + 100 <= singles; i += 100) {
      std::vector<MetricBatch> group;
      for (std::size_t j = 0; j < 100; ++j) {
        group.push_back({"rungrouped", "w", i + j + 1, {{names[(i + j) % 10], {&single[i + j], 1}}}});
      }
      layout.log(group);
    }
  });
  figures.grouped_points_per_second = static_cast<double>(singles) / seconds;

  layout.settle();
  const double before = file_bytes(path);
  const std::size_t total = 1'000'000 / scale;
  for (std::size_t at = 0; at < total; at += 1000) {
    const auto part = noisy(1000, static_cast<std::int64_t>(at));
    layout.log({{"runlong", "w", at / 1000 + 1, {{"loss", part}}}});
  }
  layout.settle();
  figures.bytes_per_point = (file_bytes(path) - before) / static_cast<double>(total);
  figures.downsample_ms = median_ms(7, [&] {
    if (layout.downsample("runlong", "loss", 2000) != 2000) std::exit(1);
  });
  return figures;
}

class Populate final : public Store::TransactionBody {
 public:
  Populate(int first, int count) : first_(first), count_(count) {}
  Status run(Store& store) override {
    std::mt19937_64 random(static_cast<std::uint64_t>(first_));
    std::uniform_real_distribution<double> uniform(0, 1000);
    for (int i = first_; i < first_ + count_; ++i) {
      Run run;
      run.id = sha256_hex(std::to_string(i)).substr(0, 32);
      run.name = "run-" + std::to_string(i);
      run.experiment = "experiment-" + std::to_string(i % 20);
      run.start_utc_ns = std::int64_t{i} * 1'000'000'000;
      run.params = {{"model", "m" + std::to_string(random() % 10)},
                    {"lr", std::to_string(uniform(random))},
                    {"batch", std::to_string(random() % 5)},
                    {"seed", std::to_string(i)},
                    {"optimizer", random() % 2 == 0 ? "adam" : "sgd"}};
      run.tags = {{"team", random() % 4 == 0 ? "vision" : "text"},
                  {"host", "h" + std::to_string(random() % 50)}};
      run.metrics.push_back({"energy_joules", {uniform(random), i, 0}});
      for (int k = 0; k < 9; ++k)
        run.metrics.push_back({"metric_" + std::to_string(k), {uniform(random), i, 0}});
      JOULERY_CHECK_OK(store.put_run(run));
    }
    return {};
  }

 private:
  int first_, count_;
};

void measure_search(const std::string& path, int runs) {
  {
    auto store = must(open_sqlite_store(path, {.cache_bytes = 64U << 20}));
    const double seconds = seconds_of([&] {
      for (int i = 0; i < runs; i += 1000) {
        Populate body(i, 1000);
        must(store->transaction(body));
      }
    });
    std::printf("\nsearch over %d runs x 10 metrics x 5 params x 2 tags (put in %.1f s, %.0f MB)\n", runs,
                seconds, file_bytes(path) / 1e6);
  }
  auto store = must(open_sqlite_store(path));
  const auto show = [&](const char* what, const RunQuery& query) {
    std::size_t found = 0;
    const double ms = median_ms(7, [&] { found = must(store->search_runs(query)).size(); });
    std::printf("  %-72s %8.1f ms  %5zu runs\n", what, ms, found);
  };
  const std::string full = "metrics.energy_joules < 500 and params.model = 'm3' and tags.team = 'vision'";
  show("metric < x, param =, tag =, order by metric, limit 100",
       {.filter = full, .order_by = {"metrics.energy_joules ASC"}, .max_results = 100});
  show("the same, default order, limit 1000", {.filter = full});
  show("the same, 1 in 100 runs match the metric",
       {.filter = "metrics.energy_joules < 10 and params.model = 'm3' and tags.team = 'vision'",
        .order_by = {"metrics.energy_joules ASC"},
        .max_results = 100});
  show("metric alone, half match, order by it, limit 100", {.filter = "metrics.energy_joules < 500",
                                                            .order_by = {"metrics.energy_joules DESC"},
                                                            .max_results = 100});
  show("no filter, order by metric, limit 100", {.order_by = {"metrics.metric_3 DESC"}, .max_results = 100});
  show("no filter, newest 1000", {});
  show("param LIKE, order by other metric, limit 100",
       {.filter = "params.lr LIKE '99%'", .order_by = {"metrics.metric_1"}, .max_results = 100});
  show("one of 20 experiments, metric < x, limit 100",
       {.experiments = {"experiment-7"}, .filter = "metrics.energy_joules < 100", .max_results = 100});
}

void measure_power(const std::string& path, std::size_t samples) {
  auto store = must(open_sqlite_store(path));
  must(store->put_host({"h", "", "", 1, 1, "", false}));
  must(store->put_device({"cpu", "h", "", "", "", "", "", 1, 1, ""}));
  Run run;
  run.id = "power";
  run.experiment = "Default";
  run.host_id = "h";
  must(store->put_run(run));
  std::mt19937_64 random(5);
  std::normal_distribution<double> noise(0, 0.02);
  std::vector<PowerSample> input;
  for (std::size_t i = 0; i < samples; ++i) {
    const auto jitter = static_cast<std::int64_t>(random() % 600'000) - 300'000;
    input.push_back({static_cast<std::int64_t>(i + 1) * 1'000'000 + jitter, 0.085 * (1 + noise(random)), 0});
  }
  std::size_t bytes = 0;
  double encode = 0;
  PowerBlockEncoder encoder;
  const double stored = seconds_of([&] {
    std::uint64_t sequence = 0;
    encoder.begin(0);
    for (std::size_t i = 0; i <= samples; ++i) {
      if (i < samples && encoder.add(input[i])) continue;
      std::span<const std::uint8_t> block;
      encode += seconds_of([&] { block = encoder.encode(); });
      bytes += block.size();
      must(store->put_power_block("power", "cpu", ++sequence, block));
      if (i == samples) break;
      encoder.begin(input[i - 1].boottime_ns);
      encoder.add(input[i]);
    }
  });
  std::size_t read_back = 0;
  const double read =
      seconds_of([&] { read_back = must(store->power_series("power")).at(0).samples.size(); });
  std::printf(
      "\npower series, %zu samples at 1 kHz: %.2f bytes/sample, stored in %.3f s (of it packing %.3f s), "
      "read back "
      "%zu in %.3f s\n",
      samples, static_cast<double>(bytes) / static_cast<double>(samples), stored, encode, read_back, read);
}

void measure_opening(const std::string& path) {
  must(open_sqlite_store(path));
  int number = 0;
  const double ms = median_ms(51, [&] {
    auto store = must(open_sqlite_store(path));
    Run run;
    run.id = "open" + std::to_string(number++);
    run.experiment = "Default";
    run.metrics = {{"energy_joules", {1, 1, 1}}};
    must(store->put_run(run));
  });
  std::printf("open, put one run, close: median %.2f ms\n", ms);
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t scale = 1;
  std::string parent = "/tmp";
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--quick") == 0) {
      scale = 10;
    } else {
      parent = argv[i];
    }
  }
  std::string folder = parent + "/joulery-bench-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) return 1;

  std::vector<std::pair<std::string, Figures>> all;
  for (const char* name : {"rows as MLflow", "rows, interned keys", "blocks with rollups"}) {
    const std::string path = folder + "/" + std::to_string(all.size()) + ".db";
    std::unique_ptr<Layout> layout;
    if (all.size() < 2) {
      layout = std::make_unique<Rows>(path, all.size() == 1);
    } else {
      layout = std::make_unique<Blocks>(path);
    }
    all.emplace_back(name, measure(*layout, path, scale));
  }
  constexpr const char* kHead = "%-22s %14s %14s %14s %14s %14s %12s\n";
  std::printf(kHead, "layout", "1000-pt batch", "the same", "1-pt batch", "1-pt x 100", "1M -> 2000",
              "bytes");
  std::printf(kHead, "", "points/s", "points/CPU s", "points/s", "points/s", "ms", "per point");
  const Figures& base = all.front().second;
  for (const auto& [name, f] : all) {
    std::printf("%-22s %14.0f %14.0f %14.0f %14.0f %14.1f %12.1f\n", name.c_str(), f.batch_points_per_second,
                f.batch_points_per_cpu_second, f.single_points_per_second, f.grouped_points_per_second,
                f.downsample_ms, f.bytes_per_point);
    std::printf("%-22s %13.1fx %13.1fx %13.1fx %13.1fx %13.1fx %11.1fx\n", "  against MLflow's",
                f.batch_points_per_second / base.batch_points_per_second,
                f.batch_points_per_cpu_second / base.batch_points_per_cpu_second,
                f.single_points_per_second / base.single_points_per_second,
                f.grouped_points_per_second / base.grouped_points_per_second,
                base.downsample_ms / f.downsample_ms, base.bytes_per_point / f.bytes_per_point);
  }
  measure_search(folder + "/search.db", static_cast<int>(100'000 / scale));
  measure_power(folder + "/power.db", 1'000'000 / scale);
  measure_opening(folder + "/open.db");
  std::filesystem::remove_all(folder);
  return 0;
}
