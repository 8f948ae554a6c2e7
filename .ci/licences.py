#!/usr/bin/env python3
"""Every crate that is built must be under a permissive licence. Offline: reads `cargo metadata`.

`licences.py` checks this project, `licences.py --self-test` checks the check.
"""
import json
import re
import subprocess
import sys

PERMISSIVE = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0",
    "CDLA-Permissive-2.0", "ISC", "MIT", "MIT-0", "Unicode-3.0", "Unlicense", "Zlib",
}


def tokens(text):
    # `MIT/Apache-2.0` is how crates wrote OR before SPDX.
    return re.findall(r"\(|\)|[A-Za-z0-9.+-]+", text.replace("/", " OR "))


def allowed(text):
    """Does an SPDX expression leave a permissive choice? OR: one side; AND: both; unknown: no."""
    rest = tokens(text)

    def atom():
        if not rest:
            raise ValueError("ends early")
        word = rest.pop(0)
        if word == "(":
            value = either()
            if not rest or rest.pop(0) != ")":
                raise ValueError("unbalanced")
            return value
        if word in (")", "AND", "OR", "WITH"):
            raise ValueError(f"`{word}` out of place")
        if rest and rest[0] == "WITH":
            rest.pop(0)
            word = f"{word} WITH {rest.pop(0)}"
        return word in PERMISSIVE

    def both():
        value = atom()
        while rest and rest[0] == "AND":
            rest.pop(0)
            value = atom() and value
        return value

    def either():
        value = both()
        while rest and rest[0] == "OR":
            rest.pop(0)
            value = both() or value
        return value

    try:
        value = either()
        return value and not rest
    except (ValueError, IndexError):
        return False


def problems(packages):
    found = []
    for p in packages:
        licence = p.get("license")
        if not licence:
            found.append(f"{p['name']} {p['version']}: no licence expression (file: {p.get('license_file')})")
        elif not allowed(licence):
            found.append(f"{p['name']} {p['version']}: `{licence}` is not on the list")
    return found


def self_test():
    for good in ("MIT", "MIT OR GPL-3.0", "(MIT OR Apache-2.0) AND Unicode-3.0", "MIT/Apache-2.0",
                 "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT", "GPL-3.0 AND MIT OR ISC"):
        assert allowed(good), good
    for bad in ("GPL-3.0-only", "MIT AND GPL-2.0", "AGPL-3.0", "", "MIT OR", "(MIT", "Custom", "MIT WITH Strange-exception",
                "(MIT OR ISC) AND SSPL-1.0"):
        assert not allowed(bad), bad
    planted = [{"name": "fine", "version": "1.0.0", "license": "MIT"},
               {"name": "planted", "version": "6.6.6", "license": "GPL-3.0-only"},
               {"name": "silent", "version": "0.1.0", "license": None}]
    assert [p.split()[0] for p in problems(planted)] == ["planted", "silent"]


def main():
    self_test()
    if "--self-test" in sys.argv:
        print("licences: the check finds what is planted")
        return
    host = re.search(r"host: (\S+)", subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout)
    command = ["cargo", "metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", host.group(1)]
    packages = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["packages"]
    found = problems(packages)
    if found:
        sys.exit("licences:\n" + "\n".join(found))
    print(f"licences: {len(packages)} crates, all permissive")


if __name__ == "__main__":
    main()
