"""coldswap against a real Ironic and a real Keystone: what `plan`, `explain` and `inventory` read, and that nothing is changed.

    read.py FOLDER VENV       (by read.sh; ironic-up.sh makes the virtual environment)
"""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from rig import BINARY, Failed, check, environment, folder, run_rig, write  # noqa: E402

import enrol  # noqa: E402
from ironic_http import Ironic  # noqa: E402
from keystone_lab import ADMIN, OPERATOR, PASSWORD, Keystone  # noqa: E402

RUNBOOK = {"apiVersion": "coldswap/v1", "kind": "Runbook", "metadata": {"name": "ironic"}, "mode": "planned",
           "sources": {"nodes": [enrol.SOURCE]},
           "pools": [{"name": "spares", "select": "spare.instance is none"}],
           "match": {"identical": {"base": "builtin", "drop": ["cpu.count", "firmware.bios"], "add": ["cpu.threads"]}}}
OWNED = ["bm01", "bm02", "bm03"]
CREDENTIALS = [enrol.CHAP, "lab-secret", "bmc-secret", PASSWORD, OPERATOR]


# Seconds that a token lasts in the end: longer than any one request takes on a busy machine.
LIFE = 12


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Lab:
    """Ironic and its BMCs, on ports of their own, by the scripts beside this file."""

    def __init__(self, prefix, venv):
        self.prefix = pathlib.Path(prefix)
        self.port = free_port()
        self.env = os.environ | {"IRONIC_PREFIX": str(prefix), "IRONIC_VENV": str(venv), "IRONIC_PORT": str(self.port),
                                 "IRONIC_BMC_PORT": str(free_port()), "IRONIC_WAIT": "180"}
        self.url = f"http://127.0.0.1:{self.port}"

    def up(self, auth="noauth", conf=None):
        env = self.env | {"IRONIC_AUTH": auth, "IRONIC_KEEP_STATE": "0" if auth == "noauth" else "1", "IRONIC_EXTRA_CONF": str(conf or "")}
        subprocess.run([HERE / "ironic-up.sh"], env=env, check=True, timeout=400)

    def down(self):
        subprocess.run([HERE / "ironic-down.sh"], env=self.env, check=True, timeout=60)

    def pid(self):
        return int((self.prefix / "run/ironic.pid").read_text())


class Place:
    """A folder with a configuration, and coldswap run in it."""

    def __init__(self, path, cloud):
        self.path = pathlib.Path(path)
        write(self.path / "coldswap.yaml", {"apiVersion": "coldswap/v1", "kind": "Config", "inventory": {"kind": "ironic", "cloud": "lab"}})
        write(self.path / "runbook.yaml", RUNBOOK)
        self.cloud(cloud)
        self.said = []

    def cloud(self, entry):
        write(self.path / "clouds.yaml", {"clouds": {"lab": entry}})

    def start(self, *words, env=None):
        kept = {k: v for k, v in environment().items() if not k.startswith("OS_")}
        return subprocess.Popen([str(BINARY), *words], cwd=self.path, env=kept | (env or {}), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self, process, codes=(0,), words=()):
        out, err = process.communicate(timeout=120)
        self.said += [out, err]
        if process.returncode not in codes:
            raise Failed(f"`coldswap {' '.join(words)}` ended with {process.returncode}:\n{out[-1500:]}{err[-1500:]}")
        return out, err

    def run(self, *words, codes=(0,), env=None):
        return self.end(self.start(*words, env=env), codes, words)

    def json(self, *words, **more):
        return json.loads(self.run(*words, "--output", "json", **more)[0])


def records(api):
    """Everything that coldswap could have changed."""
    nodes = api.listing("/v1/nodes/detail", "nodes")
    volatile = ("updated_at", "provision_updated_at", "last_error", "driver_internal_info", "conductor", "reservation", "power_state", "health")
    kept = [{k: v for k, v in n.items() if k not in volatile} for n in nodes]
    volumes = [api.listing(f"/v1/volume/{kind}?detail=true", kind) for kind in ("connectors", "targets")]
    return json.dumps([sorted(kept, key=lambda n: n["uuid"]), volumes], sort_keys=True)


def reads(place, nodes):
    """What a person gets from the lab as it was enrolled."""
    plan = place.json("plan", "runbook.yaml")
    check([s["destination"]["name"] for s in plan["switchovers"]] == [enrol.TWIN], f"the plan takes {plan['switchovers']}")
    moved = [s["volume_id"] for s in plan["switchovers"][0]["steps"] if s.get("step") == "move_target"]
    check(moved == ["vol-2", "vol-1"], f"data first, boot last: {moved}")
    check(plan["switchovers"][0]["source"]["node"] == nodes[enrol.SOURCE], "ids are Ironic's")
    told = place.json("explain", "runbook.yaml", enrol.SOURCE)["explanation"]["pools"][0]["nodes"]
    codes = {n["node"]: [o["code"] for o in n["obstacles"]] for n in told}
    check(codes[enrol.TWIN] == [], f"the twin has {codes[enrol.TWIN]}")
    check(codes[enrol.RETIRED] == ["retired"], f"the retired one has {codes[enrol.RETIRED]}")
    check(codes[enrol.ODD] == ["maintenance"], f"the one in maintenance has {codes[enrol.ODD]}")
    misses = {f["rule"] for n in told if n["node"] == enrol.OTHER for f in n["findings"] if not f["passed"]}
    check("identical model" in misses and "identical memory_mib" in misses, f"the other model misses {misses}")
    listed = {n["name"]: n for n in place.json("inventory", "list")["nodes"]}
    check({n["uuid"] for n in listed.values()} == set(nodes.values()), "every node is listed")
    source = listed[enrol.SOURCE]
    check(source["provision_state"] == "active" and source["instance"]["name"] == "db1", f"the source is {source}")
    check(source["volume_targets"] == ["vol-1", "vol-2"] and len(source["volume_connectors"]) == 2, f"the source has {source}")
    check(source["failure_domain"]["rack"] == "r1", "the rack is `extra.rack`")
    shown = place.json("inventory", "show", enrol.TWIN)
    facts = {f["name"]: (f["value"], f["source"]) for f in shown["facts"]}
    for name, value in (("manufacturer", "Lab"), ("memory_mib", 65536), ("cpu.threads", 8), ("boot_mode", "uefi")):
        check(facts.get(name) == (value, "ironic"), f"{name} is {facts.get(name)}")
    check(shown["node"]["identity"]["serial_number"] == "SN000002", "the identity is inspection's")
    check(facts.get("cpu.count") == (2, "declared"), f"sockets are declared, and are {facts.get('cpu.count')}")
    undeclared = {f["name"] for f in place.json("inventory", "show", enrol.OTHER)["facts"]}
    check("cpu.count" not in undeclared, "Ironic counts logical processors, and no sockets")
    place.run("inventory", "export")
    place.run("coverage", "runbook.yaml", "--failures", "1", codes=(0, 4))
    place.run("spares", "size", "--from-inventory", "--failure-rate", "5%", "--repair", "14d")
    place.run("drill", "runbook.yaml", "--seeds", "3", codes=(0, 4))
    builtin = place.json("switchover", enrol.SOURCE, "--dry-run")
    check([s["destination"]["name"] for s in builtin["switchovers"]] == [enrol.TWIN], "the built-in rules hold as well")


def refuses(place):
    for words in (("inventory", "set", enrol.SOURCE, "debt="), ("inventory", "refresh"), ("inventory", "release", enrol.SOURCE)):
        out, err = place.run(*words, "--output", "json", codes=(3,))
        check('"P027"' in out and "kept in Ironic" in err, f"{words}: {out}{err}")


def paged(place, api, lab):
    """Pages of Ironic's own: its conductor is told to give two nodes at a time."""
    out, err = place.run("inventory", "list", env={"RUST_LOG": "coldswap=debug"})
    ids = re.findall(r"request_id=\"?(req-[0-9a-f-]+)", err)
    lists = err.count("/v1/nodes/detail")
    check(len(set(ids)) >= 4, f"request ids are logged: {ids}")
    check(lists == 3, f"five nodes by two are three pages, and there were {lists}:\n{err}")
    check(all(f"bm0{n}" in out for n in range(1, 6)), out)


def keystone_conf(path, keystone):
    path.write_text(f"""[keystone_authtoken]
auth_type = password
auth_url = {keystone.url}
www_authenticate_uri = {keystone.url}
username = {ADMIN}
password = {PASSWORD}
user_domain_id = default
project_name = admin
project_domain_id = default
token_cache_time = -1
service_token_roles_required = true
""")


def with_keystone(lab, place, python, path):
    keystone = Keystone(path / "keystone", python, free_port())
    keystone.make()
    keystone.start()
    try:
        user, project, credential, secret = keystone.operator(lab.url + "/v1")
        CREDENTIALS.append(secret)
        keystone_conf(path / "keystone-auth.conf", keystone)
        # An application credential is of a project, and to a project Ironic shows what it owns: three of the five.
        owner = Ironic(lab.url, "admin", "lab-secret", quiet=True)
        owner.negotiate(61)
        for name in OWNED:
            owner.patch("nodes", owner.node(name)["uuid"], ("add", "/owner", project))
        lab.down()
        lab.up("keystone", path / "keystone-auth.conf")
        scope = {"project_name": "admin", "project_domain_name": "Default"}
        login = {"auth_url": keystone.url, "username": "operator", "password": OPERATOR, "user_domain_name": "Default", "system_scope": "all"}
        entry = {"auth": login, "region_name": "one"}
        place.cloud(entry)
        ends_well(place)
        before = keystone.logins()
        names(place)
        check(keystone.logins() - before == 1, "one token serves a whole command")
        place.cloud({"auth_type": "v3applicationcredential", "region_name": "one", "auth": {
            "auth_url": keystone.url + "/v3", "application_credential_id": credential, "application_credential_secret": secret}})
        names(place, OWNED)
        token = keystone.token("operator", OPERATOR)[0]
        CREDENTIALS.append(token)
        place.cloud({"auth_type": "v3token", "region_name": "one", "auth": {"auth_url": keystone.url, "token": token} | scope})
        names(place, OWNED)
        place.cloud(entry | {"auth": login | {"password": "not-it"}})
        check("does not accept the credentials" in place.run("inventory", "list", codes=(3,))[1], "a wrong password is told")
        place.cloud(entry | {"region_name": "three"})
        check("public in two" in place.run("inventory", "list", codes=(3,))[1], "a wrong region is told, with those that there are")
        place.cloud(entry)
        revoked(lab, place, keystone, user)
        keystone.stop()
        keystone.lives(LIFE)
        keystone.start()
        expired(lab, place, keystone)
    finally:
        keystone.stop()


def names(place, wanted=("bm01", "bm02", "bm03", "bm04", "bm05")):
    found = sorted(n["name"] for n in place.json("inventory", "list")["nodes"])
    check(found == list(wanted), f"listed are {found}")


def ends_well(place):
    """Behind Keystone only a login shows whether the conductor is up."""
    end = time.monotonic() + 90
    while time.monotonic() < end:
        process = place.start("inventory", "list")
        process.communicate(timeout=120)
        if process.returncode == 0:
            return
        time.sleep(1)
    place.run("inventory", "list")


def held(lab, place, keystone, between):
    """Run a list while Ironic stands still after the login; `between` happens meanwhile."""
    before = keystone.logins()
    os.killpg(lab.pid(), signal.SIGSTOP)
    try:
        process = place.start("inventory", "list", "--output", "json", env={"RUST_LOG": "coldswap=debug"})
        end = time.monotonic() + 30
        while keystone.logins() == before and time.monotonic() < end:
            time.sleep(0.05)
        between()
    finally:
        os.killpg(lab.pid(), signal.SIGCONT)
    out, err = place.end(process, words=("inventory", "list"))
    check(len(json.loads(out)["nodes"]) == 5, out)
    return err


def revoked(lab, place, keystone, user):
    """The token is revoked while the command runs: Ironic answers 401, one new token is fetched, and the list is whole."""
    def revoke():
        keystone.revoke(user)
        # Keystone counts revocations in whole seconds.
        time.sleep(2.1)
    err = held(lab, place, keystone, revoke)
    check(err.count(" token") == 2, f"one new token, and no more:\n{err}")


def expired(lab, place, keystone):
    """A short token: Ironic stands still for longer, and the next request comes with a new one."""
    err = held(lab, place, keystone, lambda: time.sleep(LIFE + 1))
    check(err.count(" token") >= 2, f"renewed before it was used again:\n{err}")
    check("status=401" not in err, f"and not refused first:\n{err}")


def main():
    prefix, venv = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    began = time.monotonic()

    def lap(what):
        print(f"  {time.monotonic() - began:5.1f} s  {what}", flush=True)

    lab = Lab(prefix, venv)
    with folder("ironic") as path:
        try:
            lab.up()
            lap("Ironic is up")
            api = Ironic(lab.url, quiet=True)
            api.negotiate(61)
            nodes = enrol.enrol(api, enrol.machines(prefix / "run/systems.json"), "bmc", "bmc-secret")
            enrol.serve(api, nodes[enrol.SOURCE])
            api.call("PUT", f"/v1/nodes/{nodes[enrol.ODD]}/maintenance", {"reason": "fan"})
            enrol.provision(api, nodes[enrol.RETIRED], "manage")
            api.settle(nodes[enrol.RETIRED], ["manageable"])
            api.patch("nodes", nodes[enrol.RETIRED], ("add", "/retired", True))
            lap("enrolled")
            before = records(api)
            place = Place(path, {"auth_type": "none", "auth": {"endpoint": lab.url}})
            reads(place, nodes)
            refuses(place)
            lap("without a login")
            check(records(api) == before, "something was changed")
            pages = path / "pages.conf"
            pages.write_text("[api]\nmax_limit = 2\n")
            lab.down()
            lab.up("http_basic", pages)
            place.cloud({"auth_type": "http_basic", "auth": {"endpoint": lab.url, "username": "admin", "password": "lab-secret"}})
            paged(place, api, lab)
            plan = place.json("plan", "runbook.yaml")
            check([s["destination"]["name"] for s in plan["switchovers"]] == [enrol.TWIN], f"the plan takes {plan['switchovers']}")
            place.cloud({"auth_type": "http_basic", "auth": {"endpoint": lab.url, "username": "admin", "password": "not-it"}})
            check("not accepted" in place.run("inventory", "list", codes=(3,))[1], "a wrong password is told")
            lap("by name and password, in pages")
            with_keystone(lab, place, str(venv / "bin/python"), path)
            lap("by Keystone")
            for secret in CREDENTIALS:
                check(not any(secret in said for said in place.said), "a secret was told")
        finally:
            lab.down()
    print(f"ironic: read without a login, by name and password and by Keystone, in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    run_rig(main)
