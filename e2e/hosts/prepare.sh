#!/usr/bin/env bash
# Makes a machine ready for `make demo` and `make test`.
#
#   prepare.sh demo|test
#
# First checks, changing nothing: each line of the answer names what is missing
# and what mends it. Then starts the log anew and installs the packages that are
# missing, if any. Variables: FLOTILLA_LOG (the log; default logs/packages.log in
# the cache), FLOTILLA_CACHE (default /var/cache/flotilla), FLOTILLA_MIN_MEMORY_MB,
# FLOTILLA_MIN_DISK_MB.
set -euo pipefail

purpose=${1:-}
case $purpose in
  demo | test) ;;
  *)
    echo "prepare: error: want demo or test as the argument, not '$purpose'" >&2
    exit 2
    ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cache=${FLOTILLA_CACHE:-/var/cache/flotilla}
log=${FLOTILLA_LOG:-$cache/logs/packages.log}
command="make $purpose"
failed=0

missing() {
  echo "$command: error: $1; $2" >&2
  failed=1
}

check_machine() {
  if [[ $(uname -s) != Linux ]]; then
    missing "this is $(uname -s), the hosts need Linux" "run it in a Linux virtual machine"
    return 1
  fi
  case $(uname -m) in
    x86_64 | aarch64) ;;
    *) missing "this is a $(uname -m) machine" "use amd64 or arm64" ;;
  esac
  if [[ $EUID != 0 ]]; then
    missing "hosts can be booted by root only" "run: sudo env \"PATH=\$PATH\" $command"
  fi
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    missing "no apt on this machine" "use Debian 12 or newer, or Ubuntu 22.04 or newer"
  fi
  local kernel
  kernel=$(uname -r)
  if ! at_least "${kernel%%[!0-9.]*}" 5.14; then
    missing "Linux $kernel is too old" "boot Linux 5.14 or newer"
  fi
}

# at_least says whether version $1 is $2 or newer.
at_least() { [[ $(printf '%s\n' "$2" "$1" | sort -V | head -n1) == "$2" ]]; }

check_go() {
  local want have toolchain
  want=$(awk '$1 == "go" { print $2; exit }' go.mod)
  if ! command -v go >/dev/null; then
    local hint="install Go ${want%.*} or newer from its download page"
    [[ -x /usr/local/go/bin/go ]] && hint="run: PATH=\$PATH:/usr/local/go/bin $command"
    missing "no go in PATH" "$hint"
    return
  fi
  have=$(GOTOOLCHAIN=local go version 2>/dev/null | awk '{ sub(/^go/, "", $3); print $3 }')
  have=${have%%[!0-9.]*}
  at_least "${have:-0}" "${want%.0}" && return
  toolchain=$(cd / && GOTOOLCHAIN='' go env GOTOOLCHAIN 2>/dev/null || true)
  toolchain=${GOTOOLCHAIN:-$toolchain}
  if ! at_least "${have:-0}" 1.21; then
    missing "go ${have:-of unknown version} is too old" "install Go ${want%.*} or newer"
  elif [[ $toolchain == local* || $toolchain == path* ]]; then
    missing "go $have is too old and GOTOOLCHAIN=$toolchain forbids it to fetch another" \
      "install Go ${want%.*} or newer, or run: GOTOOLCHAIN=auto $command"
  fi
}

check_memory() {
  local want=${FLOTILLA_MIN_MEMORY_MB:-4000} have limit
  # A machine sold with 4 GB shows a little less.
  have=$(awk '$1 == "MemTotal:" { print int($2 / 1024) }' /proc/meminfo)
  if [[ -r /sys/fs/cgroup/memory.max ]]; then
    limit=$(cat /sys/fs/cgroup/memory.max)
    [[ $limit == max ]] || have=$((limit / 1048576 < have ? limit / 1048576 : have))
  fi
  if ((have < want * 9 / 10)); then
    missing "${have} MB of memory, $want MB are needed" "give the machine more"
  fi
}

check_disk() {
  local want=${FLOTILLA_MIN_DISK_MB:-6144} have folder=$cache
  # Less when what takes the most is there already.
  compgen -G "$cache/images/[a-z]*" >/dev/null && want=$((want / 3))
  until [[ -d $folder ]]; do folder=$(dirname "$folder"); done
  have=$(df --output=avail -BM "$folder" | tail -n1 | tr -dc 0-9)
  if ((have < want)); then
    missing "$have MB free in $folder, $want MB are needed" "free some, or set FLOTILLA_CACHE=FOLDER on a larger disk"
  fi
  case $(df --output=fstype "$folder" | tail -n1) in
    overlay | overlayfs | nfs* | 9p | fuse*)
      missing "$folder is on a file system that can not carry the hosts' disks" \
        "set FLOTILLA_CACHE=FOLDER on a plain disk (ext4, xfs, btrfs)"
      ;;
  esac
}

# check_rights tries, in namespaces that end with the attempt, what booting a
# host needs.
check_rights() {
  [[ $EUID == 0 ]] || return 0
  # shellcheck disable=SC2016
  local try='mount -t tmpfs none /mnt && mkdir /mnt/a /mnt/b /mnt/c /mnt/d &&
    mount -t overlay none -o lowerdir=/mnt/a,upperdir=/mnt/b,workdir=/mnt/c /mnt/d'
  if ! unshare --mount --net --pid --fork --propagation private sh -c "$try" >/dev/null 2>&1; then
    missing "no right to make namespaces and mounts here" "in a container, start it with --privileged; else use a virtual machine"
  fi
  local tree=/sys/fs/cgroup
  [[ -e $tree/cgroup.controllers ]] || tree=/sys/fs/cgroup/unified
  if [[ ! -e $tree/cgroup.controllers ]]; then
    missing "no cgroup v2 below /sys/fs/cgroup" "boot the machine with systemd.unified_cgroup_hierarchy=1"
  elif [[ ! -w $tree/cgroup.procs ]]; then
    missing "$tree can not be written" "in a container, start it with --privileged --cgroupns=private"
  fi
}

packages() {
  local list=(debootstrap systemd-container nftables iproute2 util-linux procps)
  [[ $purpose != test ]] || list+=(gcc libc6-dev)
  [[ $(. /etc/os-release && echo "$ID") != ubuntu ]] || list+=(ubuntu-keyring)
  [[ $(. /etc/os-release && echo "$ID") != debian ]] || list+=(debian-archive-keyring)
  local p
  for p in "${list[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) == installed ]] || echo "$p"
  done
}

install_missing() {
  local list
  mapfile -t list < <(packages)
  ((${#list[@]})) || return 0
  export DEBIAN_FRONTEND=noninteractive
  local get=(apt-get -y -q --no-install-recommends -o DPkg::Lock::Timeout=300)
  echo "installing ${list[*]}" >>"$log"
  "${get[@]}" install "${list[@]}" >>"$log" 2>&1 && return 0
  # The package lists may be out of date, or an earlier run was interrupted.
  if ! { dpkg --configure -a && "${get[@]}" update && "${get[@]}" install "${list[@]}"; } >>"$log" 2>&1; then
    missing "apt-get could not install ${list[*]}" "read $log, mend what it says, and run $command again"
  fi
}

# foreign_etcd unpacks Debian's etcd, beside which one scenario runs flotilla. It is not
# installed: its service would start on this machine.
foreign_etcd() {
  local to=$cache/etcd log=$cache/logs/packages.log tmp
  [[ $purpose == test && ! -x $to/usr/bin/etcd ]] || return 0
  mkdir -p "$cache/logs"
  tmp=$(mktemp -d "$cache/.etcd.XXXXXX")
  local download=(apt-get -q -o APT::Sandbox::User=root download etcd-server etcd-client)
  echo "unpacking etcd-server and etcd-client" >>"$log"
  if ! (cd "$tmp" && { "${download[@]}" || { apt-get -q update && "${download[@]}"; }; } &&
    for deb in *.deb; do dpkg-deb -x "$deb" .; done && rm -- *.deb) >>"$log" 2>&1; then
    rm -rf "$tmp"
    missing "apt-get could not download etcd-server and etcd-client" "read $log, mend what it says, and run $command again"
    return 0
  fi
  rm -rf "$to" && mv "$tmp" "$to"
}

check_machine || exit 1
check_go
check_memory
check_disk
check_rights
((failed == 0)) || exit 1
mkdir -p "$(dirname "$log")"
: >"$log"
install_missing
foreign_etcd
exit $failed
