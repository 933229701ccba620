#!/usr/bin/env bash
# The demo: three real hosts in a network namespace of their own, one cluster, a host
# killed. up leaves the cluster to play with, down removes it. Noise goes to the log.
set -euo pipefail
cd "$(dirname "$0")/.."
unset GOFLAGS

work=.flotilla
mkdir -p "$work"
log=$work/demo.log

case "${1:-}" in
down)
  [ "$(id -u)" = 0 ] || { echo "demo-down needs root: sudo make demo-down" >&2; exit 1; }
  if [ -x bin/demo ]; then bin/demo down; fi
  rm -f "$work/endpoint"
  ;;
up)
  began=$EPOCHREALTIME
  step() { # NAME: seconds since the last step, and what was done
    local now=$EPOCHREALTIME
    awk -v a="$began" -v b="$now" -v s="$1" 'BEGIN{printf "%6.1fs  %s\n", b-a, s}'
    began=$now
  }
  : >"$log"
  FLOTILLA_LOG=$log e2e/hosts/prepare.sh demo
  step "packages are there (noise goes to $log)"
  make --no-print-directory build >>"$log" 2>&1 || { tail -5 "$log" >&2; echo "demo: the build failed: see $log" >&2; exit 1; }
  CGO_ENABLED=0 go build -buildvcs=false -o bin/demo ./e2e/demo >>"$log" 2>&1 || { tail -5 "$log" >&2; exit 1; }
  step "built bin/flotilla, one static binary of $(($(stat -c %s bin/flotilla) / 1000000)) MB"
  exec bin/demo up "$log"
  ;;
*)
  echo "usage: e2e/demo.sh up|down" >&2
  exit 2
  ;;
esac
