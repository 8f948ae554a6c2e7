#!/usr/bin/env bash
# ClusterLabs' fence agents against a lab. Makes a virtual environment with pinned versions for the IPMI side, once.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=${COLDSWAP_FENCE_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/coldswap-rigs/fence}
wanted=(pyghmi==1.6.19 cryptography==50.0.2 cffi==2.1.1 pycparser==3.12 python-dateutil==4.0.0)

if [ "$(cat "$venv/.stamp" 2>/dev/null)" != "${wanted[*]}" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check "${wanted[@]}"
    echo "${wanted[*]}" >"$venv/.stamp"
fi
if ! command -v fence_redfish >/dev/null || ! command -v ipmitool >/dev/null; then
    apt-get update -q >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends fence-agents ipmitool >/dev/null
fi
"$venv/bin/python" "$here/fence_agents.py" "$venv/bin/python"
