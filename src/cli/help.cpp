#include "cli/help.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace joulery::cli {
namespace {

std::string spelling(const Flag& flag) {
  std::string text = flag.short_name != 0 ? fmt::format("-{}, ", flag.short_name) : "    ";
  text += "--" + flag.name;
  if (!flag.value.empty()) text += " " + flag.value;
  return text;
}

std::string flag_lines(const std::vector<Flag>& flags) {
  std::string text;
  for (const Flag& flag : flags) text += fmt::format("  {:<26} {}\n", spelling(flag), flag.help);
  return text;
}

std::string roff(const std::string& text) {
  std::string escaped;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool line_start = i == 0 || text[i - 1] == '\n';
    if (line_start && (text[i] == '.' || text[i] == '\'')) escaped += "\\&";
    if (text[i] == '\\') {
      escaped += "\\e";
    } else if (text[i] == '-') {
      escaped += "\\-";
    } else {
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

std::vector<const Flag*> all_flags(const Verb& verb) {
  std::vector<const Flag*> flags;
  for (const Flag& flag : verb.flags) flags.push_back(&flag);
  for (const Flag& flag : global_flags()) flags.push_back(&flag);
  return flags;
}

std::string shell_quote(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string verb_names() {
  std::string names;
  for (const Verb& verb : verbs()) names += (names.empty() ? "" : " ") + verb.name;
  return names;
}

constexpr const char* kRunIds =
    "$(joulery runs --json 2>/dev/null | sed -n 's/.*\"run_id\": \"\\([0-9a-f]*\\)\".*/\\1/p')";

std::string bash_script() {
  std::string script =
      "_joulery() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb= i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    case ${COMP_WORDS[i]} in\n"
      "      --) compopt -o default; COMPREPLY=(); return ;;\n"
      "      -*) ;;\n"
      "      *) [ -z \"$verb\" ] && verb=${COMP_WORDS[i]} ;;\n"
      "    esac\n"
      "  done\n"
      "  case $verb:$before in\n";
  for (const Verb& verb : verbs()) {
    for (const Flag* flag : all_flags(verb)) {
      if (!flag->choices.empty()) {
        script += fmt::format("    {}:--{}) COMPREPLY=($(compgen -W '{}' -- \"$word\")); return ;;\n",
                              verb.name, flag->name, fmt::join(flag->choices, " "));
      } else if (flag->takes_file) {
        script += fmt::format("    {}:--{}) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n", verb.name,
                              flag->name);
      }
    }
  }
  script += "  esac\n  case $verb in\n";
  for (const Verb& verb : verbs()) {
    std::string words;
    for (const Flag* flag : all_flags(verb)) words += "--" + flag->name + " ";
    script +=
        fmt::format("    {})\n      if [[ $word == -* ]]; then COMPREPLY=($(compgen -W '{}' -- \"$word\"))\n",
                    verb.name, words);
    if (!verb.operand_choices.empty()) {
      script += fmt::format("      else COMPREPLY=($(compgen -W '{}' -- \"$word\"))\n",
                            fmt::join(verb.operand_choices, " "));
    } else if (verb.operands_are_runs) {
      script += fmt::format("      else COMPREPLY=($(compgen -W \"last {}\" -- \"$word\"))\n", kRunIds);
    } else if (verb.takes_command) {
      script += "      else COMPREPLY=($(compgen -c -- \"$word\"))\n";
    }
    script += "      fi ;;\n";
  }
  script += fmt::format(
      "    *) COMPREPLY=($(compgen -W '{}' -- \"$word\")) ;;\n  esac\n}}\ncomplete -F _joulery joulery\n",
      verb_names());
  return script;
}

std::string zsh_script() {
  std::string script = "#compdef joulery\n_joulery() {\n  local -a verbs\n  verbs=(\n";
  for (const Verb& verb : verbs()) script += "    " + shell_quote(verb.name + ":" + verb.summary) + "\n";
  script +=
      "  )\n"
      "  if (( CURRENT == 2 )); then _describe command verbs; return; fi\n"
      "  case $words[2] in\n";
  for (const Verb& verb : verbs()) {
    script += "    " + verb.name + ") shift words; (( CURRENT-- )); _arguments \\\n";
    for (const Flag* flag : all_flags(verb)) {
      std::string help = flag->help;
      std::replace(help.begin(), help.end(), ':', ',');
      std::replace(help.begin(), help.end(), '[', '(');
      std::replace(help.begin(), help.end(), ']', ')');
      std::string spec = (flag->repeatable ? "*--" : "--") + flag->name + "[" + help + "]";
      if (!flag->value.empty()) {
        spec += ":" + flag->value + ":";
        if (flag->takes_file) spec += "_files";
        if (!flag->choices.empty()) spec += fmt::format("({})", fmt::join(flag->choices, " "));
      }
      script += "      " + shell_quote(spec) + " \\\n";
    }
    if (!verb.operand_choices.empty()) {
      script +=
          "      " + shell_quote(fmt::format("*:what:({})", fmt::join(verb.operand_choices, " "))) + " ;;\n";
    } else if (verb.takes_command) {
      script += "      '*::command:_normal' ;;\n";
    } else {
      script += "      '*: :' ;;\n";
    }
  }
  return script + "  esac\n}\n_joulery \"$@\"\n";
}

std::string fish_script() {
  std::string script = "complete -c joulery -f\n";
  for (const Verb& verb : verbs()) {
    script += fmt::format("complete -c joulery -n __fish_use_subcommand -a {} -d {}\n", verb.name,
                          shell_quote(verb.summary));
    for (const Flag* flag : all_flags(verb)) {
      script += fmt::format("complete -c joulery -n '__fish_seen_subcommand_from {}' -l {} -d {}", verb.name,
                            flag->name, shell_quote(flag->help));
      if (flag->short_name != 0) script += fmt::format(" -s {}", flag->short_name);
      if (!flag->value.empty()) script += flag->takes_file ? " -r -F" : " -x";
      if (!flag->choices.empty()) script += fmt::format(" -a '{}'", fmt::join(flag->choices, " "));
      script += "\n";
    }
    if (!verb.operand_choices.empty()) {
      script += fmt::format("complete -c joulery -n '__fish_seen_subcommand_from {}' -a '{}'\n", verb.name,
                            fmt::join(verb.operand_choices, " "));
    }
    if (verb.takes_command) {
      script += fmt::format(
          "complete -c joulery -n '__fish_seen_subcommand_from {}' -a '(__fish_complete_command)'\n",
          verb.name);
    }
  }
  return script;
}

}  // namespace

std::string overview_text() {
  std::string text =
      "Examples:\n"
      "  joulery run -- python3 train.py    meter a command: time, CPU time, energy, carbon\n"
      "  joulery show                       the last run again\n"
      "  joulery doctor                     what this machine can measure, and how to make it better\n\n"
      "usage: joulery COMMAND [FLAGS]\n\nCommands:\n";
  for (const Verb& verb : verbs()) text += fmt::format("  {:<12} {}\n", verb.name, verb.summary);
  text += "\nFlags of every command:\n" + flag_lines(global_flags());
  text +=
      "\n`joulery COMMAND --help` tells more. Settings can also come from joulery.toml and JOULERY_* "
      "variables:\n"
      "`joulery config show --origin`.\n";
  return text;
}

std::string verb_text(const Verb& verb) {
  std::string text = fmt::format("joulery {}: {}\n\nExamples:\n", verb.name, verb.summary);
  for (const auto& [command, meaning] : verb.examples)
    text += fmt::format("  {}\n      {}\n", command, meaning);
  text += fmt::format("\nusage: joulery {}\n\n", verb.usage);
  if (!verb.flags.empty()) text += "Flags:\n" + flag_lines(verb.flags) + "\n";
  text += "Flags of every command:\n" + flag_lines(global_flags());
  if (!verb.details.empty()) text += "\n" + verb.details;
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
    page += fmt::format(".SS joulery {}\n{}.\n", roff(verb.usage), roff(verb.summary));
    page += roff_flags(verb.flags);
    if (!verb.details.empty()) page += ".PP\n" + roff(verb.details);
    page += ".PP\nExamples:\n";
    for (const auto& [command, meaning] : verb.examples) {
      page += fmt::format(".RS\n.B {}\n.br\n{}\n.RE\n", roff(command), roff(meaning));
    }
  }
  page += ".SH FLAGS OF EVERY COMMAND\n" + roff_flags(global_flags());
  page +=
      ".SH EXIT STATUS\n0 success; 1 a verdict is negative; 2 usage or bad input; 3 the environment does not "
      "allow it;\n"
      "70 internal error. \\fBrun\\fP passes the command's own status on.\n"
      ".SH FILES\n.I ~/.config/joulery/config.toml\n.br\n.I ./joulery.toml\n.br\n.I "
      "~/.local/share/joulery/joulery.db\n";
  return page;
}

std::string completion_script(const std::string& shell) {
  if (shell == "zsh") return zsh_script();
  if (shell == "fish") return fish_script();
  return bash_script();
}

}  // namespace joulery::cli
