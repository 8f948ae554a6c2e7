//! Accelerators, PCIe devices and storage: what a full reading asks for. Nobody polls it.

use super::system::put;
use super::{link, members};
use crate::bmcsim::machine::Machine;
use serde_json::{Value, json};

/// The models in `2 x A, 1 x B`, one by one.
pub(super) fn named(models: Option<&str>) -> Vec<String> {
    let groups = models.unwrap_or_default().split(", ").filter_map(|group| group.split_once(" x "));
    let one_by_one = groups.flat_map(|(n, model)| std::iter::repeat_n(model.to_owned(), n.parse::<usize>().unwrap_or(0).min(64)));
    one_by_one.collect()
}

/// Each accelerator's id and model.
pub(super) fn accelerators(machine: &Machine) -> Vec<(String, Option<String>)> {
    let facts = &machine.spec.facts.accelerators;
    let models = named(facts.models.as_deref());
    (0..facts.count.unwrap_or(0).min(64)).map(|n| (format!("GPU{}", n + 1), models.get(n as usize).cloned())).collect()
}

pub(super) fn accelerator(machine: &Machine, here: &str, id: &str) -> Option<Value> {
    let (id, model) = accelerators(machine).into_iter().find(|(known, _)| known == id)?;
    Some(json!({
        "@odata.id": here,
        "@odata.type": "#Processor.v1_20_0.Processor",
        "Id": id,
        "Name": id,
        "ProcessorType": "GPU",
        "Model": model,
        "Status": {"State": "Enabled", "Health": "OK"},
    }))
}

/// Below `/Chassis/1/PCIeDevices`: the BMC's own display controller. Accelerators are among the processors.
pub(super) fn pcie(machine: &Machine, rest: &[&str]) -> Option<Value> {
    machine.spec.facts.accelerators.count?;
    let below = "/Chassis/1/PCIeDevices";
    let here = machine.at(&rest.iter().fold(below.to_owned(), |path, part| format!("{path}/{part}")));
    match rest {
        [] => Some(members(&here, "PCIeDevice", "PCIe Devices", vec![format!("{here}/vga")])),
        ["vga"] => Some(json!({
            "@odata.id": here,
            "@odata.type": "#PCIeDevice.v1_16_0.PCIeDevice",
            "Id": "vga",
            "Name": "Display of the BMC",
            "DeviceType": "SingleFunction",
            "PCIeFunctions": link(format!("{here}/PCIeFunctions")),
            "Status": {"State": "Enabled", "Health": "OK"},
        })),
        ["vga", "PCIeFunctions"] => Some(members(&here, "PCIeFunction", "PCIe Functions", vec![format!("{here}/0")])),
        ["vga", "PCIeFunctions", "0"] => Some(json!({
            "@odata.id": here,
            "@odata.type": "#PCIeFunction.v1_6_0.PCIeFunction",
            "Id": "0",
            "Name": "Display of the BMC",
            "DeviceClass": "DisplayController",
            "VendorId": "0x1a03",
        })),
        _ => None,
    }
}

/// Below `/Systems/ID/Storage`.
pub(super) fn storage(machine: &Machine, rest: &[&str]) -> Option<Value> {
    let facts = &machine.spec.facts.storage;
    let controllers = facts.controllers?.min(64);
    let drives = facts.drives.map(|n| n.min(64));
    let here = machine.at(&format!("/Systems/{}/{}", machine.spec.system_id, rest.join("/")));
    let one_of = |n: &str, count: u32| n.parse::<u32>().ok().filter(|n| (1..=count).contains(n));
    let enabled = || json!({"State": "Enabled", "Health": "OK"});
    match rest {
        [_] => Some(members(&here, "Storage", "Storage", if controllers > 0 { vec![format!("{here}/1")] } else { Vec::new() })),
        [_, "1"] => {
            let mut value = json!({
                "@odata.id": here,
                "@odata.type": "#Storage.v1_17_1.Storage",
                "Id": "1",
                "Name": "Storage",
                "Controllers": link(format!("{here}/Controllers")),
                "Status": enabled(),
            });
            put(&mut value, "Drives", drives.map(|n| (1..=n).map(|n| link(format!("{here}/Drives/{n}"))).collect::<Vec<_>>()));
            Some(value)
        }
        [_, "1", "Controllers"] => {
            Some(members(&here, "StorageController", "Controllers", (1..=controllers).map(|n| format!("{here}/{n}")).collect()))
        }
        [_, "1", "Controllers", n] => one_of(n, controllers).map(|n| {
            json!({
                "@odata.id": here,
                "@odata.type": "#StorageController.v1_8_0.StorageController",
                "Id": n.to_string(),
                "Name": format!("Controller {n}"),
                "Model": named(facts.models.as_deref()).get(n as usize - 1),
                "Status": enabled(),
            })
        }),
        [_, "1", "Drives", n] => one_of(n, drives?).map(|n| {
            json!({
                "@odata.id": here,
                "@odata.type": "#Drive.v1_20_0.Drive",
                "Id": n.to_string(),
                "Name": format!("Drive {n}"),
                "Status": enabled(),
            })
        }),
        _ => None,
    }
}
