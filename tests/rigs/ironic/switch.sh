#!/usr/bin/env bash
# A real Ironic on loopback, and coldswap carrying switchovers out on it. The virtual environment is that of read.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/coldswap-rigs
exec python3 "$here/switch.py" "${COLDSWAP_IRONIC_PREFIX:-$cache/ironic-switch}" "${COLDSWAP_IRONIC_VENV:-$cache/ironic-venv}" "$@"
