#!/usr/bin/env bash
# The demo: three real hosts in a network namespace of their own, one cluster, the examples
# on it, a host killed, all rebooted under load. up leaves the cluster to play with, down removes it. Noise goes to the log.
set -euo pipefail
cd "$(dirname "$0")/.."
unset GOFLAGS

work=.flotilla
log=$work/demo.log
lab=${FLOTILLA_DEMO:-demo} # the lab's name
export CGO_ENABLED=0

# fail says in which step it ended, and shows the end of the log.
fail() {
  tail -n 5 "$log" >&2
  echo "demo: error: $1: see $log" >&2
  exit 1
}

build_demo() { go build -trimpath -buildvcs=false -o bin/demo ./e2e/demo; }

case "${1:-}" in
down)
  [[ $EUID == 0 ]] || {
    echo "make demo-down: error: hosts can be removed by root only; run: sudo make demo-down" >&2
    exit 1
  }
  # Another checkout of this repository may have made the hosts.
  if [[ -x bin/demo || -d /run/flotilla-lab/$lab || -d ${FLOTILLA_CACHE:-/var/cache/flotilla}/labs/$lab ]]; then
    [[ -x bin/demo ]] || build_demo
    bin/demo down "$lab"
  fi
  rm -rf "$work"/{endpoint,shop,changed}
  ;;
up)
  trap 'echo >&2; echo "demo: interrupted; make demo starts it anew, make demo-down removes what there is" >&2; exit 130' INT TERM
  began=$EPOCHREALTIME
  step() { # what was done, with the seconds since the last step
    local now=$EPOCHREALTIME
    awk -v a="$began" -v b="$now" -v s="$1" 'BEGIN { printf "%6.1fs  %s\n", b - a, s }'
    began=$now
  }
  FLOTILLA_LOG=$log e2e/hosts/prepare.sh demo
  step "packages: all there (noise goes to $log)"
  make --no-print-directory build >>"$log" 2>&1 || fail "the build failed"
  build_demo >>"$log" 2>&1 || fail "the build failed"
  step "build: bin/flotilla, one static binary of $(($(stat -c %s bin/flotilla) / 1000000)) MB"
  trap - INT TERM
  exec bin/demo up "$lab" "$log"
  ;;
*)
  echo "usage: e2e/demo.sh up|down" >&2
  exit 2
  ;;
esac
