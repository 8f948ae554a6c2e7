#!/usr/bin/env bash
# Both directions against software that is not ours. Makes a virtual environment with pinned versions, once.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=${COLDSWAP_RIG_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/coldswap-rigs/venv}

stamp=$(cat "$here/requirements.txt" "$here/constraints.txt" | sha256sum)
if [ "$(cat "$venv/.stamp" 2>/dev/null)" != "$stamp" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check -c "$here/constraints.txt" -r "$here/requirements.txt"
    echo "$stamp" >"$venv/.stamp"
fi
if ! command -v fence_redfish >/dev/null; then
    apt-get update -q >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends fence-agents >/dev/null
fi
"$venv/bin/python" "$here/foreign_service.py"
"$venv/bin/python" "$here/foreign_clients.py"
