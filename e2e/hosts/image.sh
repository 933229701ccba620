#!/usr/bin/env bash
# Builds the root file system that test and demo hosts are booted from, once,
# and prints the folder that holds it.
#
#   image.sh [--key] [SUITE]     SUITE "default" or none: the suite of these hosts
#   image.sh --mirror            prints the package mirror of this machine
#
# --key prints the folder without building it. Variables: FLOTILLA_CACHE
# (default /var/cache/flotilla), FLOTILLA_MIRROR, FLOTILLA_SUITE (default suite).
# A finished image has its final name; everything unfinished is thrown away, and so
# are finished ones of an older recipe.
set -euo pipefail

cache=${FLOTILLA_CACHE:-/var/cache/flotilla}
key_only=
if [[ ${1:-} == --key ]]; then
  key_only=yes
  shift
fi
suite=${1:-default}

fail() {
  echo "image: error: $*" >&2
  exit 1
}

os_value() { (. /etc/os-release && eval "echo \"\${$1:-}\""); }

# sources prints "address suite origin" for each main component that the
# machine's own apt reads, whatever the format of its source lists.
sources() {
  apt-get indextargets --format '$(CREATED_BY) $(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)' |
    awk '$1 == "Packages" && $4 == "main" { print $2, $3, $5 }' | sort -u
}

own_codename() {
  local name
  name=$(os_value UBUNTU_CODENAME)
  [[ -n $name ]] || name=$(os_value VERSION_CODENAME)
  echo "$name"
}

distribution() {
  case " $(os_value ID) $(os_value ID_LIKE) " in
    *" ubuntu "*) echo ubuntu ;;
    *) echo debian ;;
  esac
}

default_suite() {
  if [[ -n ${FLOTILLA_SUITE:-} ]]; then
    echo "$FLOTILLA_SUITE"
  elif [[ $(distribution) == ubuntu ]]; then
    own_codename
  else
    echo trixie
  fi
}

# mirror prints the address that the machine's apt uses for its own suite.
mirror() {
  if [[ -n ${FLOTILLA_MIRROR:-} ]]; then
    echo "$FLOTILLA_MIRROR"
    return
  fi
  local own found
  own=$(own_codename)
  found=$(sources | awk -v own="$own" '$2 == own || $2 == "stable" || $2 == "testing" { print $1; exit }')
  [[ -n $found ]] || found=$(sources | awk '$2 !~ /(security|updates|backports)/ { print $1; exit }')
  case $found in
    mirror+file:*) found=$(awk '!/^#/ && NF { print $1; exit }' "${found#mirror+file:}") ;;
    http://* | https://* | file:*) ;;
    *) found= ;;
  esac
  [[ -n $found ]] ||
    fail "no package mirror found in this machine's apt sources; set FLOTILLA_MIRROR=ADDRESS and FLOTILLA_SUITE=SUITE"
  echo "$found"
}

packages() {
  local list=(systemd systemd-sysv dbus iproute2 iptables nftables procps ca-certificates libnss-myhostname
    podman crun netavark aardvark-dns docker.io libpam-systemd dbus-user-session)
  case $suite in
    bookworm) ;;
    *) [[ $family == ubuntu ]] || list+=(docker-cli) ;;
  esac
  if [[ $family == ubuntu ]]; then
    local p
    for p in "${list[@]}"; do
      apt-cache show "$p" >/dev/null 2>&1 && echo "$p"
    done
  else
    printf '%s\n' "${list[@]}"
  fi | paste -sd,
}

# bootstrap fills folder $1. It runs in a mount namespace of its own, so that
# an interrupted build leaves no mount behind.
bootstrap() {
  local scripts=/usr/share/debootstrap/scripts script components=main proxy=
  [[ $family == ubuntu ]] && components=main,universe
  script=$scripts/$suite
  if [[ ! -e $script ]]; then
    script=$scripts/sid
    [[ $family == ubuntu ]] && script=$scripts/gutsy
  fi
  eval "$(apt-config shell proxy Acquire::http::Proxy)"
  if [[ -n $proxy && $proxy != DIRECT && -z ${http_proxy:-} ]]; then
    export http_proxy=$proxy
  fi
  unshare --mount --propagation private \
    debootstrap --variant=minbase --components="$components" --include="$(packages)" \
    "$suite" "$1" "$(mirror)" "$script"
}

# trim removes what a test host never reads.
trim() {
  rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/var/cache/debconf/*-old \
    "$1"/usr/share/{doc,man,info,locale,lintian,bash-completion} "$1"/var/log/{apt,*.log} "$1"/debootstrap
  mkdir -p "$1/usr/share/man/man1"
}

# settle makes the tree a host without a name: what is particular to one host
# is added when it is booted.
settle() {
  local root=$1 unit
  rm -f "$root/etc/hostname" "$root/etc/resolv.conf" "$root/var/lib/dbus/machine-id"
  : >"$root/etc/machine-id"
  mkdir -p "$root/etc/containers" "$root/etc/systemd/network" "$root/var/log/journal"
  # The pids controller may be out of reach of these hosts.
  printf '[containers]\npids_limit=0\n' >"$root/etc/containers/containers.conf"
  # Docker that finds forwarding off turns it on and then drops what it does
  # not know, Podman's published ports included.
  echo 'net.ipv4.ip_forward=1' >"$root/etc/sysctl.d/50-forward.conf"
  for unit in systemd-modules-load.service systemd-udevd.service systemd-resolved.service \
    console-getty.service getty.target apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
    e2scrub_all.timer fstrim.timer e2scrub_reap.service podman-auto-update.timer motd-news.timer; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
  done
  systemctl --quiet --root="$root" disable docker.service containerd.service podman.service podman-restart.service \
    podman-clean-transient.service systemd-timesyncd.service >/dev/null 2>&1 || true
  systemctl --quiet --root="$root" enable docker.socket systemd-networkd.service
}

build() {
  local tmp=$1
  echo "suite $suite, mirror $(mirror), packages $(packages)"
  bootstrap "$tmp"
  trim "$tmp"
  settle "$tmp"
}

# prune deletes the suite's images of other recipes, but not one that a lab uses.
prune() {
  local old
  for old in "$cache/images/$suite"-*; do
    [[ $old != "$final" ]] || continue
    grep -qsF "$old" "$cache"/labs/*/lab.json /proc/[0-9]*/mountinfo || rm -rf "$old"
  done
}

if [[ $suite == --mirror ]]; then
  mirror
  exit 0
fi
[[ $suite != default ]] || suite=$(default_suite)
family=debian
[[ $(distribution) == ubuntu && $suite == "$(own_codename)" ]] && family=ubuntu
recipe=$(declare -f packages bootstrap trim settle)
key=$(printf '%s %s %s' "$suite" "$(dpkg --print-architecture)" "$recipe" | sha256sum | cut -c1-12)
final=$cache/images/$suite-$key

if [[ -n $key_only || -d $final ]]; then
  echo "$final"
  exit 0
fi

if [[ $(distribution) == ubuntu && $family == debian && -z ${FLOTILLA_MIRROR:-} ]]; then
  fail "this machine's apt has no mirror for $suite; set FLOTILLA_MIRROR=ADDRESS of one"
fi
mirror >/dev/null
mkdir -p "$cache/images" "$cache/logs"
exec 9>"$cache/images/.lock-$suite-$key"
flock 9
if [[ -d $final ]]; then
  echo "$final"
  exit 0
fi

log=$cache/logs/image-$suite.log
rm -rf "$cache/images/.tmp-$suite-$key".*
tmp=$(mktemp -d "$cache/images/.tmp-$suite-$key.XXXXXX")
chmod 755 "$tmp"
worker=
discard() {
  trap - INT TERM HUP EXIT
  if [[ -n $worker ]]; then
    kill -KILL -- "-$worker" 2>/dev/null || true
    wait "$worker" 2>/dev/null || true
  fi
  rm -rf "$tmp"
}
trap 'discard; exit 130' INT TERM HUP
trap discard EXIT
# A session of its own, so that all of the build ends with this script.
setsid bash -c 'eval "$1"; set -euo pipefail; build "$2"' image "$(declare -f); suite=$suite; family=$family" "$tmp" \
  >"$log" 2>&1 9>&- &
worker=$!
wait "$worker" || { worker=; fail "building the $suite host image failed; the reason stands in $log"; }
worker=
mv "$tmp" "$final"
trap - INT TERM HUP EXIT
prune
echo "$final"
