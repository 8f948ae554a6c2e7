//! The ComputerSystem and what hangs below it but for the network.

use super::{Shown, hardware, health, link, members};
use crate::bmcsim::machine::Machine;
use crate::bmcsim::power::{boot_progress, power_state};
use crate::bmcsim::spec::{Allowable, MachineSpec};
use crate::model::{BootMode, PowerRestorePolicy};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// A fact that is unknown is left out, but for manufacturer and model: they are null, as recorded BMCs have it.
pub(super) fn put<T: Into<Value>>(object: &mut Value, key: &str, value: Option<T>) {
    if let Some(value) = value {
        object[key] = value.into();
    }
}

/// What never changes of a ComputerSystem, as JSON text: this is the one resource that everybody polls.
pub(in crate::bmcsim) struct Fixed {
    /// The members from the opening brace on.
    pub head: String,
    /// Those of `Boot`, without braces.
    boot: String,
    health: String,
}

impl Fixed {
    pub(in crate::bmcsim) fn new(spec: &MachineSpec, prefix: &str) -> Fixed {
        let lists = json!({
            "BootSourceOverrideTarget@Redfish.AllowableValues": spec.override_targets,
            "BootSourceOverrideMode@Redfish.AllowableValues": ["UEFI", "Legacy"],
        });
        let inside = |text: String| text.trim_start_matches('{').trim_end_matches('}').to_owned();
        Fixed { head: fixed_members(spec, prefix), boot: inside(lists.to_string()), health: health(spec).to_string() }
    }
}

fn fixed_members(spec: &MachineSpec, prefix: &str) -> String {
    let base = format!("{prefix}/redfish/v1/Systems/{}", spec.system_id);
    let below = |name: &str| link(format!("{base}/{name}"));
    let facts = &spec.facts;
    let mut cpus = json!({"Status": {"State": "Enabled", "Health": "OK"}});
    put(&mut cpus, "Model", facts.cpu.model.clone());
    put(&mut cpus, "Count", facts.cpu.count);
    put(&mut cpus, "CoreCount", facts.cpu.cores);
    put(&mut cpus, "LogicalProcessorCount", facts.cpu.threads);
    let mut system = json!({
        "@odata.id": base,
        "@odata.type": "#ComputerSystem.v1_22_0.ComputerSystem",
        "Id": spec.system_id,
        "Name": spec.name,
        "HostName": spec.name,
        "Description": "Simulated machine",
        "SystemType": "Physical",
        "Manufacturer": facts.manufacturer,
        "Model": facts.model,
        "ProcessorSummary": cpus,
        "Processors": below("Processors"),
        "Memory": below("Memory"),
        "EthernetInterfaces": below("EthernetInterfaces"),
        "NetworkInterfaces": below("NetworkInterfaces"),
        "SecureBoot": below("SecureBoot"),
        "Links": {
            "Chassis": [link(format!("{prefix}/redfish/v1/Chassis/1"))],
            "ManagedBy": [link(format!("{prefix}/redfish/v1/Managers/1"))],
        },
        "Actions": {"#ComputerSystem.Reset": reset_action(spec, &base)},
    });
    put(&mut system, "Storage", facts.storage.controllers.map(|_| below("Storage")));
    put(&mut system, "SKU", facts.sku.clone());
    put(&mut system, "UUID", spec.system_uuid.clone());
    put(&mut system, "SerialNumber", spec.serial_number.clone());
    put(&mut system, "BiosVersion", facts.firmware.get("bios").cloned());
    if let Some(mib) = facts.memory_mib {
        system["MemorySummary"] = json!({"TotalSystemMemoryGiB": gib(mib), "Status": {"State": "Enabled", "Health": "OK"}});
    }
    let mut text = system.to_string();
    text.pop();
    text
}

fn gib(mib: u64) -> Value {
    // Memory sizes are far below 2^52 MiB: exact.
    if mib.is_multiple_of(1024) { json!(mib / 1024) } else { json!(mib as f64 / 1024.0) }
}

fn reset_action(spec: &MachineSpec, base: &str) -> Value {
    let mut action = json!({"target": format!("{base}/Actions/ComputerSystem.Reset")});
    match spec.allowable {
        Allowable::Inline => action["ResetType@Redfish.AllowableValues"] = json!(spec.reset_types),
        Allowable::ActionInfo => action["@Redfish.ActionInfo"] = json!(format!("{base}/ResetActionInfo")),
        Allowable::Absent => {}
    }
    action
}

/// The whole ComputerSystem as it is now.
pub(super) fn body(machine: &Machine, shown: Shown) -> String {
    let state = machine.state();
    let fixed = &machine.fixed;
    let power = match shown {
        Shown::True => Some(power_state(state.power.phase(), machine.spec.transitions)),
        Shown::Ago(span) => Some(power_state(state.power.ago(span), machine.spec.transitions)),
        Shown::Off => Some("Off"),
        Shown::Null => None,
    };
    let (enabled, target) = (json!(state.boot.enabled), json!(state.boot.target));
    let mode = match state.boot_mode {
        Some(BootMode::Uefi) | None => "UEFI",
        Some(BootMode::Bios) => "Legacy",
    };
    let running = if power == Some("On") { "Enabled" } else { "StandbyOffline" };
    let mut text = String::with_capacity(fixed.head.len() + fixed.boot.len() + 512);
    text.push_str(&fixed.head);
    // Writing to a String cannot fail.
    let _ = write!(text, r#","PowerState":{},"AssetTag":{}"#, json!(power), json!(state.asset_tag));
    let _ = write!(text, r#","Status":{{"State":"{running}","Health":{}}}"#, fixed.health);
    let _ = write!(text, r#","Boot":{{"BootSourceOverrideEnabled":{enabled},"BootSourceOverrideTarget":{target}"#);
    let _ = write!(text, r#","BootSourceOverrideMode":"{mode}",{}}}"#, fixed.boot);
    if machine.spec.boot_progress {
        let progress = if power == Some("On") { boot_progress(&state, machine.timing.boot) } else { "None" };
        let _ = write!(text, r#","BootProgress":{{"LastState":"{progress}"}}"#);
    }
    if let Some(policy) = state.restore {
        let _ = write!(text, r#","PowerRestorePolicy":"{}""#, restore_policy(policy));
    }
    text.push('}');
    text
}

fn restore_policy(policy: PowerRestorePolicy) -> &'static str {
    match policy {
        PowerRestorePolicy::AlwaysOn => "AlwaysOn",
        PowerRestorePolicy::AlwaysOff => "AlwaysOff",
        PowerRestorePolicy::LastState => "LastState",
    }
}

pub(super) fn collection(machine: &Machine) -> Value {
    let ids = std::iter::once(&machine.spec.system_id).chain(&machine.spec.extra_systems);
    let paths = ids.map(|id| machine.at(&format!("/Systems/{id}"))).collect();
    members(&machine.at("/Systems"), "ComputerSystem", "Computer Systems", paths)
}

/// A system that is none of the machine's own: a baseboard of accelerators. It is On as long as there is power, and has
/// no Reset.
pub(super) fn extra(machine: &Machine, id: &str) -> Value {
    json!({
        "@odata.id": machine.at(&format!("/Systems/{id}")),
        "@odata.type": "#ComputerSystem.v1_22_0.ComputerSystem",
        "Id": id,
        "Name": id,
        "SystemType": "Physical",
        "Manufacturer": null,
        "Model": null,
        "PowerState": "On",
        "Status": {"State": "Enabled", "Health": "OK"},
        "Links": {"Chassis": [link(machine.at("/Chassis/1"))], "ManagedBy": [link(machine.at("/Managers/1"))]},
        "Actions": {},
    })
}

pub(super) fn below(machine: &Machine, rest: &[&str]) -> Option<Value> {
    let here = machine.at(&format!("/Systems/{}/{}", machine.spec.system_id, rest.join("/")));
    let one_of = |n: &str, count: u32| n.parse::<u32>().ok().filter(|n| (1..=count).contains(n));
    let listed = |count: u32| (1..=count).map(|n| format!("{here}/{n}")).collect();
    let cpus = machine.spec.facts.cpu.count.unwrap_or(0).min(64);
    match rest {
        ["Processors"] => {
            let accelerators = hardware::accelerators(machine).into_iter().map(|(id, _)| format!("{here}/{id}"));
            let all = (1..=cpus).map(|n| format!("{here}/{n}")).chain(accelerators).collect();
            Some(members(&here, "Processor", "Processors", all))
        }
        ["Processors", id] if id.starts_with("GPU") => hardware::accelerator(machine, &here, id),
        ["Processors", n] => one_of(n, cpus).map(|n| processor(machine, &here, n, cpus)),
        ["Memory"] => Some(members(&here, "Memory", "Memory", listed(modules(machine) + 1))),
        ["Memory", n] => one_of(n, modules(machine) + 1).map(|n| module(machine, &here, n)),
        ["SecureBoot"] => Some(secure_boot(machine, &here)),
        ["ResetActionInfo"] => Some(json!({
            "@odata.id": here,
            "@odata.type": "#ActionInfo.v1_4_2.ActionInfo",
            "Id": "ResetActionInfo",
            "Name": "Reset Action Info",
            "Parameters": [{
                "Name": "ResetType", "Required": true, "DataType": "String", "AllowableValues": machine.spec.reset_types,
            }],
        })),
        _ => None,
    }
}

fn processor(machine: &Machine, here: &str, n: u32, count: u32) -> Value {
    let cpu = &machine.spec.facts.cpu;
    let mut value = json!({
        "@odata.id": here,
        "@odata.type": "#Processor.v1_20_0.Processor",
        "Id": n.to_string(),
        "Name": format!("CPU {n}"),
        "Socket": format!("CPU {n}"),
        "ProcessorType": "CPU",
        "Status": {"State": "Enabled", "Health": "OK"},
    });
    put(&mut value, "Model", cpu.model.clone());
    put(&mut value, "TotalCores", cpu.cores.map(|c| c / count));
    put(&mut value, "TotalThreads", cpu.threads.map(|t| t / count));
    put(&mut value, "ProcessorArchitecture", cpu.architecture.clone());
    value
}

/// Slots that hold a module; one more is empty.
fn modules(machine: &Machine) -> u32 {
    machine.spec.facts.memory.modules.unwrap_or(2).clamp(1, 64)
}

fn module(machine: &Machine, here: &str, n: u32) -> Value {
    let slots = u64::from(modules(machine));
    let total = machine.spec.facts.memory_mib.filter(|_| u64::from(n) <= slots);
    // The first module takes what does not divide.
    let share = total.map(|t| t / slots + if n == 1 { t % slots } else { 0 });
    json!({
        "@odata.id": here,
        "@odata.type": "#Memory.v1_19_0.Memory",
        "Id": n.to_string(),
        "Name": format!("DIMM {n}"),
        "CapacityMiB": share,
        "Status": {"State": if share.is_some() { "Enabled" } else { "Absent" }, "Health": share.map(|_| "OK")},
    })
}

fn secure_boot(machine: &Machine, here: &str) -> Value {
    let on = machine.spec.facts.secure_boot;
    json!({
        "@odata.id": here,
        "@odata.type": "#SecureBoot.v1_1_2.SecureBoot",
        "Id": "SecureBoot",
        "Name": "UEFI Secure Boot",
        "SecureBootEnable": on,
        "SecureBootCurrentBoot": on.map(|on| if on { "Enabled" } else { "Disabled" }),
        "SecureBootMode": on.map(|_| "UserMode"),
    })
}
