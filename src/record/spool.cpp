#include "record/spool.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/text.hpp"
#include "record/spool_format.hpp"
#include "record/spool_repair.hpp"

namespace joulery::record {
namespace {

constexpr std::string_view kSuffix = ".spool";
constexpr std::size_t kFrameRoom = 64 * 1024;
constexpr int kCreateAttempts = 10;

/// The folder, if nobody else could have put something into it. /var/tmp is everybody's: a folder, or a link,
/// of the name that we will use may have been made by somebody else.
Result<FileDescriptor> open_folder(const std::string& folder) {
  FileDescriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  const std::string where = printable(folder);
  if (!descriptor.valid()) {
    const bool link = errno == ELOOP || errno == ENOTDIR;
    return environment_error(
        link ? fmt::format("the spool folder '{}' is a link or no folder, and is not used", where)
             : fmt::format("can't open the spool folder '{}': {}", where, errno_text(errno)),
        link ? fmt::format("see who made it: ls -ld '{}'; remove it or set another spool folder", where)
             : "");
  }
  struct stat info{};
  if (::fstat(descriptor.get(), &info) != 0) {
    return environment_error(
        fmt::format("can't look at the spool folder '{}': {}", where, errno_text(errno)));
  }
  if (info.st_uid != ::geteuid()) {
    return environment_error(
        fmt::format("the spool folder '{}' belongs to user {}, not to you, and is not used", where,
                    info.st_uid),
        "remove it, or set another spool folder that is yours alone");
  }
  if ((info.st_mode & 022) != 0) {
    return environment_error(
        fmt::format("others may write to the spool folder '{}', so it is not used", where),
        fmt::format("look at what is in it, then: chmod 700 '{}'", where));
  }
  return descriptor;
}

std::string hint_for(int error) {
  if (error == ENOSPC || error == EDQUOT || error == EFBIG)
    return "free some space on that disk, or set another spool folder";
  if (error == EROFS || error == EACCES || error == EPERM)
    return "make the folder writable, or set another spool folder";
  return "";
}

std::string encode_header() {
  std::string header(kSpoolMagic);
  header.append(reinterpret_cast<const char*>(&kSpoolVersion), sizeof kSpoolVersion);
  return header;
}

SpoolReader::Read reader_of(int descriptor, std::uint64_t& offset) {
  return [descriptor, &offset](std::span<std::uint8_t> buffer) -> Result<std::size_t> {
    std::size_t total = 0;
    while (total < buffer.size()) {
      const ssize_t got = ::pread(descriptor, buffer.data() + total, buffer.size() - total,
                                  static_cast<off_t>(offset + total));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return environment_error(fmt::format("it can't be read: {}", errno_text(errno)));
      if (got == 0) break;
      total += static_cast<std::size_t>(got);
    }
    offset += total;
    return total;
  };
}

/// What the frames say, without the samples.
struct SpoolSummary {
  std::optional<SpooledRun> run;
  std::set<std::string> series_devices;
  /// That no store takes.
  int bad_evidence = 0;
  bool ended = false;
  std::int64_t last_boottime_ns = 0;
};

std::unexpected<Error> malformed() {
  return user_error("a frame holds something else than it says");
}

/// Goes through every frame, so that nothing is stored of a file that turns out to be damaged.
Result<SpoolSummary> summarise_spool(int descriptor) {
  SpoolSummary summary;
  std::uint64_t offset = 0;
  JOULERY_ASSIGN(auto reader, SpoolReader::open(reader_of(descriptor, offset)));
  while (true) {
    JOULERY_ASSIGN(const auto frame, reader.next());
    if (!frame) return summary;
    if (frame->type == FrameType::run) {
      auto run = decode_spooled_run(frame->payload);
      if (!run) return malformed();
      summary.run = std::move(run);
    } else if (frame->type == FrameType::power_block) {
      const auto spooled = decode_spooled_power_block(frame->payload);
      if (!spooled) return malformed();
      JOULERY_ASSIGN(const auto info, read_power_block_info(spooled->block));
      summary.last_boottime_ns = std::max(summary.last_boottime_ns, info.last_boottime_ns);
      summary.series_devices.insert(spooled->device_id);
    } else if (frame->type == FrameType::evidence) {
      const auto evidence = decode_spooled_evidence(frame->payload);
      if (!evidence) return malformed();
      if (!is_storable(*evidence)) ++summary.bad_evidence;
    } else {
      summary.ended = true;
    }
  }
}

void mark_recovered(Run& run, std::int64_t last_boottime_ns) {
  run.status = RunStatus::killed;
  run.tags["joulery.recovered"] = "true";
  run.end_boottime_ns = std::max({run.end_boottime_ns, last_boottime_ns, run.start_boottime_ns});
  run.end_utc_ns = std::max(run.end_utc_ns, run.start_utc_ns + (run.end_boottime_ns - run.start_boottime_ns));
}

class SpoolTransaction final : public Store::TransactionBody {
 public:
  SpoolTransaction(int descriptor, const SpooledRun& spooled) : descriptor_(descriptor), spooled_(spooled) {}

  Status run(Store& store) override {
    if (!spooled_.host.id.empty()) JOULERY_CHECK_OK(store.put_host(spooled_.host));
    if (!spooled_.boot.id.empty()) JOULERY_CHECK_OK(store.put_boot(spooled_.boot));
    for (const Device& device : spooled_.devices) JOULERY_CHECK_OK(store.put_device(device));
    JOULERY_CHECK_OK(store.put_run(spooled_.run));
    std::uint64_t offset = 0;
    JOULERY_ASSIGN(auto reader, SpoolReader::open(reader_of(descriptor_, offset)));
    while (true) {
      JOULERY_ASSIGN(const auto frame, reader.next());
      if (!frame) return {};
      if (frame->type == FrameType::power_block) {
        const auto spooled = decode_spooled_power_block(frame->payload);
        if (!spooled) return malformed();
        JOULERY_CHECK_OK(
            store.put_power_block(spooled_.run.id, spooled->device_id, spooled->sequence, spooled->block));
      } else if (frame->type == FrameType::evidence) {
        const auto evidence = decode_spooled_evidence(frame->payload);
        if (!evidence) return malformed();
        if (is_storable(*evidence)) JOULERY_CHECK_OK(store.put_evidence(*evidence));
      }
    }
  }

 private:
  int descriptor_;
  const SpooledRun& spooled_;
};

/// Stores the run; if the store refuses it for what it says, once more with that changed.
Status store_run(int descriptor, SpoolSummary& summary, Store& store) {
  SpooledRun& spooled = *summary.run;
  if (!summary.ended) mark_recovered(spooled.run, summary.last_boottime_ns);
  SpoolTransaction as_it_is(descriptor, spooled);
  const Status stored = store.transaction(as_it_is);
  if (stored || stored.error().kind != Error::Kind::user) return stored;
  std::optional<Run> before;
  if (auto found = store.run(spooled.run.id); found && found->id == spooled.run.id)
    before = std::move(*found);
  make_storable(spooled, summary.series_devices, before);
  SpoolTransaction repaired(descriptor, spooled);
  return store.transaction(repaired);
}

enum class Outcome { stored, nothing_to_store, still_written };

/// Whether it is still the one that we opened and locked: somebody else may have dealt with that meanwhile.
bool is_still_there(int file, const std::string& path) {
  struct stat opened{};
  struct stat named{};
  return ::fstat(file, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

Result<Outcome> ingest_open_file(const FileDescriptor& file, const std::string& path, Store& store,
                                 IngestReport& report) {
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return environment_error(errno_text(errno));
  if (!S_ISREG(info.st_mode)) return user_error("it is no regular file");
  if (info.st_uid != ::geteuid()) {
    return user_error(fmt::format("it belongs to user {}, not to you", info.st_uid));
  }
  const bool alive = ::flock(file.get(), LOCK_EX | LOCK_NB) != 0;
  if (!alive && !is_still_there(file.get(), path)) return Outcome::nothing_to_store;
  auto read = summarise_spool(file.get());
  if (!read) {
    // Its writer has a use for it where it is, or somebody else is about to move it and tell of it.
    if (alive) return Outcome::still_written;
    return std::unexpected(std::move(read.error()));
  }
  SpoolSummary& summary = *read;
  if (alive && !summary.ended) return Outcome::still_written;
  if (summary.run) {
    JOULERY_CHECK_OK(store_run(file.get(), summary, store));
    report.ingested_run_ids.push_back(summary.run->run.id);
    if (!summary.ended) report.recovered_run_ids.push_back(summary.run->run.id);
  }
  if (summary.bad_evidence > 0) {
    return user_error(
        fmt::format("its run is stored, but without {} documents that were changed after they were made",
                    summary.bad_evidence));
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    report.kept.emplace_back(path, fmt::format("it is stored, but can't be removed: {}", errno_text(errno)));
  }
  return summary.run ? Outcome::stored : Outcome::nothing_to_store;
}

/// `file` holds the lock afterwards, so that nobody else meets the file before it is moved.
Result<Outcome> ingest_file(const std::string& path, Store& store, IngestReport& report,
                            FileDescriptor& file) {
  file = FileDescriptor(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file.valid() && errno == ENOENT) return Outcome::nothing_to_store;
  if (!file.valid() && errno == ELOOP) return user_error("it is a link");
  if (!file.valid()) return environment_error(fmt::format("it can't be opened: {}", errno_text(errno)));
  return ingest_open_file(file, path, store, report);
}

bool is_spool_name(std::string_view name) {
  return name.size() > kSuffix.size() && name.ends_with(kSuffix);
}

}  // namespace

SpoolWriter::SpoolWriter(FileDescriptor descriptor, std::string path)
    : descriptor_(std::move(descriptor)), path_(std::move(path)), size_(kSpoolHeaderBytes) {
  frame_.reserve(kFrameRoom);
}

Result<SpoolWriter> SpoolWriter::create(const std::string& folder, const std::string& run_id) {
  if (run_id.empty() || run_id.size() > 200 || run_id.front() == '.' ||
      run_id.find('/') != std::string::npos || run_id.find('\0') != std::string::npos) {
    return user_error(fmt::format("'{}' is no run id", printable(run_id.substr(0, 80))));
  }
  JOULERY_CHECK_OK(make_directories(folder, 0700));
  JOULERY_ASSIGN(const FileDescriptor place, open_folder(folder));
  const std::string name = run_id + std::string(kSuffix);
  std::string path = folder + "/" + name;
  for (int attempt = 0; attempt < kCreateAttempts; ++attempt) {
    FileDescriptor file(::openat(place.get(), name.c_str(),
                                 O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.valid() && errno == EEXIST) {
      return user_error(fmt::format("run {} has a spool already: '{}'", run_id, printable(path)));
    }
    const auto failed = [&](const char* what, int error) {
      if (file.valid()) ::unlinkat(place.get(), name.c_str(), 0);
      return environment_error(
          fmt::format("can't {} the spool '{}': {}", what, printable(path), errno_text(error)),
          hint_for(error));
    };
    if (!file.valid()) return failed("make", errno);
    if (::flock(file.get(), LOCK_EX) != 0) return failed("lock", errno);
    struct stat info{};
    // An ingest that looked between our creating and our locking it has removed the empty file.
    if (::fstat(file.get(), &info) == 0 && info.st_nlink == 0) continue;
    if (!write_all(file.get(), encode_header())) return failed("write", errno);
    return SpoolWriter(std::move(file), std::move(path));
  }
  return environment_error(fmt::format("the spool '{}' is removed again and again", printable(path)));
}

Status SpoolWriter::write_frame(std::uint8_t type) {
  if (frame_.size() - kFrameHeaderBytes > kMaxFrameBytes) {
    return user_error(
        fmt::format("{} are too much for one frame of the spool", format_bytes(double(frame_.size()))));
  }
  seal_frame(static_cast<FrameType>(type), frame_);
  const std::string_view bytes(reinterpret_cast<const char*>(frame_.data()), frame_.size());
  if (write_all(descriptor_.get(), bytes)) {
    size_ += frame_.size();
    return {};
  }
  const int error = errno;
  // Half a frame would hide all that is written after it.
  const bool undone = ::ftruncate(descriptor_.get(), static_cast<off_t>(size_)) == 0;
  return environment_error(
      fmt::format("can't write the spool '{}': {}{}", printable(path_), errno_text(error),
                  undone ? "" : ", nor take back what was written of it"),
      hint_for(error));
}

Status SpoolWriter::write_run(const Run& run, const Host& host, const Boot& boot,
                              std::span<const Device> devices) {
  frame_.assign(kFrameHeaderBytes, 0);
  encode_spooled_run(run, host, boot, devices, frame_);
  return write_frame(static_cast<std::uint8_t>(FrameType::run));
}

Status SpoolWriter::write_power_block(std::string_view device_id, std::uint64_t sequence,
                                      std::span<const std::uint8_t> block) {
  frame_.assign(kFrameHeaderBytes, 0);
  ByteWriter out(frame_);
  out.text(device_id);
  out.varint(sequence);
  out.bytes(block.data(), block.size());
  return write_frame(static_cast<std::uint8_t>(FrameType::power_block));
}

Status SpoolWriter::write_evidence(const Evidence& evidence) {
  frame_.assign(kFrameHeaderBytes, 0);
  encode_spooled_evidence(evidence, frame_);
  return write_frame(static_cast<std::uint8_t>(FrameType::evidence));
}

Status SpoolWriter::write_end() {
  frame_.assign(kFrameHeaderBytes, 0);
  return write_frame(static_cast<std::uint8_t>(FrameType::end));
}

Status ingest_spool(const std::string& path, Store& store, IngestReport& report) {
  FileDescriptor file;
  auto outcome = ingest_file(path, store, report, file);
  if (!outcome) {
    outcome.error().message = fmt::format("spool '{}': {}", printable(path), outcome.error().message);
    return std::unexpected(std::move(outcome.error()));
  }
  if (*outcome != Outcome::still_written) return {};
  return environment_error(fmt::format("spool '{}': its run is still going on", printable(path)),
                           "it is stored when the run ends");
}

Result<IngestReport> ingest_all_spools(const std::string& folder, Store& store) {
  IngestReport report;
  if (!has_spools(folder)) return report;
  JOULERY_ASSIGN(const FileDescriptor place, open_folder(folder));
  for (const std::string& name : SystemRoot("/").list(folder)) {
    if (!is_spool_name(name)) continue;
    const std::string path = folder + "/" + name;
    FileDescriptor file;
    const auto outcome = ingest_file(path, store, report, file);
    if (outcome) continue;
    std::string reason = outcome.error().message;
    if (outcome.error().kind == Error::Kind::user) {
      const auto kept_as = set_aside(place.get(), name);
      if (kept_as) {
        // Somebody else moved it, and tells of it.
        if (!*kept_as) continue;
        report.refused.push_back({path, folder + "/" + kRefusedFolder + "/" + **kept_as, std::move(reason)});
        continue;
      }
      reason += "; " + kept_as.error().message;
    }
    report.kept.emplace_back(path, std::move(reason));
  }
  return report;
}

bool has_spools(const std::string& folder) {
  const auto names = SystemRoot("/").list(folder);
  return std::any_of(names.begin(), names.end(), [](const std::string& name) { return is_spool_name(name); });
}

}  // namespace joulery::record
