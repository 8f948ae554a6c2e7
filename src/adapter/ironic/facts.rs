//! What Ironic knows of a node's hardware.
//!
//! | fact | from |
//! |---|---|
//! | manufacturer, model, cpu.model, cpu.architecture, memory_mib | inspection: `system_vendor`, `cpu`, `memory.physical_mb` |
//! | cpu.threads | inspection: `cpu.count`, which counts logical processors |
//! | cpu.count | inspection: `cpu.socket_count`, which only the agent's inspection has |
//! | network.ports | inspection: `interfaces` |
//! | boot_mode, secure_boot, health | the node: as its conductor read them |
//! | firmware.* | `/v1/nodes/U/firmware` |
//! | what inspection does not know of these | `properties`: `vendor`, `model`, `cpu_model`, `cpus`, `cpu_arch`, `memory_mb`, capability `boot_mode` |
//! | any | `extra.coldswap.facts`, in the words of an inventory file |
//!
//! What stands in `properties` and `extra` was typed by people: it counts as declared.

use super::wire::{capabilities, number, ours, text};
use crate::model::*;
use serde_json::Value;

/// One node as it was read.
#[derive(Clone)]
pub(super) struct Reading {
    pub node: Value,
    /// `inventory` of `/v1/nodes/U/inventory`; nobody inspected it where there is none.
    pub inventory: Option<Value>,
    /// `firmware` of `/v1/nodes/U/firmware`.
    pub firmware: Vec<Value>,
}

const NULL: &Value = &Value::Null;

fn within<'v>(value: Option<&'v Value>, key: &str) -> &'v Value {
    value.and_then(|v| v.get(key)).unwrap_or(NULL)
}

fn boot_mode(word: Option<&str>) -> Option<BootMode> {
    match word?.to_lowercase().as_str() {
        "uefi" => Some(BootMode::Uefi),
        "bios" => Some(BootMode::Bios),
        _ => None,
    }
}

fn health(word: Option<&str>) -> Option<Health> {
    match word?.to_lowercase().as_str() {
        "ok" => Some(Health::Ok),
        "warning" => Some(Health::Warning),
        "critical" => Some(Health::Critical),
        _ => None,
    }
}

impl Reading {
    /// What was found, by inspection or by the conductor.
    pub(super) fn found(&self) -> Facts {
        let inventory = self.inventory.as_ref();
        let (vendor, cpu) = (within(inventory, "system_vendor"), within(inventory, "cpu"));
        let own = |value: &Value, key: &str| text(value, key).map(str::to_owned);
        let ports = within(inventory, "interfaces").as_array().map(Vec::len).filter(|n| *n > 0);
        let versions = self.firmware.iter().filter_map(|part| {
            let version = text(part, "current_version")?;
            Some((text(part, "component")?.to_lowercase(), version.to_owned()))
        });
        let of_node = boot_mode(text(&self.node, "boot_mode"));
        Facts {
            manufacturer: own(vendor, "manufacturer"),
            model: own(vendor, "product_name"),
            sku: own(vendor, "sku"),
            cpu: CpuFacts {
                model: own(cpu, "model_name"),
                count: number(cpu, "socket_count").filter(|n: &u32| *n > 0),
                threads: number(cpu, "count").filter(|n: &u32| *n > 0),
                architecture: own(cpu, "architecture"),
                ..CpuFacts::default()
            },
            memory_mib: number(within(inventory, "memory"), "physical_mb").filter(|n: &u64| *n > 0),
            network: NetworkFacts { ports: ports.and_then(|n| u32::try_from(n).ok()), ..NetworkFacts::default() },
            boot_mode: of_node.or_else(|| boot_mode(text(within(inventory, "boot"), "current_boot_mode"))),
            secure_boot: self.node.get("secure_boot").and_then(Value::as_bool),
            firmware: versions.collect(),
            health: health(text(&self.node, "health")),
            ..Facts::default()
        }
    }

    /// What people wrote of it: for us under `extra`, and in `properties` as far as nothing was found.
    ///
    /// # Errors
    /// `extra.coldswap.facts` cannot be read.
    pub(super) fn declared(&self, found: &Facts) -> Result<Facts, String> {
        let properties = within(Some(&self.node), "properties");
        let own = |key: &str| text(properties, key).map(str::to_owned);
        let typed = Facts {
            manufacturer: own("vendor").filter(|_| found.manufacturer.is_none()),
            model: own("model").filter(|_| found.model.is_none()),
            cpu: CpuFacts {
                model: own("cpu_model").filter(|_| found.cpu.model.is_none()),
                threads: number(properties, "cpus").filter(|n: &u32| *n > 0 && found.cpu.threads.is_none()),
                architecture: own("cpu_arch").filter(|_| found.cpu.architecture.is_none()),
                ..CpuFacts::default()
            },
            memory_mib: number(properties, "memory_mb").filter(|n: &u64| *n > 0 && found.memory_mib.is_none()),
            boot_mode: boot_mode(capabilities(properties).get("boot_mode").map(String::as_str)).filter(|_| found.boot_mode.is_none()),
            ..Facts::default()
        };
        let Some(written) = ours(&self.node).and_then(|o| o.get("facts")) else { return Ok(typed) };
        let written: Facts = serde_json::from_value(written.clone()).map_err(|e| e.to_string())?;
        Ok(written.or(&typed))
    }

    /// The machine's own marks, by inspection; else the node's uuid: it is the conductor that chooses the BMC by the record,
    /// and what it says is said of the record.
    pub(super) fn identity(&self) -> Identity {
        let vendor = within(self.inventory.as_ref(), "system_vendor");
        let found = Identity::clean(text(vendor, "system_uuid"), text(vendor, "serial_number"));
        match found.is_empty() {
            true => Identity { system_uuid: text(&self.node, "uuid").map(str::to_lowercase), serial_number: None },
            false => found,
        }
    }

    /// When it was inspected.
    pub(super) fn at(&self) -> Option<Time> {
        Time::parse(text(&self.node, "inspection_finished_at")?)
    }
}
