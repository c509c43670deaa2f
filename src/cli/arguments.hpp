#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "cli/flag_table.hpp"

namespace joulery::cli {

/// A command line, read by the flag table.
struct Arguments {
  const Verb* verb = nullptr;  // null: only global flags were given
  std::map<std::string, std::vector<std::string>> flags;
  std::vector<std::string> operands;
  /// What follows "--", or starts at the first operand, of a verb that takes a command.
  std::vector<std::string> command;

  bool has(const std::string& flag) const { return flags.count(flag) > 0; }
  std::optional<std::string> value(const std::string& flag) const;
  /// A whole number in a range, or `fallback` if the flag is not there.
  Result<int> integer(const std::string& flag, int fallback, int lowest, int highest) const;
};

/// `words` is argv without the program's name. User errors suggest what was probably meant.
Result<Arguments> parse_arguments(const std::vector<std::string>& words);

}  // namespace joulery::cli
