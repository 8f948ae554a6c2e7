//! GPUs, FPGAs and the like. Most BMCs list them as processors of the system; some as processors of a baseboard system of
//! their own (`accelerators_on_baseboard`); some only as PCIe devices (`accelerators_only_as_pcie`). None at all is only believed where PCIe devices are listed.

use super::part::{Part, models};
use super::walk::{Found, Miss, Walk};
use super::{Subject, resets};
use crate::model::{AcceleratorFacts, Facts, Fault};
use serde_json::Value;
use std::collections::BTreeMap;

/// Display controllers of BMCs: Matrox and ASPEED.
const BMC_VENDORS: [&str; 2] = ["102b", "1a03"];
/// Processor types that are a CPU or a part of one.
const NOT_ACCELERATORS: [&str; 4] = ["CPU", "Core", "Thread", "Partition"];

fn of_processors(all: &[Value]) -> Vec<Option<String>> {
    let parts = all.iter().map(Part::of).filter(|p| p.is_present());
    parts
        .filter(|p| p.text("ProcessorType").is_some_and(|kind| !NOT_ACCELERATORS.contains(&kind.as_str())))
        .map(|p| p.said("Model"))
        .collect()
}

/// A PCI vendor id as `0x10de` or `10DE`, in lower case without the prefix.
fn vendor(function: Part<'_>) -> Option<String> {
    function.text("VendorId").map(|v| v.to_lowercase().trim_start_matches("0x").to_owned())
}

/// Is this PCIe function an accelerator's? `None`: it does not say enough.
fn accelerates(function: Part<'_>) -> Option<bool> {
    match function.text("DeviceClass")?.as_str() {
        "ProcessingAccelerators" => Some(true),
        "DisplayController" => vendor(function).map(|v| !BMC_VENDORS.contains(&v.as_str())),
        _ => Some(false),
    }
}

impl Walk<'_> {
    /// `processors`: of the system, where it lists them.
    pub(super) async fn accelerators(&mut self, subject: &Subject<'_>, processors: Option<&[Value]>, facts: &mut Facts) {
        let mut found = processors.map(of_processors).unwrap_or_default();
        let beside = self.of_baseboards(subject).await;
        let Some(beside) = self.keep("accelerators", beside) else { return };
        found.extend(beside);
        if found.is_empty() {
            let devices = self.of_pcie(subject).await;
            let Some(Some(devices)) = self.keep("accelerators", devices) else { return };
            found = devices;
        }
        facts.accelerators = AcceleratorFacts { count: u32::try_from(found.len()).ok(), models: models(&found) };
    }

    /// Of systems that are no machines: whose they are is clear only where there is one machine.
    async fn of_baseboards(&mut self, subject: &Subject<'_>) -> Found<Vec<Option<String>>> {
        let auth = self.line.authorised().await.map_err(|f| Miss::broken(f.detail))?;
        let root = self.line.root(&auth).await.map_err(|t| Miss::broken(Fault::from(t).detail))?;
        let Some(systems) = root.systems.clone() else { return Ok(Vec::new()) };
        let paths = self.members(&systems).await?;
        let bare = |path: &str| self.line.address.url(path).map(|url| self.line.address.bare(&url)).unwrap_or_default();
        let same = |path: &str| bare(path) == subject.path;
        let others: Vec<String> = paths.into_iter().filter(|p| !same(p)).collect();
        let bodies = self.bodies(&others).await?;
        let (machines, boards): (Vec<&Value>, Vec<&Value>) = bodies.iter().partition(|b| resets(Part::of(b)));
        let mut found = Vec::new();
        for board in boards {
            if let Some(path) = Part::of(board).link("Processors") {
                found.extend(of_processors(&self.all(&path).await?));
            }
        }
        if machines.is_empty() || found.is_empty() {
            return Ok(found);
        }
        Err(Miss::broken("several machines and a baseboard of accelerators are behind this BMC, and it does not say whose it is"))
    }

    /// `None`: the BMC lists no PCIe devices, so that nothing is known.
    async fn of_pcie(&mut self, subject: &Subject<'_>) -> Found<Option<Vec<Option<String>>>> {
        let listed = |part: Part<'_>| part.list("PCIeDevices").map(|l| l.into_iter().filter_map(Part::path).collect::<Vec<_>>());
        let mut paths = Vec::new();
        let mut told = false;
        let holders: Vec<Part<'_>> = std::iter::once(subject.system).chain(subject.chassis.iter().map(Part::of)).collect();
        for holder in holders {
            // A list of links in the system, a link to a collection in a chassis.
            let found = match holder.at("PCIeDevices").0 {
                Some(Value::Object(_)) => match holder.link("PCIeDevices") {
                    Some(path) => Some(self.members(&path).await?),
                    None => None,
                },
                _ => listed(holder),
            };
            told |= found.is_some();
            paths.extend(found.into_iter().flatten());
        }
        paths.sort();
        paths.dedup();
        if !told {
            return Ok(None);
        }
        let mut models = BTreeMap::new();
        for (path, device) in paths.iter().zip(self.bodies(&paths).await?) {
            let device = Part::of(&device);
            if device.is_present() && self.is_accelerator(device).await? {
                models.insert(path.clone(), device.said("Model"));
            }
        }
        Ok(Some(models.into_values().collect()))
    }

    async fn is_accelerator(&mut self, device: Part<'_>) -> Found<bool> {
        let functions = match device.link("PCIeFunctions") {
            Some(path) => self.all(&path).await?,
            None => {
                let links = device.at("Links").list("PCIeFunctions").unwrap_or_default();
                let paths: Vec<String> = links.into_iter().filter_map(Part::path).collect();
                self.bodies(&paths).await?
            }
        };
        let mut any = false;
        for function in functions.iter().map(Part::of) {
            let name = || device.text("Name").unwrap_or_else(|| "a PCIe device".to_owned());
            // A function without a class is nothing that computes; a display controller without a vendor may be.
            match accelerates(function) {
                Some(one) => any |= one,
                None if function.text("DeviceClass").is_none() => {}
                None => return Err(Miss::broken(format!("`{}` is a display controller of an unknown vendor", name()))),
            }
        }
        Ok(any)
    }
}
