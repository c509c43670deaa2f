#include "record/spool.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <set>

#include "base/ids.hpp"
#include "base/text.hpp"
#include "record/spool_format.hpp"
#include "record/spool_repair.hpp"

namespace joulery::record {
namespace {

constexpr std::string_view kSuffix = ".spool";
constexpr std::size_t kTagDigits = 12;
constexpr std::size_t kFrameRoom = 64 * 1024;
constexpr int kCreateAttempts = 10;
constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

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

/// Reads on from `offset`; the file ends at `limit`, wherever it really does.
SpoolReader::Read reader_of(int descriptor, std::uint64_t& offset, std::uint64_t limit) {
  return [descriptor, &offset, limit](std::span<std::uint8_t> buffer) -> Result<std::size_t> {
    std::size_t total = 0;
    buffer = buffer.first(std::min<std::uint64_t>(buffer.size(), limit - offset));
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
  /// Why the file can't be read beyond `intact_bytes`; empty if that is its end, or what an unfinished write
  /// left.
  std::string damage;
  std::uint64_t intact_bytes = 0;
  /// More of the run was stored before than this file can give.
  bool whole_is_stored = false;
};

std::unexpected<Error> malformed() {
  return user_error("a frame holds something else than it says");
}

Status add_frame(const SpoolFrame& frame, SpoolSummary& summary) {
  if (frame.type == FrameType::run) {
    auto run = decode_spooled_run(frame.payload);
    if (!run) return malformed();
    summary.run = std::move(run);
  } else if (frame.type == FrameType::power_block) {
    const auto spooled = decode_spooled_power_block(frame.payload);
    if (!spooled) return malformed();
    JOULERY_ASSIGN(const auto info, read_power_block_info(spooled->block));
    summary.last_boottime_ns = std::max(summary.last_boottime_ns, info.last_boottime_ns);
    summary.series_devices.insert(spooled->device_id);
  } else if (frame.type == FrameType::evidence) {
    const auto evidence = decode_spooled_evidence(frame.payload);
    if (!evidence) return malformed();
    if (!is_storable(*evidence)) ++summary.bad_evidence;
  } else {
    summary.ended = true;
  }
  return {};
}

/// Goes through every frame up to the first that is damaged, so that it is known what can be stored before
/// anything is. Damage is an error only if no run stands before it.
Result<SpoolSummary> summarise_spool(int descriptor) {
  SpoolSummary summary;
  std::uint64_t offset = 0;
  JOULERY_ASSIGN(auto reader, SpoolReader::open(reader_of(descriptor, offset, kNoLimit)));
  while (true) {
    summary.intact_bytes = reader.offset();
    const auto frame = reader.next();
    if (frame && !*frame) return summary;
    const Status added = frame ? add_frame(**frame, summary) : std::unexpected(frame.error());
    if (added) continue;
    if (added.error().kind != Error::Kind::user || !summary.run) return std::unexpected(added.error());
    summary.damage = added.error().message;
    if (frame)
      summary.damage = fmt::format("it is damaged at byte {}: {}", summary.intact_bytes, summary.damage);
    return summary;
  }
}

void mark_cut_off(Run& run, std::int64_t last_boottime_ns) {
  run.end_boottime_ns = std::max({run.end_boottime_ns, last_boottime_ns, run.start_boottime_ns});
  run.end_utc_ns = std::max(run.end_utc_ns, run.start_utc_ns + (run.end_boottime_ns - run.start_boottime_ns));
}

/// The run's state as far as its spool tells it.
void mark(Run& run, const SpoolSummary& summary, std::uint64_t file_bytes) {
  if (!summary.damage.empty()) {
    run.tags[kDamagedTag] =
        fmt::format("{} of {} bytes of its spool are lost{}: {}", file_bytes - summary.intact_bytes,
                    file_bytes, summary.ended ? ", behind the end of the run" : "", summary.damage);
  }
  if (summary.ended) return;
  mark_cut_off(run, summary.last_boottime_ns);
  // How the run ended may be told behind the damage: what its writer said before that stands.
  const bool over = run.status != RunStatus::running && run.status != RunStatus::scheduled;
  if (!summary.damage.empty() && over) return;
  run.status = RunStatus::killed;
  if (summary.damage.empty()) run.tags["joulery.recovered"] = "true";
}

class SpoolTransaction final : public Store::TransactionBody {
 public:
  SpoolTransaction(int descriptor, const SpooledRun& spooled, std::uint64_t intact_bytes)
      : descriptor_(descriptor), spooled_(spooled), intact_bytes_(intact_bytes) {}

  Status run(Store& store) override {
    if (!spooled_.host.id.empty()) JOULERY_CHECK_OK(store.put_host(spooled_.host));
    if (!spooled_.boot.id.empty()) JOULERY_CHECK_OK(store.put_boot(spooled_.boot));
    for (const Device& device : spooled_.devices) JOULERY_CHECK_OK(store.put_device(device));
    JOULERY_CHECK_OK(store.put_run(spooled_.run));
    std::uint64_t offset = 0;
    JOULERY_ASSIGN(auto reader, SpoolReader::open(reader_of(descriptor_, offset, intact_bytes_)));
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
  std::uint64_t intact_bytes_;
};

/// The run of this very id, if the store has it. A run that is missing is the usual case: `Store::run` would
/// look for what may be meant instead.
std::optional<Run> stored_run(const std::string& id, Store& store) {
  auto found = store.search_runs({.filter = fmt::format("attributes.run_id = '{}'", id), .max_results = 1});
  if (!found || found->size() != 1 || found->front().id != id) return std::nullopt;
  return std::move(found->front());
}

/// Stores the run; if the store refuses it for what it says, once more with that changed.
Status store_run(int descriptor, SpoolSummary& summary, std::uint64_t file_bytes, Store& store) {
  SpooledRun& spooled = *summary.run;
  mark(spooled.run, summary, file_bytes);
  if (const auto before = stored_run(spooled.run.id, store)) {
    const auto tag = before->tags.find(kDamagedTag);
    const bool was_damaged = tag != before->tags.end() && tag->second != kMended;
    // Part of a run takes nothing away from the whole of it.
    summary.whole_is_stored = !summary.damage.empty() && !was_damaged && before->status != RunStatus::running;
    if (summary.whole_is_stored) return {};
    if (summary.damage.empty() && was_damaged) spooled.run.tags[kDamagedTag] = kMended;
  }
  SpoolTransaction as_it_is(descriptor, spooled, summary.intact_bytes);
  const Status stored = store.transaction(as_it_is);
  if (stored || stored.error().kind != Error::Kind::user) return stored;
  std::optional<Run> before;
  if (auto found = store.run(spooled.run.id); found && found->id == spooled.run.id)
    before = std::move(*found);
  make_storable(spooled, summary.series_devices, before);
  SpoolTransaction repaired(descriptor, spooled, summary.intact_bytes);
  return store.transaction(repaired);
}

enum class Outcome { stored, stored_in_part, nothing_to_store, in_use };

struct Ingestion {
  Outcome outcome = Outcome::nothing_to_store;
  /// What is not stored, if the outcome is `stored_in_part`.
  std::string left_out;
};

std::string what_is_left_out(const SpoolSummary& summary) {
  std::string text = summary.damage;
  if (summary.whole_is_stored) {
    return text + fmt::format("; run {} was stored before and stays as it is", summary.run->run.id);
  }
  if (!text.empty()) {
    text += fmt::format("; what stands before is in run {}, tagged {}", summary.run->run.id, kDamagedTag);
  }
  if (summary.bad_evidence == 0) return text;
  return text +
         fmt::format("{}its run is stored, but without {} documents that were changed after they were made",
                     text.empty() ? "" : "; ", summary.bad_evidence);
}

/// Whether it is still the one that we opened and locked: somebody else may have dealt with that meanwhile.
bool is_still_there(int file, const std::string& path) {
  struct stat opened{};
  struct stat named{};
  return ::fstat(file, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

Result<Ingestion> ingest_open_file(const FileDescriptor& file, const std::string& path, Store& store,
                                   IngestReport& report) {
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return environment_error(errno_text(errno));
  if (!S_ISREG(info.st_mode)) return user_error("it is no regular file");
  if (info.st_uid != ::geteuid()) {
    return user_error(fmt::format("it belongs to user {}, not to you", info.st_uid));
  }
  const bool alive = ::flock(file.get(), LOCK_EX | LOCK_NB) != 0;
  if (!alive && !is_still_there(file.get(), path)) return Ingestion{};
  auto read = summarise_spool(file.get());
  // Its writer has a use for it where it is, or somebody else is about to move it and tell of it.
  const bool damaged = !read || !read->damage.empty();
  if (alive && (damaged || !read->ended)) return Ingestion{Outcome::in_use, ""};
  if (!read) return std::unexpected(std::move(read.error()));
  SpoolSummary& summary = *read;
  if (summary.run) {
    const auto file_bytes = std::max(static_cast<std::uint64_t>(info.st_size), summary.intact_bytes);
    JOULERY_CHECK_OK(store_run(file.get(), summary, file_bytes, store));
    if (!summary.whole_is_stored) report.ingested_run_ids.push_back(summary.run->run.id);
    if (!summary.ended && !damaged) report.recovered_run_ids.push_back(summary.run->run.id);
  }
  if (damaged || summary.bad_evidence > 0)
    return Ingestion{Outcome::stored_in_part, what_is_left_out(summary)};
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    report.kept.emplace_back(path, fmt::format("it is stored, but can't be removed: {}", errno_text(errno)));
  }
  return Ingestion{summary.run ? Outcome::stored : Outcome::nothing_to_store, ""};
}

/// `file` holds the lock afterwards, so that nobody else meets the file before it is moved.
Result<Ingestion> ingest_file(const std::string& path, Store& store, IngestReport& report,
                              FileDescriptor& file) {
  file = FileDescriptor(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file.valid() && errno == ENOENT) return Ingestion{};
  if (!file.valid() && errno == ELOOP) return user_error("it is a link");
  if (!file.valid()) return environment_error(fmt::format("it can't be opened: {}", errno_text(errno)));
  return ingest_open_file(file, path, store, report);
}

bool is_spool_name(std::string_view name) {
  return name.size() > kSuffix.size() && name.ends_with(kSuffix);
}

/// Empty if the name says of no store.
std::string_view tag_of(std::string_view name) {
  const std::string_view stem = name.substr(0, name.size() - kSuffix.size());
  const auto dot = stem.rfind('.');
  if (dot == std::string_view::npos || stem.size() - dot - 1 != kTagDigits) return {};
  const std::string_view tag = stem.substr(dot + 1);
  return tag.find_first_not_of("0123456789abcdef") == std::string_view::npos ? tag : std::string_view();
}

bool is_spool_for(std::string_view name, std::string_view store_tag) {
  if (!is_spool_name(name)) return false;
  const std::string_view tag = tag_of(name);
  return store_tag.empty() || tag.empty() || tag == store_tag;
}

}  // namespace

SpoolWriter::SpoolWriter(FileDescriptor descriptor, std::string path)
    : descriptor_(std::move(descriptor)), path_(std::move(path)), size_(kSpoolHeaderBytes) {
  frame_.reserve(kFrameRoom);
}

std::string spool_tag(const std::string& store_path) {
  std::error_code error;
  const auto path = std::filesystem::weakly_canonical(std::filesystem::absolute(store_path, error), error);
  return sha256_hex(error ? store_path : path.string()).substr(0, kTagDigits);
}

Result<SpoolWriter> SpoolWriter::create(const std::string& folder, const std::string& run_id,
                                        const std::string& store_tag) {
  if (run_id.empty() || run_id.size() > 200 || run_id.front() == '.' ||
      run_id.find('/') != std::string::npos || run_id.find('\0') != std::string::npos) {
    return user_error(fmt::format("'{}' is no run id", printable(run_id.substr(0, 80))));
  }
  JOULERY_CHECK_OK(make_directories(folder, 0700));
  JOULERY_ASSIGN(const FileDescriptor place, open_folder(folder));
  const std::string name = run_id + (store_tag.empty() ? "" : "." + store_tag) + std::string(kSuffix);
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
  auto ingestion = ingest_file(path, store, report, file);
  const auto failed = [&](Error error) {
    error.message = fmt::format("spool '{}': {}", printable(path), error.message);
    return std::unexpected(std::move(error));
  };
  if (!ingestion) return failed(std::move(ingestion.error()));
  if (ingestion->outcome == Outcome::stored_in_part) return failed(user_error(ingestion->left_out).error());
  if (ingestion->outcome != Outcome::in_use) return {};
  return environment_error(fmt::format("spool '{}': its run is still going on", printable(path)),
                           "it is stored when the run ends");
}

Result<IngestReport> ingest_all_spools(const std::string& folder, Store& store,
                                       const std::string& store_tag) {
  IngestReport report;
  if (!has_spools(folder, store_tag)) return report;
  JOULERY_ASSIGN(const FileDescriptor place, open_folder(folder));
  for (const std::string& name : SystemRoot("/").list(folder)) {
    if (!is_spool_for(name, store_tag)) continue;
    const std::string path = folder + "/" + name;
    FileDescriptor file;
    const auto ingestion = ingest_file(path, store, report, file);
    const bool in_part = ingestion && ingestion->outcome == Outcome::stored_in_part;
    if (ingestion && !in_part) continue;
    std::string reason = in_part ? ingestion->left_out : ingestion.error().message;
    if (in_part || ingestion.error().kind == Error::Kind::user) {
      const auto kept_as = set_aside(place.get(), name);
      if (kept_as) {
        // Somebody else moved it, and tells of it.
        if (!*kept_as) continue;
        report.refused.push_back(
            {path, folder + "/" + kRefusedFolder + "/" + **kept_as, std::move(reason), in_part});
        continue;
      }
      reason += "; " + kept_as.error().message;
    }
    report.kept.emplace_back(path, std::move(reason));
  }
  return report;
}

bool has_spools(const std::string& folder, const std::string& store_tag) {
  const auto names = SystemRoot("/").list(folder);
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return is_spool_for(name, store_tag); });
}

int count_spools_of_others(const std::string& folder, const std::string& store_tag) {
  const auto names = SystemRoot("/").list(folder);
  return static_cast<int>(std::count_if(names.begin(), names.end(), [&](const std::string& name) {
    return is_spool_name(name) && !is_spool_for(name, store_tag);
  }));
}

}  // namespace joulery::record
