#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace joulery::config {

/// Where a setting came from, lowest precedence first.
enum class Origin { built_in, user_file, project_file, environment, flag };

struct Setting {
  std::string value;
  Origin origin = Origin::built_in;
  /// "/home/a/.config/joulery/config.toml:3", "JOULERY_STORE", "--store", "default".
  std::string where;
};

/// One setting that exists: its key is the same in TOML ("run.hz"), the environment (JOULERY_RUN_HZ) and, for
/// most, a flag.
struct SettingDefinition {
  std::string key;
  std::string built_in = {};
  enum class Kind { text, number, boolean, path, choice } kind = Kind::text;
  std::vector<std::string> choices = {};
  /// Bounds of a number.
  double minimum = 0;
  double maximum = 0;
  /// Not taken from a project's file, which may have come with a cloned repository.
  bool own = false;
  std::string help = {};
};
const std::vector<SettingDefinition>& setting_definitions();

/// The environment as the program was started with it; nothing below `app` reads the real one.
struct Environment {
  std::map<std::string, std::string> variables;
  /// The same as it was given, for a command that must not notice us: order, doubles and all.
  std::vector<std::string> entries;
  std::string working_directory;
  /// HOME, or the user's home of the user database where it is not set (cron, services); empty if there is
  /// none.
  std::string home;
  std::string get(const std::string& name) const;
};

/// XDG base folders, with their fall-backs below the home folder. Without a home and without the variables
/// the folder is empty: nothing is looked for in a place that somebody else could have made.
struct Folders {
  std::string config;  // …/joulery
  std::string data;
  std::string state;
  /// Host-local even where HOME is not: /var/tmp/joulery-<uid>. Its parent is root's and sticky: nobody else
  /// can move it.
  std::string spool;
};
Folders find_folders(const Environment& environment, unsigned user_id);

/// Names the GPU driver's library for a test; not a setting, because no file may name code to load.
constexpr const char* kNvmlLibraryVariable = "JOULERY_NVML_LIBRARY";

/// A place where settings are looked for.
struct SettingsFile {
  std::string path;
  Origin origin = Origin::user_file;
  enum class State { read, missing, foreign } state = State::missing;
  /// Of a foreign one: why it is not read.
  std::string reason = {};
};

/// Settings by precedence: flag > JOULERY_* > project file > user file > built in.
class Config {
 public:
  /// Reads both files. The project file is the first joulery.toml from the working folder upward; the search
  /// ends with the first folder that holds .git, the home folder or the root. A file that others could have
  /// made or written is passed over with a note, and the search goes on: whoever can write into a folder
  /// must not say where our runs are written to. Nor does a project's file say where the counters are: its
  /// `system_root` is left aside with a note. An unknown key, wrong type or broken TOML is a user error
  /// that names file, line and the nearest key. A missing file is none.
  static Result<Config> load(const Environment& environment, const Folders& folders);
  Status set_flag(const std::string& key, const std::string& value, const std::string& flag);
  const Setting& get(const std::string& key) const;
  std::string text(const std::string& key) const { return get(key).value; }
  double number(const std::string& key) const;
  bool boolean(const std::string& key) const;
  const std::map<std::string, Setting>& all() const { return settings_; }
  /// What a person should know of how the settings were read, such as a file that was passed over.
  const std::vector<std::string>& notes() const { return notes_; }
  /// Everywhere that was looked, in this order: the user file, then from the working folder upward.
  const std::vector<SettingsFile>& files() const { return files_; }

 private:
  Status read_files(const Environment& environment, const Folders& folders);
  std::vector<SettingsFile> files_;
  std::vector<std::string> notes_;
  std::map<std::string, Setting> settings_;
};

/// Flat keys and values of a TOML text, each with its line. User error (with line and column) if it is not
/// TOML.
struct TomlEntry {
  std::string key;  // dotted
  std::string value;
  enum class Kind { text, integer, floating, boolean, other } kind = Kind::text;
  unsigned line = 0;
};
Result<std::vector<TomlEntry>> parse_toml(std::string_view text, const std::string& name);

}  // namespace joulery::config
