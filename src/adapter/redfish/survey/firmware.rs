//! The firmware inventory: a version for each component. `bios` and `bmc` are the system's and the manager's own word.

use super::part::Part;
use super::walk::{Found, Miss, Walk};
use crate::model::{Facts, Fault};
use std::collections::BTreeMap;

/// Longer names are cut.
const NAME_MAX: usize = 64;
/// `firmware_beside_the_running`: iDRAC lists the version before, and one that could be installed.
const NOT_RUNNING: [&str; 3] = ["Previous-", "Available-", "Rollback-"];

/// `Integrated NIC 1` as `integrated_nic_1`: a name that a runbook can write.
fn component(name: &str) -> Option<String> {
    let words: Vec<String> = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect();
    let name: String = words.join("_").chars().take(NAME_MAX).collect();
    Some(name.trim_end_matches('_').to_owned()).filter(|n| !n.is_empty())
}

impl Walk<'_> {
    pub(super) async fn firmware(&mut self, facts: &mut Facts) {
        let members = self.listed().await;
        let Some(members) = self.keep("firmware", members) else { return };
        let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for path in members {
            let body = self.member(&path).await;
            // One that cannot be read spoils nothing beside it: each is a fact of its own.
            let Some(body) = self.keep("firmware", body) else { continue };
            let body = Part::of(&body);
            let id = body.text("Id").unwrap_or_default();
            if !body.is_present() || NOT_RUNNING.iter().any(|n| id.starts_with(n)) {
                continue;
            }
            let name = body.text("Name").as_deref().and_then(component).or_else(|| component(&id));
            if let (Some(name), Some(version)) = (name, body.text("Version")) {
                versions.entry(name).or_default().push(version);
            }
        }
        for (component, mut found) in versions {
            found.sort();
            found.dedup();
            facts.firmware.entry(component).or_insert_with(|| found.join(", "));
        }
    }

    async fn listed(&mut self) -> Found<Vec<String>> {
        let auth = self.line.authorised().await.map_err(|f| Miss::broken(f.detail))?;
        let root = self.line.root(&auth).await.map_err(|t| Miss::broken(Fault::from(t).detail))?;
        let Some(path) = root.updates.clone() else { return Ok(Vec::new()) };
        let service = self.body(&path).await?;
        match Part::of(&service).link("FirmwareInventory") {
            Some(path) => self.members(&path).await,
            None => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_have_names_that_a_runbook_can_write() {
        assert_eq!(component("Integrated NIC 1 Port 1").as_deref(), Some("integrated_nic_1_port_1"));
        assert_eq!(component(" BCM57414 - (v2.1) ").as_deref(), Some("bcm57414_v2_1"));
        assert_eq!(component("..."), None);
        assert_eq!(component(&"x".repeat(100)).map(|n| n.len()), Some(NAME_MAX));
    }
}
