#!/usr/bin/env python3
"""`plan` and `explain` touch nothing: by the simulated BMCs' own log they send GETs, logins and logouts, and the
inventory is the same before and after, byte for byte."""
import hashlib
import json

from rig import Lab, Site, check, folder, inventory, run_rig, runbook, write

PAIRS = 10


def fingerprint(site):
    site.run("inventory", "export", "--out", "now.json")
    return hashlib.sha256((site.path / "now.json").read_bytes()).hexdigest()


def main():
    with folder("dry-run") as path:
        (path / "touch.sh").write_text("#!/bin/sh\ntouch hook-was-started\n")
        (path / "touch.sh").chmod(0o755)
        hooks = {point: [{"name": f"h-{point}", "run": ["./touch.sh"], "check": ["./touch.sh"]}]
                 for point in ("pre-shutdown", "post-migration", "post-boot")}
        write(path / "runbook.yaml", runbook("dry-run", hooks=hooks))
        with Lab(path, {"machines": {}}, inventory(PAIRS)) as lab:
            site = Site(path)
            # With credentials there are sessions: the most that a plan may send.
            nodes = json.loads(lab.inventory.read_text())
            for n in nodes["nodes"]:
                n["bmc"] |= {"username": "root", "password": {"secret": {"env": "RIG_PASSWORD"}}}
            write(path / "with-login.json", nodes)
            site.env["RIG_PASSWORD"] = "not-looked-at"
            site.run("inventory", "import", "with-login.json")
            before = fingerprint(site)
            lab.ask("requests", "DELETE")
            site.run("plan", "runbook.yaml")
            plan = site.json("plan", "runbook.yaml", "--out", "plan.json")
            site.run("explain", "runbook.yaml", "node-0001")
            site.run("switchover", "node-0002", "--dry-run", "--boot-via", "redfish-iscsi")
            log = lab.ask("requests")
            check(len(plan["switchovers"]) == PAIRS, f"planned {len(plan['switchovers'])} of {PAIRS}")
            check(log["total"] == len(log["latest"]), "the log has forgotten requests")
            wrong = [e for e in log["latest"] if e["method"] not in ("GET", "HEAD") and e["kind"] not in ("login", "logout")]
            check(not wrong, f"a dry run sent {wrong[:3]}")
            check({e["kind"] for e in log["latest"]} >= {"login", "logout", "read_system"}, f"nothing was looked at: {log['by_method']}")
            check(all(m["power"] == ("On" if m["name"].startswith("node") else "Off") for m in lab.ask("machines")), "a machine changed")
            check(not (path / "hook-was-started").exists(), "a hook or its check was started")
            check(fingerprint(site) == before, "the inventory changed")
            # The log sees writes at all: a real run must show some.
            site.run("apply", "plan.json", "--yes", "--quiet")
            kinds = {e["kind"] for e in lab.ask("requests")["latest"]}
            check({"soft_off", "hard_off", "power_on", "set_boot"} <= kinds, f"a run that shows only {sorted(kinds)}")
            check(lab.ask("witness")["violations"] == [], "two machines wrote to one volume")
            print(f"dry run: {log['total']} requests of 4 commands {log['by_method']}, nothing touched; dry_run: passed")


if __name__ == "__main__":
    run_rig(main)
