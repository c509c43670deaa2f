#include "app/application.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/dynamic_library.hpp"
#include "base/text.hpp"
#include "power/system_calls.hpp"

namespace joulery::app {

const char* version() {
  return JOULERY_VERSION;
}

Result<std::unique_ptr<Application>> Application::create(config::Environment environment,
                                                         meter::InheritedSignals signals) {
  std::unique_ptr<Application> application(new Application);
  application->environment_ = std::move(environment);
  application->signals_ = signals;
  application->folders_ = config::find_folders(application->environment_, ::getuid());
  JOULERY_ASSIGN(application->config_,
                 config::Config::load(application->environment_, application->folders_));
  return application;
}

const SystemRoot& Application::sensors() {
  if (!sensors_) sensors_ = std::make_unique<SystemRoot>(config_.text("system_root"));
  return *sensors_;
}

const footprint::DataSet& Application::data() {
  if (!data_) {
    data_ = std::make_unique<footprint::DataSet>(
        footprint::DataFolders{.override_folder = config_.text("data"),
                               .user_folder = folders_.data.empty() ? "" : folders_.data + "/data"});
  }
  return *data_;
}

meter::Machine Application::machine() {
  return {.root = root_,
          .sensors = sensors(),
          .clock = clock_,
          .system_calls = power::real_system_calls(),
          .library_directory = own_library_directory(),
          .nvml = nvml()};
}

/// Tests name a library of their own by a variable. It is not a setting, so that no file in a folder that
/// somebody enters can name code to load; whoever sets our environment could name it to the loader as well.
/// With privileges that our user lacks (setcap, setuid) it is passed over, as the loader does with its own.
power::NvmlLibrary* Application::nvml() {
  if (nvml_) return nvml_.get();
  const std::string named = environment_.get(config::kNvmlLibraryVariable);
  if (!named.empty() && ::getauxval(AT_SECURE) == 0) {
    nvml_ = std::make_unique<power::NvmlLibrary>(std::vector<std::string>{named});
  } else if (sensors().prefix().empty()) {
    nvml_ = std::make_unique<power::NvmlLibrary>(power::nvml_library_paths(root_));
  }
  // A made-up tree of sensors has no GPUs.
  return nvml_.get();
}

std::string Application::user() const {
  for (const char* variable : {"USER", "LOGNAME"}) {
    if (const std::string name = environment_.get(variable); !name.empty()) return printable(name);
  }
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(::getuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    return printable(entry.pw_name);
  }
  return fmt::format("{}", ::getuid());
}

Result<std::string> Application::store_path() const {
  const config::Setting& setting = config_.get("store");
  const std::string& value = setting.value;
  constexpr std::string_view kSqlite = "sqlite://";
  if (value.rfind(kSqlite, 0) == 0) return value.substr(kSqlite.size());
  if (value.find("://") != std::string::npos) {
    return user_error(fmt::format("{}: this build keeps runs in SQLite only, not in '{}'", setting.where,
                                  printable(value.substr(0, value.find("://") + 3))),
                      "give a file path, such as --store runs.db");
  }
  if (value.empty()) {
    return user_error("there is no home folder to keep runs in",
                      "name a file: --store runs.db, or JOULERY_STORE");
  }
  return value;
}

Status Application::check_named_store() const {
  const config::Setting& setting = config_.get("store");
  if (setting.origin == config::Origin::built_in) return {};
  JOULERY_ASSIGN(const std::string path, store_path());
  if (const Status place = record::check_sqlite_place(path); !place) {
    return user_error(fmt::format("{}: {}", setting.where, place.error().message),
                      "nothing was run; name a file: --store runs.db");
  }
  return {};
}

std::string Application::stored_later() const {
  // The spool is for one store: no command on another takes it.
  const auto place = store_path();
  return place ? fmt::format("; the next joulery command on the store {} moves it in", printable(*place))
               : "";
}

Result<std::unique_ptr<record::Store>> Application::open_store(StoreAccess access,
                                                               record::IngestReport* recovered) {
  JOULERY_ASSIGN(const std::string path, store_path());
  const std::string spool = config_.text("spool");
  const std::string tag = record::spool_tag(path);
  const bool spooled = record::has_spools(spool, tag);
  const bool read_only = access == StoreAccess::read_only && !spooled;
  if (read_only && ::access(path.c_str(), F_OK) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) {
      return environment_error(
          fmt::format("can't open the store '{}': {}", printable(path), errno_text(errno)));
    }
    return user_error(fmt::format("there are no runs yet: no store at '{}'", printable(path)),
                      "`joulery run -- CMD` makes the first one");
  }
  auto store =
      record::open_sqlite_store(path, {.create = !read_only, .read_only = read_only, .filesystem = {}});
  if (!store) return store;
  if (spooled) {
    auto report = record::ingest_all_spools(spool, **store, tag);
    if (recovered != nullptr) {
      if (report) {
        *recovered = std::move(*report);
      } else {
        recovered->kept.emplace_back(spool, report.error().message);
      }
    }
  }
  return store;
}

}  // namespace joulery::app
