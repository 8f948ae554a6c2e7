//! What a plan is made of. Saved as JSON with a format version; single use; bound to its store.

use super::assign::{LeftOut, PoolUse};
use crate::model::*;
use crate::runbook::Mode;
use crate::step::{Machine, Step};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Raised whenever a plan of the version before could be misread.
pub const PLAN_FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub format_version: u32,
    pub id: PlanId,
    pub store: StoreId,
    pub created_at: Time,
    /// When the fleet was looked at.
    pub captured_at: Time,
    pub runbook: RunbookRef,
    pub mode: Mode,
    /// In the order in which they may start.
    pub switchovers: Vec<Switchover>,
    pub left_out: Vec<LeftOut>,
    pub pools: Vec<PoolUse>,
    pub limits: RunLimits,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<Notice>,
    /// Present when it is more than `limits.refuse_above` allows: how much, in words. Carried out only with
    /// `--allow-storm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storm: Option<String>,
    /// Path of the report; may hold `{{ run.id }}`.
    pub report: Option<String>,
    /// The run whose switchovers this plan takes home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failback_of: Option<RunId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunbookRef {
    pub name: String,
    pub description: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub digest: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunLimits {
    pub at_once: u32,
    pub stop_after_failures: Option<Threshold>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// In flight in one failure domain, by level.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub per_domain: BTreeMap<String, u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_rate: Option<Rate>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Switchover {
    pub id: SwitchoverId,
    pub source: Machine,
    pub destination: Machine,
    /// The pool that gave the destination; `None` for a named one.
    pub pool: Option<String>,
    /// Lower goes first; a group starts when the one before has ended.
    pub group: i64,
    /// Names of the preferences that the destination meets.
    pub preferred: Vec<String>,
    /// How many facts were compared and found identical.
    pub identical: u32,
    pub warnings: Vec<String>,
    /// How long a sent power command may take to land on either end (rule S6).
    pub landing: Span,
    /// The longest that it may take when nothing is repeated: the sum of the declared limits of its steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowance: Option<Span>,
    /// The limited failure domains of both ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<Domain>,
    pub steps: Vec<Step>,
    /// Numbers (from 1) of the steps that were already so when the plan was made.
    pub already_so: Vec<u32>,
    /// Of the facts and generations that this switchover rests on.
    pub digest: String,
    /// How long it will take, where earlier runs say enough about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted: Option<Spread>,
}

impl Switchover {
    /// How long a window must stay open for it: what nineteen of twenty earlier runs took, else the declared limits.
    pub fn expected(&self) -> Option<Span> {
        self.predicted.map(|spread| spread.p95).or(self.allowance)
    }

    /// The other end's name, for messages.
    pub fn name_of(&self, node: NodeId) -> &str {
        if node == self.source.node { &self.source.name } else { &self.destination.name }
    }
}

impl Plan {
    /// Position of a switchover. Ids count from 1 in the order of the plan.
    pub fn index(&self, id: SwitchoverId) -> Option<usize> {
        let at = (id.0 as usize).checked_sub(1)?;
        (at < self.switchovers.len()).then_some(at)
    }
}
