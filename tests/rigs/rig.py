"""What the rigs share: the real binary, a simulated fleet as a process of its own, and documents to run on it.

Standard library only. The documents are written as JSON, which is YAML.
"""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINARY = pathlib.Path(os.environ.get("COLDSWAP_BINARY", TARGET / "release" / "coldswap"))


class Failed(Exception):
    """The rig found what must not be."""


def check(holds, what):
    if not holds:
        raise Failed(what)


def run_rig(main):
    """Call `main`, turn what it finds into an exit code. A rig that cannot start has failed."""
    if not BINARY.exists():
        sys.exit(f"{BINARY} is not there: cargo build --release")
    try:
        main()
    except Failed as failed:
        sys.exit(f"FAILED: {failed}")


def environment(extra=None):
    """Ours, without what would steer coldswap from outside."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("COLDSWAP_") and k != "RUST_LOG"}
    return kept | {"NO_COLOR": "1"} | (extra or {})


@contextlib.contextmanager
def folder(name):
    with tempfile.TemporaryDirectory(prefix=f"coldswap-{name}-") as path:
        yield pathlib.Path(path)


def write(path, document):
    path.write_text(json.dumps(document, indent=1))
    return path


class Site:
    """A folder with a store and a configuration, and coldswap run in it."""

    def __init__(self, path, landing="3s", env=None):
        self.path = pathlib.Path(path)
        self.env = environment(env)
        self.config = write(self.path / "config.yaml", {"apiVersion": "coldswap/v1", "kind": "Config",
                                                        "store": "sqlite:state.db", "bmc": {"landing": landing}})

    def arguments(self, *words):
        return [str(BINARY), "--config", str(self.config), *map(str, words)]

    def start(self, *words, **options):
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | options
        return subprocess.Popen(self.arguments(*words), cwd=self.path, env=self.env, stdin=subprocess.DEVNULL, **options)

    def run(self, *words, codes=(0,), timeout=120):
        done = subprocess.run(self.arguments(*words), cwd=self.path, env=self.env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout)
        if done.returncode not in codes:
            tail = (done.stdout[-1500:] + done.stderr[-1500:]).strip()
            raise Failed(f"`coldswap {' '.join(map(str, words))}` ended with {done.returncode}:\n{tail}")
        return done

    def json(self, *words, **options):
        return json.loads(self.run(*words, "--output", "json", **options).stdout)


class Lab:
    """`coldswap lab`: a process with every BMC of the fleet."""

    def __init__(self, path, document, inventory, env=None):
        path = pathlib.Path(path)
        write(path / "lab-inventory.yaml", inventory)
        write(path / "lab.yaml", {"apiVersion": "coldswap/v1", "kind": "Lab", "inventory": "lab-inventory.yaml"} | document)
        self.inventory = path / "inventory.json"
        self.errors = open(path / "lab.err", "wb")
        command = [str(BINARY), "lab", str(path / "lab.yaml"), "--write-inventory", str(self.inventory), "--output", "json"]
        self.process = subprocess.Popen(command, cwd=path, env=environment(env), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.errors, text=True)
        text = ""
        while True:
            line = self.process.stdout.readline()
            if not line:
                self.process.wait()
                raise Failed(f"the lab did not start: {(path / 'lab.err').read_text()[-2000:]}")
            text += line
            with contextlib.suppress(ValueError):
                self.about = json.loads(text)
                break
        self.url = self.about["lab"]

    def ask(self, path, method="GET", body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/{path}", data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            raw = answer.read()
        return json.loads(raw) if raw else None

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=30)
        self.errors.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


FACTS = {"manufacturer": "Contoso", "model": "C1", "memory_mib": 524288, "cpu": {"model": "X", "count": 2}}


def node(name, pool=None, data=0):
    """A serving node with a boot volume and `data` more; with `pool`, a spare."""
    made = {"name": name, "bmc": {"address": "http://127.0.0.1", "system": "/redfish/v1/Systems/1"}, "facts": FACTS}
    if pool:
        return made | {"provision_state": "available", "labels": {"pool": pool}}

    def volume(index):
        return {"volume_type": "iscsi", "boot_index": index, "volume_id": f"{name}-{index}",
                "properties": {"target_portal": "127.0.0.1:3260", "target_iqn": f"iqn.2026-01.example:{name}-{index}", "target_lun": 1}}

    return made | {
        "provision_state": "active",
        "instance": {"uuid": f"aaaaaaaa-0000-4000-8000-{zlib.crc32(name.encode()):012d}", "name": f"work-{name}"},
        "volume_connectors": [{"type": "iqn", "connector_id": f"iqn.2026-01.example:{name}"}],
        "volume_targets": [volume(index) for index in range(data + 1)],
    }


def inventory(pairs, spares=None, data=0):
    nodes = [node(f"node-{n:04}", data=data) for n in range(1, pairs + 1)]
    nodes += [node(f"spare-{n:04}", pool="spare") for n in range(1, (spares or pairs) + 1)]
    return {"apiVersion": "coldswap/v1", "kind": "Inventory", "nodes": nodes}


def runbook(name, **more):
    return {
        "apiVersion": "coldswap/v1", "kind": "Runbook", "metadata": {"name": name}, "mode": "planned",
        "sources": {"select": "node.instance is not none"},
        "pools": [{"name": "spares", "select": "spare.labels.pool == 'spare'"}],
        "power": {"soft_off": "2s"}, "fence": [{"bmc": {"reads": 2, "apart": "200ms"}}],
        "boot": {"via": "redfish-iscsi", "timeout": "20s"},
    } | more


def since(began):
    return f"{time.monotonic() - began:.1f} s"
