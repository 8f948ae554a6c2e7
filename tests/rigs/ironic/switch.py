"""coldswap against a real Ironic: whole switchovers, both ways, killed after each request, and everything that goes wrong.

    switch.py FOLDER VENV [PART...]       (by switch.sh; parts: ways kills faults rivals twins logins twenty)
"""
import concurrent.futures
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from rig import Failed, check, folder, run_rig, write  # noqa: E402

from ironic_http import Ironic  # noqa: E402
from pairs import CHAP, Pair, brief, never_both  # noqa: E402
from proxy import Proxy  # noqa: E402
from read import Lab, Place  # noqa: E402

TWENTY = 20
AT_ONCE = 4


class Rig:
    def __init__(self, lab, path):
        self.lab, self.path, self.next = lab, pathlib.Path(path), 1
        self.machines = json.loads((lab.prefix / "run/systems.json").read_text())
        self.pairs, self.turn = [], threading.Lock()

    def api(self):
        api = Ironic(self.lab.url, "admin", "lab-secret", quiet=True)
        api.negotiate(61)
        return api

    def pair(self, spare="available", machines=2, **more):
        with self.turn:
            number, self.next = self.next, self.next + 1
            taken = sum(len(p.names) for p in self.pairs)
            path = self.path / f"pair-{number}"
            path.mkdir()
            pair = Pair(number, self.api(), self.machines[taken:taken + machines], path, Proxy(self.lab.port), spare)
            self.pairs.append(pair)
        pair.enrol("bmc", "bmc-secret")
        pair.runbook(**more)
        return pair

    def many(self, count, spares, **more):
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda i: self.pair(spares[i % len(spares)], **more), range(count)))

    def faults(self, **by_name):
        (self.lab.prefix / "run/bmc-faults.json").write_text(json.dumps(by_name))

    def database(self, sql, *values):
        with sqlite3.connect(self.lab.prefix / "run/ironic.sqlite", timeout=20) as db:
            db.execute(sql, values)


def told(name, pair, counted):
    writes = len(counted.writes())
    print(f"  {name}: {len(counted.requests)} requests ({writes} of them change something), {pair.took:.1f} s", flush=True)


def ways(rig):
    """There and back, for each state that a spare may be in; what it costs."""
    for state in ("available", "manageable", "enroll"):
        pair = rig.pair(state)
        source, spare = pair.names
        plan = pair.place.json("plan", "runbook.yaml")
        check([s["destination"]["name"] for s in plan["switchovers"]] == [spare], f"the plan of {state} takes {plan['switchovers']}")
        pair.run("apply", "runbook.yaml", "--yes")
        told(f"spare {state}", pair, pair.proxy)
        pair.check_end(source, spare, f"{state} there")
        pair.run("failback", pair.last_run(), "--yes")
        told(f"{state} and back", pair, pair.proxy)
        pair.check_end(spare, source, f"{state} and back", maintenance=False, source_states=("available", "manageable"))
        check(pair.volumes(source)["targets"][0]["properties"]["auth_password"] == "******", "the secret is there still")
    peer(rig)


def peer(rig):
    """The same by hand, in the same place: `switchover-by-hand.py`."""
    for via in ("deploy", "adopt"):
        pair = rig.pair()
        began = time.monotonic()
        words = [sys.executable, HERE / "switchover-by-hand.py", pair.names[0], "--to", pair.names[1], "--via", via, "--soft", "4"]
        done = subprocess.run(words, env=os.environ | {"IRONIC_URL": pair.proxy.url}, capture_output=True, text=True, timeout=300)
        check(done.returncode == 0, f"by hand: {done.stdout[-800:]}{done.stderr[-800:]}")
        pair.took = time.monotonic() - began
        told(f"by hand, {via}", pair, pair.proxy)


def kill_all(rig, spare, count):
    """One switchover killed after each of its requests that change something, on several pairs at once, each resumed to its end and
    brought home, killed on the way as well."""
    pairs = rig.many(count, [spare])
    cases, done, lock = iter(range(1, 99)), [], threading.Lock()
    over = threading.Event()

    def one(pair, at, source, target, words, what, states, maintenance):
        killed = pair.run(*words, kill_at=at, codes=(0,)) is None
        if killed:
            pair.run("resume", pair.last_run())
        pair.check_end(source, target, f"{what} killed after request {at}", states, maintenance)
        with lock:
            done.append((what, at, killed))
            if killed:
                print(f"    {what}, after request {at}: the right end", flush=True)
        return killed

    def work(pair):
        source, target = pair.names
        while not over.is_set():
            with lock:
                at = next(cases)
            there = one(pair, at, source, target, ("apply", "runbook.yaml", "--yes"), "there", ("available",), True)
            run = pair.last_run()
            back = one(pair, at, target, source, ("failback", run, "--yes"), "back", ("available", "manageable"), False)
            if spare == "manageable" and pair.node(target)["provision_state"] == "available":
                pair.provision(pair.nodes[target], "manage", "manageable")
            if not there and not back:
                over.set()

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        for result in [pool.submit(work, pair) for pair in pairs]:
            result.result()
    killed = {what: sorted(at for w, at, k in done if w == what and k) for what in ("there", "back")}
    check(all(len(found) > 12 for found in killed.values()), f"killed after {killed}")
    check(all(found == list(range(1, len(found) + 1)) for found in killed.values()), f"a request was left out: {killed}")
    print(f"  spare {spare}: killed after each of {len(killed['there'])} requests there and {len(killed['back'])} back, all resumed "
          "to the right end", flush=True)


def kills(rig):
    for spare in ("available", "manageable"):
        kill_all(rig, spare, 6)


def faults(rig):
    """What goes wrong, one pair each."""
    deaf = rig.pair()
    rig.faults(**{deaf.names[0]: {"soft_off": "ignored"}})
    deaf.run("apply", "runbook.yaml", "--yes")
    deaf.check_end(*deaf.names, "deaf to soft off")
    rig.faults()
    print(f"  deaf to soft off (4 s): hard off, {deaf.took:.0f} s", flush=True)
    locked(rig)
    for spare in ("available", "manageable"):
        failing(rig, spare)
    dead(rig)
    lonely(rig)


def locked(rig):
    pair = rig.pair()
    for name in pair.names:
        rig.database("UPDATE nodes SET reservation = 'elsewhere' WHERE uuid = ?", pair.nodes[name])
    check("locked" in pair.run("plan", "runbook.yaml", codes=(0, 3, 4)), "a lock is told when the plan is made")
    rig.database("UPDATE nodes SET reservation = NULL WHERE uuid = ?", pair.nodes[pair.names[1]])
    rig.database("UPDATE nodes SET reservation = NULL WHERE uuid = ?", pair.nodes[pair.names[0]])
    pair.run("plan", "runbook.yaml", "--out", "plan.json")
    rig.database("UPDATE nodes SET reservation = 'elsewhere' WHERE uuid = ?", pair.nodes[pair.names[1]])
    free = threading.Timer(6, rig.database, ("UPDATE nodes SET reservation = NULL WHERE uuid = ?", pair.nodes[pair.names[1]]))
    free.start()
    pair.run("apply", "plan.json", "--yes")
    free.join()
    check(any(status == 409 for *_, status in pair.proxy.requests), "the lock was met")
    pair.check_end(*pair.names, "locked")
    print(f"  locked by another conductor for 6 s: waited for, {pair.took:.0f} s", flush=True)


def failing(rig, spare):
    """Ironic cannot write the spare's network boot file for a while: a file stands where it wants a directory."""
    pair = rig.pair(spare)
    blocked = rig.lab.prefix / "run/http" / pair.nodes[pair.names[1]]
    blocked.write_text("in the way")
    seen = []

    def watch():
        end = time.monotonic() + 90
        while time.monotonic() < end:
            state = pair.node(pair.names[1])["provision_state"]
            if state.endswith("failed"):
                seen.append(state)
                blocked.unlink()
                return
            time.sleep(0.3)

    watcher = threading.Thread(target=watch)
    watcher.start()
    pair.run("apply", "runbook.yaml", "--yes")
    watcher.join()
    check(seen, f"pair {pair.number}: nothing failed")
    pair.check_end(*pair.names, f"after {seen}")
    print(f"  spare {spare}: {seen[0]}, asked for again, {pair.took:.0f} s", flush=True)


def dead(rig):
    """Nobody reaches the source's BMC; a person vouches. What Ironic cannot undeploy is owed, and made up for when it can."""
    pair = rig.pair(mode="disaster", fence=[{"bmc": {"reads": 2, "apart": "100ms"}}, {"attestation": {"expires": "30m"}}])
    source, spare = pair.names
    address = pair.machines[0]["redfish_address"]
    pair.api.patch("nodes", pair.nodes[source], ("add", "/driver_info/redfish_address", "http://127.0.0.1:9"))
    power_off_behind_its_back(rig, pair)
    pair.run("attest", source, "--off", "--by", "rig", "--reason", "the feed is cut")
    out = pair.run("apply", "runbook.yaml", "--yes", codes=(0, 4, 5, 6), timeout=400)
    old, new = pair.node(source), pair.node(spare)
    state = f"{brief(old)}; {brief(new)}\n{out[-2500:]}"
    check(new["provision_state"] == "active" and new["instance_uuid"] == pair.instance, f"the spare does not serve: {state}")
    check(len(pair.volumes(spare)["targets"]) == 2, f"volumes: {state}")
    check("never power on" in str(old["extra"].get("coldswap", {}).get("debt")), f"no debt: {state}")
    took = pair.took
    pair.api.patch("nodes", pair.nodes[source], ("add", "/driver_info/redfish_address", address))
    pair.run("resume", pair.last_run())
    check("debt" not in pair.node(source)["extra"].get("coldswap", {}), f"the debt stands: {brief(pair.node(source))}")
    pair.check_end(source, spare, "dead BMC, debt settled", source_states=("available",))
    print(f"  dead BMC: attested, {took:.0f} s; the undeployment was owed, and settled by resume", flush=True)


def power_off_behind_its_back(rig, pair):
    """The feed is cut: the machine is off, and its BMC with it."""
    import base64
    import urllib.request
    machine = pair.machines[0]
    url = machine["redfish_address"] + machine["redfish_system_id"] + "/Actions/ComputerSystem.Reset"
    request = urllib.request.Request(url, b'{"ResetType": "ForceOff"}', {
        "Content-Type": "application/json", "Authorization": "Basic " + base64.b64encode(b"bmc:bmc-secret").decode()})
    urllib.request.urlopen(request, timeout=30).read()
    time.sleep(1.5)


def lonely(rig):
    """No identical spare; a source that has no volumes."""
    pair = rig.pair()
    spare = pair.nodes[pair.names[1]]
    pair.api.patch("nodes", spare, ("replace", "/resource_class", "other"))
    out = pair.run("apply", "runbook.yaml", "--yes", codes=(2, 3, 4, 5))
    check("spare" in out, out[-1500:])
    pair.api.patch("nodes", spare, ("replace", "/resource_class", pair.klass))
    pair.api.patch("nodes", pair.nodes[pair.names[0]], ("add", "/storage_interface", "external"))
    for kind, found in pair.volumes(pair.names[0]).items():
        for volume in found:
            rig.database(f"DELETE FROM volume_{kind} WHERE uuid = ?", volume["uuid"])
    out = pair.run("apply", "runbook.yaml", "--yes", codes=(2, 3, 4, 5))
    check("volume" in out, out[-1500:])
    check(pair.proxy.writes() == [], f"something was changed: {pair.proxy.writes()}")
    print("  no identical spare, and a source that does not boot from a volume: nothing was touched", flush=True)


def at_once(*places):
    """Both begin at the same moment; what each said and its exit code."""
    plans = [place.start("apply", "runbook.yaml", "--yes") for place in places]
    ends = [plan.communicate(timeout=180) + (plan.returncode,) for plan in plans]
    return [code for *_, code in ends], "\n".join(out[-1500:] + err[-800:] for out, err, _ in ends)


def serves_still(pair, what):
    node = pair.node(pair.names[0])
    check(node["provision_state"] == "active" and node["power_state"] == "power on" and not node["maintenance"]
          and node["instance_uuid"] == pair.instance, f"{what}: {brief(node)}")


def rivals(rig):
    """Two runs that want one spare, from stores that know nothing of each other: exactly one gets it."""
    winners = []
    for _ in range(2):
        pair, other = rig.pair(), rig.pair()
        spare = pair.names[1]
        other.nodes[spare] = pair.nodes[spare]
        other.runbook(pools=[{"name": "spares", "select": f"spare.name == '{spare}'"}], match={"identical": {"base": "none"}})
        codes, said = at_once(pair.place, other.place)
        check(sorted(codes)[0] == 0 and sorted(codes)[1] != 0, f"two runs ended with {codes}:\n{said}")
        won, lost = (pair, other) if codes[0] == 0 else (other, pair)
        won.check_end(won.names[0], spare, "two runs, one spare")
        serves_still(lost, "two runs, one spare")
        winners.append(codes.index(0))
    print(f"  two sources, one spare, twice: exactly one got it each time (runs {winners})", flush=True)


def twins(rig):
    """Two runs that want one source for one spare, from stores that know nothing of each other."""
    took = []
    for _ in range(2):
        # The same claim twice, which Ironic takes for no change: at most one goes on, and who asks again gets the spare.
        pair = rig.pair()
        path = pair.place.path.parent / f"rival-{pair.number}"
        path.mkdir()
        second = Place(path, {"auth_type": "none", "auth": {"endpoint": rig.lab.url}})
        for name in ("coldswap.yaml", "runbook.yaml"):
            (second.path / name).write_text((pair.place.path / name).read_text())
        codes, said = at_once(pair.place, second)
        check(codes.count(0) <= 1, f"two runs of one source ended with {codes}:\n{said}")
        if 0 not in codes:
            serves_still(pair, "two runs, one source")
            pair.run("apply", "runbook.yaml", "--yes")
        pair.check_end(*pair.names, "two runs, one source")
        took.append(codes)
    print(f"  one source, one spare, twice: {took}; never both, and nothing was lost", flush=True)


def twenty(rig):
    pairs = rig.many(TWENTY, ["available"])
    first = pairs[0]
    first.runbook(sources={"nodes": [p.names[0] for p in pairs]},
                  pools=[{"name": "spares", "select": "spare.instance is none and spare.resource_class == source.resource_class"}],
                  limits={"at_once": TWENTY})
    first.run("apply", "runbook.yaml", "--yes", timeout=500)
    for pair in pairs:
        pair.check_end(*pair.names, "one of twenty")
    told(f"{TWENTY} at once", first, first.proxy)


def logins(rig):
    """The same behind HTTP basic authentication."""
    rig.lab.down()
    rig.lab.up("http_basic")
    pair = rig.pair()
    pair.place.cloud({"auth_type": "http_basic", "auth": {"endpoint": pair.proxy.url, "username": "admin", "password": "lab-secret"}})
    pair.run("apply", "runbook.yaml", "--yes")
    pair.check_end(*pair.names, "http_basic")
    check(not any("lab-secret" in said for said in pair.place.said), "a password was told")
    print(f"  http_basic: {pair.took:.1f} s", flush=True)


PARTS = {"ways": ways, "rivals": rivals, "twins": twins, "faults": faults, "kills": kills, "twenty": twenty, "logins": logins}


def main():
    prefix, venv, wanted = sys.argv[1], sys.argv[2], sys.argv[3:] or list(PARTS)
    with folder("ironic-switch") as path:
        lab = Lab(prefix, venv)
        lab.env |= {"IRONIC_SYSTEMS": os.environ.get("IRONIC_SYSTEMS", "120"), "PYTHONPATH": str(HERE / "fast")}
        lab.up()
        try:
            rig = Rig(lab, path)
            for name in wanted:
                began = time.monotonic()
                print(f"{name}:", flush=True)
                PARTS[name](rig)
                resets = never_both(lab.prefix / "run/bmc.jsonl", rig.pairs)
                print(f"  {time.monotonic() - began:.0f} s; {resets} resets, never both machines of a pair On", flush=True)
            check(not any(CHAP in said or "bmc-secret" in said for p in rig.pairs for said in p.place.said), "a secret was told")
        finally:
            lab.down()


if __name__ == "__main__":
    run_rig(main)
