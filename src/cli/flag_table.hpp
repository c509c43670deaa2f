#pragma once

#include <string>
#include <utility>
#include <vector>

namespace joulery::cli {

/// One flag. This table is the only place that knows the command line: the parser, the help, the man page and
/// the completions are made from it.
struct Flag {
  std::string name;        // "hz", without dashes
  std::string value = {};  // "F"; empty for a switch
  std::string help = {};   // one line
  char short_name = 0;     // 'q' or 0
  bool repeatable = false;
  std::string setting = {};  // setting that this flag sets, if any
  /// For completion: what the value can be. None of the three means free text.
  std::vector<std::string> choices = {};
  bool takes_file = false;
  std::string candidates = {};  // what `joulery complete` lists: "experiments"
  int value_count = 1;          // words that a value has
};

struct Verb {
  std::string name;
  std::string summary;                                        // one line
  std::string usage;                                          // after "joulery "
  std::vector<std::pair<std::string, std::string>> examples;  // command, what it does
  std::vector<Flag> flags;
  std::string details = {};  // paragraphs after the flags
  std::size_t fewest_operands = 0;
  std::size_t most_operands = 0;
  bool takes_command = false;  // everything after "--" or the first operand is a command
  std::vector<std::string> operand_choices = {};
  bool operands_are_runs = false;  // for completion
  /// Not in help, manual or completions: the completions themselves call it.
  bool internal = false;
};

/// What `joulery run` ends with: a shell's codes for its own failures, so that they are told from the
/// command's.
constexpr const char* kRunExitCodes =
    "run ends with the command's own code, or 128+N if signal N ended it; 125 if metering failed or its "
    "environment "
    "does not allow it, 126 if the command can't be executed, 127 if it isn't found; 2 if its own flags are "
    "wrong, "
    "before the command is started.\n";

/// What `joulery runs --sort` takes, beside metrics.KEY and the like, and the column that each stands for.
const std::vector<std::pair<std::string, std::string>>& sort_keys();

/// All verbs; those meant for people come first.
const std::vector<Verb>& verbs();
const Verb* find_verb(const std::string& name);
/// Its own flags and those that every verb takes; of no verb: only the latter.
std::vector<const Flag*> flags_of(const Verb* verb);
/// Flags that every verb takes.
const std::vector<Flag>& global_flags();

}  // namespace joulery::cli
