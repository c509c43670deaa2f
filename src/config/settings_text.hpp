#pragma once

#include <string>

#include "base/result.hpp"
#include "config/config.hpp"

namespace joulery::config {

/// A settings file as found: its text is read from the same descriptor that was judged, so that nobody can
/// exchange the file in between.
struct SettingsText {
  SettingsFile::State state = SettingsFile::State::missing;
  std::string text;    // of a file that is read
  std::string reason;  // of one that is passed over
};

/// The file that the user's own folder holds: whatever it is, the user put it there.
Result<SettingsText> read_user_settings(const std::string& path);
/// A file of a folder that the user only stands in. Read only if it is a regular file of ours or root's that
/// nobody else can write to, with every link on the way to it being ours or root's, too; all else is passed
/// over. Error if such a file can't be read or is too large.
Result<SettingsText> read_project_settings(const std::string& path);

}  // namespace joulery::config
