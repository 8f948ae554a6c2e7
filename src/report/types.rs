//! What a report is made of. Written as JSON; `schemas/report.schema.json` is generated from these types. Fields may be
//! added within a format version; none is renamed, removed or given another meaning.

use super::steps::{ReadReport, Sent, StepReport};
use super::{Stamp, Took};
use crate::engine::Outcome;
use crate::model::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Raised whenever a reader of the version before could be misled.
pub const REPORT_FORMAT: u32 = 1;

/// What the fold cannot know from the plan and the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    pub run: RunId,
    /// The version of coldswap that writes the report.
    pub coldswap: String,
}

impl About {
    /// A run, reported by this very version.
    pub fn run(run: RunId) -> About {
        About { run, coldswap: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Report of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    pub format_version: u32,
    pub run: RunReport,
    /// In the order of the plan, every one of it.
    pub switchovers: Vec<SwitchoverReport>,
    /// Sources that the plan does not switch over.
    pub left_out: Vec<LeftOutReport>,
    pub totals: Totals,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunReport {
    pub id: RunId,
    pub plan: PlanId,
    pub runbook: RunbookReport,
    #[schemars(extend("enum" = ["planned", "disaster"]))]
    pub mode: String,
    pub store: StoreId,
    pub status: RunStatus,
    /// When its first event became durable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Stamp>,
    /// When the last switchover ended, or the last one in flight of a parked run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Stamp>,
    /// When the last event that the report knows of became durable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Stamp>,
    /// How often another process took the run up again.
    pub resumed: u32,
    /// How often of these it was taken over from a process that held it and did not go on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub taken_over: u32,
    /// Why nothing new starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Reason>,
    /// Who decided what, when; what counted because nobody did; what was asked for and refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<DecisionReport>,
    /// The version of coldswap that wrote the report.
    pub coldswap: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionReport {
    pub at: Stamp,
    /// `approval`, `canary`, `storm`, `run` or the id of a switchover.
    pub about: String,
    /// The answer, or what was asked for: `approve`, `stop`, `rollback`.
    pub choice: String,
    /// Absent: nobody answered in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// What a switchover waited for before it began, and how long in all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitedReport {
    pub limit: Limit,
    pub why: String,
    pub took: Took,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunbookReport {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub digest: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Something is in flight or may start: it is being carried out, or its process was killed. `resume` goes on.
    Open,
    /// Nothing is in flight and nothing starts before somebody resumes it.
    Parked,
    /// Every switchover has its outcome.
    Finished,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeReport {
    pub name: String,
    pub uuid: NodeId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SwitchoverStatus {
    /// It has not begun: parked, if the run is.
    Waiting,
    InFlight,
    Finished,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SwitchoverReport {
    pub id: SwitchoverId,
    pub source: NodeReport,
    pub destination: NodeReport,
    /// The pool that gave the destination; absent for a named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Names of the preferences that the destination meets.
    pub preferred: Vec<String>,
    /// How many facts were compared and found identical.
    pub identical: u32,
    /// Lower goes first; a group starts when the one before has ended.
    pub group: i64,
    pub status: SwitchoverStatus,
    /// Present when it is finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What it ended for, unless it was switched over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Reason>,
    /// What is still owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debt: Option<String>,
    /// When nothing was owed any more, where something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Stamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waited: Vec<WaitedReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Stamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Stamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<Took>,
    /// From the source's power-off being sent until one of the two machines was seen booted or, on the way back, On.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dark: Option<Took>,
    /// How long it was to take, by what earlier runs took; compare `took`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted: Option<Predicted>,
    /// When and why it turned back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<Turn>,
    /// When and why the source was cut off after the destination may have started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_off: Option<Turn>,
    /// Who vouched that the source is off, once the fence was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<FenceReport>,
    /// Of the plan, and hooks whose failure was tolerated.
    pub warnings: Vec<String>,
    /// The plan's steps in their order, then those of a way back or of cutting off.
    pub steps: Vec<StepReport>,
}

/// Half of the earlier ones took no longer than `p50`, nineteen in twenty no longer than `p95`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Predicted {
    pub p50: Took,
    pub p95: Took,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Turn {
    pub at: Stamp,
    pub why: Reason,
}

/// The evidence of rule S1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FenceReport {
    /// When the fence held. Absent: it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_at: Option<Stamp>,
    /// Its own resets.
    pub sent: Vec<Sent>,
    /// The readings that it counted.
    pub reads: Vec<ReadReport>,
    /// The look before the first command that could start the destination.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before_start: Vec<ReadReport>,
    /// The last look, at the destination booted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after_boot: Vec<ReadReport>,
    /// Whenever another of its levels was asked, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<LevelReport>,
    /// Who vouched for the source, where it was not its BMC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voucher: Option<VoucherReport>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LevelReport {
    pub at: Stamp,
    /// 0: the BMC's; from 1: those after it, in the order of the runbook.
    pub level: u32,
    pub why: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VoucherReport {
    /// What each agent's `status` said, in the order in which it was read.
    Agents(Vec<PlugReport>),
    /// A person's word.
    Attestation {
        id: u64,
        by: String,
        reason: String,
        at: Stamp,
        /// It counted until then.
        until: Stamp,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlugReport {
    pub at: Stamp,
    /// The fence agent.
    pub agent: String,
    /// What it switches; no secret is part of it.
    pub plug: String,
    pub state: PlugState,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOutReport {
    pub name: String,
    pub uuid: NodeId,
    /// Stable: `no_spare`.
    pub code: String,
    pub why: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    pub planned: u32,
    pub switched_over: u32,
    pub rolled_back: u32,
    pub stopped: u32,
    pub in_doubt: u32,
    pub skipped: u32,
    pub in_flight: u32,
    /// Parked, if the run is.
    pub not_begun: u32,
    pub left_out: u32,
    pub retries: u32,
    /// Resets that may have been sent to BMCs.
    pub power_requests: u32,
    pub warnings: u32,
    pub debts: Vec<Debt>,
    /// From the first event to the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<Took>,
}

/// Something that a person has to settle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Debt {
    pub switchover: SwitchoverId,
    pub source: String,
    pub destination: String,
    pub text: String,
    /// What to do first.
    pub next: String,
}
