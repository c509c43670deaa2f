#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace joulery::record::sqlite {

class Database;

/// One prepared statement being run. Returns it to the database's cache at the end. What was bound by view
/// must live until then. An error of any bind or step is kept and comes out of `step()` or `run()`.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  // Parameters are bound in order, each call the next one.
  Statement& bind(std::int64_t value);
  Statement& bind(std::uint64_t value) { return bind(static_cast<std::int64_t>(value)); }
  Statement& bind(int value) { return bind(static_cast<std::int64_t>(value)); }
  Statement& bind(bool value) { return bind(static_cast<std::int64_t>(value)); }
  /// NaN is bound as NULL: SQLite has none.
  Statement& bind(double value);
  Statement& bind(std::string_view value);
  Statement& bind(const std::string& value) { return bind(std::string_view(value)); }
  Statement& bind(const char* value) { return bind(std::string_view(value)); }
  Statement& bind(std::span<const std::uint8_t> value);

  /// True if there is a row, false at the end.
  Result<bool> step();
  /// Steps to the end, for statements without rows.
  Status run();
  /// Ready to be bound and run once more.
  Statement& again();

  bool is_null(int column) const;
  std::int64_t integer(int column) const;
  /// NULL is read as NaN.
  double real(int column) const;
  std::string text(int column) const;
  /// Valid until the next step.
  std::span<const std::uint8_t> blob(int column) const;

 private:
  friend class Database;
  Statement(Database& database, sqlite3_stmt* handle) : database_(database), handle_(handle) {}
  Database& database_;
  sqlite3_stmt* handle_;
  int next_ = 1;
  int code_ = 0;
};

/// What to do with a damaged store.
std::string recovery_hint(const std::string& path);

struct OpenOptions {
  bool create = true;
  bool read_only = false;
  int busy_timeout_ms = 30'000;
  std::size_t cache_bytes = 1 << 20;
};

/// One SQLite connection. Not thread-safe.
class Database {
 public:
  /// `path` is a file and nothing else: no URI, no special name.
  static Result<std::unique_ptr<Database>> open(const std::string& path, const OpenOptions& options);
  /// See check_sqlite_place.
  static Status check_place(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// A statement from the cache, or freshly prepared. `sql` is not data: values are bound.
  Result<Statement> prepare(std::string_view sql);
  /// Runs statements without parameters, rows thrown away.
  Status execute(const std::string& sql);
  /// First column of the first row of a query without parameters.
  Result<std::int64_t> integer(const std::string& sql);

  /// Takes the write lock at once and waits for other writers up to the busy timeout.
  Status begin();
  Status commit();
  void rollback();
  bool in_transaction() const;

  /// Runs `body` between begin and commit; rolls back if it or the commit fails.
  template <class Body>
  Status transact(Body&& body) {
    JOULERY_CHECK_OK(begin());
    if (auto status = body(); !status) {
      rollback();
      return status;
    }
    return commit();
  }

  std::int64_t last_insert_rowid() const;
  std::int64_t changes() const;
  /// Lets the WAL grow to a length that is cheap to read again, and no further.
  void bound_wal();
  /// What SQLite says now, as an error of ours with a hint.
  std::unexpected<Error> error(int code) const;
  const std::string& path() const { return path_; }
  sqlite3* handle() { return handle_; }
  /// True if the last error was that somebody else holds a lock.
  static bool is_busy(int code);
  int last_code() const;

 private:
  friend class Statement;
  Database(std::string path, sqlite3* handle) : path_(std::move(path)), handle_(handle) {}
  void give_back(sqlite3_stmt* handle);
  std::string path_;
  sqlite3* handle_;
  struct Cached {
    sqlite3_stmt* statement = nullptr;
    bool in_use = false;
  };
  /// Finds by view, so that a statement is looked up without a copy of its text.
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::unordered_map<std::string, std::vector<Cached>, TextHash, std::equal_to<>> cache_;
  std::size_t cached_ = 0;
  int wal_pages_ = 0;  // after our last commit
};

}  // namespace joulery::record::sqlite
