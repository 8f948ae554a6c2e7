//! Network adapters, their functions and the interfaces that show them: where iSCSI boot is configured.

use super::{link, members};
use crate::bmcsim::machine::{Adapter, Iscsi, Machine};
use serde_json::{Value, json};

/// Adapter `nic1` is the first.
pub(in crate::bmcsim) fn adapter_index(machine: &Machine, id: &str) -> Option<usize> {
    let n: usize = id.strip_prefix("nic")?.parse().ok()?;
    (1..=machine.spec.adapters.len()).contains(&n).then(|| n - 1)
}

fn adapter_paths(machine: &Machine, below: &str) -> Vec<String> {
    (1..=machine.spec.adapters.len()).map(|n| machine.at(&format!("{below}/nic{n}"))).collect()
}

/// Below `/Systems/ID`: the system's own view.
pub(super) fn of_system(machine: &Machine, rest: &[&str]) -> Option<Value> {
    let below = format!("/Systems/{}/{}", machine.spec.system_id, rest.first()?);
    let here = machine.at(&below);
    match rest {
        ["EthernetInterfaces"] => Some(members(&here, "EthernetInterface", "Ethernet Interfaces", adapter_paths(machine, &below))),
        ["NetworkInterfaces"] => Some(members(&here, "NetworkInterface", "Network Interfaces", adapter_paths(machine, &below))),
        ["EthernetInterfaces", id] => {
            let mac = machine.state().adapters.get(adapter_index(machine, id)?)?.mac.clone();
            Some(ethernet(&format!("{here}/{id}"), id, &mac))
        }
        ["NetworkInterfaces", id] => {
            adapter_index(machine, id)?;
            let adapter = machine.at(&format!("/Chassis/1/NetworkAdapters/{id}"));
            Some(json!({
                "@odata.id": format!("{here}/{id}"),
                "@odata.type": "#NetworkInterface.v1_2_2.NetworkInterface",
                "Id": id,
                "Name": format!("Network Interface {id}"),
                "NetworkDeviceFunctions": link(format!("{adapter}/NetworkDeviceFunctions")),
                "Links": {"NetworkAdapter": link(adapter)},
                "Status": {"State": "Enabled", "Health": "OK"},
            }))
        }
        _ => None,
    }
}

pub(super) fn ethernet(here: &str, id: &str, mac: &str) -> Value {
    json!({
        "@odata.id": here,
        "@odata.type": "#EthernetInterface.v1_12_2.EthernetInterface",
        "Id": id,
        "Name": format!("Ethernet Interface {id}"),
        "MACAddress": mac,
        "PermanentMACAddress": mac,
        "SpeedMbps": 25000,
        "LinkStatus": "LinkUp",
        "InterfaceEnabled": true,
        "Status": {"State": "Enabled", "Health": "OK"},
    })
}

/// Below `/Chassis/1/NetworkAdapters`, but for the functions themselves.
pub(super) fn adapters(machine: &Machine, rest: &[&str]) -> Option<Value> {
    let below = "/Chassis/1/NetworkAdapters";
    match rest {
        [] => Some(members(&machine.at(below), "NetworkAdapter", "Network Adapters", adapter_paths(machine, below))),
        [id] => {
            adapter_index(machine, id)?;
            let here = machine.at(&format!("{below}/{id}"));
            Some(json!({
                "@odata.id": here,
                "@odata.type": "#NetworkAdapter.v1_11_0.NetworkAdapter",
                "Id": id,
                "Name": format!("Network Adapter {id}"),
                "Manufacturer": "Contoso",
                "NetworkDeviceFunctions": link(format!("{here}/NetworkDeviceFunctions")),
                "Status": {"State": "Enabled", "Health": "OK"},
            }))
        }
        [id, "NetworkDeviceFunctions"] => {
            adapter_index(machine, id)?;
            let here = machine.at(&format!("{below}/{id}/NetworkDeviceFunctions"));
            let one = format!("{here}/{id}f1");
            Some(members(&here, "NetworkDeviceFunction", "Network Device Functions", vec![one]))
        }
        _ => None,
    }
}

/// Which adapter a function's path means.
pub(in crate::bmcsim) fn function_index(machine: &Machine, path: &[&str]) -> Option<usize> {
    match path {
        ["Chassis", "1", "NetworkAdapters", id, "NetworkDeviceFunctions", function] => {
            adapter_index(machine, id).filter(|_| function.strip_suffix("f1") == Some(id))
        }
        _ => None,
    }
}

pub(super) fn function(machine: &Machine, path: &[&str]) -> Option<Value> {
    let index = function_index(machine, path)?;
    let here = machine.at(&format!("/{}", path.join("/")));
    let state = machine.state();
    let adapter = state.adapters.get(index)?;
    let mut value = describe(&here, index, adapter);
    if let Some(iscsi) = &adapter.iscsi {
        value["iSCSIBoot"] = iscsi_boot(iscsi);
    }
    Some(value)
}

fn describe(here: &str, index: usize, adapter: &Adapter) -> Value {
    let types: &[&str] = if adapter.iscsi.is_some() { &["Ethernet", "iSCSI"] } else { &["Ethernet"] };
    json!({
        "@odata.id": here,
        "@odata.type": "#NetworkDeviceFunction.v1_9_2.NetworkDeviceFunction",
        "Id": format!("nic{}f1", index + 1),
        "Name": format!("Network Device Function {}", index + 1),
        "NetDevFuncType": types[types.len() - 1],
        "NetDevFuncCapabilities": types,
        "DeviceEnabled": true,
        "BootMode": adapter.boot_mode,
        "Ethernet": {"MACAddress": adapter.mac, "PermanentMACAddress": adapter.mac, "MTUSize": 1500},
        "Status": {"State": "Enabled", "Health": "OK"},
    })
}

/// CHAP secrets are write-only: always null.
fn iscsi_boot(iscsi: &Iscsi) -> Value {
    let mut object = iscsi.rest.clone();
    for (key, value) in [
        ("InitiatorName", json!(iscsi.initiator)),
        ("PrimaryTargetName", json!(iscsi.target)),
        ("PrimaryTargetIPAddress", if iscsi.address.is_empty() { Value::Null } else { json!(iscsi.address) }),
        ("PrimaryTargetTCPPort", json!(iscsi.port)),
        ("PrimaryLUN", json!(iscsi.lun)),
        ("CHAPSecret", Value::Null),
        ("MutualCHAPSecret", Value::Null),
    ] {
        object.insert(key.to_owned(), value);
    }
    Value::Object(object)
}
