//! A node: a piece of hardware with a BMC, and what the inventory knows of it.

use super::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Counts the changes of a record: a change names the generation that it was decided on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Generation(pub u64);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    pub reason: String,
}

/// Who holds a node (rule S2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    pub run: RunId,
    pub switchover: SwitchoverId,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.run, self.switchover)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    pub uuid: uuid::Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Where the node stands and what it hangs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FailureDomain {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rack: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chassis: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<String>,
}

impl FailureDomain {
    pub const LEVELS: [&'static str; 6] = ["site", "row", "rack", "chassis", "slot", "feed"];

    pub fn get(&self, level: &str) -> Option<&str> {
        match level {
            "site" => self.site.as_deref(),
            "row" => self.row.as_deref(),
            "rack" => self.rack.as_deref(),
            "chassis" => self.chassis.as_deref(),
            "slot" => self.slot.as_deref(),
            "feed" => self.feed.as_deref(),
            _ => None,
        }
    }
}

/// Where a fact comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FactSource {
    /// Read from the BMC.
    Bmc,
    /// Written by a person into the inventory.
    Declared,
    /// Read from the BMC by somebody else, and taken over from a file.
    Imported,
    /// As Ironic has it: found by its inspection, or read by its conductor.
    Ironic,
}

impl fmt::Display for FactSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FactSource::Bmc => "bmc",
            FactSource::Declared => "declared",
            FactSource::Imported => "imported",
            FactSource::Ironic => "ironic",
        })
    }
}

/// One fact of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KnownFact {
    pub name: String,
    pub value: Scalar,
    pub source: FactSource,
    /// When it was read. A declared fact has no time: it holds until it is declared otherwise.
    pub at: Option<Time>,
}

/// Facts that came with an inventory file, as a BMC had said them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportedFacts {
    /// When the BMC said them.
    pub at: Time,
    pub facts: Facts,
}

/// What the inventory records of a node. Volume connectors and targets are records of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    pub id: NodeId,
    pub name: String,
    pub labels: BTreeMap<String, Scalar>,
    pub failure_domain: FailureDomain,
    pub resource_class: Option<String>,
    pub traits: BTreeSet<String>,
    /// Ironic's `properties.capabilities`, taken apart: `iscsi_boot: "true"`.
    pub capabilities: BTreeMap<String, String>,
    /// As declared by a person. [`Node::facts`] is what counts.
    pub declared_facts: Shared<Facts>,
    /// As last read from the BMC: what a full reading gave, and what was read since.
    pub live_facts: Shared<Facts>,
    /// As another store's BMC reading had them. A full reading of our own ends them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Box<ImportedFacts>>,
    /// Of the machine, as declared or first seen; what every look at power is checked against (S1).
    pub identity: Identity,
    pub bmc: BmcEndpoint,
    pub abilities: BmcAbilities,
    pub provision_state: ProvisionState,
    pub maintenance: Option<Maintenance>,
    pub reservation: Option<Holder>,
    pub instance: Option<Instance>,
    pub owner: Option<String>,
    pub lessee: Option<String>,
    /// What is still owed for this node after a switchover: `never power on; ...`. A node with a debt is no spare.
    pub debt: Option<String>,
    /// The last power command that any run sent to it (S6).
    pub power_mark: Option<PowerMark>,
    /// When the facts were last read.
    pub facts_at: Option<Time>,
    /// When they were last read in full. None: never, or the hardware has changed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_at: Option<Time>,
    /// When they were last read with all that is [`Further`], where the last reading did not ask for all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub further_at: Option<Time>,
    pub generation: Generation,
    /// The service that keeps this record, where it is not our own store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_by: Option<Box<Keeper>>,
}

impl Node {
    /// A node of that name with everything else unknown. Its id follows from the name.
    pub fn named(name: &str, address: &str) -> Node {
        Node {
            id: NodeId::derived(name),
            name: name.to_owned(),
            labels: BTreeMap::new(),
            failure_domain: FailureDomain::default(),
            resource_class: None,
            traits: BTreeSet::new(),
            capabilities: BTreeMap::new(),
            declared_facts: Shared::default(),
            live_facts: Shared::default(),
            imported: None,
            identity: Identity::default(),
            bmc: BmcEndpoint { address: address.to_owned(), system: None, username: None, password: None, tls: TlsTrust::System },
            abilities: BmcAbilities::default(),
            provision_state: ProvisionState::default(),
            maintenance: None,
            reservation: None,
            instance: None,
            owner: None,
            lessee: None,
            debt: None,
            power_mark: None,
            facts_at: None,
            full_at: None,
            further_at: None,
            generation: Generation(0),
            kept_by: None,
        }
    }

    /// The facts that count: what the BMC said, what a person declared where the BMC is silent, and what came with an
    /// import where both are.
    pub fn facts(&self) -> Facts {
        let facts = self.live_facts.or(&self.declared_facts);
        match &self.imported {
            Some(imported) => facts.or(&imported.facts),
            None => facts,
        }
    }

    /// One of [`Node::facts`].
    pub fn fact(&self, name: &str) -> Option<Scalar> {
        let imported = || self.imported.as_ref().and_then(|i| i.facts.get(name));
        self.live_facts.get(name).or_else(|| self.declared_facts.get(name)).or_else(imported)
    }

    /// Is any of [`Node::facts`] known?
    pub fn facts_known(&self) -> bool {
        self.live_facts.known() || self.declared_facts.known() || self.imported.as_ref().is_some_and(|i| i.facts.known())
    }

    /// The health of [`Node::facts`].
    pub fn health(&self) -> Option<Health> {
        self.live_facts.health.or(self.declared_facts.health).or(self.imported.as_ref().and_then(|i| i.facts.health))
    }

    /// What [`Node::facts`] says that it does when mains power returns.
    pub fn restore_policy(&self) -> Option<PowerRestorePolicy> {
        let imported = self.imported.as_ref().and_then(|i| i.facts.power_restore_policy);
        self.live_facts.power_restore_policy.or(self.declared_facts.power_restore_policy).or(imported)
    }

    /// The firmware components of [`Node::facts`] with their versions, by name.
    pub fn firmware(&self) -> BTreeMap<&str, &str> {
        let imported = self.imported.iter().flat_map(|i| &i.facts.firmware);
        let all = imported.chain(&self.declared_facts.firmware).chain(&self.live_facts.firmware);
        all.map(|(component, version)| (component.as_str(), version.as_str())).collect()
    }

    /// The same, each with its source and its time, in the order of [`FACTS`].
    pub fn known_facts(&self) -> Vec<KnownFact> {
        let of = |name: &str| {
            if self.live_facts.get(name).is_some() {
                if self.kept_by.is_some() {
                    return (FactSource::Ironic, self.facts_at);
                }
                // Cores and threads may be the full reading's: the older time is the one that can be vouched for.
                let full = Facts::depth(name) == Depth::Full || matches!(name, "cpu.cores" | "cpu.threads");
                let further = matches!(name, "cpu.architecture" | "secure_boot" | "firmware.bmc");
                return (FactSource::Bmc, self.full_at.filter(|_| full).or(self.further_at.filter(|_| further)).or(self.facts_at));
            }
            if self.declared_facts.get(name).is_some() {
                return (FactSource::Declared, None);
            }
            (FactSource::Imported, self.imported.as_ref().map(|i| i.at))
        };
        let facts = self.facts().list().into_iter();
        facts
            .map(|(name, value)| {
                let (source, at) = of(&name);
                KnownFact { name, value, source, at }
            })
            .collect()
    }

    /// Take over what a BMC said of itself. The caller has made sure that it is this node's machine.
    ///
    /// A short reading replaces what it asks for, also by nothing, and leaves alone what only a full one gives. Where it
    /// shows other hardware than before, or than an import told, what only a full reading gives is forgotten: it was said
    /// of a machine that is not the same any more.
    ///
    /// The facts of a node that a service keeps came with its record, with the time of their own.
    pub fn take_in(&mut self, report: &SystemReport, at: Time) {
        if self.kept_by.is_some() {
            self.abilities = report.abilities.clone();
            return;
        }
        if report.in_full {
            (self.live_facts, self.full_at, self.imported) = (report.facts.clone().into(), Some(at), None);
        } else {
            let other = self.live_facts.other_hardware(&report.facts);
            self.full_at = self.full_at.filter(|_| !other);
            self.live_facts = if other { report.facts.clone() } else { report.facts.over_full(&self.live_facts, report.asked) }.into();
            self.imported = self.imported.take().filter(|i| !i.facts.other_hardware(&report.facts));
        }
        let before = std::mem::replace(&mut self.abilities, report.abilities.clone());
        if !report.asked.iscsi_boot {
            self.abilities.iscsi_boot = before.iscsi_boot;
            self.abilities.iscsi_boot_unread = before.iscsi_boot_unread || self.facts_at.is_none();
        }
        self.further_at = if report.in_full || report.asked == Further::ALL { None } else { self.further_at.or(self.facts_at) };
        self.facts_at = Some(at);
    }

    /// The command that reads its hardware again.
    pub fn reread(&self) -> String {
        match self.kept_by {
            Some(_) => format!("openstack baremetal node inspect {}", self.name),
            None => format!("coldswap inventory refresh {}", self.name),
        }
    }

    /// Facts that a person declared and the BMC contradicts: name, declared, live.
    pub fn contradictions(&self) -> Vec<(String, Scalar, Scalar)> {
        if self.declared_facts.is(&self.live_facts) {
            return Vec::new();
        }
        let rows = FACTS_BY_ROW.iter().filter_map(|row| {
            let (declared, live) = ((row.get)(&self.declared_facts)?, (row.get)(&self.live_facts)?);
            (declared != live).then(|| (row.name.to_owned(), declared, live))
        });
        let components = self.declared_facts.further_firmware().filter_map(|(component, declared)| {
            let live = self.live_facts.firmware.get(component).filter(|live| *live != declared)?;
            Some((format!("firmware.{component}"), Scalar::Text(declared.clone()), Scalar::Text(live.clone())))
        });
        let mut contradictions: Vec<_> = rows.chain(components).collect();
        contradictions.sort_by(|a, b| a.0.cmp(&b.0));
        contradictions
    }
}
