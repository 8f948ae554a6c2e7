//! Hooks: what operators hang into a switchover.

use super::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HookPoint {
    PreShutdown,
    PostMigration,
    PostBoot,
}

impl HookPoint {
    pub const ALL: [HookPoint; 3] = [HookPoint::PreShutdown, HookPoint::PostMigration, HookPoint::PostBoot];

    pub fn as_str(self) -> &'static str {
        match self {
            HookPoint::PreShutdown => "pre-shutdown",
            HookPoint::PostMigration => "post-migration",
            HookPoint::PostBoot => "post-boot",
        }
    }
}

impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// May a hook be started again when nobody knows whether it ran (rule S4)?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rerun {
    #[default]
    Allowed,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    RollBack,
    Stop,
    Continue,
}

/// A program (an argument vector, never a shell line) or a request. Rendered at plan time; [`LATE_NAMES`] are filled
/// in when it is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HookAction {
    Run(RunAction),
    Http(HttpAction),
    Prompt(PromptAction),
}

/// A question to a person. It is asked by the engine, which waits for `decide` as long as the hook's `timeout` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromptAction {
    pub text: String,
    pub choices: Vec<String>,
    /// The choices that make the hook fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fails: Vec<String>,
    /// What counts when nobody answers in time.
    pub default: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunAction {
    pub argv: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Sensitive>,
    /// Working directory: where the runbook stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// SHA-256 of the script at plan time, where `argv[0]` is a path. A script that has changed is not started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HttpAction {
    pub method: String,
    pub url: Sensitive,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Sensitive>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<serde_json::Value>,
    /// Status codes that mean success.
    pub expect: Vec<u16>,
}

/// A hook as a plan holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hook {
    pub name: String,
    pub point: HookPoint,
    pub action: HookAction,
    /// Success means that the hook's work is already done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<HookAction>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<HookAction>,
    pub timeout: Span,
    pub retries: u32,
    /// Try again until it succeeds or this much time has gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Span>,
    pub rerun: Rerun,
    pub on_failure: OnFailure,
    /// In a lab: may it really run? In a lab only hooks that say so do.
    pub lab: bool,
}

/// Names that a template may use and that are known only when the hook is started. They stand in a plan as written.
pub const LATE_NAMES: [&str; 4] = ["run.id", "switchover.id", "step", "attempt"];

/// What is known when a hook is started. Handed to programs as `COLDSWAP_RUN`, `_SWITCHOVER`, `_STEP`, `_ATTEMPT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookContext {
    pub run: RunId,
    pub switchover: SwitchoverId,
    /// Position of the step in its switchover, from 1.
    pub step: u32,
    /// From 1.
    pub attempt: u32,
}

impl HookContext {
    /// Put the late names into a rendered text: `{{ run.id }}` and so on, with that very spacing.
    pub fn fill(&self, text: &str) -> String {
        if !text.contains("{{ ") {
            return text.to_owned();
        }
        text.replace("{{ run.id }}", &self.run.0)
            .replace("{{ switchover.id }}", &self.switchover.to_string())
            .replace("{{ step }}", &self.step.to_string())
            .replace("{{ attempt }}", &self.attempt.to_string())
    }
}

/// How a hook ended. Its exit is its own look (S5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HookResult {
    pub succeeded: bool,
    /// `exit 0`, `killed after 2m`, `HTTP 204`.
    pub how: String,
    /// The last [`OUTPUT_BYTES_MAX`] bytes of both streams, for people.
    pub output: String,
    pub took: Span,
}

/// How much of a hook's output is kept. A report with a thousand hooks must still open in an editor.
pub const OUTPUT_BYTES_MAX: usize = 8 * 1024;
