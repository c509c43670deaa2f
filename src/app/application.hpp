#pragma once

#include <memory>
#include <string>

#include "base/clock.hpp"
#include "base/files.hpp"
#include "base/result.hpp"
#include "config/config.hpp"
#include "footprint/tables.hpp"
#include "meter/launcher.hpp"
#include "meter/session.hpp"
#include "power/nvml_api.hpp"
#include "record/spool.hpp"
#include "record/store.hpp"

namespace joulery::app {

/// The program's version, "0.1.0".
const char* version();

/// Everything that both front ends share: settings, machine, store. This is where the real clock, file
/// system, environment and system calls come in. Not thread-safe.
class Application {
 public:
  /// Reads settings; `environment` is the program's, `signals` as they were at its start.
  static Result<std::unique_ptr<Application>> create(config::Environment environment,
                                                     meter::InheritedSignals signals);

  config::Config& config() { return config_; }
  const config::Environment& environment() const { return environment_; }
  const config::Folders& folders() const { return folders_; }
  const meter::InheritedSignals& signals() const { return signals_; }
  const Clock& clock() const { return clock_; }
  const SystemRoot& root() const { return root_; }
  const SystemRoot& sensors();
  meter::Machine machine();
  /// The GPU driver's library; null if GPUs are not to be looked for.
  power::NvmlLibrary* nvml();
  /// Login name, for the record.
  std::string user() const;
  enum class StoreAccess { read_write, read_only };
  /// The store that the settings name. Runs that a dead meter left in the spool are moved in first; what was
  /// recovered or kept is in `recovered` if that is given.
  Result<std::unique_ptr<record::Store>> open_store(StoreAccess access,
                                                    record::IngestReport* recovered = nullptr);
  /// Tables that footprints rest on: those of --data, those imported, the built-in ones. Read when first
  /// asked for.
  const footprint::DataSet& data();
  /// Where the store is, as a file path. User error for a URL whose plug-in is not there.
  Result<std::string> store_path() const;
  /// A quick look before a command runs, at a store that somebody named: a slip of the pen is told before the
  /// work is done. Makes the store's folder. User error if it can't be a store. The default place is not
  /// looked at: a read-only home is no reason not to meter.
  Status check_named_store() const;
  /// What becomes of a run that waits in a spool, for a hint: "; the next joulery command on the store …".
  std::string stored_later() const;

 private:
  Application() = default;
  config::Environment environment_;
  config::Folders folders_;
  config::Config config_;
  meter::InheritedSignals signals_{};
  SystemClock clock_;
  SystemRoot root_;
  std::unique_ptr<SystemRoot> sensors_;
  std::unique_ptr<footprint::DataSet> data_;
  std::unique_ptr<power::NvmlLibrary> nvml_;
};

}  // namespace joulery::app
