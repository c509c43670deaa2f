# Sourced by ./dev: steps that are timed, logged and shown while they run.
# shellcheck shell=bash

step_names=()
step_seconds=()
step_results=()
readonly log_folder=build/log

if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
  readonly bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m' on_terminal=1
else
  readonly bold='' red='' green='' plain='' on_terminal=
fi

usage_error() {
  printf '%serror:%s %s\n\nhint: ./dev help lists the commands\n' "$red" "$plain" "$1" >&2
  exit 2
}

log_of() { # log_of STEP: where the step's output lies
  printf '%s/%s.log' "$log_folder" "$(tr -cs '[:alnum:]\n' '-' <<<"$1" | sed 's/-$//')"
}

seconds_since() { # seconds_since EPOCHREALTIME: with one decimal
  local micros=$((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}))
  printf '%d.%d' $((micros / 1000000)) $((micros / 100000 % 10))
}

# Says every few seconds how long a step has run and what it printed last. Waits on a pipe that nobody writes to, so
# that no `sleep` outlives it and holds the caller's output open.
show_progress() { # show_progress NAME LOG
  local start=$EPOCHREALTIME pause last interval=20
  [[ -n $on_terminal ]] && interval=1
  exec {pause}<> <(:)
  while true; do
    read -rt "$interval" -u "$pause" || true
    last=$(tail -c 400 "$2" 2>/dev/null | tr '\r' '\n' | grep -v '^[[:space:]]*$' | tail -n 1 | cut -c 1-90 || true)
    if [[ -n $on_terminal ]]; then
      printf '\r\e[K   %s  %s s  %s' "$1" "$(seconds_since "$start")" "$last"
    else
      printf '   %s: %s s so far: %s\n' "$1" "$(seconds_since "$start")" "$last"
    fi
  done
}

note_step() { # note_step NAME SECONDS RESULT
  step_names+=("$1")
  step_seconds+=("$2")
  step_results+=("$3")
}

# Ends the step in progress with everything it started: it has its own process group.
interrupt_step() {
  trap - INT TERM
  [[ -z ${step_group:-} ]] || kill -TERM -- "-$step_group" 2>/dev/null || true
  [[ -z ${step_progress:-} ]] || kill "$step_progress" 2>/dev/null || true
  printf '\nstopped\n' >&2
  exit 130
}

# Runs COMMAND with its output in the step's log, and leaves its exit code in step_code. Never call it (or anything
# that calls it) before && or ||: bash then ignores `set -e` in all of COMMAND.
try_step() { # try_step NAME COMMAND…
  local name=$1 start=$EPOCHREALTIME log
  shift
  step_code=0
  mkdir -p "$log_folder"
  log=$(log_of "$name")
  : >"$log"
  printf '%s== %s%s\n' "$bold" "$name" "$plain"
  trap interrupt_step INT TERM
  set -m
  (
    set -e
    "$@"
  ) >"$log" 2>&1 </dev/null &
  step_group=$!
  set +m
  show_progress "$name" "$log" &
  step_progress=$!
  wait "$step_group" || step_code=$?
  kill "$step_progress" 2>/dev/null || true
  wait "$step_progress" 2>/dev/null || true
  step_group='' step_progress=''
  trap - INT TERM
  finish_step "$name" "$start" "$step_code"
}

finish_step() { # finish_step NAME START CODE
  local seconds result=ok colour=$green
  seconds=$(seconds_since "$2")
  if (($3 != 0)); then result="failed ($3)" colour=$red; fi
  note_step "$1" "$seconds" "$result"
  [[ -n $on_terminal ]] && printf '\r\e[K'
  printf '   %s%s%s in %s s\n' "$colour" "$result" "$plain" "$seconds"
}

# The same; a failure shows the end of the log and what to do about it, and ends the script.
step() { # step NAME HINT COMMAND…
  local name=$1 hint=$2
  shift 2
  try_step "$name" "$@"
  ((step_code == 0)) || give_up "$name" "$step_code" "$hint" "$(log_of "$name")"
}

# Runs COMMAND with its output where the user sees it. Exit codes in ACCEPTED are no failure.
shown_step() { # shown_step NAME HINT accept ACCEPTED COMMAND…
  local name=$1 hint=$2 accepted=" $4 " start=$EPOCHREALTIME code=0
  shift 4
  printf '%s== %s%s\n   %s\n' "$bold" "$name" "$plain" "$*"
  "$@" || code=$?
  [[ $accepted == *" $code "* ]] && code=0
  finish_step "$name" "$start" "$code"
  ((code == 0)) || give_up "$name" "$code" "$hint" ""
}

give_up() { # give_up NAME CODE HINT LOG
  print_time_table
  print_failure "$@"
  exit 1
}

print_failure() { # print_failure NAME CODE HINT LOG
  {
    if [[ -n $4 ]]; then
      printf '\n--- the end of %s\n' "$4"
      tail -n 40 "$4"
      printf -- '---\n'
    fi
    printf '\n%serror:%s step "%s" failed (exit code %s)\n\nhint: %s\n' "$red" "$plain" "$1" "$2" "$3"
  } >&2
}

print_time_table() {
  local index total=0
  printf '\n%-34s %9s  %s\n' "step" "seconds" "result"
  for index in "${!step_names[@]}"; do
    printf '%-34s %9s  %s\n' "${step_names[index]}" "${step_seconds[index]}" "${step_results[index]}"
    total=$((total + 10#${step_seconds[index]/./}))
  done
  printf '%-34s %7d.%d\n' "all" $((total / 10)) $((total % 10))
}

# ctest's last lines as it wrote them; after a failure what the failed tests said, too.
print_ctest_end() { # print_ctest_end LOG CODE
  printf '\n'
  if (($2 != 0)); then
    printf -- '--- %s without the tests that passed\n' "$1"
    grep -vE '( Passed +[0-9.]+ sec$|^ +Start +[0-9]+: )' "$1" | sed '/tests passed, .* failed out of/,$d' | tail -n 200
    printf -- '---\n\nhint: one test alone: ctest --preset dev -R NAME\n\n'
  fi
  if grep -q 'tests passed, .* failed out of' "$1"; then
    sed -n '/tests passed, .* failed out of/,$p' "$1"
  else
    printf 'error: no test was run\n\nhint: read %s\n' "$1" >&2
  fi
}

show_ctest_summary() { # show_ctest_summary STEP
  grep 'tests passed, .* failed out of' "$(log_of "$1")"
}

# The one of WORDS that takes the fewest edits to become WORD, if that is at most half of it.
nearest_word() { # nearest_word WORD WORDS…
  local word=$1 candidate best='' best_distance distance
  shift
  best_distance=$((${#word} / 2 + 1))
  for candidate in "$@"; do
    distance=$(edit_distance "$word" "$candidate")
    if ((distance < best_distance)); then best=$candidate best_distance=$distance; fi
  done
  printf '%s' "$best"
}

edit_distance() {
  local a=$1 b=$2 i j above diagonal cost
  local -a row
  for ((j = 0; j <= ${#b}; j++)); do row[j]=$j; done
  for ((i = 1; i <= ${#a}; i++)); do
    diagonal=${row[0]}
    row[0]=$i
    for ((j = 1; j <= ${#b}; j++)); do
      above=${row[j]}
      [[ ${a:i-1:1} == "${b:j-1:1}" ]] && cost=0 || cost=1
      row[j]=$((diagonal + cost))
      ((above + 1 < row[j])) && row[j]=$((above + 1))
      ((row[j - 1] + 1 < row[j])) && row[j]=$((row[j - 1] + 1))
      diagonal=$above
    done
  done
  printf '%s' "${row[${#b}]}"
}
