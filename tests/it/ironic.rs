//! Ironic as an inventory, against answers recorded with release 39: what is read, how it is asked, and where a cloud is found.

mod binary;
mod boots;
mod claims;
mod clouds;
mod moves;
mod off;
mod rack;
mod records;
mod requests;
mod tls;

use crate::redfish::fake::{Canned, Fake, ok, status};
use coldswap::adapter::ironic::{Ironic, IronicOptions};
use coldswap::adapter::openstack::Surroundings;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

pub const BM01: &str = "de63c6b3-9e14-4514-9203-113b4893a9d1";
pub const BM02: &str = "a01490e9-625d-411d-b16f-f4a9ee93c3ce";

/// A node as `/v1/nodes/detail` has it, with these fields changed.
pub fn node(uuid: &str, name: &str, with: Value) -> Value {
    let mut node = json!({
        "uuid": uuid, "name": name, "boot_interface": "ipxe", "boot_mode": "uefi", "chassis_uuid": null, "conductor": "lab",
        "conductor_group": "", "description": null, "disable_power_off": false, "driver": "redfish",
        "driver_info": {"redfish_address": "http://127.0.0.1:8000", "redfish_username": "bmc", "redfish_password": "******"},
        "extra": {"rack": "b"}, "fault": null, "firmware_interface": "no-firmware", "health": "OK", "inspection_finished_at": null,
        "instance_info": {}, "instance_name": null, "instance_uuid": null, "last_error": null, "lessee": null, "maintenance": false,
        "maintenance_reason": null, "management_interface": "redfish", "owner": null, "power_state": "power off",
        "properties": {"cpus": 8, "memory_mb": 65536, "local_gb": 0, "cpu_arch": "x86_64", "vendor": "Lab", "model": "model-1",
                       "capabilities": "boot_mode:uefi,iscsi_boot:true"},
        "protected": false, "protected_reason": null, "provision_state": "available", "reservation": null, "resource_class": "model-1",
        "retired": false, "retired_reason": null, "secure_boot": false, "shard": null, "storage_interface": "external",
        "target_power_state": null, "target_provision_state": null, "traits": ["CUSTOM_MODEL_1"], "allocation_uuid": null
    });
    node.as_object_mut().expect("a map").extend(with.as_object().expect("a map").clone());
    node
}

/// A node that runs an instance from its volumes.
pub fn running() -> Value {
    node(
        BM01,
        "bm01",
        json!({"provision_state": "active", "power_state": "power on", "instance_uuid": "aaaaaaaa-0000-4000-8000-000000000001",
               "instance_info": {"display_name": "db1"}, "instance_name": "db1"}),
    )
}

pub fn target(uuid: u8, node: &str, with: Value) -> Value {
    let mut target = json!({
        "uuid": format!("ab7d1005-b10a-4089-a530-5650000000{uuid:02x}"), "boot_index": 0, "extra": {}, "volume_id": "vol-1", "volume_type": "iscsi",
        "node_uuid": node, "properties": {"target_iqn": "iqn.2026-11.lab:array", "target_portal": "192.0.2.200:3260", "target_lun": 1,
        "auth_method": "CHAP", "auth_username": "db1", "auth_password": "******"}
    });
    target.as_object_mut().expect("a map").extend(with.as_object().expect("a map").clone());
    target
}

pub fn connector(uuid: u8, node: &str, kind: &str, id: &str) -> Value {
    json!({"uuid": format!("e06bad5a-03b5-4d99-88c3-3fa00000{uuid:04x}"), "node_uuid": node, "type": kind, "connector_id": id, "extra": {}})
}

pub fn discovery(newest: &str) -> Canned {
    ok(json!({"id": "v1", "version": {"id": "v1", "min_version": "1.1", "version": newest, "status": "CURRENT"}}))
}

pub const NODES: &str = "GET /v1/nodes/detail?limit=500";
pub const CONNECTORS: &str = "GET /v1/volume/connectors?detail=true&limit=500";
pub const TARGETS: &str = "GET /v1/volume/targets?detail=true&limit=500";

/// An Ironic that has these.
pub async fn service(nodes: &[Value], connectors: &[Value], targets: &[Value]) -> Fake {
    let fake = Fake::start().await;
    fake.on("GET /v1", discovery("1.115"));
    fake.on(NODES, ok(json!({ "nodes": nodes })));
    fake.on(CONNECTORS, ok(json!({ "connectors": connectors })));
    fake.on(TARGETS, ok(json!({ "targets": targets })));
    fake
}

pub fn quick() -> IronicOptions {
    IronicOptions { patience: Duration::from_secs(3), ..IronicOptions::default() }
}

/// Logged in by these `OS_*`.
pub fn by(vars: &[(&str, &str)]) -> Surroundings {
    let vars: BTreeMap<String, String> = vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Surroundings { vars, directory: "/nowhere".into(), etc: "/nowhere".into() }
}

pub fn open(fake: &Fake) -> Ironic {
    Ironic::new(None, by(&[("OS_AUTH_TYPE", "none"), ("OS_ENDPOINT", fake.url())]), quick())
}

/// An error as Ironic writes it: JSON, and JSON as text within.
pub fn fault(code: u16, said: &str) -> Canned {
    let inner = json!({"faultcode": "Client", "faultstring": said, "debuginfo": null}).to_string();
    status(code).body(&json!({ "error_message": inner }).to_string()).header("x-openstack-request-id", "req-17")
}
