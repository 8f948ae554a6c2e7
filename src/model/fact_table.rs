//! Every fact by its name: the one table that the language, matching, the inventory and the documentation go by.

use super::facts::wire;
use super::*;

/// What a fact is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactKind {
    Number,
    Truth,
    Text,
}

/// Which reading of a BMC gives a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Every one, that of `plan` included.
    Short,
    /// Only a full one: `inventory discover`, `inventory refresh`, `plan --refresh`.
    Full,
}

/// One fact.
pub struct FactRow {
    /// As runbooks write it.
    pub name: &'static str,
    pub kind: FactKind,
    pub depth: Depth,
    pub what: &'static str,
    /// Where it is read, in Redfish's words; what stands first is taken first.
    pub redfish: &'static str,
    pub get: fn(&Facts) -> Option<Scalar>,
}

const fn row(
    name: &'static str,
    kind: FactKind,
    depth: Depth,
    what: &'static str,
    redfish: &'static str,
    get: fn(&Facts) -> Option<Scalar>,
) -> FactRow {
    FactRow { name, kind, depth, what, redfish, get }
}

fn text(t: &Option<String>) -> Option<Scalar> {
    t.clone().map(Scalar::Text)
}

fn number<N: Into<u64> + Copy>(n: &Option<N>) -> Option<Scalar> {
    n.and_then(|n| i64::try_from(n.into()).ok()).map(Scalar::Integer)
}

use Depth::{Full, Short};
use FactKind::{Number, Text, Truth};

/// Firmware components that a short reading gives.
pub(super) const SHORT_FIRMWARE: [&str; 2] = ["bios", "bmc"];

/// All facts. `firmware.COMPONENT` is one more for each component that the BMC's firmware inventory lists.
pub const FACTS: [FactRow; 30] = [
    row("manufacturer", Text, Short, "who made the machine", "ComputerSystem `Manufacturer`", |f| text(&f.manufacturer)),
    row("model", Text, Short, "the product", "ComputerSystem `Model`", |f| text(&f.model)),
    row("sku", Text, Short, "the order number", "ComputerSystem `SKU`", |f| text(&f.sku)),
    row("cpu.model", Text, Short, "the processors' model, where all have one", "`ProcessorSummary.Model`; Processor `Model`", |f| {
        text(&f.cpu.model)
    }),
    row("cpu.count", Number, Short, "sockets in use", "`ProcessorSummary.Count`; Processors that are CPUs and not Absent", |f| {
        number(&f.cpu.count)
    }),
    row("cpu.cores", Number, Short, "cores of all sockets", "`ProcessorSummary.CoreCount`; Processor `TotalCores`, added up", |f| {
        number(&f.cpu.cores)
    }),
    row(
        "cpu.threads",
        Number,
        Short,
        "threads of all sockets",
        "`ProcessorSummary.LogicalProcessorCount`; Processor `TotalThreads`, added up",
        |f| number(&f.cpu.threads),
    ),
    row("cpu.architecture", Text, Short, "such as x86, ARM", "Processor `ProcessorArchitecture`", |f| text(&f.cpu.architecture)),
    row("memory_mib", Number, Short, "memory in MiB", "`MemorySummary.TotalSystemMemoryGiB`; Memory `CapacityMiB`, added up", |f| {
        number(&f.memory_mib)
    }),
    row("memory.modules", Number, Full, "slots that hold a module", "Memory with a `CapacityMiB` that are not Absent", |f| {
        number(&f.memory.modules)
    }),
    row(
        "accelerators.count",
        Number,
        Full,
        "GPUs, FPGAs, DPUs and the like",
        "Processors of any type but `CPU`, `Core`, `Thread`, `Partition`, those of baseboard systems without Reset included; \
         PCIeFunctions of class `ProcessingAccelerators`, and display controllers that are no BMC's",
        |f| number(&f.accelerators.count),
    ),
    row("accelerators.models", Text, Full, "their models with their numbers", "`Model` of the same", |f| text(&f.accelerators.models)),
    row(
        "network.adapters",
        Number,
        Full,
        "Ethernet and InfiniBand adapters",
        "NetworkAdapters of the system's NetworkInterfaces; NetworkAdapters of its own chassis",
        |f| number(&f.network.adapters),
    ),
    row(
        "network.ports",
        Number,
        Full,
        "their ports",
        "NetworkAdapter `Ports`; `NetworkPorts`; `ControllerCapabilities.NetworkPortCount`; EthernetInterfaces of the system",
        |f| number(&f.network.ports),
    ),
    row("network.ports_up", Number, Full, "ports with a link", "Port `LinkStatus`; EthernetInterface `LinkStatus`", |f| {
        number(&f.network.ports_up)
    }),
    row(
        "network.speed_mbps",
        Number,
        Full,
        "the fastest that a port can be, Mbit/s",
        "Port `MaxSpeedGbps`; `SupportedLinkCapabilities.LinkSpeedMbps`",
        |f| number(&f.network.speed_mbps),
    ),
    row(
        "network.link_mbps",
        Number,
        Full,
        "the fastest link that is up, Mbit/s",
        "Port `CurrentSpeedGbps`; `CurrentLinkSpeedMbps`; EthernetInterface `SpeedMbps`",
        |f| number(&f.network.link_mbps),
    ),
    row("network.models", Text, Full, "the adapters' models with their numbers", "NetworkAdapter `Model`", |f| text(&f.network.models)),
    row(
        "storage.controllers",
        Number,
        Full,
        "storage controllers",
        "Storage `StorageControllers`; `Controllers`; members of SimpleStorage",
        |f| number(&f.storage.controllers),
    ),
    row("storage.drives", Number, Full, "drives of its own", "Storage `Drives`; SimpleStorage `Devices` that are not Absent", |f| {
        number(&f.storage.drives)
    }),
    row("storage.models", Text, Full, "the controllers' models with their numbers", "StorageController `Model`", |f| {
        text(&f.storage.models)
    }),
    row(
        "hbas.count",
        Number,
        Full,
        "Fibre Channel host bus adapters",
        "NetworkAdapters with a Fibre Channel port; StorageControllers that speak `FC` or `FCP`",
        |f| number(&f.hbas.count),
    ),
    row("hbas.ports", Number, Full, "their ports", "ports of the same NetworkAdapters", |f| number(&f.hbas.ports)),
    row("hbas.models", Text, Full, "their models with their numbers", "`Model` of the same", |f| text(&f.hbas.models)),
    row(
        "boot_mode",
        Text,
        Short,
        "uefi or bios",
        "`Boot.BootSourceOverrideMode`; Bios attribute of the boot mode; secure boot is on",
        |f| f.boot_mode.map(wire),
    ),
    row("secure_boot", Truth, Short, "is secure boot on?", "SecureBoot `SecureBootCurrentBoot`; `SecureBootEnable`", |f| {
        f.secure_boot.map(Scalar::Bool)
    }),
    row("firmware.bios", Text, Short, "version of the BIOS", "ComputerSystem `BiosVersion`", |f| text(&f.firmware.get("bios").cloned())),
    row("firmware.bmc", Text, Short, "version of the BMC", "Manager `FirmwareVersion`", |f| text(&f.firmware.get("bmc").cloned())),
    row("health", Text, Short, "ok, warning or critical", "`Status.Health`; `Status.HealthRollup`", |f| f.health.map(wire)),
    row(
        "power_restore_policy",
        Text,
        Short,
        "what it does when mains power returns: always_on, always_off, last_state",
        "ComputerSystem `PowerRestorePolicy`",
        |f| f.power_restore_policy.map(wire),
    ),
];

/// The same in one place of memory.
pub(super) static FACTS_BY_ROW: [FactRow; FACTS.len()] = FACTS;

const fn names() -> [&'static str; FACTS.len()] {
    let mut names = [""; FACTS.len()];
    let mut n = 0;
    while n < FACTS.len() {
        names[n] = FACTS[n].name;
        n += 1;
    }
    names
}

impl Facts {
    /// Every name in [`FACTS`]. `firmware.*` stands for any component.
    pub const NAMES: [&'static str; FACTS.len()] = names();

    /// The row of a fact; `None` for a component of the firmware inventory and for what is no fact.
    pub fn row(name: &str) -> Option<&'static FactRow> {
        FACTS_BY_ROW.iter().find(|row| row.name == name)
    }

    /// The fact of that name, if it is known.
    pub fn get(&self, name: &str) -> Option<Scalar> {
        match Facts::row(name) {
            Some(row) => (row.get)(self),
            None => name.strip_prefix("firmware.").and_then(|c| self.firmware.get(c)).cloned().map(Scalar::Text),
        }
    }

    /// Everything that is known, in the order of the table, the firmware's components last.
    pub fn list(&self) -> Vec<(String, Scalar)> {
        let rows = Facts::NAMES.iter().filter_map(|name| Some(((*name).to_owned(), self.get(name)?)));
        rows.chain(self.further_firmware().map(|(component, version)| (format!("firmware.{component}"), Scalar::Text(version.clone()))))
            .collect()
    }

    /// The firmware's components that have no row.
    pub(super) fn further_firmware(&self) -> impl Iterator<Item = (&String, &String)> {
        self.firmware.iter().filter(|(component, _)| !SHORT_FIRMWARE.contains(&component.as_str()))
    }

    /// Which reading gives this fact. Components of the firmware inventory come with a full one.
    pub fn depth(name: &str) -> Depth {
        Facts::row(name).map_or(Full, |row| row.depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_fact_can_be_read_and_is_what_the_table_says() {
        let facts: Facts = serde_json::from_value(serde_json::json!({
            "manufacturer": "Contoso", "model": "C1", "sku": "s", "memory_mib": 1, "boot_mode": "uefi", "secure_boot": true,
            "cpu": {"model": "X", "count": 2, "cores": 4, "threads": 8, "architecture": "x86"}, "memory": {"modules": 1},
            "accelerators": {"count": 0, "models": "none"}, "storage": {"controllers": 1, "drives": 0, "models": "1 x R"},
            "network": {"adapters": 1, "ports": 2, "ports_up": 1, "speed_mbps": 3, "link_mbps": 4, "models": "1 x N"},
            "hbas": {"count": 1, "ports": 2, "models": "1 x F"},
            "firmware": {"bios": "1", "bmc": "2", "nic": "3"}, "health": "ok", "power_restore_policy": "always_off"
        }))
        .expect("facts");
        for row in FACTS {
            let kind = match facts.get(row.name).unwrap_or_else(|| panic!("{}", row.name)) {
                Scalar::Integer(_) => FactKind::Number,
                Scalar::Bool(_) => FactKind::Truth,
                Scalar::Text(_) => FactKind::Text,
                Scalar::Secret { .. } => panic!("{} is a secret", row.name),
            };
            assert_eq!(kind, row.kind, "{}", row.name);
            assert!(Facts::default().get(row.name).is_none(), "{}", row.name);
        }
        assert_eq!(facts.list().len(), FACTS.len() + 1);
        assert_eq!(facts.or(&Facts::default()), facts);
        assert_eq!(Facts::default().or(&facts), facts);
    }
}
