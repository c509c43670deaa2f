#include "config/config.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.hpp"
#include "config/settings_text.hpp"

namespace joulery::config {
namespace {

const SettingDefinition* find_definition(std::string_view key) {
  for (const SettingDefinition& definition : setting_definitions()) {
    if (definition.key == key) return &definition;
  }
  return nullptr;
}

std::string variable_name(const std::string& key) {
  std::string name = "JOULERY_";
  for (const char c : key)
    name.push_back(c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c));
  return name;
}

std::vector<std::string> all_keys() {
  std::vector<std::string> keys;
  for (const SettingDefinition& definition : setting_definitions()) keys.push_back(definition.key);
  return keys;
}

Status check_value(const SettingDefinition& definition, const std::string& value, const std::string& where) {
  using Kind = SettingDefinition::Kind;
  if (definition.kind == Kind::number) {
    const auto number = parse_double(value);
    if (!number)
      return user_error(
          fmt::format("{}: {} needs a number, not '{}'", where, definition.key, printable(value)));
    if (*number < definition.minimum || *number > definition.maximum) {
      return user_error(fmt::format("{}: {} is {}, but it must be between {} and {}", where, definition.key,
                                    printable(value), definition.minimum, definition.maximum));
    }
  }
  if (definition.kind == Kind::boolean && value != "true" && value != "false") {
    return user_error(
        fmt::format("{}: {} needs true or false, not '{}'", where, definition.key, printable(value)));
  }
  if (definition.kind == Kind::choice) {
    const auto& choices = definition.choices;
    if (std::find(choices.begin(), choices.end(), value) == choices.end()) {
      const auto meant = did_you_mean(value, choices);
      return user_error(fmt::format("{}: {} can't be '{}'; it is one of: {}", where, definition.key,
                                    printable(value), fmt::join(choices, ", ")),
                        meant ? fmt::format("did you mean '{}'?", *meant) : "");
    }
  }
  if (definition.kind == Kind::path && value.find('\0') != std::string::npos) {
    return user_error(fmt::format("{}: {} holds a zero byte", where, definition.key));
  }
  return {};
}

Status unknown_key(const std::string& key, const std::string& where) {
  const auto meant = did_you_mean(key, all_keys());
  return user_error(fmt::format("{}: there is no setting '{}'", where, printable(key)),
                    meant ? fmt::format("did you mean '{}'? `joulery config show` lists all settings", *meant)
                          : "`joulery config show` lists all settings");
}

/// "~/x" and relative paths of a file are meant from HOME and from the file's folder.
std::string expand_path(const std::string& value, const std::string& base, const std::string& home) {
  if (value.empty() || value.front() == '/') return value;
  if (value == "~" || value.rfind("~/", 0) == 0) return home + value.substr(1);
  return base + "/" + value;
}

/// `notes` gets what of the text is left aside.
Status take_settings(const std::string& text, const SettingsFile& file, const std::string& home,
                     std::map<std::string, Setting>& settings, std::vector<std::string>& notes) {
  const std::string& path = file.path;
  JOULERY_ASSIGN(const std::vector<TomlEntry> entries, parse_toml(text, path));
  for (const TomlEntry& entry : entries) {
    const std::string where = fmt::format("{}:{}", path, entry.line);
    const SettingDefinition* definition = find_definition(entry.key);
    if (definition == nullptr) return unknown_key(entry.key, where);
    if (definition->own && file.origin == Origin::project_file) {
      notes.push_back(
          fmt::format("{}: {} is not taken from a project's file; set it in your own config.toml or with {}",
                      printable(where), entry.key, variable_name(entry.key)));
      continue;
    }
    using Kind = SettingDefinition::Kind;
    const bool number = entry.kind == TomlEntry::Kind::integer || entry.kind == TomlEntry::Kind::floating;
    const bool fits = definition->kind == Kind::number    ? number
                      : definition->kind == Kind::boolean ? entry.kind == TomlEntry::Kind::boolean
                                                          : entry.kind == TomlEntry::Kind::text;
    if (!fits) {
      const char* wanted = definition->kind == Kind::number    ? "a number"
                           : definition->kind == Kind::boolean ? "true or false"
                                                               : "a text in quotes";
      return user_error(fmt::format("{}: {} needs {}", where, entry.key, wanted));
    }
    JOULERY_CHECK_OK(check_value(*definition, entry.value, where));
    std::string value = entry.value;
    if (definition->kind == Kind::path) value = expand_path(value, path.substr(0, path.rfind('/')), home);
    settings[entry.key] = Setting{std::move(value), file.origin, where};
  }
  return {};
}

bool same_folder(const std::string& a, const std::string& b) {
  struct stat first{};
  struct stat second{};
  return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

/// From the working folder upward, where a project's file may lie.
std::vector<std::string> project_files(const Environment& environment) {
  std::vector<std::string> files;
  std::string folder = environment.working_directory;
  while (!folder.empty() && folder.front() == '/') {
    if (folder.size() > 1 && folder.back() == '/') {
      folder.pop_back();
      continue;
    }
    files.push_back(folder == "/" ? "/joulery.toml" : folder + "/joulery.toml");
    if (folder == "/" || ::access((folder + "/.git").c_str(), F_OK) == 0) break;
    if (!environment.home.empty() && same_folder(folder, environment.home)) break;
    folder.resize(std::max<std::size_t>(folder.rfind('/'), 1));
  }
  return files;
}

}  // namespace

const std::vector<SettingDefinition>& setting_definitions() {
  using Kind = SettingDefinition::Kind;
  static const std::vector<SettingDefinition> kDefinitions = {
      {.key = "store", .kind = Kind::path, .help = "file that all runs are kept in"},
      {.key = "spool", .kind = Kind::path, .help = "host-local folder that runs are written to first"},
      {.key = "color",
       .built_in = "auto",
       .kind = Kind::choice,
       .choices = {"auto", "always", "never"},
       .help = "colour in what is printed for people"},
      {.key = "system_root",
       .built_in = "/",
       .kind = Kind::path,
       .own = true,
       .help = "where /proc and /sys are found, for a container that has the host's mounted elsewhere"},
      {.key = "zone", .help = "where the electricity comes from: FR, US-CA, CA-QC, aws:eu-west-3"},
      {.key = "pue",
       .kind = Kind::number,
       .minimum = 1,
       .maximum = 5,
       .help = "power usage effectiveness of the data centre; 1 at home"},
      {.key = "price", .help = "price of a kWh with its currency: 0.25 EUR"},
      {.key = "intensity",
       .built_in = "lifecycle",
       .kind = Kind::choice,
       .choices = {"lifecycle", "direct"},
       .help = "kind of grid intensity: with or without what fuels and plants cost elsewhere"},
      {.key = "data", .kind = Kind::path, .help = "folder of tables that replace the built-in ones"},
      {.key = "run.reserved",
       .built_in = "false",
       .kind = Kind::boolean,
       .help = "the whole machine is there for the run alone (for SCI and the embodied share)"},
      {.key = "run.experiment", .built_in = "Default", .help = "experiment that runs belong to"},
      {.key = "run.hz",
       .built_in = "10",
       .kind = Kind::number,
       .minimum = 0.01,
       .maximum = 10000,
       .help = "power samples per second"},
      {.key = "run.idle",
       .built_in = "proportional",
       .kind = Kind::choice,
       .choices = {"proportional", "none", "all"},
       .help = "who bears the machine's idle power"},
      {.key = "run.wait",
       .built_in = "tree",
       .kind = Kind::choice,
       .choices = {"child", "tree"},
       .help = "what ends a run: the command, or all processes that it started"},
      {.key = "run.grace_seconds",
       .built_in = "5",
       .kind = Kind::number,
       .minimum = 0,
       .maximum = 86400,
       .help = "how long `wait = \"tree\"` waits for daemons"},
      {.key = "run.attribution",
       .built_in = "auto",
       .kind = Kind::choice,
       .choices = {"auto", "cgroup", "systemd", "perf", "tree"},
       .help = "how the workload is told from the rest"},
  };
  return kDefinitions;
}

std::string Environment::get(const std::string& name) const {
  const auto found = variables.find(name);
  return found == variables.end() ? std::string() : found->second;
}

Folders find_folders(const Environment& environment, unsigned user_id) {
  const auto place = [&](const char* variable, const char* fallback) -> std::string {
    const std::string value = environment.get(variable);
    // The XDG specification says to ignore relative paths.
    if (!value.empty() && value.front() == '/') return value + "/joulery";
    if (environment.home.empty() || environment.home.front() != '/') return {};
    return environment.home + fallback + "/joulery";
  };
  return {.config = place("XDG_CONFIG_HOME", "/.config"),
          .data = place("XDG_DATA_HOME", "/.local/share"),
          .state = place("XDG_STATE_HOME", "/.local/state"),
          .spool = fmt::format("/var/tmp/joulery-{}", user_id)};
}

Status Config::read_files(const Environment& environment, const Folders& folders) {
  using State = SettingsFile::State;
  std::vector<std::string> texts;
  const auto look_at = [&](const std::string& path, Origin origin) -> Result<State> {
    JOULERY_ASSIGN(SettingsText found,
                   origin == Origin::user_file ? read_user_settings(path) : read_project_settings(path));
    files_.push_back(
        {.path = path, .origin = origin, .state = found.state, .reason = std::move(found.reason)});
    texts.push_back(std::move(found.text));
    return found.state;
  };
  if (!folders.config.empty()) JOULERY_CHECK_OK(look_at(folders.config + "/config.toml", Origin::user_file));
  for (const std::string& path : project_files(environment)) {
    JOULERY_ASSIGN(const State state, look_at(path, Origin::project_file));
    if (state == State::read) break;
    if (state == State::foreign) {
      notes_.push_back(fmt::format("{} {} and is not read; copy it to make it yours", printable(path),
                                   files_.back().reason));
    }
  }
  for (std::size_t i = 0; i < files_.size(); ++i) {
    if (files_[i].state != State::read) continue;
    JOULERY_CHECK_OK(take_settings(texts[i], files_[i], environment.home, settings_, notes_));
  }
  return {};
}

Result<Config> Config::load(const Environment& environment, const Folders& folders) {
  Config config;
  for (const SettingDefinition& definition : setting_definitions()) {
    config.settings_[definition.key] = Setting{definition.built_in, Origin::built_in, "default"};
  }
  if (!folders.data.empty()) config.settings_["store"].value = folders.data + "/joulery.db";
  config.settings_["spool"].value = folders.spool;
  const std::string& home = environment.home;
  JOULERY_CHECK_OK(config.read_files(environment, folders));
  std::vector<std::string> names;
  for (const SettingDefinition& definition : setting_definitions())
    names.push_back(variable_name(definition.key));
  names.emplace_back(kNvmlLibraryVariable);
  for (const auto& [name, value] : environment.variables) {
    if (name.rfind("JOULERY_", 0) != 0 || std::find(names.begin(), names.end(), name) != names.end())
      continue;
    const auto meant = did_you_mean(name, names);
    config.notes_.push_back(
        fmt::format("{} is no setting{}", name, meant ? "; did you mean " + *meant + "?" : ""));
  }
  for (const SettingDefinition& definition : setting_definitions()) {
    const std::string name = variable_name(definition.key);
    std::string value = environment.get(name);
    if (value.empty()) continue;
    JOULERY_CHECK_OK(check_value(definition, value, name));
    if (definition.kind == SettingDefinition::Kind::path)
      value = expand_path(value, environment.working_directory, home);
    config.settings_[definition.key] = Setting{std::move(value), Origin::environment, name};
  }
  return config;
}

Status Config::set_flag(const std::string& key, const std::string& value, const std::string& flag) {
  const SettingDefinition* definition = find_definition(key);
  if (definition == nullptr) return unknown_key(key, flag);
  JOULERY_CHECK_OK(check_value(*definition, value, flag));
  settings_[key] = Setting{value, Origin::flag, flag};
  return {};
}

const Setting& Config::get(const std::string& key) const {
  return settings_.at(key);
}

double Config::number(const std::string& key) const {
  return parse_double(get(key).value).value_or(0);
}

bool Config::boolean(const std::string& key) const {
  return get(key).value == "true";
}

}  // namespace joulery::config
