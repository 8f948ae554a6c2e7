#!/usr/bin/env python3
"""What README promises under `Try it` must hold on a clean clone, twice in a row: every command ends with 0, and the report
that the first one writes is complete."""
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def commands(text):
    """The commands of the section `Try it`: its indented or fenced lines. The test suite has a phase of its own."""
    section = re.search(r"^## Try it\n(.*?)(?=^## |\Z)", text, re.S | re.M)
    if not section:
        sys.exit("README has no section `Try it`")
    text = section.group(1).replace("\\\n", " ")
    fenced = "".join(re.findall(r"^```\w*\n(.*?)^```", text, re.S | re.M)).splitlines()
    lines = [line.strip().removeprefix("$ ") for line in fenced + re.findall(r"^    .*$", text, re.M)]
    found = [line for line in lines if line and not line.startswith("#")]
    if "cargo test --locked" not in found:
        sys.exit("README does not tell how to run the tests")
    return [line for line in found if line != "cargo test --locked"]


def problems(report):
    """Why a report is not the whole story of a run in which everything went well."""
    found, totals = [], report.get("totals", {})
    if report.get("run", {}).get("status") != "finished":
        found.append(f"the run is {report.get('run', {}).get('status')}")
    if not report.get("switchovers"):
        found.append("it has no switchovers")
    for s in report.get("switchovers", []):
        if s.get("outcome") != "switched_over":
            found.append(f"{s.get('id')} is {s.get('outcome')}")
        if not s.get("took") or not s.get("fence", {}).get("held_at"):
            found.append(f"{s.get('id')} lacks times or the evidence of its fence")
        if not all(step.get("status") == "achieved" for step in s.get("steps", [])) or not s.get("steps"):
            found.append(f"{s.get('id')} has steps that are not achieved")
    if totals.get("planned") != len(report.get("switchovers", [])) or totals.get("switched_over") != totals.get("planned"):
        found.append(f"its totals do not add up: {totals}")
    return found


def self_test():
    step = {"status": "achieved"}
    good = {"run": {"status": "finished"}, "totals": {"planned": 1, "switched_over": 1},
            "switchovers": [{"id": 1, "outcome": "switched_over", "took": "1s", "fence": {"held_at": "x"}, "steps": [step]}]}
    assert not problems(good)
    assert problems(good | {"run": {"status": "open"}}) and problems({}) and problems(good | {"totals": {"planned": 2}})
    assert problems(good | {"switchovers": [good["switchovers"][0] | {"outcome": "rolled_back"}]})
    text = "x\n## Try it\n\nSo:\n\n    cargo build --release\n\n```sh\n# why\n$ ls\n```\n    cargo test --locked\n## More\n\n    no\n"
    assert commands(text) == ["ls", "cargo build --release"], commands(text)


def main():
    self_test()
    wanted = commands((ROOT / "README.md").read_text())
    env = os.environ | {"PATH": f"{pathlib.Path(sys.argv[1]).parent}:{os.environ['PATH']}"}
    for turn in (1, 2):
        for n, command in enumerate(wanted):
            words = shlex.split(command)
            path = ROOT / (words[words.index("--report") + 1] if "--report" in words else "report.json")
            reports = n == 0 or "--report" in words
            if reports:
                path.unlink(missing_ok=True)
            print(f"$ {command}", flush=True)
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=ROOT, env=env, stdin=subprocess.DEVNULL)
            if done.returncode != 0:
                sys.exit(f"turn {turn}: `{command}` ended with {done.returncode}")
            if reports:
                found = problems(json.loads(path.read_text())) if path.exists() else [f"{path.name} was not written"]
                if found:
                    sys.exit(f"turn {turn}: the report of `{command}`: " + "; ".join(found))
    print(f"README: {len(wanted)} commands, twice, with a complete report each time")


if __name__ == "__main__":
    main()
