//! What a report says of one step.

use super::{Stamp, Took};
use crate::engine::How;
use crate::model::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Forward,
    Back,
    CuttingOff,
    /// A person has said where the volumes are.
    Settling,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    NotBegun,
    InHand,
    Achieved,
    /// It failed, and the run went on.
    Tolerated,
    /// It did not come true; the switchover turned back or ended there.
    GivenUp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepReport {
    /// From 1, along its direction: steps of a way back count anew.
    pub number: u32,
    /// The step's stable name: `move_target`.
    pub step: String,
    /// The hook's name, when the step is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// What it is about.
    pub subject: String,
    pub direction: Direction,
    pub status: StepStatus,
    /// When its turn came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Stamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Stamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<Took>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<How>,
    /// Attempts whose command may have left. 0: nothing was sent.
    pub attempts: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<Sent>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retries: Vec<Retry>,
    /// Power as read just before a command left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<ReadReport>,
    /// Power as read when the step was found true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<ReadReport>,
    /// How the hook's last attempt ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<HookReport>,
    /// Why it was tolerated or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Reason>,
}

/// A command that was durable before it left. A process that was killed may have been killed before it was sent, and
/// one that took the run up again may have sent the same attempt once more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sent {
    pub at: Stamp,
    /// From 1.
    pub attempt: u32,
    pub command: CommandKind,
    /// The reset type, when the command is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<ResetType>,
    /// The node whose BMC got the reset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The fence agents that were told `off`, each with what it switches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommandKind {
    Reset,
    /// A change of the inventory.
    Change,
    /// A boot configuration.
    Boot,
    Hook,
    /// What a machine does when mains power returns.
    RestorePolicy,
    /// Fence agents.
    Agents,
    /// An attestation is bound to the switchover.
    Attestation,
    /// A question to a person.
    Prompt,
    /// The service that keeps the node is asked for another provision state.
    Provision,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retry {
    pub at: Stamp,
    /// The attempt that came to nothing, from 1.
    pub attempt: u32,
    pub why: Reason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<HookReport>,
}

/// One reading of a machine's power.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadReport {
    pub at: Stamp,
    /// The source's or the destination's name.
    pub node: String,
    pub power: PowerState,
    /// System UUID or serial number of the machine that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HookReport {
    pub succeeded: bool,
    /// `exit 0`, `killed after 2m`, `HTTP 204`.
    pub how: String,
    /// The end of what it wrote.
    pub output: String,
    pub took: Took,
}
