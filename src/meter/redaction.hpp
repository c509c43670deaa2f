#pragma once

#include <string>
#include <vector>

namespace joulery::meter {

/// The command's arguments as they may be recorded: values that look like secrets are replaced by
/// "[redacted]". Looked at: flags and assignments whose name speaks of a secret (--api-key X, PASSWORD=X),
/// well-known token shapes (sk-…, ghp_…, hf_…, AKIA…, JWTs) and passwords in URLs.
std::vector<std::string> redact_arguments(const std::vector<std::string>& arguments);

/// Arguments as one line that bash would read back, without control characters.
std::string command_line(const std::vector<std::string>& arguments);

}  // namespace joulery::meter
