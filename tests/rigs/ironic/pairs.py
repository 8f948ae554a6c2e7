"""Pairs of machines in a real Ironic: a source that runs an instance from its volumes, and an identical spare."""
import json
import pathlib
import time

from read import Place
from rig import Failed, check, write

CHAP = "chap-secret"
# Nobody inspects these: what the built-in rules of matching ask for is declared.
FACTS = {"model": "lab", "manufacturer": "Lab", "cpu": {"model": "Lab CPU", "count": 2}, "firmware": {"bios": "1.0.0"}}


class Pair:
    """Two machines, a folder with a store of its own, and its own way to Ironic."""

    def __init__(self, number, api, machines, path, proxy, spare="available"):
        self.number, self.api, self.proxy = number, api, proxy
        self.names = [m["name"] for m in machines]
        self.machines, self.kind, self.klass = machines, spare, f"pair-{number}"
        self.instance = f"aaaaaaaa-0000-4000-8000-{number:012d}"
        self.place = Place(path, {"auth_type": "none", "auth": {"endpoint": proxy.url}})
        write(self.place.path / "coldswap.yaml", {"apiVersion": "coldswap/v1", "kind": "Config", "bmc": {"landing": "3s"},
                                                  "inventory": {"kind": "ironic", "cloud": "lab"}})
        self.nodes = {}

    def runbook(self, **more):
        book = {"apiVersion": "coldswap/v1", "kind": "Runbook", "metadata": {"name": self.klass}, "mode": "planned",
                "sources": {"nodes": [self.names[0]]},
                "pools": [{"name": "spares", "select": f"spare.resource_class == '{self.klass}'"}],
                "match": {"identical": {"base": "none", "add": ["resource_class"]}},
                "power": {"soft_off": "4s"}, "fence": [{"bmc": {"reads": 2, "apart": "100ms"}}], "boot": {"timeout": "5s"}} | more
        write(self.place.path / "runbook.yaml", book)

    def enrol(self, user, password, states=None):
        """All of it, the source serving."""
        api = self.api
        for i, m in enumerate(self.machines):
            node = api.call("POST", "/v1/nodes", {
                "name": m["name"], "driver": "redfish", "resource_class": self.klass,
                "driver_info": {"redfish_address": m["redfish_address"], "redfish_system_id": m["redfish_system_id"],
                                "redfish_username": user, "redfish_password": password},
                "properties": {"cpus": m["cpus"], "memory_mb": m["memory_gib"] * 1024, "local_gb": 0, "cpu_arch": "x86_64",
                               "capabilities": "boot_mode:uefi,iscsi_boot:true"},
                "extra": {"coldswap": {"facts": FACTS}},
                "storage_interface": "external", "boot_interface": "ipxe", "deploy_interface": "direct"})
            self.nodes[m["name"]] = node["uuid"]
            api.call("POST", "/v1/ports", {"node_uuid": node["uuid"], "address": m["nics"][0]["mac"], "pxe_enabled": True})
            if i and self.kind == "enroll":
                continue
            self.provision(node["uuid"], "manage", "manageable")
            if not i or self.kind == "available":
                self.provision(node["uuid"], "provide", "available")
        self.serve(self.nodes[self.names[0]])

    def provision(self, uuid, verb, state):
        self.api.call("PUT", f"/v1/nodes/{uuid}/states/provision", {"target": verb})
        seen = self.api.settle(uuid, [state, "enroll", "deploy failed", "adopt failed", "error"])
        check(seen["provision_state"] == state, f"{verb} of {uuid} ended in {seen}")

    def serve(self, uuid):
        n, api = self.number, self.api
        for kind, ident in (("iqn", f"iqn.2026-11.lab:db{n}"), ("ip", f"192.0.2.{n}")):
            api.call("POST", "/v1/volume/connectors", {"node_uuid": uuid, "type": kind, "connector_id": ident})
        for index, lun in ((0, 1), (1, 2)):
            api.call("POST", "/v1/volume/targets", {
                "node_uuid": uuid, "volume_type": "iscsi", "boot_index": index, "volume_id": f"vol-{n}-{lun}",
                "properties": {"target_iqn": f"iqn.2026-11.lab:array-{n}", "target_portal": "192.0.2.200:3260", "target_lun": lun,
                               "auth_method": "CHAP", "auth_username": "db", "auth_password": CHAP}})
        api.patch("nodes", uuid, ("add", "/instance_uuid", self.instance), ("add", "/instance_info/display_name", f"db{n}"))
        self.provision(uuid, "active", "active")

    # ---- what there is ------------------------------------------------------------------

    def node(self, name):
        return self.api.node(self.nodes[name])

    def volumes(self, name):
        path = f"?node={self.nodes[name]}&detail=true"
        return {kind: self.api.listing(f"/v1/volume/{kind}{path}", kind) for kind in ("connectors", "targets")}

    def serving(self):
        """The machine that has the instance."""
        return next((n for n in self.names if self.node(n)["instance_uuid"] == self.instance), None)

    def check_end(self, source, spare, what, source_states=("available",), maintenance=True):
        """The switchover from `source` to `spare` is done, all of it, and nothing of the run is left."""
        old, new = self.node(source), self.node(spare)
        told = f"pair {self.number}, {what}: {source} {brief(old)}; {spare} {brief(new)}"
        check(new["instance_uuid"] == self.instance and not old["instance_uuid"], told)
        check(new["provision_state"] == "active" and new["power_state"] == "power on" and not new["maintenance"], told)
        check(old["provision_state"] in source_states and old["power_state"] == "power off", told)
        check(old["maintenance"] is maintenance, told)
        check(new["instance_info"].get("display_name") == f"db{self.number}", f"{told}: {new['instance_info']}")
        check({k: len(v) for k, v in self.volumes(spare).items()} == {"connectors": 2, "targets": 2}, f"{told}: {self.volumes(spare)}")
        check({k: len(v) for k, v in self.volumes(source).items()} == {"connectors": 0, "targets": 0}, told)
        for node in (old, new):
            left = [k for k in node["extra"].get("coldswap", {}) if k not in ("facts", "labels", "debt")]
            check(not left, f"{told}: the run left {left}")
            check(node["automated_clean"] is None, f"{told}: automated_clean is {node['automated_clean']}")

    # ---- coldswap -----------------------------------------------------------------------

    def run(self, *words, codes=(0,), kill_at=None, timeout=180):
        """Run coldswap, to its end or to the request at which it is killed; `None` where it was."""
        self.proxy.forget()
        process = self.place.start(*words)
        if kill_at:
            self.proxy.kill(process, kill_at)
        began = time.monotonic()
        out, err = process.communicate(timeout=timeout)
        self.took = time.monotonic() - began
        self.place.said += [out, err]
        if process.returncode == -9:
            return None
        if process.returncode not in codes:
            raise Failed(f"pair {self.number}: `coldswap {' '.join(words)}` ended with {process.returncode}:\n{out[-3000:]}{err[-1500:]}")
        return out + err

    def runs(self):
        return json.loads(self.place.run("runs", "--output", "json")[0])

    def last_run(self):
        runs = self.runs()
        runs = runs.get("runs", runs) if isinstance(runs, dict) else runs
        return max(runs, key=lambda r: int(str(r.get("id", r.get("run"))).rsplit("-", 1)[1]))["id"]


def brief(node):
    keys = ("provision_state", "power_state", "maintenance", "maintenance_reason", "instance_uuid", "fault", "reservation", "last_error")
    return {k: node[k] for k in keys} | {"coldswap": node["extra"].get("coldswap")}


def never_both(log, pairs):
    """From the BMCs' own log: whenever one machine of a pair was told On, the other had been told off and nothing since."""
    ends = {p.names[0]: p.names for p in pairs} | {p.names[1]: p.names for p in pairs}
    state, seen = {}, 0
    for line in pathlib.Path(log).read_text().splitlines():
        entry = json.loads(line)
        name, reset = entry["name"], entry["reset"]
        if entry.get("note") or name not in ends or reset == "Nmi":
            continue
        state[name] = "On" if reset in ("On", "ForceOn") else "Off"
        both = [state.get(n, "Off") for n in ends[name]]
        check(both != ["On", "On"], f"{ends[name]} both run at {entry}")
        seen += 1
    return seen
