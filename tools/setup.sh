# Sourced by ./dev: installs what a command needs and the machine lacks. When nothing is missing it runs neither apt
# nor pip.
# shellcheck shell=bash

readonly build_packages="clang-19 lld-19 cmake ninja-build ccache pkg-config ca-certificates libfmt-dev
  nlohmann-json3-dev libsqlite3-dev libcli11-dev libtomlplusplus-dev libxxhash-dev libssl-dev libsystemd-dev zlib1g-dev libpng-dev libjpeg-dev"
readonly python_packages="python3 python3-venv"
readonly test_packages="libgtest-dev libgmock-dev librapidcheck-dev dbus-daemon git procps zsh fish clang-format-19 clang-tidy-19
  libclang-rt-19-dev llvm-19 espeak-ng"

# The headers of Boost.Math come in one package with all other headers of Boost, whose name has the release in it.
readonly boost_choices="libboost1.81-dev libboost1.83-dev libboost1.88-dev libboost-dev"

# Pages are looked at in a real browser. Ubuntu has it as a snap only.
browser_packages() {
  grep -qx 'ID=ubuntu' /etc/os-release 2>/dev/null || echo "chromium fonts-dejavu-core"
}

packages_for() { # packages_for build|demo|test|bench|coverage|all
  case $1 in
    build) echo "$build_packages" ;;
    demo) echo "$build_packages $python_packages" ;;
    test) echo "$build_packages $python_packages $test_packages $(browser_packages)" ;;
    bench) echo "$build_packages $python_packages libbenchmark-dev" ;;
    coverage) echo "$build_packages $python_packages $test_packages $(browser_packages) gcovr" ;;
    all) echo "$build_packages $python_packages $test_packages $(browser_packages) gcovr libbenchmark-dev" ;;
    *) usage_error "there is nothing to set up for '$1'; try build, demo, test, bench, coverage or all" ;;
  esac
}

missing_packages() { # missing_packages PACKAGE…
  local have package
  have=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p')
  for package in "$@"; do
    grep -qxF -- "$package" <<<"$have" || echo "$package"
  done
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  else
    sudo --non-interactive "$@"
  fi
}

set_up() { # set_up FOR
  local packages missing
  packages=$(packages_for "$1")
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    set_up_elsewhere "$packages"
  else
    # shellcheck disable=SC2086 # one word per package
    missing=$(missing_packages $packages)
    [[ -e /usr/include/boost/math/distributions/beta.hpp ]] || missing="$missing boost"
    if [[ -n ${missing//[[:space:]]/} ]]; then
      ask_for_root "$missing"
      # shellcheck disable=SC2086
      step "install packages" "if it named a package that does not exist: Debian 12 or 13 and Ubuntu 24.04 have them all" \
        install_packages $missing
    fi
  fi
  case $1 in
    demo) python_environment .deps/venv requirements-native.txt ;;
    test | coverage)
      python_environment .deps/venv requirements-native.txt requirements-test.txt requirements-frameworks.txt \
        requirements-engines.txt requirements-data.txt requirements-models.txt
      ;;
    bench)
      python_environment .deps/venv requirements-native.txt requirements-engines.txt requirements-data.txt
      peer_environments
      ;;
    all)
      python_environment .deps/venv requirements-native.txt requirements-test.txt requirements-frameworks.txt \
        requirements-engines.txt requirements-data.txt requirements-models.txt
      peer_environments
      ;;
  esac
  case $1 in
    test | coverage | bench | all) onnxruntime_header ;;
  esac
}

readonly onnxruntime_folder=.deps/onnxruntime

# The header of ONNX Runtime's C interface. Debian 12 and Ubuntu 24.04 have no package with it: then it is taken out
# of the one of Debian's next release, which is downloaded by apt with a state of its own and never installed. Without
# it all but one plug-in is built, so that a failure is a note and tried again next time.
onnxruntime_header() {
  local header=onnxruntime/onnxruntime_c_api.h
  [[ -e /usr/include/$header || -e $onnxruntime_folder/usr/include/$header ]] && return
  if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    echo "note: without onnxruntime_c_api.h in /usr/include/onnxruntime the plug-in for ONNX Runtime is not built"
    return
  fi
  try_step "header of ONNX Runtime" fetch_onnxruntime_header
  ((step_code == 0)) && return
  echo "note: the header of ONNX Runtime can't be had now, so that its plug-in is not built; ./dev setup tries again"
  echo "      the log has the reason: $(log_of "header of ONNX Runtime")"
}

debian_source() { # debian_source: the machine's own source of Debian packages and its keyring
  local uri
  uri=$(awk '/^URIs:/ && /debian/ && !/security/ {print $2; exit}' /etc/apt/sources.list.d/*.sources 2>/dev/null)
  [[ -n $uri ]] || uri=$(awk '/^deb / {for (i = 2; i <= NF; ++i) if ($i ~ /^[a-z+]+:\/\/.*debian/ && $i !~ /security/) {print $i; exit}}' \
    /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null)
  if [[ -z $uri || ! -e /usr/share/keyrings/debian-archive-keyring.gpg ]]; then
    echo "this machine has no source of Debian packages with its keyring"
    return 1
  fi
  echo "$uri"
}

fetch_onnxruntime_header() {
  local uri state packages
  uri=$(debian_source) || { echo "$uri"; return 1; }
  state=$PWD/.deps/onnxruntime.part
  rm -rf "$state"
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/root"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri trixie main" >"$state/list"
  local -a apt=(apt-get -o "Dir::Etc::sourcelist=$state/list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$state/lists"
    -o "Dir::Cache=$state/cache" -o APT::Sandbox::User= -o Acquire::Retries=2 -o Acquire::http::Timeout=20
    -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false)
  # apt ends with success when it could not reach anything: whether there is a package tells more.
  "${apt[@]}" update
  (cd "$state" && "${apt[@]}" download libonnxruntime-dev)
  packages=("$state"/libonnxruntime-dev_*.deb)
  dpkg -x "${packages[0]}" "$state/root"
  [[ -e $state/root/usr/include/onnxruntime/onnxruntime_c_api.h ]]
  rm -rf "$onnxruntime_folder"
  mv "$state/root" "$onnxruntime_folder"
  rm -rf "$state"
}

# One for each: in a shared one, what one of them brings would change how the other behaves.
peer_environments() {
  python_environment .deps/peers/codecarbon requirements-peers-codecarbon.txt
  python_environment .deps/peers/zeus requirements-peers-zeus.txt
}

# Real inference servers, for ./dev soak: 250 MB and 150 MB. There is no binary package of the second: it is compiled,
# which takes two cores some minutes.
server_environments() {
  python_environment .deps/servers/mlserver requirements-servers-mlserver.txt
  compiled_package=llama-cpp-python python_environment .deps/servers/llama requirements-servers-llama.txt
}

# Asks for the password here, where the user sees it: the steps themselves run with their output in a log.
ask_for_root() { # ask_for_root MISSING
  ((EUID == 0)) && return
  if command -v sudo >/dev/null && { sudo --non-interactive true 2>/dev/null || { [[ -t 0 ]] && sudo --validate; }; }; then
    return
  fi
  printf '%serror:%s packages are missing and this user may not install them:\n  %s\n\n' "$red" "$plain" \
    "$(tr '\n' ' ' <<<"$1")" >&2
  printf 'hint: as root: apt-get install --no-install-recommends %s\n' \
    "$(tr '\n' ' ' <<<"${1/boost/libboost-dev}")" >&2
  exit 3
}

install_packages() { # install_packages PACKAGE…; `boost` stands for the first of its packages that exists
  local -a options=(-y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0)
  local package choice chosen=() bundle=/etc/ssl/certs/ca-certificates.crt kept=''
  if [[ -s $bundle && -n $(missing_packages ca-certificates) ]]; then
    # Somebody put it there, for a proxy of their own perhaps; installing ca-certificates writes over it.
    kept=$(mktemp)
    cat "$bundle" >"$kept"
  fi
  as_root apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 update
  for package in "$@"; do
    if [[ $package == boost ]]; then
      for choice in $boost_choices; do
        if apt-cache show --no-all-versions "$choice" >/dev/null 2>&1; then
          package=$choice
          break
        fi
      done
    fi
    chosen+=("$package")
  done
  echo "installing ${chosen[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install "${options[@]}" "${chosen[@]}"
  if [[ -n $kept ]]; then
    cat "$bundle" >>"$kept"
    as_root cp "$kept" "$bundle"
    rm -f "$kept"
  fi
}

set_up_elsewhere() { # set_up_elsewhere PACKAGES: names what is needed, goes on if the tools are there
  local tool missing=''
  for tool in clang++-19 cmake ninja ccache pkg-config python3; do
    command -v "$tool" >/dev/null || missing="$missing $tool"
  done
  if [[ -n $missing ]]; then
    printf '%serror:%s this system has no apt, and these programs are missing:%s\n\n' "$red" "$plain" "$missing" >&2
    printf 'hint: install what these packages of Debian hold: %s libboost-dev\n' "$(tr -s ' \n' ' ' <<<"$1")" >&2
    exit 3
  fi
}

# The system's Python before any other: an environment made with it needs nothing but the system.
find_python() {
  local python
  for python in /usr/bin/python3 python3; do
    if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      echo "$python"
      return
    fi
  done
  echo "no Python of 3.11 or later with venv and ensurepip was found" >&2
  return 1
}

# A stamp holds the hash of what was installed, so that a repeat costs nothing and a change is seen.
python_environment() { # python_environment FOLDER REQUIREMENTS…
  local folder=$1 file
  shift
  for file in "$@"; do
    if ! stamp_is_current "$folder" "$file"; then
      step "python packages: ${file%.txt}" "if the network is down, try again; else remove $folder and try again" \
        install_python_packages "$folder" "$file"
    fi
  done
}

stamp_is_current() { # stamp_is_current FOLDER REQUIREMENTS
  local stamp=$1/installed-$2
  [[ -x $1/bin/python && -e $stamp && $(sha256sum <"$2") == "$(<"$stamp")" ]]
}

install_python_packages() { # install_python_packages FOLDER REQUIREMENTS
  if ! "$1/bin/python" -m pip --version >/dev/null 2>&1; then
    rm -rf "$1"
    "$(find_python)" -m venv "$1"
  fi
  rm -f "$1/installed-$2"
  # The files name every package that is needed, with its hash. Compiling all of it at once would take longer than
  # compiling what is imported when it is.
  CC=clang-19 CXX=clang++-19 "$1/bin/python" -m pip install --require-hashes --no-deps --only-binary :all: \
    ${compiled_package:+--no-binary "$compiled_package"} --no-compile --no-input --disable-pip-version-check \
    --progress-bar off -r "$2"
  sha256sum <"$2" >"$1/installed-$2"
}
