#!/usr/bin/env bash
# Holds the namespaces of one lab. Started in a network and a mount namespace
# of its own; when its last process ends, the bridge, the firewall rules and
# all mounts of the lab are gone.
#
#   lab.sh DIR CGROUP BRIDGE GATEWAY/BITS
#
# CGROUP is a folder in the cgroup v2 tree; "own:TREE" is the group that systemd
# delegated to this process, below TREE. Writes DIR/holder ("pid cgroup") once it is ready.
set -euo pipefail
dir=$1 cgroup=$2 bridge=$3 gateway=$4

if [[ $cgroup == own:* ]]; then
  cgroup=${cgroup#own:}$(sed -n 's/^0:://p' /proc/self/cgroup)
fi
mkdir -p "$cgroup/holder"
echo $$ >"$cgroup/holder/cgroup.procs"
for controller in $(cat "$cgroup/cgroup.controllers"); do
  { echo "+$controller" >"$cgroup/cgroup.subtree_control"; } 2>/dev/null || true
done

# Machine names are registered here; a tmpfs keeps them from the real machine's.
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn

ip link set lo up
ip link add "$bridge" type bridge
ip addr add "$gateway" dev "$bridge"
ip link set "$bridge" up
nft -f - <<'RULES'
table bridge lab {
  chain forward {
    type filter hook forward priority 0
  }
  chain input {
    type filter hook input priority 0
  }
  chain output {
    type filter hook output priority 0
  }
}
RULES

echo "$$ $cgroup" >"$dir/holder.new"
mv "$dir/holder.new" "$dir/holder"
exec sleep infinity
