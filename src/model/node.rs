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

/// Ironic's provision states, as far as a switchover meets them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProvisionState {
    #[default]
    Enroll,
    Manageable,
    Available,
    Active,
}

impl fmt::Display for ProvisionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProvisionState::Enroll => "enroll",
            ProvisionState::Manageable => "manageable",
            ProvisionState::Available => "available",
            ProvisionState::Active => "active",
        })
    }
}

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
    pub declared_facts: Facts,
    /// As last read from the BMC.
    pub live_facts: Facts,
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
    pub generation: Generation,
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
            declared_facts: Facts::default(),
            live_facts: Facts::default(),
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
            generation: Generation(0),
        }
    }

    /// The facts that count: what the BMC said, and what a person declared where the BMC is silent.
    pub fn facts(&self) -> Facts {
        self.live_facts.or(&self.declared_facts)
    }

    /// Facts that a person declared and the BMC contradicts: name, declared, live.
    pub fn contradictions(&self) -> Vec<(String, Scalar, Scalar)> {
        let firmware = self.declared_facts.firmware.keys().map(|k| format!("firmware.{k}"));
        let mut names: Vec<String> = Facts::NAMES.iter().map(|n| (*n).to_owned()).chain(firmware).collect();
        names.sort();
        names.dedup();
        names
            .into_iter()
            .filter_map(|name| {
                let (declared, live) = (self.declared_facts.get(&name)?, self.live_facts.get(&name)?);
                (declared != live).then_some((name, declared, live))
            })
            .collect()
    }
}
