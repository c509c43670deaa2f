#include "record/sqlite/database.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <limits>

#include "base/files.hpp"
#include "base/text.hpp"

namespace joulery::record::sqlite {
namespace {

constexpr std::size_t kMaxCachedStatements = 96;
constexpr int kMaxWalPages = 1000;
// The next program to open the store reads again what is left in the WAL.
constexpr int kWalPagesLeft = 256;
// SQLite takes what is shorter than a page for an empty database, and would write over what is left of one.
constexpr off_t kSmallestDatabase = 512;

/// As a URI for a file that can't change while we read it: the only way in where not even a lock file can be
/// made.
std::string immutable_uri(const std::string& path) {
  std::string uri = path.front() == '/' ? "file://" : "file:";
  for (const char character : path) {
    if (character == '%' || character == '?' || character == '#') {
      uri += fmt::format("%{:02X}", static_cast<unsigned char>(character));
    } else {
      uri += character;
    }
  }
  return uri + "?immutable=1";
}

/// A name such as ":memory:" means something else to SQLite; with a folder before it, it is a file.
std::string file_of(const std::string& path) {
  return path.front() == '/' ? path : "./" + path;
}

/// What is there, if anything is, must be a file that is no shorter than a database.
Status check_file(const std::string& path) {
  if (path.empty() || path.find('\0') != std::string::npos)
    return user_error(fmt::format("'{}' is no path for a store", printable(path)));
  struct stat info{};
  if (::stat(file_of(path).c_str(), &info) != 0) return {};
  if (!S_ISREG(info.st_mode)) {
    return user_error(fmt::format("the store '{}' is not a file", printable(path)),
                      "name a file: --store runs.db");
  }
  if (info.st_size > 0 && info.st_size < kSmallestDatabase) {
    return environment_error(fmt::format("'{}' is not a Joulery store, or is damaged: it has {} bytes",
                                         printable(path), info.st_size),
                             recovery_hint(path));
  }
  return {};
}

constexpr int kConnectionFlags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;

/// What a writer that was killed left half written is undone by the next to read, which must be able to
/// write.
void roll_back(const std::string& file, int busy_timeout_ms) {
  sqlite3* handle = nullptr;
  if (sqlite3_open_v2(file.c_str(), &handle, SQLITE_OPEN_READWRITE | kConnectionFlags, nullptr) ==
      SQLITE_OK) {
    sqlite3_busy_timeout(handle, busy_timeout_ms);
    // Where this fails, so does the next read, which says why.
    sqlite3_exec(handle, "PRAGMA schema_version", nullptr, nullptr, nullptr);
  }
  sqlite3_close(handle);
}

}  // namespace

std::string recovery_hint(const std::string& path) {
  return fmt::format(
      "the file is left as it is; rescue what can be read with: sqlite3 '{0}' .recover | sqlite3 "
      "recovered.db, or move it away to start a new store: mv '{0}' '{0}.damaged' (runs not yet stored stay "
      "in the spool)",
      printable(path));
}

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_), handle_(other.handle_), next_(other.next_), code_(other.code_) {
  other.handle_ = nullptr;
}

Statement::~Statement() {
  if (handle_ != nullptr) database_.give_back(handle_);
}

Statement& Statement::bind(std::int64_t value) {
  if (const int code = sqlite3_bind_int64(handle_, next_++, value); code != SQLITE_OK) code_ = code;
  return *this;
}

Statement& Statement::bind(double value) {
  if (const int code = sqlite3_bind_double(handle_, next_++, value); code != SQLITE_OK) code_ = code;
  return *this;
}

Statement& Statement::bind(std::string_view value) {
  const char* data = value.data() != nullptr ? value.data() : "";
  const int code = sqlite3_bind_text64(handle_, next_++, data, value.size(), SQLITE_STATIC, SQLITE_UTF8);
  if (code != SQLITE_OK) code_ = code;
  return *this;
}

Statement& Statement::bind(std::span<const std::uint8_t> value) {
  const void* data = value.data() != nullptr ? static_cast<const void*>(value.data()) : "";
  const int code = sqlite3_bind_blob64(handle_, next_++, data, value.size(), SQLITE_STATIC);
  if (code != SQLITE_OK) code_ = code;
  return *this;
}

Result<bool> Statement::step() {
  if (code_ != SQLITE_OK) return database_.error(code_);
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  code_ = code;
  return database_.error(code);
}

Status Statement::run() {
  while (true) {
    JOULERY_ASSIGN(const bool row, step());
    if (!row) return {};
  }
}

Statement& Statement::again() {
  sqlite3_reset(handle_);
  next_ = 1;
  code_ = SQLITE_OK;
  return *this;
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(handle_, column);
}

double Statement::real(int column) const {
  return is_null(column) ? std::numeric_limits<double>::quiet_NaN() : sqlite3_column_double(handle_, column);
}

std::string Statement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

std::span<const std::uint8_t> Statement::blob(int column) const {
  const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(handle_, column));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

Status Database::check_place(const std::string& path) {
  JOULERY_CHECK_OK(check_file(path));
  const std::string file = file_of(path);
  const std::string name = printable(path);
  const FileDescriptor there(::open(file.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (there.valid()) {
    constexpr std::string_view kMagic = "SQLite format 3";
    std::array<char, kMagic.size()> head{};
    const ssize_t got = ::read(there.get(), head.data(), head.size());
    if (got < 0) return environment_error(fmt::format("can't read '{}': {}", name, errno_text(errno)));
    if (got > 0 && std::string_view(head.data(), head.size()) != kMagic)
      return user_error(fmt::format("'{}' is not a Joulery store", name));
    return {};
  }
  if (errno != ENOENT) return environment_error(fmt::format("can't write '{}': {}", name, errno_text(errno)));
  const std::string folder = folder_of(file);
  JOULERY_CHECK_OK(make_directories(folder, 0700));
  if (::access(folder.c_str(), W_OK | X_OK) == 0) return {};
  return environment_error(
      fmt::format("can't make a store in '{}': {}", printable(folder), errno_text(errno)));
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path, const OpenOptions& options) {
  JOULERY_CHECK_OK(check_file(path));
  const std::string file = file_of(path);
  if (options.create && !options.read_only) {
    // Made here, so that its mode (which SQLite copies to its journals) does not hang on the umask.
    const FileDescriptor made(::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!made.valid() && errno != EEXIST) {
      return environment_error(
          fmt::format("can't make the store '{}': {}", printable(path), errno_text(errno)),
          "choose another place with --store PATH, or make the folder writable");
    }
  } else if (::access(file.c_str(), F_OK) != 0) {
    return environment_error(fmt::format("there is no store '{}': {}", printable(path), errno_text(errno)));
  }
  // SQLite counts its memory under a lock at each allocation, which nobody asks for. Too late if something
  // else in this process uses it already.
  [[maybe_unused]] static const int uncounted = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  sqlite3* handle = nullptr;
  const int flags = (options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) | kConnectionFlags;
  int code = sqlite3_open_v2(file.c_str(), &handle, flags, nullptr);
  std::unique_ptr<Database> database(new Database(path, handle));
  if (code != SQLITE_OK) return database->error(code);
  if (options.read_only && ::access((file + "-wal").c_str(), F_OK) != 0 &&
      !database->integer("PRAGMA schema_version")) {
    const int refused = database->last_code();
    if (refused == SQLITE_READONLY_ROLLBACK) {
      roll_back(file, options.busy_timeout_ms);
    } else if ((refused & 0xFF) == SQLITE_CANTOPEN) {
      // Reading a WAL store needs a lock file beside it. Where none can be made, nobody else can write
      // either.
      sqlite3* immutable = nullptr;
      code = sqlite3_open_v2(immutable_uri(file).c_str(), &immutable, flags | SQLITE_OPEN_URI, nullptr);
      database = nullptr;
      database.reset(new Database(path, immutable));
      if (code != SQLITE_OK) return database->error(code);
    }
  }
  sqlite3_busy_timeout(database->handle_, options.busy_timeout_ms);
  // Only our own statements run here, but the file may be somebody else's: its schema gets no powers.
  sqlite3_db_config(database->handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(database->handle_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(database->handle_, SQLITE_DBCONFIG_ENABLE_FKEY, 1, nullptr);
  JOULERY_CHECK_OK(database->execute(fmt::format("PRAGMA cache_size=-{}; PRAGMA temp_store=MEMORY;",
                                                 std::max<std::size_t>(options.cache_bytes / 1024, 64))));
  return database;
}

void Database::bound_wal() {
  // Every close would bring the WAL into the file, which waits for the disk twice. What is in the WAL is as
  // safe.
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_wal_hook(
      handle_,
      [](void* self, sqlite3* handle, const char*, int pages) {
        static_cast<Database*>(self)->wal_pages_ = pages;
        if (pages >= kMaxWalPages)
          sqlite3_wal_checkpoint_v2(handle, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
        return SQLITE_OK;
      },
      this);
}

Database::~Database() {
  for (auto& [sql, statements] : cache_) {
    for (const Cached& cached : statements) sqlite3_finalize(cached.statement);
  }
  if (wal_pages_ >= kWalPagesLeft) {
    // Not waiting for readers: then the next one to close does it.
    sqlite3_busy_timeout(handle_, 0);
    sqlite3_wal_checkpoint_v2(handle_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  }
  sqlite3_close(handle_);
}

Result<Statement> Database::prepare(std::string_view sql) {
  auto entry = cache_.find(sql);
  if (entry != cache_.end()) {
    for (Cached& cached : entry->second) {
      if (cached.in_use) continue;
      cached.in_use = true;
      return Statement(*this, cached.statement);
    }
  }
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return error(code);
  if (entry == cache_.end()) entry = cache_.emplace(std::string(sql), std::vector<Cached>()).first;
  entry->second.push_back({statement, true});
  ++cached_;
  return Statement(*this, statement);
}

void Database::give_back(sqlite3_stmt* handle) {
  sqlite3_reset(handle);
  sqlite3_clear_bindings(handle);
  const auto entry = cache_.find(std::string_view(sqlite3_sql(handle)));
  if (entry == cache_.end()) return;
  auto& statements = entry->second;
  for (std::size_t i = 0; i < statements.size(); ++i) {
    if (statements[i].statement != handle) continue;
    statements[i].in_use = false;
    // Searches make statements without end; past the limit they are not kept.
    if (cached_ > kMaxCachedStatements) {
      sqlite3_finalize(handle);
      statements.erase(statements.begin() + static_cast<std::ptrdiff_t>(i));
      if (statements.empty()) cache_.erase(entry);
      --cached_;
    }
    return;
  }
}

Status Database::execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error(code);
  return {};
}

Result<std::int64_t> Database::integer(const std::string& sql) {
  JOULERY_ASSIGN(Statement statement, prepare(sql));
  JOULERY_ASSIGN(const bool row, statement.step());
  return row ? statement.integer(0) : 0;
}

Status Database::begin() {
  JOULERY_ASSIGN(Statement statement, prepare("BEGIN IMMEDIATE"));
  return statement.run();
}

Status Database::commit() {
  JOULERY_ASSIGN(Statement statement, prepare("COMMIT"));
  auto status = statement.run();
  if (!status) rollback();
  return status;
}

void Database::rollback() {
  if (in_transaction()) sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
}

bool Database::in_transaction() const {
  return sqlite3_get_autocommit(handle_) == 0;
}

std::int64_t Database::last_insert_rowid() const {
  return sqlite3_last_insert_rowid(handle_);
}

std::int64_t Database::changes() const {
  return sqlite3_changes64(handle_);
}

bool Database::is_busy(int code) {
  return (code & 0xFF) == SQLITE_BUSY || (code & 0xFF) == SQLITE_LOCKED;
}

int Database::last_code() const {
  return sqlite3_extended_errcode(handle_);
}

std::unexpected<Error> Database::error(int code) const {
  const std::string where = printable(path_);
  const char* said =
      handle_ != nullptr && code != SQLITE_NOMEM ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
  const int system = handle_ != nullptr ? sqlite3_system_errno(handle_) : 0;
  const std::string reason = system != 0
                                 ? fmt::format("{} ({})", sqlite3_errstr(code & 0xFF), errno_text(system))
                                 : std::string(said);
  switch (code & 0xFF) {
    case SQLITE_NOTADB:
      return environment_error(fmt::format("'{}' is not a Joulery store, or is damaged: {}", where, said),
                               recovery_hint(path_));
    case SQLITE_CORRUPT:
      return environment_error(fmt::format("the store '{}' is damaged: {}", where, said),
                               recovery_hint(path_));
    case SQLITE_FULL:
      return environment_error(fmt::format("no space left for the store '{}'", where),
                               "free some space on that disk, then try again; nothing was changed");
    case SQLITE_READONLY:
      if (code == SQLITE_READONLY_ROLLBACK) {
        return environment_error(
            fmt::format(
                "the store '{}' can't be read: a program that wrote to it was killed, and what it left "
                "half written must be undone first",
                where),
            "run any joulery command as somebody who may write the file and its folder: joulery runs");
      }
      return environment_error(
          fmt::format("the store '{}' can't be written: {}", where, said),
          "make the file and its folder writable, or choose another store with --store PATH");
    case SQLITE_CANTOPEN:
      return environment_error(fmt::format("can't open the store '{}': {}", where, reason),
                               "check that the file and its folder are there and that you may write to both");
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return environment_error(fmt::format("no permission for the store '{}': {}", where, reason));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return environment_error(fmt::format("the store '{}' is in use by another program for too long", where),
                               "see who holds it with: fuser -v FILE; then try again");
    case SQLITE_IOERR:
      return environment_error(fmt::format("can't read or write the store '{}': {}", where, reason),
                               "check the disk's free space, quota and health; the change was undone");
    case SQLITE_NOMEM:
      return environment_error(fmt::format("out of memory with the store '{}'", where));
    case SQLITE_TOOBIG:
      return user_error(fmt::format("a value is too large for the store '{}'", where));
    default:
      return internal_error(fmt::format("the store '{}' failed: {} (SQLite code {})", where, said, code));
  }
}

}  // namespace joulery::record::sqlite
