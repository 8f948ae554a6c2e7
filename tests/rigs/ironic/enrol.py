"""Fill a fresh Ironic with the rig's machines: bm01 runs an instance from its volumes, the others are spares."""
import json
import time

# Machines 1 and 2 are alike, 3 and 4, ...
SOURCE, TWIN, OTHER, RETIRED, ODD = "bm01", "bm02", "bm03", "bm04", "bm05"
INSTANCE = "aaaaaaaa-0000-4000-8000-000000000001"
CHAP = "chap-secret"
# What Ironic does not know and the built-in rules of matching ask for.
DECLARED = {"coldswap": {"facts": {"cpu": {"count": 2}, "firmware": {"bios": "1.0.0"}}}}


def enrol(api, machines, bmc_user, bmc_password, inspected=(SOURCE, TWIN)):
    """All machines, up to `available`; their uuids by name."""
    nodes = {}
    for m in machines:
        node = api.call("POST", "/v1/nodes", {
            "name": m["name"], "driver": "redfish", "resource_class": m["model"],
            "driver_info": {"redfish_address": m["redfish_address"], "redfish_system_id": m["redfish_system_id"],
                            "redfish_username": bmc_user, "redfish_password": bmc_password},
            "properties": {"cpus": m["cpus"], "memory_mb": m["memory_gib"] * 1024, "local_gb": 0, "cpu_arch": "x86_64",
                           "capabilities": "boot_mode:uefi,iscsi_boot:true", "model": m["model"]},
            "extra": {"rack": "r" + m["name"][-1]} | (DECLARED if m["name"] in inspected else {}),
            "storage_interface": "external", "boot_interface": "ipxe", "deploy_interface": "direct", "automated_clean": False})
        nodes[m["name"]] = node["uuid"]
        for i, nic in enumerate(m["nics"]):
            api.call("POST", "/v1/ports", {"node_uuid": node["uuid"], "address": nic["mac"], "pxe_enabled": i == 0})
        trait = "CUSTOM_" + m["model"].upper().replace("-", "_")
        api.call("PUT", f"/v1/nodes/{node['uuid']}/traits", {"traits": [trait]})
        provision(api, node["uuid"], "manage")
    for uuid in nodes.values():
        api.settle(uuid, ["manageable"])
    for name in inspected:
        provision(api, nodes[name], "inspect")
    for name in inspected:
        api.settle(nodes[name], ["manageable"])
    for uuid in nodes.values():
        provision(api, uuid, "provide")
    for uuid in nodes.values():
        api.settle(uuid, ["available"])
    return nodes


def provision(api, uuid, target):
    api.call("PUT", f"/v1/nodes/{uuid}/states/provision", {"target": target})


def serve(api, uuid):
    """Make the node a running instance that boots from iSCSI, CHAP secret included."""
    for kind, ident in (("iqn", "iqn.2026-11.lab:db1"), ("ip", "192.0.2.1")):
        api.call("POST", "/v1/volume/connectors", {"node_uuid": uuid, "type": kind, "connector_id": ident})
    for index, lun in ((0, 1), (1, 2)):
        api.call("POST", "/v1/volume/targets", {
            "node_uuid": uuid, "volume_type": "iscsi", "boot_index": index, "volume_id": f"vol-{lun}",
            "properties": {"target_iqn": "iqn.2026-11.lab:array", "target_portal": "192.0.2.200:3260", "target_lun": lun,
                           "auth_method": "CHAP", "auth_username": "db1", "auth_password": CHAP}})
    api.patch("nodes", uuid, ("add", "/instance_uuid", INSTANCE), ("add", "/instance_info/display_name", "db1"))
    provision(api, uuid, "active")
    began = time.monotonic()
    node = api.settle(uuid, ["active", "deploy failed"])
    if node["provision_state"] != "active":
        raise RuntimeError(f"the instance does not come up: {node['last_error']}")
    return time.monotonic() - began


def machines(path):
    return json.loads(path.read_text())
