#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/files.hpp"
#include "base/result.hpp"
#include "record/model.hpp"
#include "record/refused_spools.hpp"
#include "record/store.hpp"

namespace joulery::record {

/// Names a store in the names of its spools, which all lie in one folder: the same for each way to its path.
std::string spool_tag(const std::string& store_path);

/// Append-only file on a host-local disk that a run is written to first, so that a kill loses at most the
/// last flush and a store on a network disk is touched once, at the end. One file per run,
/// `<run id>.<store's tag>.spool`, mode 0600, locked (flock) while its writer lives. A power cut may lose
/// what the kernel had not yet written; `write_end` waits for the disk.
class SpoolWriter {
 public:
  /// Makes `folder` (mode 0700) if needed; environment error if it is a link, somebody else's, open to
  /// others, or can't be written. A spool of the same run that exists is a user error. `store_tag` says which
  /// store the run is for; empty: for whichever looks first.
  static Result<SpoolWriter> create(const std::string& folder, const std::string& run_id,
                                    const std::string& store_tag = {});
  /// State of the run and its host, boot and devices so far; a later one replaces an earlier one.
  Status write_run(const Run& run, const Host& host, const Boot& boot, std::span<const Device> devices);
  /// Allocates nothing unless it fails.
  Status write_power_block(std::string_view device_id, std::uint64_t sequence,
                           std::span<const std::uint8_t> block);
  Status write_evidence(const Evidence& evidence);
  /// The run ended in good order. Without it, recovery marks the run KILLED.
  Status write_end();
  const std::string& path() const { return path_; }

 private:
  SpoolWriter(FileDescriptor descriptor, std::string path);
  Status write_frame(std::uint8_t type);
  FileDescriptor descriptor_;
  std::string path_;
  std::vector<std::uint8_t> frame_;
  std::uint64_t size_;  // whole frames in the file
};

struct IngestReport {
  std::vector<std::string> ingested_run_ids;
  /// Of those, runs whose writer died: marked KILLED and tagged `joulery.recovered`.
  std::vector<std::string> recovered_run_ids;
  /// Spool files that can't be stored now (the disk is full, the store is locked, a newer version wrote
  /// them): kept for the next time, with the reason.
  std::vector<std::pair<std::string, std::string>> kept;
  /// Spool files that can never be stored as they are, moved out of the way so that this is said once.
  struct Refused {
    std::string path;
    std::string moved_to;
    std::string reason;
    /// What could be read of it is in the store.
    bool stored_in_part = false;
  };
  std::vector<Refused> refused;
};

/// Moves one finished spool file into the store in one transaction and removes the file after the commit.
/// Storing the same file twice changes nothing. What the store refuses of it is changed so that it fits
/// (spool_repair.hpp). Of a damaged file all before the damage is stored, if that is at least its first run
/// frame, and the run is tagged `joulery.damaged`; the file stays, and that is a user error. An environment
/// error may pass; a user error won't: the file can never be stored, or no more of it.
Status ingest_spool(const std::string& path, Store& store, IngestReport& report);
/// Ingests all files in `folder` whose writer is gone (or has ended the run). Files still locked are left
/// alone. A last frame that is cut off is what a kill leaves and is dropped, as are the zeros that a power
/// cut leaves; a damaged file goes to the folder `refused` beside it. Many processes may do this at once:
/// each file is told of once. No file is ever deleted before all of it is stored. Files of stores with
/// another tag are left alone.
Result<IngestReport> ingest_all_spools(const std::string& folder, Store& store,
                                       const std::string& store_tag = {});
/// True if there is anything for ingest_all_spools to look at. Cheap: one folder listing.
bool has_spools(const std::string& folder, const std::string& store_tag = {});
/// How many spools are there for other stores.
int count_spools_of_others(const std::string& folder, const std::string& store_tag);

}  // namespace joulery::record
