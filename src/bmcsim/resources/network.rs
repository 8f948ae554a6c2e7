//! Network adapters, their functions and the interfaces that show them: where iSCSI boot is configured.

use super::hardware::named;
use super::system::put;
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

/// The same, and Fibre Channel adapters, which have ports and nothing else.
fn with_hbas(machine: &Machine, below: &str) -> Vec<String> {
    let hbas = (1..=hbas(machine)).map(|n| machine.at(&format!("{below}/fc{n}")));
    adapter_paths(machine, below).into_iter().chain(hbas).collect()
}

fn hbas(machine: &Machine) -> u32 {
    machine.spec.facts.hbas.count.unwrap_or(0).min(16)
}

fn hba_index(machine: &Machine, id: &str) -> Option<usize> {
    let n: u32 = id.strip_prefix("fc")?.parse().ok()?;
    (1..=hbas(machine)).contains(&n).then(|| n as usize - 1)
}

/// How many ports of `total` an adapter has that is the `index`th of `count`: those in front take what does not divide.
fn share(total: u32, count: usize, index: usize) -> u32 {
    let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
    total / count + u32::from(u32::try_from(index).is_ok_and(|i| i < total % count))
}

/// How many ports stand in front of that adapter's.
fn before(total: u32, count: usize, index: usize) -> u32 {
    (0..index).map(|i| share(total, count, i)).sum()
}

/// `None`: this adapter does not show its ports.
fn port_count(machine: &Machine, id: &str) -> Option<u32> {
    let facts = &machine.spec.facts;
    match (adapter_index(machine, id), hba_index(machine, id)) {
        (Some(index), _) => Some(share(facts.network.ports?, machine.spec.adapters.len(), index)),
        (_, Some(index)) => Some(share(facts.hbas.ports.unwrap_or_else(|| hbas(machine)), hbas(machine) as usize, index)),
        _ => None,
    }
}

fn port(machine: &Machine, here: &str, id: &str, n: u32) -> Value {
    let facts = &machine.spec.facts;
    let gbps = |mbps: Option<u64>| mbps.map(|m| m as f64 / 1000.0);
    let mut value = json!({
        "@odata.id": here,
        "@odata.type": "#Port.v1_13_0.Port",
        "Id": n.to_string(),
        "Name": format!("Port {n}"),
        "Status": {"State": "Enabled", "Health": "OK"},
    });
    let Some(index) = adapter_index(machine, id) else {
        value["PortProtocol"] = json!("FC");
        value["LinkStatus"] = json!("LinkUp");
        return value;
    };
    let before = before(facts.network.ports.unwrap_or(0), machine.spec.adapters.len(), index);
    let up = facts.network.ports_up.map(|up| before + n <= up);
    value["PortProtocol"] = json!("Ethernet");
    value["LinkStatus"] = json!(up.map(|up| if up { "LinkUp" } else { "LinkDown" }));
    value["MaxSpeedGbps"] = json!(gbps(facts.network.speed_mbps));
    value["CurrentSpeedGbps"] = json!(if up == Some(true) { gbps(facts.network.link_mbps) } else { None });
    value
}

/// Below `/Systems/ID`: the system's own view.
pub(super) fn of_system(machine: &Machine, rest: &[&str]) -> Option<Value> {
    let below = format!("/Systems/{}/{}", machine.spec.system_id, rest.first()?);
    let here = machine.at(&below);
    match rest {
        ["EthernetInterfaces"] => Some(members(&here, "EthernetInterface", "Ethernet Interfaces", adapter_paths(machine, &below))),
        ["NetworkInterfaces"] => Some(members(&here, "NetworkInterface", "Network Interfaces", with_hbas(machine, &below))),
        ["EthernetInterfaces", id] => {
            let mac = machine.state().adapters.get(adapter_index(machine, id)?)?.mac.clone();
            Some(ethernet(&format!("{here}/{id}"), id, &mac))
        }
        ["NetworkInterfaces", id] => {
            let functions = adapter_index(machine, id);
            functions.or(hba_index(machine, id))?;
            let adapter = machine.at(&format!("/Chassis/1/NetworkAdapters/{id}"));
            let mut value = json!({
                "@odata.id": format!("{here}/{id}"),
                "@odata.type": "#NetworkInterface.v1_2_2.NetworkInterface",
                "Id": id,
                "Name": format!("Network Interface {id}"),
                "Links": {"NetworkAdapter": link(adapter.clone())},
                "Status": {"State": "Enabled", "Health": "OK"},
            });
            put(&mut value, "NetworkDeviceFunctions", functions.map(|_| link(format!("{adapter}/NetworkDeviceFunctions"))));
            Some(value)
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
        [] => Some(members(&machine.at(below), "NetworkAdapter", "Network Adapters", with_hbas(machine, below))),
        [id] => {
            let (functions, hba) = (adapter_index(machine, id), hba_index(machine, id));
            let facts = &machine.spec.facts;
            let model = match (functions, hba) {
                (Some(index), _) => named(facts.network.models.as_deref()).into_iter().nth(index),
                (_, Some(index)) => named(facts.hbas.models.as_deref()).into_iter().nth(index),
                _ => return None,
            };
            let here = machine.at(&format!("{below}/{id}"));
            let mut value = json!({
                "@odata.id": here,
                "@odata.type": "#NetworkAdapter.v1_11_0.NetworkAdapter",
                "Id": id,
                "Name": format!("Network Adapter {id}"),
                "Manufacturer": "Contoso",
                "Status": {"State": "Enabled", "Health": "OK"},
            });
            put(&mut value, "Model", model);
            put(&mut value, "NetworkDeviceFunctions", functions.map(|_| link(format!("{here}/NetworkDeviceFunctions"))));
            put(&mut value, "Ports", port_count(machine, id).map(|_| link(format!("{here}/Ports"))));
            Some(value)
        }
        [id, "Ports"] => {
            let here = machine.at(&format!("{below}/{id}/Ports"));
            let paths = (1..=port_count(machine, id)?).map(|n| format!("{here}/{n}")).collect();
            Some(members(&here, "Port", "Ports", paths))
        }
        [id, "Ports", n] => {
            let number = n.parse().ok().filter(|n| port_count(machine, id).is_some_and(|count| (1..=count).contains(n)))?;
            Some(port(machine, &machine.at(&format!("{below}/{id}/Ports/{n}")), id, number))
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
