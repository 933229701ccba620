#!/usr/bin/env bash
# Runs a command in a clean clone of this repository on a clean Debian 13 that
# has systemd as process 1 and cgroup v2 only: a normal machine, as far as this
# one can show it.
#
#   nested.sh COMMAND...          for example: nested.sh make demo
#
# Root only, after prepare.sh. The machine made for it is deleted at the end,
# unless NESTED_KEEP=yes. NESTED_IMAGES=yes copies the finished host images in,
# so that only the rest is cold. Variables of image.sh apply.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(git -C "$here" rev-parse --show-toplevel)
cache=${FLOTILLA_CACHE:-/var/cache/flotilla}
name=flotilla-nested
work=$cache/nested
root=$work/root

(($#)) || {
  echo "nested: error: want a command to run, for example: make demo" >&2
  exit 2
}
[[ $EUID == 0 ]] || {
  echo "nested: error: root only" >&2
  exit 1
}

mkdir -p "$cache/logs" "$work"
exec 9>"$work/lock"
flock -n 9 || {
  echo "nested: error: another nested.sh is at work in $work" >&2
  exit 1
}

tree=/sys/fs/cgroup
[[ -e $tree/cgroup.controllers ]] || tree=/sys/fs/cgroup/unified

# With systemd outside, the group is one that it delegates.
if [[ -d /run/systemd/system && -z ${NESTED_SCOPE:-} ]]; then
  flock -u 9
  exec 9>&-
  exec systemd-run --quiet --scope --collect --unit="$name" --property=Delegate=yes --property=TasksMax=infinity \
    env NESTED_SCOPE=yes "${BASH_SOURCE[0]}" "$@"
fi
own=$(sed -n 's/^0:://p' /proc/self/cgroup)
group=$tree${own%/}/$name
[[ -n ${NESTED_SCOPE:-} ]] || group=$tree/$name

remove() {
  if [[ -d $group ]]; then
    echo 1 >"$group/cgroup.kill"
    until grep -qx 'populated 0' "$group/cgroup.events"; do sleep 0.1; done
    find "$group" -depth -type d -exec rmdir {} +
  fi
  rm -rf "$root"
}

# base prints the folder of a clean Debian, which is built once.
base() {
  local final tmp mirror
  final=$cache/images/nested-$(sha256sum <"${BASH_SOURCE[0]}" | cut -c1-12)
  if [[ ! -d $final ]]; then
    mirror=$("$here/image.sh" --mirror)
    tmp=$final.tmp
    rm -rf "$tmp"
    unshare --mount --propagation private debootstrap --variant=minbase \
      --include=systemd,systemd-sysv,dbus,iproute2,procps,ca-certificates,git,make \
      trixie "$tmp" "$mirror" >"$cache/logs/image-nested.log" 2>&1
    rm -rf "$tmp"/var/cache/apt/archives/*.deb
    rm -f "$tmp"/etc/{hostname,resolv.conf}
    : >"$tmp/etc/machine-id"
    local unit
    # It shares this machine's network, which it must leave alone.
    for unit in systemd-networkd.service systemd-networkd.socket systemd-modules-load.service systemd-resolved.service \
      systemd-sysctl.service systemd-timesyncd.service console-getty.service getty.target apt-daily.timer apt-daily-upgrade.timer; do
      ln -sf /dev/null "$tmp/etc/systemd/system/$unit"
    done
    rm -rf "$cache"/images/nested-????????????
    mv "$tmp" "$final"
  fi
  echo "$final"
}

leader() {
  local pid
  while read -r pid; do
    [[ $(awk '$1 == "NSpid:" { print $NF }' "/proc/$pid/status" 2>/dev/null) == 1 ]] && echo "$pid" && return
  done < <(cat "$group/payload/init.scope/cgroup.procs" 2>/dev/null)
  return 1
}

# inside runs a command in the nested machine.
inside() {
  local pid
  pid=$(leader) || return 1
  nsenter --target "$pid" --mount --uts --ipc --net --pid --cgroup -- "$@"
}

boot() {
  mkdir -p "$group"
  mkdir -p /run/systemd/nspawn
  (
    echo "$BASHPID" >"$group/cgroup.procs"
    exec 9>&-
    # shellcheck disable=SC2016
    exec setsid unshare --mount --propagation private sh -c 'mount -t tmpfs tmpfs /run/systemd/nspawn && exec "$@"' nspawn \
      env SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_SECCOMP=0 \
      systemd-nspawn --quiet --directory="$root" --boot --register=no --keep-unit --machine="$name" --hostname=nested \
      --link-journal=no --resolv-conf=replace-host --timezone=off --console=read-only --capability=all \
      '--system-call-filter=@mount @keyring bpf' \
      --bind-ro="$(go env GOROOT):/usr/local/go" --bind-ro="$(go env GOMODCACHE)/cache/download:/srv/modules"
  ) </dev/null >"$cache/logs/nested-console.log" 2>&1 &
  disown
  local try state
  for try in $(seq 600); do
    state=$(inside systemctl is-system-running 2>/dev/null || true)
    case $state in running | degraded) return 0 ;; esac
    sleep 0.1
  done
  echo "nested: error: it did not boot ($state, try $try); see $cache/logs/nested-console.log" >&2
  return 1
}

remove
[[ -n ${NESTED_KEEP:-} ]] || trap remove EXIT
trap 'exit 130' INT TERM

cp -a --reflink=auto "$(base)" "$root"
git clone --quiet --no-hardlinks "$repository" "$root/root/flotilla"
if [[ -n ${NESTED_IMAGES:-} ]]; then
  mkdir -p "$root/var/cache/flotilla/images"
  for suite in default bookworm; do
    image=$("$here/image.sh" --key "$suite")
    [[ ! -d $image ]] || cp -a --reflink=auto "$image" "$root/var/cache/flotilla/images/"
  done
fi
boot
echo "nested: $(inside systemctl --version | head -n1), $(inside systemctl is-system-running || true), process 1 is $(inside cat /proc/1/comm)" >&2

status=0
inside /usr/bin/env -i PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb \
  systemd-run --quiet --wait --pipe --collect --unit=nested-command --working-directory=/root/flotilla \
  --property=KillMode=process --setenv=HOME=/root --setenv=PATH=/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  --setenv=GOPROXY="file:///srv/modules,$(go env GOPROXY)" --setenv=GOSUMDB="$(go env GOSUMDB)" --setenv=GOTOOLCHAIN=local \
  -- "$@" || status=$?
exit $status
