#!/usr/bin/env bash
# Tries a ./dev command as the first one on a fresh minimal Debian: bootstraps one into a folder, clones what is
# committed into it, runs the command in a chroot and says how long everything took. Needs root and debootstrap.
#
#   tools/chroot_check.sh demo
#   tools/chroot_check.sh test --suite trixie
#   tools/chroot_check.sh setup --base /var/tmp/bookworm     bootstrapped once, copied from then on
set -euo pipefail
cd "$(dirname "$0")/.."
readonly root=$PWD

fail() {
  printf 'error: %s\n\nhint: %s\n' "$1" "$2" >&2
  exit 2
}

# The machine's own mirror, so that nothing is fetched from anywhere else.
host_mirror() {
  { sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/*.sources
    sed -n 's/^deb \(\[[^]]*\] *\)\?\([^ ]*\).*/\2/p' /etc/apt/sources.list; } 2>/dev/null | head -n 1
}

bootstrap() { # bootstrap FOLDER
  debootstrap --variant=minbase "$suite" "$1" "$(host_mirror)" >"$1.log" 2>&1 ||
    fail "debootstrap failed" "read $1.log"
}

# What this machine needs to reach its mirrors and registries; nothing else of it is seen inside.
copy_network_settings() { # copy_network_settings FOLDER
  local file
  for file in /etc/resolv.conf /etc/hosts /etc/pip.conf "$HOME/.config/pip/pip.conf" "${SSL_CERT_FILE:-}" \
    "${PIP_CERT:-}" $(grep -ls 'Acquire::' /etc/apt/apt.conf.d/*); do
    [[ -n $file && -f $file ]] || continue
    mkdir -p "$1$(dirname "$file")"
    cp -L "$file" "$1$file"
  done
}

network_environment() {
  env | grep -E '^(SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|PIP_[A-Z_]+|(HTTPS?|NO|ALL)_PROXY|(https?|no|all)_proxy)=' || true
}

# In a mount namespace of its own: whatever happens, the mounts end with it.
run_inside() { # run_inside FOLDER COMMAND…
  local folder=$1 variables
  shift
  mapfile -t variables < <(network_environment)
  # shellcheck disable=SC2016 # expanded by the inner shell
  unshare --mount --propagation private bash -c '
    set -euo pipefail
    folder=$1
    shift
    mount -t proc proc "$folder/proc"
    mount --rbind /sys "$folder/sys"
    mount --rbind /dev "$folder/dev"
    exec chroot "$folder" env -i "$@"' inside "$folder" \
    "${variables[@]}" HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    bash -c 'cd /joulery && exec ./dev "$@"' dev "$@" </dev/null
}

command=() suite=bookworm base='' keep=''
while (($#)); do
  case $1 in
    --suite) suite=${2:?} && shift 2 ;;
    --base) base=${2:?} && shift 2 ;;
    --keep) keep=1 && shift ;;
    -h | --help) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//' && exit ;;
    *) command+=("$1") && shift ;;
  esac
done
((${#command[@]})) || fail "no command was named" "tools/chroot_check.sh demo"
((EUID == 0)) || fail "only root may bootstrap a system and change into it" "sudo tools/chroot_check.sh ${command[*]}"
command -v debootstrap >/dev/null || fail "debootstrap is not installed" "apt-get install debootstrap"

folder=$(mktemp -d "${TMPDIR:-/var/tmp}/joulery-chroot.XXXXXX")
# Nothing is mounted in this namespace; --one-file-system guards against having been wrong about that.
remove_folder() { [[ -n $keep ]] || rm -rf --one-file-system "$folder" "$folder.log"; }
trap remove_folder EXIT

start=$SECONDS
if [[ -n $base ]]; then
  [[ -d $base/etc ]] || bootstrap "$base"
  cp -a "$base/." "$folder"
else
  bootstrap "$folder"
fi
bootstrap_seconds=$((SECONDS - start))
copy_network_settings "$folder"
git clone --quiet --no-hardlinks "$root" "$folder/joulery"

start=$SECONDS code=0
run_inside "$folder" "${command[@]}" || code=$?
printf '\nfresh %s: bootstrapped in %d s; ./dev %s: exit code %d in %d s\n' "$suite" "$bootstrap_seconds" \
  "${command[*]}" "$code" $((SECONDS - start))
if [[ -n $keep ]]; then echo "kept: $folder"; fi
exit "$code"
