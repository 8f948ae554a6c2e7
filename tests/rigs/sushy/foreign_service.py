#!/usr/bin/env python3
"""coldswap against somebody else's Redfish service: OpenStack's sushy-tools emulator with its fake machines, unchanged.
It knows no sessions (basic authentication only), no ETags, no serial numbers, and takes 1 to 11 seconds, at random, over
every power command.

Run by `foreign.sh`, with the emulator's Python.
"""
import base64
import json
import pathlib
import subprocess
import sys
import time
import urllib.request

import bcrypt

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from rig import Failed, Site, check, folder, run_rig, runbook, since, write  # noqa: E402

PAIRS, USER, PASSWORD = 3, "operator", "Rig-4711"
NAMES = [f"node-{n:04}" for n in range(1, PAIRS + 1)] + [f"spare-{n:04}" for n in range(1, PAIRS + 1)]
UUID = {name: f"7f3c1e00-aaaa-4bbb-8ccc-{n:012d}" for n, name in enumerate(NAMES, 1)}


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Emulator:
    def __init__(self, path):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        systems = [{"uuid": UUID[n], "name": n, "power_state": "On" if n.startswith("node") else "Off", "external_notifier": False,
                    "nics": [{"mac": f"52:54:00:00:00:{i:02x}", "ip": f"192.0.2.{i}"}]} for i, n in enumerate(NAMES, 1)]
        (path / "htpasswd").write_text(f"{USER}:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n")
        (path / "emulator-state").mkdir()
        (path / "emulator.conf").write_text(
            f"SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'\nSUSHY_EMULATOR_LISTEN_PORT = {self.port}\nSUSHY_EMULATOR_FAKE_DRIVER = True\n"
            f"SUSHY_EMULATOR_STATE_DIR = {str(path / 'emulator-state')!r}\nSUSHY_EMULATOR_AUTH_FILE = {str(path / 'htpasswd')!r}\n"
            f"SUSHY_EMULATOR_FAKE_SYSTEMS = {systems!r}\n")
        self.log = open(path / "emulator.log", "wb")
        program = pathlib.Path(sys.executable).parent / "sushy-emulator"
        self.process = subprocess.Popen([str(program), "--config", str(path / "emulator.conf")], stdout=self.log, stderr=self.log)
        end = time.monotonic() + 60
        while True:
            try:
                self.system(NAMES[0])
                return
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise Failed(f"the emulator did not start: {error}: {(path / 'emulator.log').read_text()[-1500:]}") from error
                time.sleep(0.2)

    def system(self, name, change=None):
        """A machine as the emulator shows it; with `change`, after it was PATCHed."""
        data = None if change is None else json.dumps(change).encode()
        request = urllib.request.Request(f"{self.url}/redfish/v1/Systems/{UUID[name]}", data, {"Content-Type": "application/json"},
                                         method="PATCH" if data else "GET")
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            raw = answer.read()
        return json.loads(raw) if raw and data is None else None

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)
        self.log.close()


def node(emulator, name):
    made = {"name": name, "uuid": UUID[name], "facts": {"manufacturer": "Sushy Emulator", "memory_mib": 65536},
            "bmc": {"address": emulator.url, "system": f"/redfish/v1/Systems/{UUID[name]}", "username": USER,
                    "password": {"secret": {"env": "RIG_PASSWORD"}}}}
    if name.startswith("spare"):
        return made | {"provision_state": "available", "labels": {"pool": "spare"}}
    return made | {
        "provision_state": "active", "instance": {"uuid": f"aaaaaaaa-0000-4000-8000-{int(name[-4:]):012d}", "name": f"work-{name}"},
        "volume_connectors": [{"type": "iqn", "connector_id": f"iqn.2026-01.example:{name}"}],
        "volume_targets": [{"volume_type": "iscsi", "boot_index": 0, "volume_id": name, "properties": {
            "target_portal": "127.0.0.1:3260", "target_iqn": f"iqn.2026-01.example:{name}", "target_lun": 1}}]}


def hardware(site):
    """Read in full what a service that is not ours shows, twice: once for the first time, once to find nothing changed."""
    told = site.json("inventory", "discover")
    check(told["read"] == len(NAMES) and not told["unread"], f"discovered: {told}")
    node = site.json("inventory", "show", NAMES[0])
    facts = {f["name"]: (f["value"], f["source"]) for f in node["facts"]}
    print("sushy-tools shows: " + ", ".join(f"{name} {value}" for name, (value, source) in facts.items() if source == "bmc"))
    missing = [n for n in ("manufacturer", "boot_mode", "health", "network.ports") if facts.get(n, ("", ""))[1] != "bmc"]
    check(not missing, f"not read: {missing} of {facts}; partly: {told['partly']}")
    again = site.json("inventory", "refresh")
    check(again["read"] == len(NAMES) and not again["changed"], f"refreshed: {again}")


def switch_over(path, emulator):
    began = time.monotonic()
    site = Site(path, landing="15s", env={"RIG_PASSWORD": PASSWORD})
    write(path / "inventory.yaml", {"apiVersion": "coldswap/v1", "kind": "Inventory", "nodes": [node(emulator, n) for n in NAMES]})
    write(path / "runbook.yaml", runbook("foreign", boot={"via": "redfish-override", "timeout": "60s", "ready": ["post_boot_hooks"]},
                                         power={"soft_off": "30s"}, match={"identical": {"base": "none", "add": ["manufacturer"]}}))
    # The spare is told to boot as its source did.
    for name in NAMES[:PAIRS]:
        emulator.system(name, {"Boot": {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Continuous"}})
    site.run("inventory", "import", "inventory.yaml")
    hardware(site)
    plan = site.json("plan", "runbook.yaml")
    check(len(plan["switchovers"]) == PAIRS, f"planned {len(plan['switchovers'])} of {PAIRS}: {plan['left_out']}")
    check(all(emulator.system(n)["PowerState"] == ("On" if n.startswith("node") else "Off") for n in NAMES), "planning changed a machine")
    site.run("apply", "runbook.yaml", "--yes", "--report", "report.json", timeout=300)
    totals = json.loads((path / "report.json").read_text())["totals"]
    check(totals["switched_over"] == PAIRS, f"{totals}")
    for name in NAMES:
        system = emulator.system(name)
        wanted = "Off" if name.startswith("node") else "On"
        check(system["PowerState"] == wanted, f"{name} is {system['PowerState']}, not {wanted}")
        if name.startswith("spare"):
            check(system["Boot"]["BootSourceOverrideTarget"] == "Pxe", f"{name} boots from {system['Boot']}")
    wrong = Site(path, env={"RIG_PASSWORD": "not-the-password"})
    refused = wrong.run("inventory", "refresh", "spare-0001", codes=(3, 4))
    check("not-the-password" not in refused.stdout + refused.stderr, "a password was printed")
    print(f"foreign service: {PAIRS} switchovers on sushy-tools' emulator in {since(began)}, {totals['power_requests']} power requests; "
          "foreign_service: passed")


def main():
    with folder("sushy") as path:
        emulator = Emulator(path)
        try:
            switch_over(path, emulator)
        finally:
            emulator.stop()


if __name__ == "__main__":
    run_rig(main)
