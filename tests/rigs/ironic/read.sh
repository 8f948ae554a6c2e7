#!/usr/bin/env bash
# A real Ironic and a real Keystone on loopback, and coldswap reading from them. Makes a virtual environment with pinned
# versions, once (by ironic-up.sh).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/coldswap-rigs
exec python3 "$here/read.py" "${COLDSWAP_IRONIC_PREFIX:-$cache/ironic}" "${COLDSWAP_IRONIC_VENV:-$cache/ironic-venv}"
