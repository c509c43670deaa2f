#include "cli/completions.hpp"

#include <fmt/format.h>

#include <vector>

#include "cli/flag_table.hpp"

namespace joulery::cli {
namespace {

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

std::vector<const Verb*> listed_verbs() {
  std::vector<const Verb*> listed;
  for (const Verb& verb : verbs()) {
    if (!verb.internal) listed.push_back(&verb);
  }
  return listed;
}

/// "--hz" and, if it has one, "-r".
std::vector<std::string> spellings(const Flag& flag) {
  std::vector<std::string> all{"--" + flag.name};
  if (flag.short_name != 0) all.push_back(fmt::format("-{}", flag.short_name));
  return all;
}

/// A flag of every verb has the verb "*" in bash's patterns.
template <class Visit>
void for_each_flag(const Visit& visit) {
  for (const Verb* verb : listed_verbs()) {
    for (const Flag& flag : verb->flags) visit(verb->name, flag);
  }
  for (const Flag& flag : global_flags()) visit(std::string("*"), flag);
}

std::string bash_tables() {
  std::string script =
      "_joulery_flag() { # VERB FLAG: sets what its value is; nothing if it takes none\n"
      "  kind= choices=\n"
      "  case $1:$2 in\n";
  for_each_flag([&](const std::string& verb, const Flag& flag) {
    if (flag.value.empty()) return;
    std::vector<std::string> patterns;
    for (const std::string& spelling : spellings(flag)) patterns.push_back(verb + ":" + spelling);
    const std::string kind = !flag.choices.empty()      ? "choice"
                             : flag.takes_file          ? "file"
                             : !flag.candidates.empty() ? flag.candidates
                                                        : "text";
    script += fmt::format("    {}) kind={}", fmt::join(patterns, "|"), kind);
    if (!flag.choices.empty()) script += fmt::format(" choices='{}'", fmt::join(flag.choices, " "));
    script += " ;;\n";
  });
  script +=
      "  esac\n}\n"
      "_joulery_verb() { # VERB: sets its flags and what its operands are\n"
      "  flags= operand= choices= most=0\n"
      "  case $1 in\n";
  for (const Verb* verb : listed_verbs()) {
    std::vector<std::string> words;
    for (const Flag* flag : flags_of(verb)) {
      for (const std::string& spelling : spellings(*flag)) words.push_back(spelling);
    }
    script += fmt::format("    {}) flags='{}' most={}", verb->name, fmt::join(words, " "),
                          verb->takes_command ? 1 : verb->most_operands);
    if (verb->takes_command) script += " operand=command";
    if (verb->operands_are_runs) script += " operand=runs";
    if (!verb->operand_choices.empty()) {
      script += fmt::format(" operand=choice choices='{}'", fmt::join(verb->operand_choices, " "));
    }
    script += " ;;\n";
  }
  std::vector<std::string> names;
  for (const Verb* verb : listed_verbs()) names.push_back(verb->name);
  std::vector<std::string> words;
  for (const Flag* flag : flags_of(nullptr)) {
    for (const std::string& spelling : spellings(*flag)) words.push_back(spelling);
  }
  script += fmt::format("    '') flags='{}' most=1 operand=choice choices='{}' ;;\n  esac\n}}\n",
                        fmt::join(words, " "), fmt::join(names, " "));
  return script;
}

/// What of the bash script does not depend on the table.
constexpr const char* kBashEngine = R"bash(
_joulery_add() { # takes words from stdin, less what readline leaves on the line
  mapfile -t COMPREPLY
  COMPREPLY=("${COMPREPLY[@]#"$cut"}")
}
_joulery_words() { # CHOICES: those that start with the word at the cursor
  _joulery_add < <(compgen -W "$1" -- "$word")
}
_joulery_files() {
  compopt -o filenames 2>/dev/null
  _joulery_add < <(compgen -f -- "$word")
}
_joulery_bare() { # WORD: sets plain, the word without its backslashes
  plain=${1//\\\\/$'\1'} plain=${plain//\\/} plain=${plain//$'\1'/\\}
}
_joulery_plain() { # WORD as it was typed: sets plain, what it means without its quotes
  case $1 in
    [\"\']*) plain=${1:1} plain=${plain%"${1:0:1}"} ;;
    \~/*) _joulery_bare "$1" && plain=$HOME${plain:1} ;;
    *) _joulery_bare "$1" ;;
  esac
}
_joulery_ask() { # KIND: asks joulery itself; what it says after a tab is not for bash
  local program line plain unsafe='' kept bare=${word//\\?/}
  # What is chosen goes between the quotes as it is, so nothing that means something there may be in it.
  case $word in
    \"*) unsafe='[\\"$`!]' ;;
    \'*) unsafe="[']" ;;
    *) [[ $bare != *[\"\']* ]] || return ;; # a quote within the word: readline would go on from there
  esac
  local at=()
  [[ -z $store ]] || { _joulery_plain "$store" && at=(--store "$plain"); }
  _joulery_bare "$cut" && kept=$plain
  _joulery_bare "$word"
  [[ -z $unsafe ]] || plain=${word:1}
  program=$(type -P joulery) || program=${COMP_WORDS[0]/#\~/$HOME}
  while IFS=$'\t' read -r line _; do
    [[ $line == "$plain"* ]] || continue
    if [[ -n $unsafe ]]; then
      [[ $line != *$unsafe* ]] || continue
    else
      line=${line#"$kept"}
      [[ -z $line ]] || printf -v line %q "$line"
    fi
    COMPREPLY+=("$line")
  done < <("$program" complete "${at[@]}" -- "$1" "$plain" 2>/dev/null)
}
_joulery_command() { # INDEX of the command that is metered: completed as if it stood alone
  if declare -F _comp_command_offset >/dev/null; then
    _comp_command_offset "$1"
  elif declare -F _command_offset >/dev/null; then
    _command_offset "$1"
  elif ((COMP_CWORD == $1)) && [[ $word != */* ]]; then
    mapfile -t COMPREPLY < <(compgen -c -- "$word")
  else
    _joulery_files
  fi
}
_joulery_value() { # of the flag in $pending
  case $kind in
    choice) _joulery_words "$choices" ;;
    file) _joulery_files ;;
    text) ;;
    *) _joulery_ask "$kind" ;;
  esac
}
_joulery_line() { # sets words: what bash broke at ":", "=" or "@" is whole again; first: where each starts
  local rest item blank i
  rest=${COMP_LINE:0:COMP_POINT}
  for ((i = 0; i <= COMP_CWORD; i++)); do
    item=${COMP_WORDS[i]}
    blank=${rest%%[! $'\t\n']*} rest=${rest#"${rest%%[! $'\t\n']*}"}
    if ((i == COMP_CWORD)); then item=$rest; fi # up to the cursor
    rest=${rest#"$item"}
    if ((i > 1)) && [[ -z $blank ]] && [[ -z ${item//[:=@]/} || -z ${COMP_WORDS[i - 1]//[:=@]/} ]]; then
      cut=${words[-1]}
      words[-1]+=$item
      [[ -n ${item//[:=@]/} ]] || cut+=$item
    else
      words+=("$item") first+=("$i") cut=
    fi
  done
  cut=${cut%@} # readline takes it as a part of what follows
}
_joulery() {
  local IFS=$' \t\n' word= cut= words=() first=() verb= pending= store= restore= item i j glue=
  local kind= choices= flags= operand= most=0 count=0
  COMPREPLY=()
  _joulery_line
  word=${words[-1]}
  for ((i = 1; i < ${#words[@]} - 1; i++)); do
    item=${words[i]}
    _joulery_verb "$verb"
    if [[ $item == -- && $operand == command ]]; then
      _joulery_command "${first[i + 1]}"
      return
    fi
    if [[ -n $pending ]]; then
      [[ $pending != --store ]] || store=$item
      pending=
      continue
    fi
    case $item in
      --restore) restore=1 ;;
      --store=*) store=${item#*=} ;;
      --*=*) ;;
      --*)
        _joulery_flag "$verb" "$item"
        [[ -z $kind ]] || pending=$item
        ;;
      -?*)
        for ((j = 1; j < ${#item}; j++)); do
          _joulery_flag "$verb" "-${item:j:1}"
          [[ -n $kind ]] || continue
          ((j + 1 < ${#item})) || pending=-${item:j:1}
          break
        done
        ;;
      *)
        if [[ -z $verb ]]; then
          verb=$item
        elif [[ $operand == command ]]; then
          _joulery_command "${first[i]}"
          return
        else
          count=$((count + 1))
        fi
        ;;
    esac
  done
  if [[ -z $pending && $word == --*=* ]]; then
    pending=${word%%=*} glue=${word%%=*}= word=${word#*=}
    # Of what is cut off, this comes first.
    if [[ $cut == "$glue"* ]]; then cut=${cut#"$glue"} glue=; else glue=${glue#"$cut"} cut=; fi
  fi
  if [[ -n $pending ]]; then
    _joulery_flag "$verb" "$pending"
    [[ -z $kind ]] || _joulery_value
    COMPREPLY=("${COMPREPLY[@]/#/$glue}")
    return
  fi
  _joulery_verb "$verb"
  if [[ $word == -* ]]; then
    _joulery_words "$flags"
  elif ((count < most)); then
    case $operand in
      choice) _joulery_words "$choices" ;;
      command) _joulery_command "$COMP_CWORD" ;;
      runs)
        if [[ -n $restore ]]; then _joulery_ask deleted; else _joulery_ask runs; fi
        ;;
    esac
  fi
}
complete -F _joulery joulery
)bash";

std::string zsh_escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

/// One _arguments specification per spelling; either rules the other out unless it may be repeated.
std::string zsh_flag(const Flag& flag) {
  std::string value;
  if (!flag.value.empty()) {
    value = ":" + zsh_escaped(flag.value) + ":";
    if (!flag.choices.empty()) {
      value += fmt::format("({})", fmt::join(flag.choices, " "));
    } else if (flag.takes_file) {
      value += "_files";
    } else {
      value += flag.candidates.empty() ? " " : " _joulery_ask " + flag.candidates;
    }
  }
  std::string lines;
  for (const std::string& spelling : spellings(flag)) {
    std::string spec = flag.repeatable ? "*" : fmt::format("({})", fmt::join(spellings(flag), " "));
    spec += spelling;
    if (!flag.value.empty()) spec += spelling[1] == '-' ? "=" : "+";
    lines += "        " + quoted(spec + "[" + zsh_escaped(flag.help) + "]" + value) + " \\\n";
  }
  return lines;
}

std::string zsh_operands(const Verb& verb) {
  if (!verb.operand_choices.empty()) {
    return quoted(fmt::format("1:what:({})", fmt::join(verb.operand_choices, " ")));
  }
  if (verb.takes_command) return "'*::command: _joulery_command'";
  if (verb.operands_are_runs) {
    return quoted(std::string(verb.most_operands > 1 ? "*" : "1") + ":run: _joulery_runs");
  }
  return verb.most_operands > 0 ? "'1: : '" : "'*: : '";
}

std::string zsh_script() {
  std::string script = R"zsh(#compdef joulery
_joulery_ask() { # KIND: asks joulery itself; each line has a tab and a description after the word
  setopt local_options extended_glob
  local line word at program=${commands[joulery]:-$_joulery_program}
  local -a store found
  if [[ -n ${opt_args[--store]} ]]; then
    # As it was typed, but for what _arguments put before colons and backslashes. Only a home is expanded:
    # anything else that means something to a shell might run what is in it.
    at=${opt_args[--store]//(#m)\\[:\\]/${MATCH[2]}}
    word=${(Q)at}
    [[ $at != '~/'* ]] || word=$HOME/${word#'~/'}
    store=(--store "$word")
  fi
  for line in ${(f)"$($program complete $store -- $1 "${(Q)PREFIX}" 2>/dev/null)"}; do
    word=${line%%$'\t'*}
    word=${word//\\/\\\\}
    found+=("${word//:/\\:}:${line#*$'\t'}")
  done
  _describe -V $1 found
}
_joulery_runs() {
  if (( ${+opt_args[--restore]} )); then _joulery_ask deleted; else _joulery_ask runs; fi
}
_joulery_command() { # what is metered is completed as if it stood alone
  [[ $words[1] != -- ]] || { shift words; (( CURRENT-- )) }
  _normal
}
_joulery() {
  local curcontext=$curcontext state line _joulery_program=$words[1]
  local -A opt_args
  local -a verbs
  verbs=(
)zsh";
  for (const Verb* verb : listed_verbs())
    script += "    " + quoted(zsh_escaped(verb->name) + ":" + zsh_escaped(verb->summary)) + "\n";
  script += "  )\n  _arguments -C -s -S -A '-*' \\\n";
  for (const Flag& flag : global_flags()) script += zsh_flag(flag);
  script +=
      "        '1: :->verb' '*:: :->rest' && return\n"
      "  case $state in\n"
      "    verb) _describe command verbs; return ;;\n"
      "  esac\n"
      "  case $words[1] in\n";
  for (const Verb* verb : listed_verbs()) {
    script += fmt::format("    {})\n      _arguments -s -S{} \\\n", verb->name,
                          verb->takes_command ? " -A '-*'" : "");
    for (const Flag* flag : flags_of(verb)) script += zsh_flag(*flag);
    script += "        " + zsh_operands(*verb) + "\n      ;;\n";
  }
  // A shell that autoloads the file wants the first call answered; one that sources it only the function.
  return script +
         "  esac\n}\n"
         "if [[ ${funcstack[1]} == _joulery ]]; then\n  _joulery \"$@\"\n"
         "elif (( ${+functions[compdef]} )); then\n  compdef _joulery joulery\nfi\n";
}

constexpr const char* kFishEngine = R"fish(
function __joulery_takes # VERB FLAG: does the next word belong to it? In "-qn" it is the last letter that counts.
    set -l flag (string replace -r -- '^-[^-].*(.)$' '-$1' $argv[2])
    contains -- "$argv[1]:$flag" $__joulery_valued; or contains -- "*:$flag" $__joulery_valued
end
# Where the cursor is: the command and the number of its operands so far; or "command" within what is metered, and
# which word that starts with.
function __joulery_place
    set -l tokens (commandline -opc)
    set -l verb ''
    set -l operands 0
    set -l skip 0
    for index in (seq 2 (count $tokens))
        set -l token $tokens[$index]
        if string match -q run -- "$verb"; and string match -q -- -- "$token"
            printf '%s\n' command (math $index + 1)
            return
        end
        if test $skip = 1
            set skip 0
        else if string match -q -- '-*' "$token"
            __joulery_takes "$verb" "$token"; and set skip 1
        else if test -z "$verb"
            set verb $token
        else if string match -q run -- "$verb"
            printf '%s\n' command $index
            return
        else
            set operands (math $operands + 1)
        end
    end
    printf '%s\n' "$verb" $operands
end
function __joulery_is # VERB [MOST]: is it this command, with fewer operands than that?
    set -l place (__joulery_place)
    string match -q -- "$argv[1]" "$place[1]"; or return 1
    test (count $argv) -eq 1; or test "$place[2]" -lt "$argv[2]"
end
function __joulery_ask # KIND: asks joulery itself
    set -l program joulery
    set -l tokens (commandline -opc)
    type -q joulery; or set program $tokens[1]
    set -l store
    set -l at (contains -i -- --store $tokens)
    and set store --store (string replace -r '^~' $HOME -- $tokens[(math $at + 1)])
    command $program complete $store -- $argv[1] (commandline -ct) 2>/dev/null
end
function __joulery_runs
    if contains -- --restore (commandline -opc)
        __joulery_ask deleted
    else
        __joulery_ask runs
    end
end
# What is metered is completed as if it stood alone.
function __joulery_command
    set -l tokens (commandline -opc)
    set -l place (__joulery_place)
    set -l rest
    string match -q command -- "$place[1]"; and set rest $tokens[$place[2]..]
    complete -C (string join ' ' -- (string escape -- $rest) (commandline -ct))
end
complete -c joulery -f
)fish";

std::string fish_flag(const std::string& condition, const Flag& flag) {
  std::string line =
      fmt::format("complete -c joulery{} -l {} -d {}", condition, flag.name, quoted(flag.help));
  if (flag.short_name != 0) line += fmt::format(" -s {}", flag.short_name);
  if (!flag.value.empty()) line += flag.takes_file ? " -r -F" : " -x";
  if (!flag.choices.empty()) line += fmt::format(" -a '{}'", fmt::join(flag.choices, " "));
  if (!flag.candidates.empty()) line += fmt::format(" -a '(__joulery_ask {})'", flag.candidates);
  return line + "\n";
}

std::string fish_script() {
  std::vector<std::string> valued;
  for_each_flag([&](const std::string& verb, const Flag& flag) {
    if (flag.value.empty()) return;
    for (const std::string& spelling : spellings(flag)) valued.push_back(quoted(verb + ":" + spelling));
  });
  std::string script = fmt::format("set -g __joulery_valued {}\n", fmt::join(valued, " "));
  script += kFishEngine;
  for (const Verb* verb : listed_verbs()) {
    const std::string within = fmt::format(" -n '__joulery_is {}'", verb->name);
    script += fmt::format("complete -c joulery -n '__joulery_is \"\"' -a {} -d {}\n", verb->name,
                          quoted(verb->summary));
    for (const Flag* flag : flags_of(verb)) script += fish_flag(within, *flag);
    std::string operands;
    if (!verb->operand_choices.empty()) {
      operands = fmt::format("'{}'", fmt::join(verb->operand_choices, " "));
    } else if (verb->takes_command) {
      operands = "'(__joulery_command)'";
    } else if (verb->operands_are_runs) {
      operands = "'(__joulery_runs)'";
    }
    if (operands.empty()) continue;
    script += fmt::format("complete -c joulery -n '__joulery_is {} {}' -k -a {}\n", verb->name,
                          verb->takes_command ? 1 : verb->most_operands, operands);
  }
  for (const Flag& flag : global_flags()) script += fish_flag(" -n '__joulery_is \"\"'", flag);
  return script + "complete -c joulery -n '__joulery_is command' -a '(__joulery_command)'\n";
}

}  // namespace

std::string completion_script(const std::string& shell) {
  if (shell == "zsh") return zsh_script();
  if (shell == "fish") return fish_script();
  return bash_tables() + kBashEngine;
}

}  // namespace joulery::cli
