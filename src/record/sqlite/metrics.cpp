// Metric histories. A history is a short tail of raw points that a batch rewrites, and blocks: a full tail is
// sealed into a block of level 0, and sixteen blocks of a level are merged into one of the next.

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "record/metric_block.hpp"
#include "record/sqlite/sqlite_store.hpp"

namespace joulery::record::sqlite {
namespace {

// A tail of fewer points fits into its row's page; a longer one would take an overflow page of its own.
constexpr std::size_t kTailPoints = 40;
constexpr std::int64_t kBlocksToMerge = 16;
constexpr int kLastLevel = 2;
constexpr std::size_t kLastLevelPoints = 4096;
constexpr std::size_t kMaxBlockPoints = 16384;
// A bucket of this many rollup entries is at most a quarter wider or narrower than asked for.
constexpr std::size_t kMinEntriesPerBucket = 4;

Status insert_blocks(Database& database, std::int64_t run, std::int64_t key, int level,
                     std::span<const MetricPoint> points, std::int64_t& next_block) {
  std::vector<std::uint8_t> rollup;
  std::vector<std::uint8_t> packed;
  for (std::size_t at = 0; at < points.size(); at += kMaxBlockPoints) {
    const auto part = points.subspan(at, std::min(kMaxBlockPoints, points.size() - at));
    rollup.clear();
    packed.clear();
    encode_rollup(part, rollup);
    encode_metric_block(part, packed);
    JOULERY_ASSIGN(Statement insert,
                   database.prepare(
                       "INSERT INTO metric_blocks (run, key, sequence, level, count, rollup, points) VALUES "
                       "(?, ?, ?, ?, ?, ?, ?)"));
    insert.bind(run).bind(key).bind(next_block++).bind(part.size() >= kLastLevelPoints ? kLastLevel : level);
    insert.bind(part.size())
        .bind(std::span<const std::uint8_t>(rollup))
        .bind(std::span<const std::uint8_t>(packed));
    JOULERY_CHECK_OK(insert.run());
  }
  return {};
}

bool in_order(const std::vector<HistoryBucket>& entries) {
  for (std::size_t i = 1; i < entries.size(); ++i) {
    if (!point_before(entries[i - 1].last, entries[i].first)) return false;
  }
  return true;
}

}  // namespace

Result<bool> SqliteStore::claim_sequence(std::int64_t run, const std::string& writer,
                                         std::uint64_t sequence) {
  if (sequence == 0) return true;
  const auto number = static_cast<std::int64_t>(sequence);
  JOULERY_ASSIGN(Statement select,
                 database_->prepare("SELECT sequence FROM metric_writers WHERE run = ? AND writer = ?"));
  JOULERY_ASSIGN(const bool known, select.bind(run).bind(writer).step());
  std::int64_t reached = known ? select.integer(0) : 0;
  if (number <= reached) return false;
  if (number > reached + 1) {
    // Batches may overtake one another; those ahead are remembered one by one until the gap is closed.
    JOULERY_ASSIGN(Statement ahead,
                   database_->prepare("INSERT INTO metric_writers_ahead (run, writer, sequence) "
                                      "VALUES (?, ?, ?) ON CONFLICT DO NOTHING"));
    JOULERY_CHECK_OK(ahead.bind(run).bind(writer).bind(number).run());
    return database_->changes() == 1;
  }
  reached = number;
  while (true) {
    JOULERY_ASSIGN(Statement next,
                   database_->prepare("DELETE FROM metric_writers_ahead WHERE run = ? AND writer = ? AND "
                                      "sequence = ?"));
    JOULERY_CHECK_OK(next.bind(run).bind(writer).bind(reached + 1).run());
    if (database_->changes() == 0) break;
    ++reached;
  }
  JOULERY_ASSIGN(Statement put,
                 database_->prepare("INSERT INTO metric_writers (run, writer, sequence) VALUES (?, ?, ?) "
                                    "ON CONFLICT DO UPDATE SET sequence = excluded.sequence"));
  JOULERY_CHECK_OK(put.bind(run).bind(writer).bind(reached).run());
  return true;
}

Status SqliteStore::log_metrics(std::span<const MetricBatch> batches) {
  return write([&]() -> Status {
    for (const MetricBatch& batch : batches) {
      JOULERY_ASSIGN(const std::int64_t run, run_row(batch.run_id, true));
      JOULERY_ASSIGN(const bool is_new, claim_sequence(run, batch.writer, batch.sequence));
      if (!is_new) continue;
      for (const MetricBatch::Series& series : batch.series) {
        if (series.points.empty()) continue;
        JOULERY_ASSIGN(const std::int64_t key, key_row(series.key));
        JOULERY_CHECK_OK(append_points(run, key, series.points));
      }
    }
    return {};
  });
}

Status SqliteStore::append_points(std::int64_t run, std::int64_t key, std::span<const MetricPoint> points) {
  JOULERY_ASSIGN(Statement select,
                 database_->prepare("SELECT step, timestamp_ms, value, next_block, seals FROM "
                                    "metrics WHERE run = ? AND key = ?"));
  JOULERY_ASSIGN(const bool exists, select.bind(run).bind(key).step());
  MetricPoint latest = *std::max_element(points.begin(), points.end(), point_before);
  std::int64_t next_block = 1;
  std::int64_t seals = 0;
  std::vector<MetricPoint> tail;
  std::vector<std::uint8_t> raw;
  if (exists) {
    const MetricPoint before{select.real(2), select.integer(1), select.integer(0)};
    if (points.size() == 1 && same_point(points[0], before)) return {};
    if (!point_before(before, latest)) latest = before;
    next_block = select.integer(3);
    seals = select.integer(4);
    JOULERY_ASSIGN(Statement read,
                   database_->prepare("SELECT points FROM metric_tails WHERE run = ? AND key = ?"));
    JOULERY_ASSIGN(const bool has_tail, read.bind(run).bind(key).step());
    if (has_tail) {
      raw.assign(read.blob(0).begin(), read.blob(0).end());
    } else if (next_block == 1) {
      append_raw_points({&before, 1}, raw);
    }
  }
  const bool had_tail = !raw.empty();
  // Most metrics of a run have one point, and that is in their own row already.
  if (exists || points.size() > 1) append_raw_points(points, raw);
  if (raw.size() >= kTailPoints * sizeof(MetricPoint)) {
    JOULERY_CHECK_OK(read_raw_points(raw, tail));
    raw.clear();
    JOULERY_CHECK_OK(seal(run, key, tail, next_block, seals));
  }
  if (had_tail || !raw.empty()) {
    JOULERY_ASSIGN(
        Statement put_tail,
        database_->prepare("INSERT INTO metric_tails (run, key, points) VALUES (?, ?, ?) ON CONFLICT DO "
                           "UPDATE SET points = excluded.points"));
    JOULERY_CHECK_OK(put_tail.bind(run).bind(key).bind(std::span<const std::uint8_t>(raw)).run());
  }
  JOULERY_ASSIGN(Statement put,
                 database_->prepare(exists ? "UPDATE metrics SET step = ?, timestamp_ms = ?, value = ?, "
                                             "next_block = ?, seals = ? WHERE run = ? AND key = ?"
                                           : "INSERT INTO metrics (step, timestamp_ms, value, next_block, "
                                             "seals, run, key) VALUES (?, ?, ?, ?, ?, ?, ?)"));
  put.bind(latest.step).bind(latest.timestamp_ms).bind(latest.value).bind(next_block).bind(seals);
  return put.bind(run).bind(key).run();
}

Status SqliteStore::seal(std::int64_t run, std::int64_t key, std::vector<MetricPoint>& points,
                         std::int64_t& next_block, std::int64_t& seals) {
  sort_and_deduplicate(points);
  JOULERY_CHECK_OK(insert_blocks(*database_, run, key, 0, points, next_block));
  ++seals;
  std::int64_t due = kBlocksToMerge;
  for (int level = 0; level < kLastLevel && seals % due == 0; ++level, due *= kBlocksToMerge) {
    JOULERY_CHECK_OK(merge_level(run, key, level, next_block));
  }
  return {};
}

Status SqliteStore::merge_level(std::int64_t run, std::int64_t key, int level, std::int64_t& next_block) {
  std::vector<MetricPoint> points;
  JOULERY_CHECK_OK(read_blocks(run, key, level, points));
  sort_and_deduplicate(points);
  JOULERY_ASSIGN(Statement remove,
                 database_->prepare("DELETE FROM metric_blocks WHERE run = ? AND key = ? AND level = ?"));
  JOULERY_CHECK_OK(remove.bind(run).bind(key).bind(level).run());
  return insert_blocks(*database_, run, key, level + 1, points, next_block);
}

Status SqliteStore::read_blocks(std::int64_t run, std::int64_t key, std::optional<int> level,
                                std::vector<MetricPoint>& out) {
  JOULERY_ASSIGN(Statement select,
                 database_->prepare("SELECT points FROM metric_blocks WHERE run = ? AND key = ? AND level "
                                    "BETWEEN ? AND ? ORDER BY sequence"));
  select.bind(run).bind(key).bind(level.value_or(0)).bind(level.value_or(kLastLevel));
  while (true) {
    JOULERY_ASSIGN(const bool row, select.step());
    if (!row) return {};
    if (auto status = decode_metric_block(select.blob(0), out); !status) {
      return environment_error(
          fmt::format("the store '{}' is damaged: {}", printable(database_->path()), status.error().message),
          "the other metrics are not affected; the file is left as it is");
    }
  }
}

Result<std::vector<MetricPoint>> SqliteStore::whole_history(std::int64_t run, std::int64_t key) {
  std::vector<MetricPoint> points;
  JOULERY_ASSIGN(Statement count,
                 database_->prepare("SELECT sum(count) FROM metric_blocks WHERE run = ? AND key = ?"));
  JOULERY_ASSIGN([[maybe_unused]] const bool counted, count.bind(run).bind(key).step());
  // A damaged count must not ask for the machine's whole memory.
  points.reserve(static_cast<std::size_t>(std::clamp<std::int64_t>(count.integer(0), 0, 1 << 22)) +
                 kTailPoints);
  JOULERY_CHECK_OK(read_blocks(run, key, std::nullopt, points));
  JOULERY_ASSIGN(Statement tail,
                 database_->prepare("SELECT points FROM metric_tails WHERE run = ? AND key = ?"));
  JOULERY_ASSIGN(const bool row, tail.bind(run).bind(key).step());
  if (row) {
    JOULERY_CHECK_OK(read_raw_points(tail.blob(0), points));
  } else if (points.empty()) {
    JOULERY_ASSIGN(
        Statement only,
        database_->prepare("SELECT value, timestamp_ms, step FROM metrics WHERE run = ? AND key = ?"));
    JOULERY_ASSIGN(const bool exists, only.bind(run).bind(key).step());
    if (exists) points.push_back({only.real(0), only.integer(1), only.integer(2)});
  }
  sort_and_deduplicate(points);
  return points;
}

Result<std::vector<MetricPoint>> SqliteStore::metric_history(const std::string& run_id,
                                                             const std::string& key, std::size_t offset,
                                                             std::size_t limit) {
  JOULERY_ASSIGN(const std::int64_t run, run_row(run_id, false));
  JOULERY_ASSIGN(const auto key_id, find("SELECT id FROM keys WHERE name = ?", key));
  if (!key_id) return std::vector<MetricPoint>();
  JOULERY_ASSIGN(auto points, whole_history(run, *key_id));
  points.erase(points.begin(), points.begin() + static_cast<std::ptrdiff_t>(std::min(offset, points.size())));
  if (points.size() > limit) points.resize(limit);
  return points;
}

Result<std::vector<HistoryBucket>> SqliteStore::downsample_metric(const std::string& run_id,
                                                                  const std::string& key,
                                                                  std::size_t buckets) {
  std::vector<HistoryBucket> result;
  JOULERY_ASSIGN(const std::int64_t run, run_row(run_id, false));
  JOULERY_ASSIGN(const auto key_id, find("SELECT id FROM keys WHERE name = ?", key));
  if (!key_id || buckets == 0) return result;

  JOULERY_ASSIGN(Statement count,
                 database_->prepare("SELECT sum(count) FROM metric_blocks WHERE run = ? AND key = ?"));
  JOULERY_ASSIGN([[maybe_unused]] const bool counted, count.bind(run).bind(*key_id).step());
  const auto sealed = static_cast<std::size_t>(std::max<std::int64_t>(count.integer(0), 0));
  if (sealed / buckets >= kMinEntriesPerBucket * kRollupPoints) {
    std::vector<HistoryBucket> entries;
    JOULERY_ASSIGN(Statement select,
                   database_->prepare("SELECT rollup FROM metric_blocks WHERE run = ? AND key = ? ORDER "
                                      "BY sequence"));
    select.bind(run).bind(*key_id);
    while (true) {
      JOULERY_ASSIGN(const bool row, select.step());
      if (!row) break;
      JOULERY_CHECK_OK(decode_rollup(select.blob(0), entries));
    }
    std::vector<MetricPoint> tail;
    JOULERY_ASSIGN(Statement read,
                   database_->prepare("SELECT points FROM metric_tails WHERE run = ? AND key = ?"));
    JOULERY_ASSIGN(const bool has_tail, read.bind(run).bind(*key_id).step());
    if (has_tail) JOULERY_CHECK_OK(read_raw_points(read.blob(0), tail));
    sort_and_deduplicate(tail);
    if (!tail.empty()) entries.push_back(summarise(tail));
    if (in_order(entries)) {
      const std::size_t wanted = (sealed + tail.size() + buckets - 1) / buckets;
      std::size_t seen = 0;
      std::size_t current = buckets;
      for (const HistoryBucket& entry : entries) {
        const std::size_t bucket = std::min(seen / wanted, buckets - 1);
        if (bucket != current) result.emplace_back();
        current = bucket;
        merge_bucket(result.back(), entry);
        seen += entry.count;
      }
      return result;
    }
  }
  JOULERY_ASSIGN(const auto points, whole_history(run, *key_id));
  const std::size_t wanted = (points.size() + buckets - 1) / buckets;
  for (std::size_t at = 0; at < points.size(); at += wanted) {
    result.push_back(summarise(std::span(points).subspan(at, std::min(wanted, points.size() - at))));
  }
  return result;
}

}  // namespace joulery::record::sqlite
