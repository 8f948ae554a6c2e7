#!/usr/bin/env python3
"""Somebody else's Redfish clients against `coldswap lab`: OpenStack's sushy, DMTF's redfish, Debian's fence_redfish.
What the simulator tells must be what clients written from the standard expect, not what coldswap's own client does.

Run by `foreign.sh`, with a Python that has sushy and redfish.
"""
import contextlib
import pathlib
import select
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse

import redfish
import sushy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from rig import Lab, check, folder, inventory, run_rig  # noqa: E402


def until(want, ask, what):
    end = time.monotonic() + 15
    while (got := ask()) != want:
        check(time.monotonic() < end, f"{what}: {got!r}, not {want!r}")
        time.sleep(0.1)


def with_sushy(address):
    root = sushy.Sushy(address, username="root", password="anything", verify=False)
    system = root.get_system_collection().get_members()[0]
    check(system.identity == "1" and system.uuid, f"system {system.identity} {system.uuid}")
    check(system.power_state == sushy.PowerState.ON, f"power {system.power_state}")
    system.set_system_boot_options(target=sushy.BootSource.PXE, enabled=sushy.BootSourceOverrideEnabled.CONTINUOUS)
    system.refresh(force=True)
    check(system.boot.target == sushy.BootSource.PXE, f"boot {system.boot.target}")

    def power():
        system.refresh(force=True)
        return system.power_state

    system.reset_system(sushy.ResetType.GRACEFUL_SHUTDOWN)
    until(sushy.PowerState.OFF, power, "sushy, GracefulShutdown")
    system.reset_system(sushy.ResetType.ON)
    until(sushy.PowerState.ON, power, "sushy, On")
    check(root.get_session_service().sessions.get_members() is not None, "no sessions")


def with_redfish(address):
    client = redfish.redfish_client(base_url=address, username="root", password="anything", default_prefix="/redfish/v1")
    client.login(auth="session")
    members = client.get("/redfish/v1/Systems").dict["Members"]
    system = client.get(members[0]["@odata.id"]).dict
    check(system["PowerState"] == "On", f"power {system['PowerState']}")
    reset = system["Actions"]["#ComputerSystem.Reset"]["target"]
    answer = client.post(reset, body={"ResetType": "ForceOff"})
    check(answer.status in (200, 202, 204), f"reset: {answer.status}")
    until("Off", lambda: client.get(members[0]["@odata.id"]).dict["PowerState"], "redfish, ForceOff")
    check(client.post(reset, body={"ResetType": "Levitate"}).status == 400, "an unknown reset type was taken")
    check(client.get("/redfish/v1/Nothing").status == 404, "something is where nothing is")
    client.logout()


class Tls:
    """fence_redfish speaks HTTPS only: take the encryption off in front of the simulator."""

    def __init__(self, path, address):
        parts = urllib.parse.urlsplit(address)
        self.behind = (parts.hostname, parts.port)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-keyout", path / "key.pem", "-out", path / "cert.pem"], check=True, capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(path / "cert.pem", path / "key.pem")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            near, _ = self.listener.accept()
            threading.Thread(target=self.carry, args=(near,), daemon=True).start()

    def carry(self, near):
        with contextlib.suppress(OSError), self.context.wrap_socket(near, server_side=True) as near, \
                socket.create_connection(self.behind) as far:
            while ready := select.select([near, far], [], [], 30)[0]:
                for side in ready:
                    if not (data := side.recv(65536)):
                        return
                    (far if side is near else near).sendall(data)


def with_fence_redfish(path, address):
    program = shutil.which("fence_redfish")
    check(program, "fence_redfish is not installed (apt-get install fence-agents)")
    tls = Tls(path, address)

    def call(action):
        command = [program, "--ip", "127.0.0.1", "--ipport", str(tls.port), "--username", "root", "--password", "anything",
                   "--ssl-insecure", "--action", action]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr[-500:]

    # Exit codes of fence agents: 0 is on or done, 2 is off.
    for action, wanted in (("status", 0), ("off", 0), ("status", 2), ("on", 0), ("status", 0), ("reboot", 0)):
        code, text = call(action)
        check(code == wanted, f"fence_redfish {action}: {code}, not {wanted}: {text}")


def main():
    with folder("clients") as path:
        with Lab(path, {"machines": {"power": {"soft": "500ms"}}}, inventory(3)) as lab:
            at = lab.about["machines"]
            with_sushy(at["node-0001"])
            print("sushy: system, boot override, soft off, on", flush=True)
            with_redfish(at["node-0002"])
            print("DMTF redfish: session, system, hard off, errors", flush=True)
            with_fence_redfish(path, at["node-0003"])
            print("fence_redfish: status, off, on, reboot", flush=True)
            check(lab.ask("witness")["violations"] == [], "two machines wrote to one volume")
    print("foreign_clients: passed")


if __name__ == "__main__":
    run_rig(main)
