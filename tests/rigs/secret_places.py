#!/usr/bin/env python3
"""Planted passwords show up nowhere: plan, journal, report, log at trace level, every file of the store, and the process
list while a run goes on. Where they must arrive, at the BMC and in the hook, they do."""
import base64
import http.server
import json
import pathlib
import threading
import time

from rig import BINARY, Lab, Site, check, folder, inventory, run_rig, runbook, write

PAIRS = 3
FROM_ENV, FROM_FILE, FROM_COMMAND = "pw-env-Zq8vXk", "pw-file-Jd3+m/W", "pw-command-Tt7%yR"
HOOK, URL = "pw-hook-Nn5$hB", "pw-url-Ua2kQe"
PLANTED = [FROM_ENV, FROM_FILE, FROM_COMMAND, HOOK, URL]


def forms(secret):
    """The ways in which a secret could be written down by mistake."""
    raw = secret.encode()
    yield raw
    yield base64.b64encode(raw).rstrip(b"=")
    yield base64.b64encode(b"root:" + raw).rstrip(b"=")
    yield raw.hex().encode()
    yield "".join(c if c.isalnum() or c in "-_.~" else f"%{ord(c):02X}" for c in secret).encode()


def look(place, content, found):
    for secret in PLANTED:
        for form in forms(secret):
            if form in content:
                found.append(f"{place}: `{secret}` as {form[:40]!r}")


class Watch(threading.Thread):
    """Command lines of everything, and the environment of everything but coldswap itself and hooks, which get theirs."""

    def __init__(self):
        super().__init__(daemon=True)
        self.over, self.found, self.seen = False, [], 0

    def run(self):
        while not self.over:
            for entry in pathlib.Path("/proc").glob("[0-9]*"):
                try:
                    line = (entry / "cmdline").read_bytes()
                    self.seen += str(BINARY).encode() in line
                    look(f"process list, {line[:60]!r}", line, self.found)
                except OSError:
                    continue
            time.sleep(0.02)


class Ear(http.server.BaseHTTPRequestHandler):
    heard = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        Ear.heard.append(self.headers.get("X-Token", "") + self.path + body.decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def documents(path, port):
    (path / "hook.sh").write_text('#!/bin/sh\nprintf %s "$TOKEN" | sha256sum > hook-got\necho "the token is $TOKEN"\n')
    (path / "hook.sh").chmod(0o755)
    (path / "password").write_text(FROM_FILE + "\n")
    (path / "command.sh").write_text(f"#!/bin/sh\necho '{FROM_COMMAND}'\n")
    (path / "command.sh").chmod(0o755)
    secret = {"secret": {"env": "RIG_HOOK"}}
    http_hook = {"name": "tell", "http": {"method": "POST", "url": {"secret": {"env": "RIG_URL"}}, "headers": {"X-Token": secret}, "expect": 204}}
    failing = {"name": "fails", "run": ["./hook.sh"], "env": {"TOKEN": secret}, "on_failure": "continue"}
    write(path / "runbook.yaml", runbook("secrets", hooks={
        "pre-shutdown": [{"name": "take", "run": ["./hook.sh"], "env": {"TOKEN": secret}}, http_hook],
        "post-boot": [failing]}))
    return {"RIG_ENV": FROM_ENV, "RIG_HOOK": HOOK, "RIG_URL": f"http://127.0.0.1:{port}/hook/{URL}", "RUST_LOG": "trace"}


def credentials(path, lab):
    """One way to say a password for each pair."""
    nodes = json.loads(lab.inventory.read_text())
    ways = [{"env": "RIG_ENV"}, {"file": str(path / "password")}, {"command": [str(path / "command.sh")]}]
    for n in nodes["nodes"]:
        n["bmc"] |= {"username": "root", "password": {"secret": ways[int(n["name"][-4:]) % 3]}}
    return write(path / "with-login.json", nodes)


def main():
    ear = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ear)
    threading.Thread(target=ear.serve_forever, daemon=True).start()
    with folder("secrets") as path:
        env = documents(path, ear.server_port)
        faults = [{"request": "write", "do": "error", "chance": "10%"}, {"request": "login", "do": "drop", "times": 2}]
        with Lab(path, {"machines": {}, "faults": faults}, inventory(PAIRS)) as lab:
            site = Site(path, env=env)
            watch = Watch()
            watch.start()
            said = {}
            said["import"] = site.run("inventory", "import", credentials(path, lab))
            said["plan"] = site.run("plan", "runbook.yaml", "--out", "plan.json", "--output", "json")
            said["apply"] = site.run("apply", "plan.json", "--yes", "--report", "report.json", "--log-format", "json", codes=(0, 4))
            run = site.json("runs")["runs"][0]["id"]
            for words in (["show", run], ["journal", run], ["report", run], ["inventory", "show", "node-0001"], ["inventory", "export"]):
                said[" ".join(words)] = site.run(*words)
                said[" ".join(words) + " json"] = site.run(*words, "--output", "json")
            watch.over = True
            watch.join()
            judge(path, said, watch, lab)
    ear.shutdown()


def judge(path, said, watch, lab):
    found = list(watch.found)
    for name, done in said.items():
        look(f"{name}, standard output", done.stdout.encode(), found)
        look(f"{name}, standard error", done.stderr.encode(), found)
    files = [f for f in path.rglob("*") if f.is_file() and f.name not in ("password", "command.sh")]
    for file in files:
        look(f"file {file.name}", file.read_bytes(), found)
    check(not found, "secrets were found:\n" + "\n".join(found[:20]))
    # The check can fail: what was looked through is not empty, and the secrets were used.
    logged = said["apply"].stderr
    check("TRACE" in logged or "DEBUG" in logged, "there was no log at trace level")
    check(watch.seen > 5, "the process list was not watched while a run went on")
    check(any(URL in h and HOOK in h for h in Ear.heard), "the HTTP hook did not get its secrets")
    check((path / "hook-got").exists(), "the hook was not run")
    check(any(f.name.startswith("state.db") for f in files), "the store was not looked through")
    check(any(e["kind"] == "login" for e in lab.ask("requests")["latest"]), "nobody logged in")
    probe = []
    look("probe", b"x" + base64.b64encode(b"root:" + FROM_ENV.encode()), probe)
    check(probe, "the search does not find what it must")
    total = sum(f.stat().st_size for f in files) + sum(len(d.stdout) + len(d.stderr) for d in said.values())
    print(f"secrets: {len(PLANTED)} planted, {total} bytes and {watch.seen} looks at the process list searched; secrets: passed")


if __name__ == "__main__":
    run_rig(main)
