// Removal for good of what was marked as deleted, and of what only that needed.

#include <fmt/format.h>

#include <array>

#include "record/sqlite/sqlite_store.hpp"

namespace joulery::record::sqlite {
namespace {

constexpr const char* kEvidence =
    "DELETE FROM evidence WHERE subject IN (SELECT 'run:' || uuid FROM runs WHERE deleted = 1 AND "
    "deleted_utc_ns < ?1)";
// In this order: data sets and power blocks go with their runs by cascade, so these come after.
constexpr std::array kUnused{
    "DELETE FROM datasets WHERE NOT EXISTS (SELECT 1 FROM inputs WHERE dataset = datasets.id)",
    "DELETE FROM devices WHERE NOT EXISTS (SELECT 1 FROM power_blocks WHERE device = devices.id)",
    "DELETE FROM boots WHERE NOT EXISTS (SELECT 1 FROM runs WHERE boot = boots.id)",
    "DELETE FROM hosts WHERE NOT EXISTS (SELECT 1 FROM runs WHERE host = hosts.id) AND NOT EXISTS (SELECT 1 "
    "FROM boots "
    "WHERE host = hosts.id) AND NOT EXISTS (SELECT 1 FROM devices WHERE host = hosts.id)",
    "DELETE FROM keys WHERE NOT EXISTS (SELECT 1 FROM metrics WHERE key = keys.id) AND NOT EXISTS (SELECT 1 "
    "FROM params "
    "WHERE key = keys.id) AND NOT EXISTS (SELECT 1 FROM tags WHERE key = keys.id)",
};

}  // namespace

Result<GcResult> SqliteStore::gc(std::int64_t deleted_before_utc_ns) {
  if (depth_ > 0) return internal_error("gc can't be part of a transaction");
  GcResult result;
  JOULERY_ASSIGN(const std::int64_t page_bytes, database_->integer("PRAGMA page_size"));
  JOULERY_ASSIGN(const std::int64_t pages_before, database_->integer("PRAGMA page_count"));
  const auto remove = [&](const char* sql) -> Result<std::uint64_t> {
    JOULERY_ASSIGN(Statement statement, database_->prepare(sql));
    JOULERY_CHECK_OK(statement.bind(deleted_before_utc_ns).run());
    return static_cast<std::uint64_t>(database_->changes());
  };
  const auto removal = [&]() -> Status {
    // A deleted experiment takes its runs with it.
    const auto marked = remove(
        "UPDATE runs SET deleted = 1, deleted_utc_ns = 0 WHERE experiment IN (SELECT id FROM experiments "
        "WHERE "
        "deleted = 1 AND deleted_utc_ns < ?1)");
    if (!marked) return std::unexpected(marked.error());
    const auto evidence = remove(kEvidence);
    if (!evidence) return std::unexpected(evidence.error());
    JOULERY_ASSIGN(result.runs, remove("DELETE FROM runs WHERE deleted = 1 AND deleted_utc_ns < ?1"));
    JOULERY_ASSIGN(result.experiments,
                   remove("DELETE FROM experiments WHERE deleted = 1 AND deleted_utc_ns < ?1 AND NOT "
                          "EXISTS (SELECT 1 FROM runs WHERE experiment = experiments.id)"));
    for (const char* sql : kUnused) {
      JOULERY_ASSIGN(Statement statement, database_->prepare(sql));
      JOULERY_CHECK_OK(statement.run());
    }
    return {};
  };
  JOULERY_CHECK_OK(write(removal));
  JOULERY_CHECK_OK(database_->execute("PRAGMA incremental_vacuum"));
  if (wal_) JOULERY_CHECK_OK(database_->execute("PRAGMA wal_checkpoint(TRUNCATE)"));
  JOULERY_ASSIGN(const std::int64_t pages_after, database_->integer("PRAGMA page_count"));
  result.bytes_freed =
      static_cast<std::uint64_t>(std::max<std::int64_t>(pages_before - pages_after, 0) * page_bytes);
  return result;
}

}  // namespace joulery::record::sqlite
