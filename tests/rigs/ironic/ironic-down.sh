#!/usr/bin/env bash
# ironic-down.sh - stop what ironic-up.sh started (by pid file); the same variables apply.
#   ironic-down.sh           stop; keep packages, database and logs
#   ironic-down.sh --purge   stop and delete $IRONIC_PREFIX/run
# Exit status 0 also when nothing was running.
set -euo pipefail
IRONIC_PREFIX=${IRONIC_PREFIX:-${XDG_CACHE_HOME:-$HOME/.cache}/coldswap-ironic}
run=$IRONIC_PREFIX/run
[ -d "$run" ] || exit 0
exec 9>"$IRONIC_PREFIX/lock"
flock 9

for name in ironic bmc; do
    pid=$(cat "$run/$name.pid" 2>/dev/null || true)
    rm -f "$run/$name.pid"
    # Only a process that still carries our run directory on its command line is ours.
    if [ -z "$pid" ] || ! grep -qaF -- "$run" "/proc/$pid/cmdline" 2>/dev/null; then continue; fi
    # setsid made it the leader of a process group of its own: signal its workers too.
    kill -TERM -- "-$pid" 2>/dev/null || kill -TERM "$pid" 2>/dev/null || true
    for _ in $(seq 100); do kill -0 -- "-$pid" 2>/dev/null || break; sleep 0.1; done
    kill -KILL -- "-$pid" 2>/dev/null || true
done
if [ "${1:-}" = --purge ]; then rm -rf "$run"; fi
