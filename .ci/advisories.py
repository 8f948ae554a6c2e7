#!/usr/bin/env python3
"""No crate in Cargo.lock may have an advisory of .ci/advisories.toml. Offline.

`advisories.py` checks this project, `advisories.py --self-test` checks the check.
"""
import pathlib
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent


def number(version):
    """Release numbers in order; a pre-release counts as older than its release."""
    release, _, pre = version.split("+")[0].partition("-")
    return tuple(int(p) for p in release.split(".")) + (0 if pre else 1,)


def hit(version, patched):
    return not any(number(version) >= number(p) for p in patched)


def problems(lock, advisories):
    found = []
    for package in lock.get("package", []):
        for a in advisories:
            if a["crate"] == package["name"] and hit(package["version"], a.get("patched", [])):
                good = ", ".join(a.get("patched", [])) or "none"
                found.append(f"{package['name']} {package['version']}: {a['id']}: {a['why']} (good from: {good})")
    return found


def self_test(advisories):
    lock = {"package": [{"name": "tokio-postgres", "version": "0.7.17"}, {"name": "tokio-postgres", "version": "0.7.18"},
                        {"name": "paste", "version": "1.0.15"}, {"name": "tracing-subscriber", "version": "0.3.20-rc.1"},
                        {"name": "tracing-subscriber", "version": "0.3.23"}, {"name": "bincode", "version": "2.0.1"}]}
    found = [p.split(":")[0] for p in problems(lock, advisories)]
    assert found == ["tokio-postgres 0.7.17", "paste 1.0.15", "tracing-subscriber 0.3.20-rc.1"], found
    for a in advisories:
        assert {"id", "crate", "why"} <= a.keys(), a
        planted = {"package": [{"name": a["crate"], "version": "0.0.1"}]}
        assert problems(planted, [a]), f"{a['id']} finds nothing"


def main():
    advisories = tomllib.loads((HERE / "advisories.toml").read_text())["advisory"]
    self_test(advisories)
    if "--self-test" in sys.argv:
        print("advisories: the check finds what is planted")
        return
    lock = tomllib.loads((HERE.parent / "Cargo.lock").read_text())
    found = problems(lock, advisories)
    if found:
        sys.exit("advisories:\n" + "\n".join(found))
    print(f"advisories: {len(lock['package'])} crates of Cargo.lock, none of the {len(advisories)} entries applies")


if __name__ == "__main__":
    main()
