//! Hardware facts, from the summaries and, where these are silent or zero, from the members. A count that rests on a
//! member that could not be read is unknown, never smaller.

use super::line::Line;
use super::quirks;
use super::session::Auth;
use super::system::MEMBERS_MAX;
use super::wire::{Item, Link, flag, list, number, part, paths, text};
use crate::model::{BootMode, CpuFacts, Facts, Fault, Further, Health, Identity, PowerRestorePolicy};
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct System {
    #[serde(rename = "Manufacturer", deserialize_with = "text")]
    manufacturer: Option<String>,
    #[serde(rename = "Model", deserialize_with = "text")]
    model: Option<String>,
    #[serde(rename = "SKU", deserialize_with = "text")]
    sku: Option<String>,
    #[serde(rename = "BiosVersion", deserialize_with = "text")]
    bios_version: Option<String>,
    #[serde(rename = "PowerRestorePolicy", deserialize_with = "text")]
    restore: Option<String>,
    #[serde(rename = "Status", deserialize_with = "part")]
    status: Option<Status>,
    #[serde(rename = "ProcessorSummary", deserialize_with = "part")]
    processors: Option<ProcessorSummary>,
    #[serde(rename = "MemorySummary", deserialize_with = "part")]
    memory: Option<MemorySummary>,
    #[serde(rename = "Boot", deserialize_with = "part")]
    boot: Option<BootPart>,
    #[serde(rename = "Processors")]
    processors_link: Link,
    #[serde(rename = "Memory")]
    memory_link: Link,
    #[serde(rename = "SecureBoot")]
    secure_boot: Link,
    #[serde(rename = "Bios")]
    bios: Link,
    #[serde(rename = "NetworkInterfaces")]
    pub(super) network_interfaces: Link,
    #[serde(rename = "Links", deserialize_with = "part")]
    pub(super) links: Option<SystemLinks>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct SystemLinks {
    #[serde(rename = "Chassis", deserialize_with = "list")]
    pub(super) chassis: Option<Vec<Link>>,
    #[serde(rename = "ManagedBy", deserialize_with = "list")]
    managers: Option<Vec<Link>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    #[serde(rename = "Health", deserialize_with = "text")]
    health: Option<String>,
    #[serde(rename = "HealthRollup", deserialize_with = "text")]
    rollup: Option<String>,
    #[serde(rename = "State", deserialize_with = "text")]
    state: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ProcessorSummary {
    #[serde(rename = "Model", deserialize_with = "text")]
    model: Option<String>,
    #[serde(rename = "Count", deserialize_with = "number")]
    count: Option<f64>,
    #[serde(rename = "CoreCount", deserialize_with = "number")]
    cores: Option<f64>,
    #[serde(rename = "LogicalProcessorCount", deserialize_with = "number")]
    threads: Option<f64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct MemorySummary {
    #[serde(rename = "TotalSystemMemoryGiB", deserialize_with = "number")]
    gib: Option<f64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct BootPart {
    #[serde(rename = "BootSourceOverrideMode", deserialize_with = "text")]
    mode: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Processor {
    #[serde(rename = "ProcessorType", deserialize_with = "text")]
    kind: Option<String>,
    #[serde(rename = "Model", deserialize_with = "text")]
    model: Option<String>,
    #[serde(rename = "TotalCores", deserialize_with = "number")]
    cores: Option<f64>,
    #[serde(rename = "TotalThreads", deserialize_with = "number")]
    threads: Option<f64>,
    #[serde(rename = "ProcessorArchitecture", deserialize_with = "text")]
    architecture: Option<String>,
    #[serde(rename = "Status", deserialize_with = "part")]
    status: Option<Status>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Module {
    #[serde(rename = "CapacityMiB", deserialize_with = "number")]
    mib: Option<f64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SecureBoot {
    #[serde(rename = "SecureBootCurrentBoot", deserialize_with = "text")]
    current: Option<String>,
    #[serde(rename = "SecureBootEnable", deserialize_with = "flag")]
    enabled: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Manager {
    #[serde(rename = "FirmwareVersion", deserialize_with = "text")]
    firmware: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Bios {
    #[serde(rename = "Attributes", deserialize_with = "part")]
    attributes: Option<std::collections::BTreeMap<String, super::wire::Word>>,
}

/// A collection answered with its members in it.
#[derive(Deserialize)]
#[serde(default, bound = "T: DeserializeOwned")]
struct Expanded<T> {
    #[serde(rename = "Members", deserialize_with = "list")]
    members: Option<Vec<Item<T>>>,
    #[serde(rename = "Members@odata.nextLink", deserialize_with = "text")]
    next: Option<String>,
}

impl<T> Default for Expanded<T> {
    fn default() -> Expanded<T> {
        Expanded { members: None, next: None }
    }
}

/// `To be filled by O.E.M.` is what nobody filled in: two machines that both say so have nothing in common.
pub(super) fn said(text: &Option<String>) -> Option<String> {
    Identity::clean(None, text.as_deref()).serial_number
}

/// A positive whole number, as counts are.
pub(super) fn count(n: Option<f64>) -> Option<u32> {
    n.filter(|n| *n >= 1.0 && *n <= f64::from(u32::MAX)).map(|n| n.round() as u32)
}

/// Gibibytes, with fractions, in mebibytes.
fn mebibytes(gib: f64) -> Option<u64> {
    Some((gib * 1024.0).round()).filter(|mib| *mib >= 1.0 && *mib < 1e15).map(|mib| mib as u64)
}

fn health(status: &Status) -> Option<Health> {
    match status.health.as_deref().or(status.rollup.as_deref())? {
        "OK" => Some(Health::Ok),
        "Warning" => Some(Health::Warning),
        "Critical" => Some(Health::Critical),
        _ => None,
    }
}

pub(super) fn restore_policy(text: &str) -> Option<PowerRestorePolicy> {
    match text {
        "AlwaysOn" => Some(PowerRestorePolicy::AlwaysOn),
        "AlwaysOff" => Some(PowerRestorePolicy::AlwaysOff),
        "LastState" => Some(PowerRestorePolicy::LastState),
        _ => None,
    }
}

impl Line {
    /// What was not asked for is read only where something else hangs on it.
    pub(super) async fn facts(&self, system: &System, asked: Further) -> Result<Facts, Fault> {
        let secure_boot = if asked.secure_boot || mode_shown(system).is_none() { self.secure_boot(system).await? } else { None };
        let mut firmware = std::collections::BTreeMap::new();
        firmware.extend(system.bios_version.clone().map(|v| ("bios".to_owned(), v)));
        if asked.bmc_firmware {
            firmware.extend(self.manager_firmware(system).await?.map(|v| ("bmc".to_owned(), v)));
        }
        Ok(Facts {
            manufacturer: said(&system.manufacturer),
            model: said(&system.model),
            sku: said(&system.sku),
            cpu: self.cpu(system, asked.architecture).await?,
            memory_mib: self.memory(system).await?,
            boot_mode: self.boot_mode(system, secure_boot).await?,
            secure_boot: secure_boot.filter(|_| asked.secure_boot),
            firmware,
            health: system.status.as_ref().and_then(health),
            power_restore_policy: system.restore.as_deref().and_then(restore_policy),
            ..Facts::default()
        })
    }

    async fn cpu(&self, system: &System, architecture: bool) -> Result<CpuFacts, Fault> {
        let none = ProcessorSummary::default();
        let summary = system.processors.as_ref().unwrap_or(&none);
        let told = CpuFacts {
            model: summary.model.clone(),
            count: count(summary.count),
            cores: count(summary.cores),
            threads: count(summary.threads),
            architecture: None,
        };
        // With a good summary one member is read, for the architecture that no summary has.
        let enough = told.model.is_some() && told.count.is_some();
        let Some(path) = system.processors_link.0.as_deref().filter(|_| architecture || !enough) else { return Ok(told) };
        let Some(all) = self.all::<Processor>(path, if enough { 1 } else { MEMBERS_MAX }).await? else { return Ok(told) };
        let present = |p: &&Processor| p.status.as_ref().and_then(|s| s.state.as_deref()) != Some("Absent");
        let cpus: Vec<&Processor> = all.iter().filter(|p| p.kind.as_deref().is_none_or(|k| k == "CPU")).filter(present).collect();
        let walked = if enough { CpuFacts::default() } else { counted(&cpus) };
        Ok(CpuFacts {
            model: told.model.or(walked.model),
            count: told.count.or(walked.count),
            cores: told.cores.or(walked.cores),
            threads: told.threads.or(walked.threads),
            architecture: same(cpus.iter().map(|p| p.architecture.clone())).filter(|_| architecture),
        })
    }

    async fn memory(&self, system: &System) -> Result<Option<u64>, Fault> {
        if let Some(mib) = system.memory.as_ref().and_then(|m| m.gib).and_then(mebibytes) {
            return Ok(Some(mib));
        }
        let Some(path) = system.memory_link.0.as_deref() else { return Ok(None) };
        let Some(modules) = self.all::<Module>(path, MEMBERS_MAX).await? else { return Ok(None) };
        // `memory_slots_empty`
        let total: f64 = modules.iter().filter_map(|m| m.mib).sum();
        Ok(mebibytes(total / 1024.0))
    }

    async fn secure_boot(&self, system: &System) -> Result<Option<bool>, Fault> {
        let Some(path) = system.secure_boot.0.as_deref() else { return Ok(None) };
        let seen = self.optional::<SecureBoot>(path).await?.unwrap_or_default();
        Ok(match seen.current.as_deref() {
            Some("Enabled") => Some(true),
            Some("Disabled") => Some(false),
            _ => seen.enabled,
        })
    }

    /// The mode that overrides are made for is the mode that the machine boots in; else a BIOS attribute
    /// (`boot_mode_in_bios_attributes`). Secure boot exists under UEFI only.
    async fn boot_mode(&self, system: &System, secure_boot: Option<bool>) -> Result<Option<BootMode>, Fault> {
        let mode = mode_shown(system);
        if mode.is_some() {
            return Ok(mode);
        }
        let by_secure_boot = (secure_boot == Some(true)).then_some(BootMode::Uefi);
        let Some(path) = system.bios.0.as_deref() else { return Ok(by_secure_boot) };
        let attributes = self.optional::<Bios>(path).await?.and_then(|b| b.attributes).unwrap_or_default();
        let named = quirks::BOOT_MODE_ATTRIBUTES.iter().find_map(|name| attributes.get(*name)?.0.as_deref());
        Ok(named.and_then(quirks::boot_mode).or(by_secure_boot))
    }

    async fn manager_firmware(&self, system: &System) -> Result<Option<String>, Fault> {
        for path in paths(system.links.as_ref().and_then(|l| l.managers.as_ref())) {
            if let Some(version) = self.optional::<Manager>(&path).await?.and_then(|m| m.firmware) {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    /// Up to `most` members of a collection. `None`: one of them could not be read, so that nothing can be counted.
    async fn all<T: DeserializeOwned + Default>(&self, path: &str, most: usize) -> Result<Option<Vec<T>>, Fault> {
        if most > 1
            && let Some(all) = self.expanded(path).await?
        {
            return Ok(Some(all));
        }
        let Some(members) = self.members(path).await? else { return Ok(None) };
        let mut read = Vec::with_capacity(members.len().min(most));
        for member in members.iter().take(most) {
            match self.optional::<T>(member).await? {
                Some(item) => read.push(item),
                None => return Ok(None),
            }
        }
        Ok(Some(read))
    }

    /// The collection in one request, where the ServiceRoot says that this works and it then does: members that come
    /// with nothing but their link are half done.
    pub(super) async fn expanded<T: DeserializeOwned>(&self, path: &str) -> Result<Option<Vec<T>>, Fault> {
        let auth = self.authorised().await?;
        let expands = match self.root(&auth).await {
            Ok(root) => root.expands,
            Err(_) => false,
        };
        let Ok(mut url) = self.address.url(path) else { return Ok(None) };
        if !expands {
            return Ok(None);
        }
        url.set_query(Some("$expand=.($levels=1)"));
        let Ok(answer) = self.fetch(&url, &auth as &Auth).await else { return Ok(None) };
        let bare = |body: &[u8]| {
            serde_json::from_slice::<Expanded<std::collections::BTreeMap<String, serde::de::IgnoredAny>>>(body)
                .ok()
                .is_none_or(|e| e.next.is_some() || e.members.is_none_or(|m| m.iter().any(|m| m.0.as_ref().is_none_or(|m| m.len() < 3))))
        };
        if bare(&answer.body) {
            return Ok(None);
        }
        let members = serde_json::from_slice::<Expanded<T>>(&answer.body).ok().and_then(|e| e.members);
        Ok(members.map(|m| m.into_iter().filter_map(|i| i.0).collect()))
    }
}

fn mode_shown(system: &System) -> Option<BootMode> {
    system.boot.as_ref().and_then(|b| b.mode.as_deref()).and_then(quirks::boot_mode)
}

/// One value that all have. Unknown where one does not say or they differ.
fn same(values: impl Iterator<Item = Option<String>>) -> Option<String> {
    let mut values = values;
    let first = values.next()??;
    values.all(|v| v.as_ref() == Some(&first)).then_some(first)
}

fn counted(cpus: &[&Processor]) -> CpuFacts {
    let total = |of: fn(&Processor) -> Option<f64>| cpus.iter().map(|p| of(p)).sum::<Option<f64>>();
    CpuFacts {
        model: same(cpus.iter().map(|p| p.model.clone())),
        count: count(Some(cpus.len() as f64)),
        cores: count(total(|p| p.cores)),
        threads: count(total(|p| p.threads)),
        architecture: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gibibytes_with_fractions_are_mebibytes_and_zero_is_unknown() {
        assert_eq!(mebibytes(503.6875), Some(515_776));
        assert_eq!(mebibytes(0.5), Some(512));
        assert_eq!(mebibytes(0.0), None);
        assert_eq!(mebibytes(-1.0), None);
        assert_eq!(count(Some(0.0)), None);
    }

    #[test]
    fn null_is_not_equal_to_null() {
        let some = |s: &str| Some(s.to_owned());
        assert_eq!(same([some("a"), some("a")].into_iter()), some("a"));
        assert_eq!(same([some("a"), None].into_iter()), None);
        assert_eq!(same([None, None].into_iter()), None);
        assert_eq!(same([some("a"), some("b")].into_iter()), None);
    }
}
