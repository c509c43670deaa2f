// The only file that includes CLI11: it costs ten seconds to compile.
#include "cli/arguments.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/text.hpp"

namespace joulery::cli {
namespace {

/// Words before the command, and the command. It starts after "--" or at the first word that is neither a
/// flag nor a flag's value.
void split_command(const Verb& verb, std::vector<std::string>& words, std::vector<std::string>& command) {
  const auto flags = flags_of(&verb);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const bool dashes = word == "--";
    if (!dashes && word.size() > 1 && word.front() == '-') {
      if (word.find('=') != std::string::npos) continue;
      for (const Flag* flag : flags) {
        const bool named = word == "--" + flag->name ||
                           (flag->short_name != 0 && word.size() == 2 && word[1] == flag->short_name);
        // "--" is no value: it ends our flags.
        if (!named || flag->value.empty()) continue;
        for (int k = 0; k < flag->value_count && i + 1 < words.size() && words[i + 1] != "--"; ++k) ++i;
      }
      continue;
    }
    command.assign(words.begin() + static_cast<std::ptrdiff_t>(dashes ? i + 1 : i), words.end());
    words.resize(i);
    return;
  }
}

/// Verbs that know a flag which stands where none of them is named.
std::vector<std::string> verbs_with(const std::string& flag) {
  std::vector<std::string> names;
  for (const Verb& verb : verbs()) {
    for (const Flag& own : verb.flags) {
      if (!verb.internal && "--" + own.name == flag) names.push_back(verb.name);
    }
  }
  return names;
}

Error unknown_flag(const Verb* verb, const std::string& word) {
  std::vector<std::string> names;
  for (const Flag* flag : flags_of(verb)) names.push_back("--" + flag->name);
  const std::string flag = word.substr(0, word.find('='));
  const auto meant = did_you_mean(flag, names);
  const std::string help = verb != nullptr ? "joulery " + verb->name + " --help" : "joulery --help";
  std::string hint = fmt::format("see `{}`", help);
  if (meant) {
    hint = fmt::format("did you mean '{}'? See `{}`", *meant, help);
  } else if (const auto owners = verbs_with(flag); verb == nullptr && !owners.empty()) {
    hint = fmt::format("{} is a flag of {}: joulery {} {} ...", flag, fmt::join(owners, ", "), owners.front(),
                       flag);
  }
  return {.kind = Error::Kind::user,
          .message = fmt::format("{} knows no '{}'", verb != nullptr ? "joulery " + verb->name : "joulery",
                                 printable(word)),
          .hint = std::move(hint)};
}

Error unknown_topic(const std::string& word) {
  std::vector<std::string> names;
  for (const Verb& verb : verbs()) {
    if (!verb.internal) names.push_back(verb.name);
  }
  const auto meant = did_you_mean(word, names);
  return {.kind = Error::Kind::user,
          .message = fmt::format("there is no command '{}' to help with", printable(word)),
          .hint = meant ? fmt::format("did you mean 'joulery help {}'?", *meant)
                        : "`joulery help` lists all commands"};
}

bool is_global(const std::string& word) {
  const std::string flag = word.substr(0, word.find('='));
  for (const Flag& known : global_flags()) {
    if (flag == "--" + known.name || (known.short_name != 0 && flag == fmt::format("-{}", known.short_name)))
      return true;
  }
  return false;
}

Error unknown_verb(const std::vector<std::string>& line) {
  const std::string& word = line.front();
  std::vector<std::string> names;
  for (const Verb& verb : verbs()) {
    if (!verb.internal) names.push_back(verb.name);
  }
  const auto meant = did_you_mean(word, names);
  return {.kind = Error::Kind::user,
          .message = fmt::format("there is no command '{}'", printable(word)),
          .hint = meant ? fmt::format("did you mean 'joulery {}'?", *meant)
                        : fmt::format("to meter a program: joulery run -- {}",
                                      printable(fmt::format("{}", fmt::join(line, " "))).substr(0, 200))};
}

Status check_operands(const Arguments& arguments) {
  const Verb& verb = *arguments.verb;
  if (arguments.operands.size() < verb.fewest_operands || arguments.operands.size() > verb.most_operands) {
    return user_error(arguments.operands.size() < verb.fewest_operands
                          ? fmt::format("joulery {} needs something to work on", verb.name)
                          : fmt::format("joulery {} doesn't take '{}'", verb.name,
                                        printable(arguments.operands[verb.most_operands])),
                      fmt::format("usage: joulery {}", verb.usage));
  }
  for (const std::string& operand : arguments.operands) {
    const auto& choices = verb.operand_choices;
    if (choices.empty() || std::find(choices.begin(), choices.end(), operand) != choices.end()) continue;
    const auto meant = did_you_mean(operand, choices);
    // Of three letters, one that differs makes another word: csh is not zsh.
    constexpr std::size_t kTellingLength = 4;
    return user_error(
        fmt::format("joulery {} takes {}, not '{}'", verb.name, fmt::join(choices, ", "), printable(operand)),
        meant && operand.size() >= kTellingLength ? fmt::format("did you mean '{}'?", *meant) : "");
  }
  return {};
}

/// Finds the verb and takes it out of the words. True if they ask for help or the version in words.
Result<bool> take_verb(std::vector<std::string>& words, Arguments& arguments) {
  const std::string* strange = nullptr;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (!word.empty() && word.front() == '-') {
      // A global flag before the verb: its value is not the verb.
      for (const Flag& flag : global_flags()) {
        if (word == "--" + flag.name && !flag.value.empty()) ++i;
      }
      if (strange == nullptr && !is_global(word)) strange = &word;
      continue;
    }
    if (word == "help" || word == "version") {
      // What people try first.
      arguments.flags[word] = {};
      if (i + 1 == words.size()) return true;
      const std::string& topic = words[i + 1];
      arguments.verb = find_verb(topic);
      const bool known =
          arguments.verb != nullptr || topic.starts_with('-') || topic == "help" || topic == "version";
      if (word == "help" && !known) return std::unexpected(unknown_topic(topic));
      return true;
    }
    arguments.verb = find_verb(word);
    if (arguments.verb == nullptr) {
      // After a flag that nobody knows this is its value, and the flag is what is wrong.
      if (strange != nullptr) return std::unexpected(unknown_flag(nullptr, *strange));
      return std::unexpected(unknown_verb({words.begin() + static_cast<std::ptrdiff_t>(i), words.end()}));
    }
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(i));
    return false;
  }
  return false;
}

}  // namespace

std::optional<std::string> Arguments::value(const std::string& flag) const {
  const auto found = flags.find(flag);
  if (found == flags.end() || found->second.empty()) return std::nullopt;
  return found->second.back();
}

Result<int> Arguments::integer(const std::string& flag, int fallback, int lowest, int highest) const {
  const auto text = value(flag);
  if (!text) return fallback;
  const auto number = parse_int64(*text);
  if (!number || *number < lowest || *number > highest) {
    return user_error(fmt::format("--{} needs a whole number from {} to {}, not '{}'", flag, lowest, highest,
                                  printable(*text)));
  }
  return static_cast<int>(*number);
}

Result<Arguments> parse_arguments(const std::vector<std::string>& words) {
  Arguments arguments;
  std::vector<std::string> rest = words;
  JOULERY_ASSIGN(const bool asks_for_help, take_verb(rest, arguments));
  if (asks_for_help) return arguments;
  const Verb* verb = arguments.verb;
  if (verb != nullptr && verb->takes_command) split_command(*verb, rest, arguments.command);

  CLI::App parser;
  parser.set_help_flag();
  parser.allow_extras();
  std::map<std::string, std::vector<std::string>> values;
  std::map<std::string, bool> switches;
  for (const Flag* flag : flags_of(verb)) {
    std::string spelling = "--" + flag->name;
    if (flag->short_name != 0) spelling += fmt::format(",-{}", flag->short_name);
    if (flag->value.empty()) {
      parser.add_flag(spelling, switches[flag->name]);
    } else {
      parser.add_option(spelling, values[flag->name])
          ->expected(flag->value_count)
          ->allow_extra_args(false)
          ->multi_option_policy(flag->repeatable ? CLI::MultiOptionPolicy::TakeAll
                                                 : CLI::MultiOptionPolicy::TakeLast);
    }
  }
  try {
    std::reverse(rest.begin(), rest.end());  // CLI11 takes words from the back
    parser.parse(rest);
  } catch (const CLI::ArgumentMismatch& error) {
    // "--hz: 1 required TEXT missing"
    const std::string flag = std::string(error.what()).substr(0, std::string_view(error.what()).find(':'));
    return user_error(fmt::format("{} needs a value", printable(flag)),
                      verb != nullptr ? fmt::format("see `joulery {} --help`", verb->name) : "");
  } catch (const CLI::Error& error) {
    return user_error(printable(error.what()));
  }
  for (const std::string& word : parser.remaining()) {
    if (word == "--") continue;
    if (word.size() > 1 && word.front() == '-') return std::unexpected(unknown_flag(verb, word));
    arguments.operands.push_back(word);
  }
  for (const Flag* flag : flags_of(verb)) {
    const std::size_t given = values[flag->name].size();
    if (given % static_cast<std::size_t>(flag->value_count) != 0) {
      return user_error(fmt::format("--{} needs {} values: --{} {}", flag->name, flag->value_count,
                                    flag->name, flag->value));
    }
  }
  for (auto& [name, list] : values) {
    if (!list.empty()) arguments.flags[name] = std::move(list);
  }
  for (const auto& [name, on] : switches) {
    if (on) arguments.flags[name] = {};
  }
  if (verb != nullptr && !arguments.has("help")) JOULERY_CHECK_OK(check_operands(arguments));
  return arguments;
}

}  // namespace joulery::cli
