#!/usr/bin/env python3
"""`kill -9`, again and again: runs of 20 switchovers are killed at chosen and at random moments and resumed until done.

Afterwards no volume was written to by two machines, nothing is lost or doubled in the inventory, every switchover has
exactly one outcome and the report is complete. A switchover is in doubt if and only if a hook with `rerun: never` was
running in it when a kill came. And the kills hit what they must: every kind of step, orders in flight, the gap between
two volume moves.

    kill9.py [--kills 200] [--workers 2] [--seed 1] [--minutes 9]
"""
import argparse
import collections
import json
import os
import random
import sqlite3
import threading
import time

from rig import Failed, Lab, Site, check, folder, inventory, run_rig, runbook, since, write

PAIRS = 20
MOVES = ("move_connector", "move_target")
FAULTS = [
    {"request": "soft_off", "do": "ignore", "chance": "10%"},
    {"request": "power_on", "do": "late", "by": "1s", "chance": "10%"},
    {"request": "hard_off", "do": "drop_after", "chance": "10%"},
    {"request": "set_boot", "do": "drop_after", "chance": "10%"},
    {"request": "write", "do": "error", "chance": "5%"},
    {"request": "read", "do": "drop", "chance": "2%"},
    {"request": "read", "do": "busy", "by": "1s", "chance": "2%"},
]
HOOK = """#!/bin/sh
echo "$1 $2 $COLDSWAP_RUN $COLDSWAP_SWITCHOVER" >> hooks.log
sleep 0.1
"""


def the_runbook(path):
    def hook(name, **more):
        return {"name": name, "run": ["./hook.sh", name, "{{ source.name }}"], "timeout": "10s"} | more

    return write(path / "runbook.yaml", runbook(
        "kill9", limits={"at_once": 8},
        hooks={"pre-shutdown": [hook("drain", undo=["./hook.sh", "undrain", "{{ source.name }}"])],
               "post-migration": [hook("zone", undo=["./hook.sh", "unzone", "{{ source.name }}"])],
               "post-boot": [hook("announce", rerun="never")]}))


class Track:
    def __init__(self):
        self.phase, self.number, self.intended, self.outcomes = "waiting", 1, False, []


class Journal:
    """A fold of the journal, written from the meaning of its events and not from coldswap's own code."""

    def __init__(self, steps):
        self.steps, self.tracks = steps, {k: Track() for k in steps}
        self.planned = sorted({kind for kinds in steps.values() for kind in kinds})
        self.executed = set()

    def apply(self, event):
        track = self.tracks.get(event.get("switchover"))
        if track is None:
            return
        kind = event["event"]
        if kind == "started":
            track.phase = "forward"
        elif kind == "intended":
            track.intended = True
            if track.phase == "forward":
                self.executed.add(self.kind(event["switchover"]))
        elif kind in ("achieved", "tolerated"):
            track.number, track.intended = track.number + 1, False
        elif kind == "retried":
            track.intended = False
        elif kind in ("rolling_back", "cutting_off"):
            track.phase, track.number, track.intended = "back", 1, False
        elif kind == "finished":
            track.phase = "finished"
            track.outcomes.append(event["outcome"])

    def kind(self, switchover):
        track, steps = self.tracks[switchover], self.steps[switchover]
        if track.phase == "back":
            return "(way back)"
        return steps[track.number - 1] if track.number <= len(steps) else None

    def unknown_hooks(self, never):
        """Switchovers whose journal says that a hook of `never` was begun, and not how it ended."""
        return {k for k, t in self.tracks.items() if t.phase == "forward" and t.intended and (k, t.number) in never}

    def in_hand(self):
        """(kind, is its order in flight?, does it stand between two volume moves?) of every switchover under way."""
        for switchover, track in self.tracks.items():
            if track.phase in ("forward", "back") and (kind := self.kind(switchover)):
                before = self.steps[switchover][track.number - 2] if track.phase == "forward" and track.number > 1 else None
                yield kind, track.intended, kind in MOVES and before in MOVES


class Counts:
    def __init__(self):
        self.lock = threading.Lock()
        self.kills = self.in_flight = self.between = self.runs = self.resumes = 0
        self.hit, self.sent, self.executed = collections.Counter(), collections.Counter(), set()
        self.outcomes, self.troubles = collections.Counter(), []

    def add(self, journal):
        hands = list(journal.in_hand())
        with self.lock:
            self.kills += 1
            self.in_flight += any(intended for _, intended, _ in hands)
            self.between += any(gap for *_, gap in hands)
            self.hit.update({kind for kind, *_ in hands})
            self.sent.update({kind for kind, intended, _ in hands if intended})
            self.executed |= journal.executed


def follow(store, run, journal, seen):
    """Read what is new in the journal, past coldswap, so that a moment can be chosen."""
    for seq, body in store.execute("SELECT seq, body FROM journal WHERE run = ? AND seq > ? ORDER BY seq", (run, seen)):
        journal.apply(json.loads(body))
        seen = seq
    return seen


def wish(dice, counts, journal):
    """What the next kill should hit: mostly what was hit least."""
    with counts.lock:
        kinds = sorted(journal.planned, key=lambda k: counts.sent[k])
        if counts.between * 6 < counts.kills:
            return lambda: any(gap and intended for _, intended, gap in journal.in_hand())
    if dice.random() < 0.25:
        end = time.monotonic() + dice.uniform(0.05, 2.5)
        return lambda: time.monotonic() > end
    wanted = dice.choice(kinds[:5])
    return lambda: any(kind == wanted and intended for kind, intended, _ in journal.in_hand())


def kill_at(process, site, run, journal, seen, met, patience):
    """Wait for the moment, kill. False: it ended by itself before."""
    store = sqlite3.connect(f"file:{site.path / 'state.db'}?mode=ro", uri=True, timeout=5)
    end = time.monotonic() + patience
    try:
        while process.poll() is None:
            seen = follow(store, run, journal, seen)
            if met() or time.monotonic() > end:
                process.kill()
                return process.wait() == -9
            time.sleep(0.0005)
        return False
    finally:
        store.close()


def steps_of(plan):
    return {s["id"]: [step["step"] for step in s["steps"]] for s in plan["switchovers"]}


def never_twice(plan):
    """(switchover, number of the step) of every hook with `rerun: never`."""
    return {(s["id"], n) for s in plan["switchovers"] for n, step in enumerate(s["steps"], 1)
            if step["step"] == "run_hook" and step["hook"]["rerun"] == "never"}


def begin(site, counts):
    """Plan, and start the first process of the run."""
    site.run("plan", "runbook.yaml", "--out", "plan.json")
    plan = json.loads((site.path / "plan.json").read_text())
    check(len(plan["switchovers"]) == PAIRS, f"{len(plan['switchovers'])} switchovers planned: {plan['left_out']}")
    process = site.start("apply", "plan.json", "--yes", "--quiet", stderr=open(site.path / "err.log", "ab"))
    store = sqlite3.connect(f"file:{site.path / 'state.db'}?mode=ro", uri=True, timeout=5)
    end = time.monotonic() + 30
    while not (row := store.execute("SELECT id FROM runs").fetchone()):
        if process.poll() is not None or time.monotonic() > end:
            raise Failed(f"the run did not begin: {(site.path / 'err.log').read_text()[-1000:]}")
        time.sleep(0.005)
    store.close()
    return process, row[0], steps_of(plan), never_twice(plan)


def one_run(path, seed, counts, goal, deadline):
    dice = random.Random(seed)
    machines = {"power": {"off": "300ms", "on": "300ms", "soft": "500ms", "latency": "5ms"}, "boot": "500ms"}
    (path / "hook.sh").write_text(HOOK)
    os.chmod(path / "hook.sh", 0o755)
    the_runbook(path)
    with Lab(path, {"machines": machines, "faults": [], "seed": seed}, inventory(PAIRS, PAIRS + 2, data=2)) as lab:
        site = Site(path)
        site.run("inventory", "import", lab.inventory)
        before = export(site)
        process, run, steps, never = begin(site, counts)
        check(len(never) == PAIRS, f"{len(never)} hooks may never run again, not {PAIRS}")
        doubtful = set()
        lab.ask("faults", "PUT", FAULTS)
        while True:
            journal, seen = Journal(steps), 0
            with counts.lock:
                enough = counts.kills >= goal or time.monotonic() > deadline
            if enough:
                process.wait(timeout=180)
                break
            if not kill_at(process, site, run, journal, seen, wish(dice, counts, journal), dice.uniform(2, 6)):
                break
            killed = read(site, run, steps)
            doubtful |= killed.unknown_hooks(never)
            counts.add(killed)
            process = site.start("resume", run, "--quiet", stderr=open(path / "err.log", "ab"))
            with counts.lock:
                counts.resumes += 1
        finish(site, lab, run, steps, counts, before, doubtful)


def read(site, run, steps):
    """The journal as coldswap itself tells it of a store whose owner was just killed."""
    journal = Journal(steps)
    for record in site.json("journal", run)["events"]:
        journal.apply(record["event"])
    return journal


def export(site):
    site.run("inventory", "export", "--out", "now.json")
    return json.loads((site.path / "now.json").read_text())


def holdings(exported):
    """Every node, instance, connector and volume, with its node."""
    found = collections.defaultdict(list)
    for n in exported["nodes"]:
        found["node", n["name"]].append(n["name"])
        if n.get("instance"):
            found["instance", n["instance"]["uuid"]].append(n["name"])
        for c in n.get("volume_connectors", []):
            found["connector", c["connector_id"]].append(n["name"])
        for t in n.get("volume_targets", []):
            found["volume", t["volume_id"]].append(n["name"])
    return found


def finish(site, lab, run, steps, counts, before, doubtful):
    """Resume without killing until it is over, then look at everything."""
    for _ in range(5):
        report = site.json("report", run)
        if report["run"]["status"] == "finished":
            break
        site.run("resume", run, "--quiet", codes=(0, 4, 5, 6), timeout=180)
    report = site.json("report", run)
    journal = read(site, run, steps)
    check(report["run"]["status"] == "finished", f"{run} does not end: {report['totals']}")
    outcomes = {k: t.outcomes for k, t in journal.tracks.items()}
    check(all(len(o) == 1 for o in outcomes.values()), f"not one outcome each: {outcomes}")
    told = {s["id"]: s.get("outcome") for s in report["switchovers"]}
    check(told == {k: o[0] for k, o in outcomes.items()}, f"report and journal differ: {told} {outcomes}")
    in_doubt(report, doubtful)
    totals = report["totals"]
    ends = ("switched_over", "rolled_back", "stopped", "in_doubt", "skipped")
    check(sum(totals[e] for e in ends) == PAIRS == totals["planned"], f"the report is incomplete: {totals}")
    witness = lab.ask("witness")
    check(witness["violations"] == [], f"two machines wrote to one volume: {witness['violations']}")
    had, has = holdings(before), holdings(export(site))
    check(had.keys() == has.keys(), f"lost or made up: {had.keys() ^ has.keys()}")
    doubled = {k: v for k, v in has.items() if len(v) != 1}
    check(not doubled, f"doubled in the inventory: {doubled}")
    for s in report["switchovers"]:
        where_it_must_be(s, has, witness["open"])
    twice_never(site.path / "hooks.log", run)
    with counts.lock:
        counts.runs += 1
        counts.outcomes.update(o[0] for o in outcomes.values())
        counts.executed |= journal.executed


def in_doubt(report, doubtful):
    """Nothing but a kill in the middle of a hook that must not run twice leaves a switchover in doubt, and each does."""
    told = {s["id"]: (s.get("why") or {}).get("code") for s in report["switchovers"] if s["outcome"] == "in_doubt"}
    check(told.keys() == doubtful, f"in doubt {told}, but the kills hit such hooks in {sorted(doubtful)}")
    check(set(told.values()) <= {"hook_unknown"}, f"in doubt for another reason: {told}")


def where_it_must_be(s, has, opened):
    """The records and the machines agree with the outcome."""
    source, destination = s["source"]["name"], s["destination"]["name"]
    volumes = [v for kind, v in has if kind == "volume" and v.startswith(f"{source}-")]
    at = {has["volume", v][0] for v in volumes} | {has["connector", f"iqn.2026-01.example:{source}"][0]}
    users = opened.get(f"iqn.2026-01.example:{source}-0/1", [])
    if s["outcome"] == "switched_over":
        check(at == {destination}, f"{s['id']} switched over, its volumes are at {at}")
        check(users == [destination], f"{s['id']} switched over, its boot volume is used by {users}")
    elif s["outcome"] in ("rolled_back", "skipped"):
        check(at == {source}, f"{s['id']} {s['outcome']}, its volumes are at {at}")
        check(users == [source], f"{s['id']} {s['outcome']}, its boot volume is used by {users}")


def twice_never(log, run):
    started = collections.Counter(line for line in log.read_text().splitlines() if line.startswith("announce "))
    check(all(n == 1 for n in started.values()), f"`rerun: never`, and started again: {started.most_common(3)}")


def work(number, options, counts, deadline):
    """Run after run until there are kills enough."""
    turn = 0
    while counts.kills < options.kills and time.monotonic() < deadline and not counts.troubles:
        turn += 1
        with folder("kill9") as path:
            try:
                one_run(path, options.seed * 1000 + number * 100 + turn, counts, options.kills, deadline)
            except BaseException as error:  # noqa: BLE001: whatever it is, the rig must end and tell
                tail = (path / "err.log").read_text()[-800:] if (path / "err.log").exists() else ""
                counts.troubles.append(f"{type(error).__name__}: {error}\n{tail}")


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("--kills", type=int, default=200)
    parse.add_argument("--workers", type=int, default=2)
    parse.add_argument("--seed", type=int, default=1)
    parse.add_argument("--minutes", type=float, default=9)
    options = parse.parse_args()
    began, counts = time.monotonic(), Counts()
    deadline = began + options.minutes * 60
    workers = [threading.Thread(target=work, args=(n, options, counts, deadline)) for n in range(options.workers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(f"{'step in hand':<20}{'kills':>7}{'order in flight':>17}")
    for kind in sorted(counts.hit | dict.fromkeys(counts.executed, 0), key=lambda k: -counts.hit[k]):
        print(f"{kind:<20}{counts.hit[kind]:>7}{counts.sent[kind]:>17}")
    print(f"{counts.kills} kills, {counts.in_flight} with an order in flight, {counts.between} between two volume moves; "
          f"{counts.runs} runs, {counts.resumes} resumes, {since(began)}; outcomes {dict(counts.outcomes)}")
    check(not counts.troubles, "\n".join(counts.troubles))
    check(counts.kills >= options.kills, f"{counts.kills} kills of {options.kills}")
    check(counts.in_flight * 4 >= options.kills * 3, f"only {counts.in_flight} kills with an order in flight")
    check(counts.between * 10 >= options.kills, f"only {counts.between} kills between two volume moves")
    missed = sorted(counts.executed - {k for k in counts.hit if counts.hit[k]})
    check(not missed, f"never killed in: {missed}")
    check(counts.outcomes["switched_over"] > 0, "nothing was switched over at all")
    print("kill9: passed")


if __name__ == "__main__":
    run_rig(main)
