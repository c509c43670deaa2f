#include "record/sqlite/sqlite_store.hpp"

#include <fmt/format.h>
#include <time.h>

#include "base/files.hpp"
#include "base/text.hpp"
#include "record/sqlite/schema.hpp"

namespace joulery::record {
namespace sqlite {
namespace {

const SystemClock kSystemClock;

void pause_ms(long milliseconds) {
  timespec pause{0, milliseconds * 1'000'000};
  ::nanosleep(&pause, nullptr);
}

/// Sets the journal. Changing it needs the file for oneself, and SQLite does not wait for that by itself.
Status set_journal(Database& database, bool wal, int busy_timeout_ms) {
  const char* wanted = wal ? "wal" : "delete";
  for (int waited = 0;; waited += 5) {
    auto statement = database.prepare(wal ? "PRAGMA journal_mode=WAL" : "PRAGMA journal_mode=DELETE");
    if (!statement) return std::unexpected(statement.error());
    const auto row = statement->step();
    if (row && *row && statement->text(0) == wanted) break;
    // A WAL that others still use stays; it is they who chose it.
    if (row && *row && !wal) break;
    if (row) return {};  // a file system without shared memory keeps its rollback journal
    if (!Database::is_busy(database.last_code()) || waited >= busy_timeout_ms)
      return std::unexpected(row.error());
    pause_ms(5);
  }
  if (wal) database.bound_wal();
  return database.execute(wal ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=FULL");
}

}  // namespace

SqliteStore::SqliteStore(std::unique_ptr<Database> database, bool wal, const Clock* clock)
    : database_(std::move(database)), wal_(wal), clock_(clock != nullptr ? *clock : kSystemClock) {}

Status SqliteStore::write(const std::function<Status()>& body) {
  if (depth_ == 0) return database_->transact(body);
  auto status = body();
  if (!status && !failed_) failed_ = status.error();
  return status;
}

Status SqliteStore::transaction(TransactionBody& body) {
  if (depth_ > 0) return body.run(*this);
  failed_.reset();
  JOULERY_ASSIGN(const bool many, wal_ ? is_many(body.most_runs()) : false);
  // What is new in the file is then written once, not to the WAL and from there again. Fails while anybody
  // else has the store open, and then the WAL does.
  if (many) static_cast<void>(set_journal(*database_, false, 0));
  if (wal_) JOULERY_CHECK_OK(database_->execute("PRAGMA synchronous=FULL"));
  const auto status = database_->transact([&]() -> Status {
    ++depth_;
    auto done = body.run(*this);
    --depth_;
    if (done && failed_) return std::unexpected(*failed_);
    return done ? make_put_off_indexes() : done;
  });
  // Undone with all else if it failed.
  put_off_indexes_.clear();
  // Where it fails, the next to open the store does it.
  if (many) static_cast<void>(set_journal(*database_, true, 0));
  if (wal_) JOULERY_CHECK_OK(database_->execute("PRAGMA synchronous=NORMAL"));
  return status;
}

Result<std::optional<std::int64_t>> SqliteStore::find(std::string_view sql, std::string_view value) {
  JOULERY_ASSIGN(Statement statement, database_->prepare(sql));
  JOULERY_ASSIGN(const bool row, statement.bind(value).step());
  if (!row) return std::optional<std::int64_t>();
  return statement.integer(0);
}

Result<std::int64_t> SqliteStore::key_row(const std::string& name) {
  JOULERY_ASSIGN(const auto known, find("SELECT id FROM keys WHERE name = ?", name));
  if (known) return *known;
  JOULERY_ASSIGN(Statement insert, database_->prepare("INSERT INTO keys (name) VALUES (?)"));
  JOULERY_CHECK_OK(insert.bind(name).run());
  return database_->last_insert_rowid();
}

Result<const std::string*> SqliteStore::key_name(std::int64_t id) {
  // Ids are never used again, so what was read once stays true.
  if (const auto known = key_names_.find(id); known != key_names_.end()) return &known->second;
  JOULERY_ASSIGN(Statement statement, database_->prepare("SELECT name FROM keys WHERE id = ?"));
  JOULERY_ASSIGN(const bool row, statement.bind(id).step());
  if (!row)
    return environment_error(
        fmt::format("the store '{}' is damaged: key {} is missing", database_->path(), id));
  return &key_names_.emplace(id, statement.text(0)).first->second;
}

}  // namespace sqlite

Status check_sqlite_place(const std::string& path) {
  return sqlite::Database::check_place(path);
}

Result<std::unique_ptr<Store>> open_sqlite_store(const std::string& path, const SqliteStoreOptions& options) {
  using sqlite::Database;
  if (options.create && !options.read_only) JOULERY_CHECK_OK(make_directories(folder_of(path), 0700));
  JOULERY_ASSIGN(auto database, Database::open(path, {.create = options.create,
                                                      .read_only = options.read_only,
                                                      .busy_timeout_ms = options.busy_timeout_ms,
                                                      .cache_bytes = options.cache_bytes}));
  const FilesystemKind kind = options.filesystem.value_or(filesystem_kind(path));
  const bool wal = kind != FilesystemKind::network;
  const auto steps = sqlite::migrations();
  // Nothing is written before we know that the file is ours.
  JOULERY_ASSIGN(const auto identity,
                 sqlite::check_identity(*database, static_cast<std::int64_t>(steps.size())));
  if (!options.read_only) {
    // Shapes the file, so it comes before its first table.
    if (identity.empty) JOULERY_CHECK_OK(database->execute("PRAGMA auto_vacuum=INCREMENTAL"));
    JOULERY_CHECK_OK(sqlite::set_journal(*database, wal, options.busy_timeout_ms));
  }
  JOULERY_CHECK_OK(sqlite::migrate(*database, steps, options.read_only));
  return std::unique_ptr<Store>(
      std::make_unique<sqlite::SqliteStore>(std::move(database), wal, options.clock));
}

}  // namespace joulery::record
