//! A full reading: everything that only `inventory discover`, `inventory refresh` and `plan --refresh` ask for, some
//! dozens of requests. What a BMC does not show is unknown; what it shows and does not give is unknown as well and is
//! listed with its reason. A count that rests on something that could not be read is unknown, never smaller.

mod accelerators;
mod firmware;
mod network;
mod part;
mod storage;
mod walk;

use super::facts::count;
use super::line::Line;
use crate::model::{Facts, Fault, MemoryFacts};
use part::Part;
use serde_json::Value;
use std::time::Duration;
use walk::{Found, Walk};

/// For everything together, of one BMC. Slow ones take some minutes.
pub(super) const FULL_TIME: Duration = Duration::from_secs(600);

/// The system and where it is, as the parts of the reading want it.
struct Subject<'a> {
    /// Path of the ComputerSystem.
    path: &'a str,
    system: Part<'a>,
    /// Its own chassis: an enclosure that it shares holds other machines' devices.
    chassis: Vec<Value>,
}

impl Line {
    /// Complete the facts of a short reading, and say what could not be read. `body`: the ComputerSystem.
    pub(super) async fn survey(&self, path: &str, body: &Value, facts: &mut Facts) -> Vec<String> {
        let mut walk = Walk::new(self);
        let system = Part::of(body);
        let chassis = walk.own_chassis(system).await;
        let chassis = walk.keep("chassis", chassis).unwrap_or_default();
        let subject = Subject { path, system, chassis };
        walk.processors(&subject, facts).await;
        let modules = walk.modules(system).await;
        facts.memory = MemoryFacts { modules: walk.keep("memory", modules).flatten() };
        walk.network(&subject, facts).await;
        walk.storage(&subject, facts).await;
        walk.firmware(facts).await;
        walk.unread
    }

    /// The systems behind this BMC that are machines: those that can be reset (`baseboard_among_systems`).
    ///
    /// # Errors
    /// When the list, or one of the systems in it, cannot be read.
    pub(super) async fn machines(&self) -> Result<Vec<String>, Fault> {
        let auth = self.authorised().await?;
        let root = self.root(&auth).await.map_err(Fault::from)?;
        let Some(systems) = root.systems.as_deref() else {
            return Err(Fault::answered(format!("{} does not say where its systems are", self.address.shown())));
        };
        let mut walk = Walk::new(self);
        let found = walk.machines(systems).await;
        found
            .map(|all| all.into_iter().filter(|(_, body)| resets(Part::of(body))).map(|(path, _)| path).collect())
            .map_err(|miss| Fault::transient(miss.why))
    }
}

/// Can this system be reset?
fn resets(system: Part<'_>) -> bool {
    system.at("Actions").at("#ComputerSystem.Reset").text("target").is_some()
}

impl Walk<'_> {
    /// Every ComputerSystem behind the BMC.
    async fn machines(&mut self, systems: &str) -> Found<Vec<(String, Value)>> {
        let paths = self.members(systems).await?;
        let bodies = self.bodies(&paths).await?;
        Ok(paths.into_iter().zip(bodies).collect())
    }

    async fn own_chassis(&mut self, system: Part<'_>) -> Found<Vec<Value>> {
        let links = system.at("Links").list("Chassis").unwrap_or_default();
        let mut own = Vec::new();
        for path in links.into_iter().filter_map(Part::path) {
            // A link to a chassis that is not there is no chassis (`tree_half_forbidden`).
            let body = match self.body(&path).await {
                Err(miss) if miss.absent => continue,
                found => found?,
            };
            let shared = Part::of(&body).at("Links").list("ComputerSystems").is_some_and(|s| s.len() > 1);
            own.extend((!shared).then_some(body));
        }
        Ok(own)
    }

    async fn processors(&mut self, subject: &Subject<'_>, facts: &mut Facts) {
        let found = match subject.system.link("Processors") {
            Some(path) => self.all(&path).await.map(Some),
            None => Ok(None),
        };
        let Some(all) = self.keep("processors", found) else { return };
        if let Some(all) = &all {
            let kind = |p: &Part<'_>| p.text("ProcessorType");
            let cpus: Vec<Part<'_>> = all.iter().map(Part::of).filter(|p| p.is_present() && kind(p).is_none_or(|k| k == "CPU")).collect();
            let total = |key: &str| cpus.iter().map(|p| p.number(key)).sum::<Option<f64>>();
            facts.cpu.cores = facts.cpu.cores.or(count(total("TotalCores")));
            facts.cpu.threads = facts.cpu.threads.or(count(total("TotalThreads")));
        }
        self.accelerators(subject, all.as_deref(), facts).await;
    }

    /// `memory_slots_empty`: a slot without a module has no capacity.
    async fn modules(&mut self, system: Part<'_>) -> Found<Option<u32>> {
        let Some(path) = system.link("Memory") else { return Ok(None) };
        let all = self.all(&path).await?;
        let filled = all.iter().map(Part::of).filter(|m| m.is_present() && m.number("CapacityMiB").is_some_and(|mib| mib > 0.0));
        Ok(count(Some(filled.count() as f64)))
    }
}
