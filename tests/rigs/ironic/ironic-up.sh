#!/usr/bin/env bash
# ironic-up.sh - start a throw-away OpenStack Ironic plus fake Redfish BMCs on loopback.
#
# What you get when it returns 0:
#   * Ironic API + conductor in one process (sqlite, no message bus, no TFTP/DHCP/neutron)
#         http://127.0.0.1:$IRONIC_PORT/
#   * a Redfish service with $IRONIC_SYSTEMS fake machines that really change power state
#         http://127.0.0.1:$IRONIC_BMC_PORT/redfish/v1/Systems/<uuid>
#   * $IRONIC_PREFIX/run/env.sh       variables for shells (source it)
#   * $IRONIC_PREFIX/run/systems.json the fake machines, for test code
#   * $IRONIC_PREFIX/run/clouds.yaml  cloud "lab" for openstackclient / openstacksdk
#   * $IRONIC_PREFIX/run/bmc.jsonl    one line for every Redfish reset request
#   * $IRONIC_PREFIX/run/bmc-faults.json  write this to make BMCs misbehave while running, e.g.
#         {"bm01": {"soft_off": "ignored"}, "bm02": {"power": "stuck"},
#          "bm03": {"reset": 500}, "bm04": {"http": 503}, "bm05": {"delay": 20}}
#         ignored: the OS takes no notice of a soft power off   stuck: accepted, never happens
#         reset: HTTP status for reset requests   http: for every request   delay: seconds
# Nothing is enrolled in Ironic.  Running it again while it is up changes nothing.
# Stop with ironic-down.sh (same variables).  Both listen on 127.0.0.1 only.
#
# Variables (default):
#   IRONIC_PREFIX       where everything goes                       (${XDG_CACHE_HOME:-$HOME/.cache}/coldswap-ironic)
#   IRONIC_VENV         python environment, may be shared by rigs   ($IRONIC_PREFIX/venv)
#   IRONIC_PORT         Ironic API port                             (6385)
#   IRONIC_BMC_PORT     Redfish port                                (8000)
#   IRONIC_SYSTEMS      number of fake machines; machine 1+2 are alike, 3+4 are alike,
#                       5+6 ...; an odd last one has no twin        (5)
#   IRONIC_AUTH         noauth | http_basic | keystone (its settings: IRONIC_EXTRA_CONF) (noauth)
#   IRONIC_USER / IRONIC_PASSWORD     for http_basic                (admin / lab-secret)
#   IRONIC_BMC_USER / IRONIC_BMC_PASSWORD   Redfish basic auth      (bmc / bmc-secret)
#   IRONIC_POWER_DELAY  seconds a BMC takes to change power state   (1)
#   IRONIC_AUTOCLEAN    conductor-wide automated cleaning           (false)
#   IRONIC_POWER_SYNC   seconds between power state syncs, 0 = off  (60)
#   IRONIC_EXTRA_CONF   file with more ironic.conf settings, read last         ()
#   IRONIC_KEEP_STATE   1 = start again on the old database         (0: fresh database)
#   IRONIC_WAIT         seconds to wait for readiness               (90)
set -euo pipefail

IRONIC_VERSION=39.0.0
SUSHY_TOOLS_VERSION=2.2.0
KEYSTONE_VERSION=30.0.0

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export IRONIC_PREFIX=${IRONIC_PREFIX:-${XDG_CACHE_HOME:-$HOME/.cache}/coldswap-ironic}
export IRONIC_VENV=${IRONIC_VENV:-$IRONIC_PREFIX/venv}
export IRONIC_PORT=${IRONIC_PORT:-6385}
export IRONIC_BMC_PORT=${IRONIC_BMC_PORT:-8000}
export IRONIC_SYSTEMS=${IRONIC_SYSTEMS:-5}
export IRONIC_AUTH=${IRONIC_AUTH:-noauth}
export IRONIC_USER=${IRONIC_USER:-admin}
export IRONIC_PASSWORD=${IRONIC_PASSWORD:-lab-secret}
export IRONIC_BMC_USER=${IRONIC_BMC_USER:-bmc}
export IRONIC_BMC_PASSWORD=${IRONIC_BMC_PASSWORD:-bmc-secret}
export IRONIC_POWER_DELAY=${IRONIC_POWER_DELAY:-1}
export IRONIC_AUTOCLEAN=${IRONIC_AUTOCLEAN:-false}
export IRONIC_POWER_SYNC=${IRONIC_POWER_SYNC:-60}
IRONIC_KEEP_STATE=${IRONIC_KEEP_STATE:-0}
IRONIC_EXTRA_CONF=${IRONIC_EXTRA_CONF:-}
IRONIC_WAIT=${IRONIC_WAIT:-90}
run=$IRONIC_PREFIX/run
py=$IRONIC_VENV/bin/python

say() { echo "ironic-up: $*" >&2; }

# A pid file names a live process of ours when that pid exists and its command line
# still mentions our run directory (so a recycled pid is not mistaken for ours).
alive() {
    local pid
    pid=$(cat "$run/$1.pid" 2>/dev/null) || return 1
    [ -n "$pid" ] && grep -qaF -- "$run" "/proc/$pid/cmdline" 2>/dev/null
}

bmc_ready()    { curl -fsS -m 3 -o /dev/null "http://127.0.0.1:$IRONIC_BMC_PORT/redfish/v1/" 2>/dev/null; }
# Ready means: the API answers and the conductor has registered both hardware types. Behind Keystone only the first can
# be seen from here.
ironic_ready() {
    local out
    if [ "$IRONIC_AUTH" = keystone ]; then curl -fsS -m 5 -o /dev/null "http://127.0.0.1:$IRONIC_PORT/v1" 2>/dev/null; return; fi
    out=$(curl -fsS -m 5 -u "$IRONIC_USER:$IRONIC_PASSWORD" \
          "http://127.0.0.1:$IRONIC_PORT/v1/drivers" 2>/dev/null) || return 1
    [[ $out == *'"redfish"'* && $out == *'"fake-hardware"'* ]]
}

# wait_for NAME FUNCTION: poll until FUNCTION succeeds, give up early if the process died.
wait_for() {
    local end=$((SECONDS + IRONIC_WAIT))
    until "$2"; do
        if ! kill -0 "$(cat "$run/$1.pid")" 2>/dev/null; then say "$1 died; last log lines:"; tail -n 20 "$run/$1.log" >&2; exit 1; fi
        if [ $SECONDS -ge $end ]; then say "$1 not ready after ${IRONIC_WAIT}s, see $run/$1.log"; exit 1; fi
        sleep 0.3
    done
}

# Refuse to start where somebody else already listens (readiness would be his, not ours).
port_free() {
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then say "port $1 is in use"; exit 1; fi
}

# launch NAME CMD...: run in its own session, remember the pid.
launch() {
    local name=$1; shift
    setsid "$@" >"$run/$name.log" 2>&1 </dev/null 9>&- &
    echo $! >"$run/$name.pid"
}

mkdir -p "$run"

# One rig per prefix may be started or stopped at a time.
exec 9>"$IRONIC_PREFIX/lock"
flock 9

if alive ironic && alive bmc && ironic_ready && bmc_ready; then
    say "already up, see $run/env.sh"; exit 0
fi

# ---- 1. Stop leftovers of this rig ---------------------------------------------------------
for name in ironic bmc; do
    if alive $name; then
        pid=$(cat "$run/$name.pid")
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 100); do [ -d "/proc/$pid" ] || break; sleep 0.1; done
    fi
    rm -f "$run/$name.pid"
done
port_free "$IRONIC_BMC_PORT"
port_free "$IRONIC_PORT"

# ---- 2. Python packages ------------------------------------------------------------------
# The stamp holds the wanted versions, so that an upgrade of this script reinstalls.
stamp="ironic==$IRONIC_VERSION sushy-tools==$SUSHY_TOOLS_VERSION keystone==$KEYSTONE_VERSION"
if [ "$(cat "$IRONIC_VENV/.lab-stamp" 2>/dev/null)" != "$stamp" ]; then
    say "installing $stamp into $IRONIC_VENV"
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null || ! command -v curl >/dev/null; then
        # Debian ships venv apart from python3
        apt-get update -q >/dev/null
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q python3 python3-venv curl >/dev/null
    fi
    python3 -m venv "$IRONIC_VENV"
    cons=()
    # Every dependency is pinned when the list of known good versions lies beside us.
    [ -f "$here/constraints.txt" ] && cons=(-c "$here/constraints.txt")
    # shellcheck disable=SC2086
    "$IRONIC_VENV/bin/pip" install -q --disable-pip-version-check "${cons[@]}" $stamp
    echo "$stamp" >"$IRONIC_VENV/.lab-stamp"
fi

# ---- 3. Configuration ---------------------------------------------------------------------
if [ "$IRONIC_KEEP_STATE" != 1 ]; then
    rm -rf "$run/ironic.sqlite"* "$run/bmc-state" "$run/bmc.jsonl" "$run/bmc-faults.json"
fi
mkdir -p "$run"/{bmc-state,tftp,http,images,tmp}
chmod 700 "$run"

LAB_RUN=$run "$py" - <<'PY'
"""Write ironic.conf, the BMC settings, systems.json, clouds.yaml, env.sh and htpasswd files."""
import configparser
import json
import os
import pathlib

import bcrypt

E = os.environ
run = pathlib.Path(E["LAB_RUN"])
api = "http://127.0.0.1:" + E["IRONIC_PORT"]
bmc = "http://127.0.0.1:" + E["IRONIC_BMC_PORT"]


def htpasswd(name, user, password):
    digest = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    path = run / name
    path.write_text(f"{user}:{digest}\n")
    path.chmod(0o600)
    return str(path)


# --- fake machines: two of each model -------------------------------------------------
systems = []
for n in range(1, int(E["IRONIC_SYSTEMS"]) + 1):
    model = (n + 1) // 2
    systems.append({
        "uuid": f"00000000-0000-4000-8000-{n:012d}",
        "name": f"bm{n:02d}",
        "power_state": "Off",
        "nics": [{"mac": f"52:54:00:0a:{n:02x}:{p:02x}", "ip": f"192.0.2.{n}"} for p in (1, 2)],
        # hardware facts served by the BMC
        "model": f"model-{model}",
        "cpus": 8 * model,
        "memory_gib": 64 * model,
        "bios_version": f"{model}.0.0",
        "serial": f"SN{n:06d}",
    })
(run / "bmc_config.py").write_text(
    "SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'\n"
    f"SUSHY_EMULATOR_LISTEN_PORT = {E['IRONIC_BMC_PORT']}\n"
    "SUSHY_EMULATOR_FAKE_DRIVER = True\n"
    f"SUSHY_EMULATOR_STATE_DIR = {str(run / 'bmc-state')!r}\n"
    f"SUSHY_EMULATOR_AUTH_FILE = {htpasswd('bmc.htpasswd', E['IRONIC_BMC_USER'], E['IRONIC_BMC_PASSWORD'])!r}\n"
    f"SUSHY_EMULATOR_FAKE_SYSTEMS = {systems!r}\n"
    # diskless machines: no storage controllers
    f"SUSHY_EMULATOR_STORAGE = {dict((s['uuid'], []) for s in systems)!r}\n"
    f"LAB_POWER_DELAY = {float(E['IRONIC_POWER_DELAY'])}\n"
    f"LAB_ACTION_LOG = {str(run / 'bmc.jsonl')!r}\n"
    f"LAB_FAULTS = {str(run / 'bmc-faults.json')!r}\n")
for s in systems:
    s["redfish_address"] = bmc
    s["redfish_system_id"] = "/redfish/v1/Systems/" + s["uuid"]
(run / "systems.json").write_text(json.dumps(systems, indent=1) + "\n")

# --- ironic ----------------------------------------------------------------------------
http_basic = E["IRONIC_AUTH"] == "http_basic"
conf = {
    "DEFAULT": {
        "auth_strategy": E["IRONIC_AUTH"],
        "http_basic_auth_user_file": htpasswd("api.htpasswd", E["IRONIC_USER"], E["IRONIC_PASSWORD"]),
        "host": "lab",
        "my_ip": "127.0.0.1",
        "rpc_transport": "none",          # API and conductor share one process
        "state_path": run,
        "tempdir": run / "tmp",
        "enabled_hardware_types": "redfish,fake-hardware",
        "enabled_boot_interfaces": "ipxe,redfish-virtual-media,fake",
        "enabled_deploy_interfaces": "direct,ramdisk,fake",
        "enabled_management_interfaces": "redfish,noop,fake",
        "enabled_power_interfaces": "redfish,fake",
        "enabled_network_interfaces": "noop",
        "enabled_storage_interfaces": "external,noop,fake",
        "enabled_bios_interfaces": "no-bios,fake",
        "enabled_raid_interfaces": "no-raid,fake",
        "enabled_inspect_interfaces": "redfish,no-inspect,fake",
        "enabled_vendor_interfaces": "no-vendor,fake",
        "enabled_console_interfaces": "no-console,fake",
        "enabled_firmware_interfaces": "no-firmware,fake",
        "enabled_rescue_interfaces": "no-rescue,fake",
        "default_network_interface": "noop",
        "default_storage_interface": "noop",
    },
    "database": {"connection": f"sqlite:///{run / 'ironic.sqlite'}"},
    "api": {"host_ip": "127.0.0.1", "port": E["IRONIC_PORT"], "api_workers": "1"},
    "conductor": {
        "automated_clean": E["IRONIC_AUTOCLEAN"],
        "sync_power_state_interval": E["IRONIC_POWER_SYNC"],
        "deploy_kernel": "http://127.0.0.1:9/deploy.kernel",     # never fetched
        "deploy_ramdisk": "http://127.0.0.1:9/deploy.ramdisk",
    },
    "dhcp": {"dhcp_provider": "none"},
    "inspector": {"require_managed_boot": "false"},
    "pxe": {"tftp_root": run / "tftp", "tftp_master_path": run / "tftp/master",
            "images_path": run / "images", "instance_master_path": run / "images/master",
            "tftp_server": "127.0.0.1"},
    "deploy": {"http_root": run / "http", "http_url": "http://127.0.0.1:9"},
    "service_catalog": {"auth_type": "none", "endpoint_override": api},
}
ini = configparser.RawConfigParser()
ini.optionxform = str
for section, options in conf.items():
    if section != "DEFAULT":
        ini.add_section(section)
    for key, value in options.items():
        ini.set(section, key, str(value))
with open(run / "ironic.conf", "w") as f:
    ini.write(f)

# --- for clients -------------------------------------------------------------------------
if http_basic:
    auth = {"auth_type": "http_basic",
            "auth": {"endpoint": api, "username": E["IRONIC_USER"], "password": E["IRONIC_PASSWORD"]}}
else:
    auth = {"auth_type": "none", "auth": {"endpoint": api}}
# JSON is YAML
(run / "clouds.yaml").write_text(json.dumps({"clouds": {"lab": auth}}, indent=1) + "\n")
lines = {"IRONIC_URL": api, "IRONIC_AUTH": E["IRONIC_AUTH"], "IRONIC_USER": E["IRONIC_USER"],
         "IRONIC_PASSWORD": E["IRONIC_PASSWORD"], "IRONIC_BMC_URL": bmc,
         "IRONIC_BMC_USER": E["IRONIC_BMC_USER"], "IRONIC_BMC_PASSWORD": E["IRONIC_BMC_PASSWORD"],
         "IRONIC_SYSTEMS_JSON": run / "systems.json",
         "OS_CLIENT_CONFIG_FILE": run / "clouds.yaml", "OS_CLOUD": "lab"}
(run / "env.sh").write_text("".join(f"export {k}='{v}'\n" for k, v in lines.items()))
PY

# The BMC server: sushy-tools' emulator with its fake machines, made predictable for tests
# (fixed delay instead of a random one, hardware facts, NMI, faults on demand, a log).
cat >"$run/bmc.py" <<'PY'
import json
import sys
import threading
import time

import flask
from sushy_tools import error
from sushy_tools.emulator import main as emulator
from sushy_tools.emulator.resources.systems import fakedriver

lock = threading.Lock()


class LabMachines(fakedriver.FakeDriver):
    # ResetType -> power state reached after the delay
    reaches = {"On": "On", "ForceOn": "On", "ForceOff": "Off", "GracefulShutdown": "Off",
               "GracefulRestart": "On", "ForceRestart": "On"}

    def faults(self, name):
        try:
            with open(self._config["LAB_FAULTS"]) as f:
                return json.load(f).get(name, {})
        except (OSError, ValueError):
            return {}

    def log(self, machine, reset, note):
        with open(self._config["LAB_ACTION_LOG"], "a") as log:
            log.write(json.dumps({"time": round(time.time(), 3), "system": machine["uuid"],
                                  "name": machine["name"], "reset": reset, "note": note}) + "\n")

    def set_power_state(self, identity, state):
        with lock:
            machine = self._get(identity)
            faults = self.faults(machine["name"])
            if "reset" in faults:
                self.log(machine, state, f"refused with {faults['reset']}")
                raise error.FishyError("injected fault", faults["reset"])
            if state == "Nmi":
                if machine["power_state"] != "On":
                    raise error.BadRequest("machine is not powered on")
                note = None
            elif state not in self.reaches:
                raise error.NotSupportedError(f"unknown reset type {state}")
            elif faults.get("power") == "stuck":
                note = "stuck"
            elif state.startswith("Graceful") and faults.get("soft_off") == "ignored":
                note = "ignored by the operating system"
            else:
                note = None
                delay = faults.get("delay", self._config["LAB_POWER_DELAY"])
                self._update(machine, pending_power={
                    "power_state": self.reaches[state], "apply_time": time.time() + delay})
            self.log(machine, state, note)

    # Hardware facts come from the configuration, never from the saved state.
    def fact(self, identity, key):
        uuid = self._get(identity)["uuid"]
        return next(s[key] for s in self._config["SUSHY_EMULATOR_FAKE_SYSTEMS"] if s["uuid"] == uuid)

    def get_total_memory(self, identity):
        return self.fact(identity, "memory_gib")

    def get_total_cpus(self, identity):
        return self.fact(identity, "cpus")

    def get_processors(self, identity):
        half = self.fact(identity, "cpus") // 2
        return [{"id": f"CPU{n}", "socket": f"CPU {n}", "vendor": "Lab", "model": "Lab CPU " + self.fact(identity, "model"),
                 "cores": half, "threads": half} for n in (1, 2)]

    def get_versions(self, identity):
        return {"BiosVersion": self.fact(identity, "bios_version")}


@emulator.app.before_request
def broken_bmc():
    identity = (flask.request.view_args or {}).get("identity")
    machines = emulator.app.systems
    if identity in machines.systems:
        code = machines.faults(machines.name(identity)).get("http")
        if code:
            return flask.jsonify(error={"code": "Base.1.0.GeneralError", "message": "injected fault"}), code


@emulator.app.after_request
def add_identity(response):
    """Model and serial number, which the emulator has no place for."""
    if response.is_json and b"#ComputerSystem." in response.data:
        body = response.get_json()
        machines = emulator.app.systems
        body.update(Manufacturer="Lab", Model=machines.fact(body["UUID"], "model"),
                    SerialNumber=machines.fact(body["UUID"], "serial"))
        response.set_data(json.dumps(body))
    return response


fakedriver.FakeDriver = LabMachines
sys.exit(emulator.main())
PY

# ---- 4. Start --------------------------------------------------------------------------
say "starting BMCs on $IRONIC_BMC_PORT and Ironic on $IRONIC_PORT"
launch bmc "$py" "$run/bmc.py" --config "$run/bmc_config.py"
if [ ! -f "$run/ironic.sqlite" ]; then
    "$IRONIC_VENV/bin/ironic-dbsync" --config-file "$run/ironic.conf" create_schema >"$run/dbsync.log" 2>&1 ||
        { say "creating the database failed"; tail -n 20 "$run/dbsync.log" >&2; exit 1; }
fi
launch ironic "$IRONIC_VENV/bin/ironic" --config-file "$run/ironic.conf" \
    ${IRONIC_EXTRA_CONF:+--config-file "$IRONIC_EXTRA_CONF"}
wait_for bmc bmc_ready
wait_for ironic ironic_ready
say "up; source $run/env.sh"
