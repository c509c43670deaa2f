#include "cli/help.hpp"

#include <fmt/format.h>

#include "cli/wrapping.hpp"

namespace joulery::cli {
namespace {

std::string spelling(const Flag& flag) {
  std::string text = flag.short_name != 0 ? fmt::format("-{}, ", flag.short_name) : "    ";
  text += "--" + flag.name;
  if (!flag.value.empty()) text += " " + flag.value;
  return text;
}

/// Where the summaries of commands and the explanations of flags start.
constexpr std::size_t kVerbColumn = 15;
constexpr std::size_t kFlagColumn = 29;

std::string flag_lines(const std::vector<Flag>& flags, std::size_t width) {
  std::string text;
  for (const Flag& flag : flags) {
    const std::string head = "  " + spelling(flag);
    std::string lines = wrapped(flag.help, kFlagColumn, width);
    if (head.size() < kFlagColumn) {
      lines.replace(0, head.size(), head);
    } else {
      lines = head + "\n" + lines;
    }
    text += lines;
  }
  return text;
}

/// What roff would take for a request, for the end of an argument, or for a nicer sign than what is to be
/// typed.
std::string roff(const std::string& text) {
  std::string escaped;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool line_start = i == 0 || text[i - 1] == '\n';
    if (line_start && text[i] == '.') escaped += "\\&";
    switch (text[i]) {
      case '\\':
        escaped += "\\e";
        break;
      case '-':
        escaped += "\\-";
        break;
      case '"':
        escaped += "\\(dq";
        break;
      case '\'':
        escaped += "\\(aq";
        break;
      case '`':
        escaped += "\\(ga";
        break;
      case '^':
        escaped += "\\(ha";
        break;
      case '~':
        escaped += "\\(ti";
        break;
      default:
        escaped += text[i];
    }
  }
  return escaped;
}

std::string roff_flags(const std::vector<Flag>& flags) {
  std::string page;
  for (const Flag& flag : flags) {
    page += ".TP\n.B ";
    if (flag.short_name != 0) page += roff(fmt::format("-{}, ", flag.short_name));
    page += roff("--" + flag.name);
    if (!flag.value.empty()) page += " \\fI" + roff(flag.value) + "\\fP";
    page += "\n" + roff(flag.help) + "\n";
  }
  return page;
}

/// The same in the overview, the manual page and, of `run`, its own help.
std::string exit_codes() {
  return "0 success; 1 a verdict is negative, or no row of an import could be taken; 2 usage or bad "
         "input; 3 the environment does not allow it; 70 internal error.\n" +
         std::string(kRunExitCodes);
}

/// What is said of a verb alone: examples, usage, its own flags.
std::string own_text(const Verb& verb, std::size_t width) {
  std::string text = fmt::format("joulery {}: {}\n\nExamples:\n", verb.name, verb.summary);
  for (const auto& [command, meaning] : verb.examples)
    text += fmt::format("  {}\n      {}\n", command, meaning);
  text += fmt::format("\nusage: joulery {}\n\n", verb.usage);
  if (!verb.flags.empty()) text += "Flags:\n" + flag_lines(verb.flags, width) + "\n";
  return text;
}

}  // namespace

std::string overview_text(std::size_t width) {
  std::string text =
      "Examples:\n"
      "  joulery run -- python3 train.py    meter a command: time, CPU time, energy, carbon\n"
      "  joulery show                       the last run again\n"
      "  joulery doctor                     what this machine can measure, and how to make it better\n\n"
      "usage: joulery COMMAND [FLAGS]\n\nCommands:\n";
  for (const Verb& verb : verbs()) {
    if (verb.internal) continue;
    std::string lines = wrapped(verb.summary, kVerbColumn, width);
    lines.replace(2, verb.name.size(), verb.name);
    text += lines;
  }
  text += "\nFlags of every command:\n" + flag_lines(global_flags(), width);
  text += "\n" +
          wrapped(
              "`joulery COMMAND --help` tells more. Settings can also come from joulery.toml and JOULERY_* "
              "variables: `joulery config show --origin`.\nExit codes: " +
                  exit_codes(),
              0, width);
  return text;
}

std::string verb_text(const Verb& verb, std::size_t width) {
  std::string text = own_text(verb, width) + "Flags of every command:\n" + flag_lines(global_flags(), width);
  if (!verb.details.empty()) text += "\n" + wrapped(verb.details, 0, width);
  return text;
}

std::string manual_page(const std::string& version) {
  std::string page = fmt::format(
      ".TH JOULERY 1 \"\" \"joulery {}\" \"User Commands\"\n.SH NAME\njoulery \\- what training and "
      "inference cost\n"
      ".SH SYNOPSIS\n.B joulery\n\\fICOMMAND\\fP [\\fIFLAGS\\fP]\n.SH DESCRIPTION\n"
      "Meters what a workload costs in time, CPU time, energy and carbon, keeps it, and says of every figure "
      "how it is\n"
      "known.\n.SH COMMANDS\n",
      version);
  for (const Verb& verb : verbs()) {
    if (verb.internal) continue;
    page += fmt::format(".SS joulery {}\n{}.\n", roff(verb.usage), roff(verb.summary));
    page += roff_flags(verb.flags);
    if (!verb.details.empty()) page += ".PP\n" + roff(verb.details);
    page += ".PP\nExamples:\n";
    for (const auto& [command, meaning] : verb.examples) {
      page += fmt::format(".RS\n.B {}\n.br\n{}\n.RE\n", roff(command), roff(meaning));
    }
  }
  page += ".SH FLAGS OF EVERY COMMAND\n" + roff_flags(global_flags());
  page += ".SH EXIT STATUS\n" + roff(exit_codes());
  page +=
      ".SH FILES\n.TP\n.I \\(ti/.config/joulery/config.toml\nsettings of the user\n.TP\n.I "
      "joulery.toml\nsettings of a project: "
      "the first one from the working folder upward, as far as the folder that holds .git or the home "
      "folder\n"
      ".TP\n.I \\(ti/.local/share/joulery/joulery.db\nthe runs\n";
  return page;
}

std::string manual_text(const std::string& version, std::size_t width) {
  std::string text = fmt::format("joulery {}\n\n{}", version, overview_text(width));
  for (const Verb& verb : verbs()) {
    if (verb.internal) continue;
    text += fmt::format("\n\n{}{}", own_text(verb, width), wrapped(verb.details, 0, width));
  }
  return text;
}

}  // namespace joulery::cli
