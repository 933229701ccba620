#!/usr/bin/env bash
# Runs one host of a lab until it is powered off, killed, or cannot start; a
# reboot inside starts it again. Started in the lab's namespaces.
#
#   host.sh NAME LAB-CGROUP IMAGE DISK SHARED PRIVATE BRIDGE MACHINE-ID
#
# DISK holds what the host writes (a folder on a real file system), SHARED is
# seen by all hosts as /srv/lab, PRIVATE as /run/flotilla.
set -euo pipefail
name=$1 lab=$2 image=$3 disk=$4 shared=$5 private=$6 bridge=$7 id=$8
group=$lab/$name

mkdir -p "$group" "$lab/holder"
echo $$ >"$lab/holder/cgroup.procs"
root=$disk/root
if ! mountpoint -q "$root"; then
  mkdir -p "$root" "$disk/work"
  mount -t overlay overlay -o "lowerdir=$image,upperdir=$disk/upper,workdir=$disk/work" "$root"
fi

while true; do
  # What the last boot left: its control groups, its link, its /run, and the
  # mount that a killed systemd-nspawn 256 or newer could not take back.
  find "$group" -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null || true
  ip link del "vb-$name" 2>/dev/null || true
  find "$private" -mindepth 1 -delete 2>/dev/null || true
  umount --lazy "/run/systemd/nspawn/unix-export/$name" 2>/dev/null || true
  status=0
  (
    echo "$BASHPID" >"$group/cgroup.procs"
    exec env SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_SECCOMP=0 \
      systemd-nspawn --quiet --directory="$root" --boot --register=no --keep-unit \
      --machine="$name" --hostname="$name" --uuid="$id" --network-bridge="$bridge" \
      --link-journal=no --resolv-conf=off --timezone=off --console=read-only \
      --capability=all '--system-call-filter=@mount @keyring bpf' \
      --bind="$disk/containers:/var/lib/containers" --bind="$disk/docker:/var/lib/docker" \
      --bind="$private:/run/flotilla" --bind="$shared:/srv/lab"
  ) </dev/null || status=$?
  # 133 says that the host asked for a reboot. One that is told to stay down does not come back from it.
  [[ $status == 133 && ! -e $disk/stay-down ]] || break
done
echo "host $name ended with status $status"
