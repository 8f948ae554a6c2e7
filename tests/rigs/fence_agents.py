#!/usr/bin/env python3
"""Real fence agents against dead BMCs: the real binary, a real journal, ClusterLabs' own `fence_redfish`, `fence_ipmilan` and
`fence_dummy`, and PyPI's `pyghmi` as the IPMI side.

The lab's machines are real to the agents: `fence_redfish` speaks to the lab by a way of its own (another machine's BMC
stands for a chassis controller), `fence_ipmilan` speaks IPMI to a small server whose power is the lab's power. What an
agent must not achieve is tried as well: an `off` that ends well and switches nothing, one of two feeds that stays on, an
outlet that two nodes share, a BMC that answers On, and an attestation that is used, expired or contradicted.

    fence_agents.py IPMI_PYTHON      a Python that has pyghmi
"""
import contextlib
import http.server
import json
import pathlib
import socket
import ssl
import subprocess
import sys
import threading
import time

from rig import Lab, Site, check, folder, node, run_rig, runbook, write

SILENT = "3s"


def the_lab(path, labels=None):
    """One source and one spare. `spare` and `source` have their BMCs in the lab; the source's can be made to say nothing."""
    source = node("web-01") | {"labels": {"outlet": "web-01"} | (labels or {})}
    nodes = [source, node("spare-01", pool="spare")]
    document = {"machines": {"power": {"off": "200ms", "on": "200ms", "latency": "1ms"}, "boot": "1s"}}
    return Lab(path, document, {"apiVersion": "coldswap/v1", "kind": "Inventory", "nodes": nodes})


def silence(lab, on=True):
    """The source's BMC closes every connection, whoever asks."""
    lab.ask("faults", "PUT", [{"machine": "web-01", "do": "drop"}] if on else [])


def force(lab, on):
    """The source's power, past its BMC."""
    lab.ask("power", "POST", {"machine": "web-01", "do": "on" if on else "off"})


def power(lab, machine):
    return lab.ask(f"machines/{machine}")["power"].lower()


class Redfish(contextlib.AbstractContextManager):
    """A second way to the machine, over TLS as `fence_redfish` wants it: a chassis controller beside the dead BMC."""

    def __init__(self, lab, path, lies=False):
        rig = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def send(self, code, body):
                data = json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):  # noqa: N802: the name that http.server wants
                base, system = "/redfish/v1", "/redfish/v1/Systems/1"
                state = "On" if power(lab, "web-01") == "on" else "Off"
                bodies = {
                    base: {"@odata.id": base, "Systems": {"@odata.id": f"{base}/Systems"}},
                    f"{base}/Systems": {"Members": [{"@odata.id": system}]},
                    system: {"@odata.id": system, "PowerState": state, "Actions": {"#ComputerSystem.Reset": {
                        "target": f"{system}/Actions/ComputerSystem.Reset",
                        "ResetType@Redfish.AllowableValues": ["On", "ForceOff"]}}},
                }
                path = self.path.rstrip("/")
                self.send(200 if path in bodies else 404, bodies.get(path, {}))

            def do_POST(self):  # noqa: N802
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                rig.asked.append((self.headers.get("Authorization"), body))
                if not lies:
                    force(lab, body["ResetType"] == "On")
                self.send(200, {})

        certificate, key = path / "cert.pem", path / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "1",
                        "-subj", "/CN=localhost"], check=True, capture_output=True)
        self.asked = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def agent(self):
        return {"name": "fence_redfish", "options": {
            "ip": "127.0.0.1", "ipport": str(self.port), "username": "admin", "password": {"secret": {"env": "RIG_PASSWORD"}},
            "ssl_insecure": "1", "systems_uri": "/redfish/v1/Systems/1", "plug": "{{ source.labels.outlet }}"}}

    def __exit__(self, *_):
        self.server.shutdown()


class Ipmi(contextlib.AbstractContextManager):
    """An IPMI 2.0 BMC by pyghmi, whose machine is the lab's."""

    def __init__(self, lab, python):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        server = pathlib.Path(__file__).with_name("ipmi_bmc.py")
        self.process = subprocess.Popen([python, server, str(self.port), lab.url, "web-01"], stdout=subprocess.PIPE, text=True)
        check(self.process.stdout.readline().strip() == "ready", "the IPMI side does not start")

    def agent(self):
        return {"name": "fence_ipmilan", "options": {
            "ip": "127.0.0.1", "ipport": str(self.port), "username": "admin", "password": {"secret": {"env": "RIG_PASSWORD"}},
            "lanplus": "1", "plug": "{{ source.labels.outlet }}", "power_timeout": "10"}}

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=10)


def book(path, levels, mode="disaster", **more):
    fence = [{"bmc": {"reads": 2, "apart": "200ms", "silent": SILENT}}, *levels]
    power_policy = {} if mode == "disaster" else {"power": {"soft_off": "2s"}}
    document = runbook("fences", mode=mode, fence=fence, **more) | power_policy
    if mode == "disaster":
        document.pop("power", None)
    return write(path / "runbook.yaml", document)


@contextlib.contextmanager
def scene(name, labels=None):
    with folder(f"fence-{name}") as path:
        site = Site(path, env={"RIG_PASSWORD": "hunter2-hunter2"})
        with the_lab(path, labels) as lab:
            site.run("inventory", "import", lab.inventory)
            site.run("inventory", "discover")
            yield path, site, lab
            check(lab.ask("witness")["violations"] == [], f"{name}: two machines wrote to one volume")
            for file in path.glob("**/*"):
                leaks = file.is_file() and b"hunter2-hunter2" in file.read_bytes()
                check(not leaks, f"{name}: the password stands in {file.name}")
        print(f"  {name}")


def apply(site, path, codes, timeout=150):
    done = site.run("apply", path / "runbook.yaml", "--yes", "--report", path / "report.json", codes=codes, timeout=timeout)
    report = json.loads((path / "report.json").read_text()) if (path / "report.json").exists() else None
    return done, report


def fenced_by(report, agent):
    s = report["switchovers"][0]
    check(s["outcome"] == "switched_over", f"outcome {s['outcome']}: {s.get('why')}")
    reads = s["fence"]["voucher"]["agents"]
    check(len(reads) >= 2 and all(r["agent"] == agent and r["state"] == "off" for r in reads), f"evidence {reads}")
    check(s["fence"]["levels"][0]["level"] == 1, "the BMC was not asked first")
    check("never power it on" in s["debt"], f"debt {s.get('debt')}")


def fences(make, agent, name):
    with scene(name) as (path, site, lab), make(lab, path) as side:
        book(path, [{"agent": side.agent()}])
        site.run("validate", path / "runbook.yaml")
        silence(lab)
        plan = site.run("plan", path / "runbook.yaml").stdout
        check(agent in plan and "where it is silent for 3s" in plan, plan)
        _, report = apply(site, path, codes=(6,))
        fenced_by(report, agent)
        check(power(lab, "web-01") == "off", "the source is not off")
        check(power(lab, "spare-01") == "on", "the spare is not on")
        journal = site.json("journal", report["run"]["id"])
        kinds = [e["event"]["event"] for e in journal["events"]]
        check("fence_level" in kinds, "the change of level is not journalled")


def stays(site, path, lab, why, codes=(4, 5, 6)):
    """Nothing may have moved, and the reason must be told."""
    _, report = apply(site, path, codes=codes)
    s = report["switchovers"][0]
    check(s["outcome"] != "switched_over", "it was switched over")
    told = json.dumps(s)
    check(why in told, f"`{why}` is not told: {s.get('why')} {s.get('rolled_back')}")
    check(power(lab, "spare-01") == "off", "the spare was started")
    exported = site.run("inventory", "show", "web-01").stdout
    check("web-01-0" in exported, f"the volume is not at the source any more: {exported}")


def dummy(path, name):
    return {"agent": {"name": "fence_dummy", "options": {"status_file": f"{path}/{{{{ source.name }}}}-{name}.status"}}}, path / f"web-01-{name}.status"


def liar(path):
    """`off` ends well, and `status` goes on to say on."""
    program = path / "fence_liar"
    program.write_text("""#!/bin/sh
action=$(sed -n 's/^action=//p')
case $action in
metadata) echo '<?xml version="1.0"?><resource-agent name="fence_liar"><parameters><parameter name="plug" required="1"/></parameters>'
          echo '<actions><action name="off"/><action name="status"/><action name="metadata"/></actions></resource-agent>';;
off) echo Success: Powered OFF;;
status) echo Status: ON;;
*) exit 1;;
esac
""")
    program.chmod(0o755)
    return {"agent": {"name": str(program), "options": {"plug": "{{ source.name }}"}}}


def negatives():
    with scene("an-off-that-is-none") as (path, site, lab):
        book(path, [liar(path)])
        silence(lab)
        stays(site, path, lab, "did not come true")
    with scene("one-feed-stays-on") as (path, site, lab):
        first, status = dummy(path, "a")
        status.write_text("on")
        book(path, [{"all": [first, liar(path)]}])
        silence(lab)
        stays(site, path, lab, "did not come true")
        check(status.read_text() == "off", "the other feed was not switched")
    with scene("a-live-on") as (path, site, lab), Redfish(lab, path) as side:
        # The BMC answers and does not obey: an agent is not asked, though it could.
        book(path, [{"agent": side.agent()}])
        lab.ask("faults", "PUT", [{"machine": "web-01", "request": "write", "do": "ignore"}])
        stays(site, path, lab, "web-01")
        check(side.asked == [], f"the agent was asked against a BMC that says On: {side.asked}")
    with scene("a-shared-outlet") as (path, site, lab):
        site.run("inventory", "set", "spare-01", "label.outlet=web-01")
        agent = {"agent": {"name": "fence_dummy", "options": {"status_file": "/nowhere/{{ source.labels.outlet }}"}}}
        book(path, [agent])
        done = site.run("plan", path / "runbook.yaml", codes=(0, 3))
        check("spare-01" in done.stdout and "as well as" in done.stdout, done.stdout + done.stderr)
    with scene("an-option-that-is-none") as (path, site, lab):
        book(path, [{"agent": {"name": "fence_ipmilan", "options": {"ipp": "127.0.0.1", "plug": "{{ source.name }}"}}}])
        done = site.run("validate", path / "runbook.yaml", codes=(3,))
        check("did you mean `ip`?" in done.stderr, done.stderr)


def feeds():
    with scene("both-feeds-off") as (path, site, lab):
        (first, a), (second, b) = dummy(path, "a"), dummy(path, "b")
        a.write_text("on")
        b.write_text("on")
        book(path, [{"all": [first, second]}])
        silence(lab)
        # fence_dummy switches a file: the rig pulls the cords when both say off.
        def cords():
            while {a.read_text(), b.read_text()} != {"off"}:
                time.sleep(0.02)
            force(lab, False)
        threading.Thread(target=cords, daemon=True).start()
        _, report = apply(site, path, codes=(6,))
        fenced_by(report, "fence_dummy")


def attestations():
    with scene("attestation") as (path, site, lab):
        book(path, [{"attestation": {"expires": "20s"}}])
        words = ("--off", "--by", "Kim", "--reason", "pulled both cords")
        refused = site.run("attest", "web-01", *words, codes=(3,))
        check("reads On" in refused.stderr, refused.stderr)
        silence(lab)
        site.run("attest", "web-01", *words, "--expires", "1s")
        time.sleep(1.2)
        force(lab, False)
        running = site.start("apply", path / "runbook.yaml", "--yes", "--report", path / "report.json")
        time.sleep(12)
        check(running.poll() is None, "it did not wait for a word that counts")
        check(power(lab, "spare-01") == "off", "an expired word was taken")
        site.run("attest", "web-01", *words)
        check(running.wait(timeout=60) == 6, "it did not go on")
        report = json.loads((path / "report.json").read_text())
        word = report["switchovers"][0]["fence"]["voucher"]["attestation"]
        check((word["by"], word["reason"]) == ("Kim", "pulled both cords"), f"evidence {word}")
        check("Kim attested" in site.run("report", report["run"]["id"]).stdout, "the report does not name who vouched")


def main():
    python = sys.argv[1]
    began = time.monotonic()
    fences(Redfish, "fence_redfish", "fence_redfish")
    fences(lambda lab, _: Ipmi(lab, python), "fence_ipmilan", "fence_ipmilan")
    feeds()
    attestations()
    negatives()
    print(f"fence agents: passed in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    run_rig(main)
