#pragma once

#include <string>
#include <vector>

namespace joulery::meter {

/// Arguments as one line that bash would read back, without control characters.
std::string command_line(const std::vector<std::string>& arguments);

}  // namespace joulery::meter
