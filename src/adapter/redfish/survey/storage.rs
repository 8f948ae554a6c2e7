//! Storage controllers and drives, as Storage or, with older BMCs, as SimpleStorage.

use super::Subject;
use super::part::{Part, models};
use super::walk::{Found, Walk};
use crate::model::{Facts, StorageFacts};
use serde_json::Value;

/// A controller: its model, and whether it is a Fibre Channel adapter.
type Controller = (Option<String>, bool);

fn controller(body: Part<'_>) -> Controller {
    let protocols = ["SupportedDeviceProtocols", "SupportedControllerProtocols"].into_iter();
    let words = protocols.flat_map(|key| body.at(key).0.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str));
    (body.said("Model"), words.into_iter().any(|w| matches!(w, "FC" | "FCP")))
}

impl Walk<'_> {
    pub(super) async fn storage(&mut self, subject: &Subject<'_>, facts: &mut Facts) {
        let read = self.by_storage(subject.system).await;
        let Some(read) = self.keep("storage", read) else { return };
        let (controllers, drives) = match read {
            Some(read) => read,
            None => {
                let simple = self.by_simple_storage(subject.system).await;
                let Some(Some(read)) = self.keep("storage", simple) else { return };
                read
            }
        };
        let (hbas, own): (Vec<Controller>, Vec<Controller>) = controllers.into_iter().partition(|(_, hba)| *hba);
        let named = |of: &[Controller]| of.iter().map(|(model, _)| model.clone()).collect::<Vec<_>>();
        facts.storage = StorageFacts { controllers: u32::try_from(own.len()).ok(), drives, models: models(&named(&own)) };
        add_hbas(&named(&hbas), facts);
    }

    /// `None`: it has no Storage, or an empty collection of it.
    async fn by_storage(&mut self, system: Part<'_>) -> Found<Option<(Vec<Controller>, Option<u32>)>> {
        let Some(path) = system.link("Storage") else { return Ok(None) };
        let all = match self.all(&path).await {
            Err(miss) if miss.absent => return Ok(None),
            found => found?,
        };
        if all.is_empty() {
            return Ok(None);
        }
        let (mut controllers, mut links, mut all_list) = (Vec::new(), Vec::new(), true);
        for storage in all.iter().map(Part::of).filter(|s| s.is_present()) {
            // The array of before, or the collection of now (`controllers_told_twice`).
            let inline = storage.list("StorageControllers").unwrap_or_default();
            let inline: Vec<Part<'_>> = inline.into_iter().filter(|c| c.is_present()).collect();
            match storage.link("Controllers") {
                Some(path) if inline.is_empty() => {
                    let bodies = self.all(&path).await?;
                    controllers.extend(bodies.iter().map(Part::of).filter(|c| c.is_present()).map(controller));
                }
                _ => controllers.extend(inline.into_iter().map(controller)),
            }
            match storage.list("Drives") {
                Some(drives) => links.extend(drives.into_iter().filter_map(Part::path)),
                None => all_list = false,
            }
        }
        links.sort();
        links.dedup();
        // `bays_listed_as_drives`
        let drives = if all_list { self.bodies(&links).await? } else { Vec::new() };
        let there = drives.iter().filter(|d| Part::of(d).is_present()).count();
        Ok(Some((controllers, u32::try_from(there).ok().filter(|_| all_list))))
    }

    async fn by_simple_storage(&mut self, system: Part<'_>) -> Found<Option<(Vec<Controller>, Option<u32>)>> {
        let Some(path) = system.link("SimpleStorage") else { return Ok(None) };
        let all = self.all(&path).await?;
        let all: Vec<Part<'_>> = all.iter().map(Part::of).filter(|s| s.is_present()).collect();
        let devices = all.iter().map(|s| s.list("Devices").map(|d| d.into_iter().filter(|d| d.is_present()).count()));
        let drives = devices.sum::<Option<usize>>().and_then(|n| u32::try_from(n).ok());
        // It has no model of the controller, only of its devices.
        Ok(Some((all.iter().map(|_| (None, false)).collect(), drives)))
    }
}

/// Adapters that are listed as storage controllers. Where the network's are unknown, so are all.
fn add_hbas(models_of: &[Option<String>], facts: &mut Facts) {
    if models_of.is_empty() {
        return;
    }
    facts.hbas.count = facts.hbas.count.and_then(|n| n.checked_add(u32::try_from(models_of.len()).ok()?));
    facts.hbas.ports = None;
    facts.hbas.models = match facts.hbas.models.as_deref() {
        Some("none") => models(models_of),
        _ => None,
    };
}
