//! What a person asks of a run from another terminal. It is put into the run's mailbox in the store and taken out by
//! whoever executes the run.

use super::*;
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Start nothing new and wait for `resume`; after `limit` without one, the run is parked.
    Pause { limit: Span },
    /// Start nothing new, finish what is in flight, park the rest.
    Stop,
    /// Lift a pause.
    Resume,
    /// Take back what is in flight and has not passed the point of no return; skip what waits. `None`: all of it.
    RollBack { switchover: Option<SwitchoverId> },
    /// Answer a question.
    Decide { matter: Matter, choice: String, why: Option<String> },
    /// Say where the volumes of a switchover that ended stopped or in doubt really are.
    Resolve { switchover: SwitchoverId, moved: bool, why: Option<String> },
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Pause { limit } => write!(f, "pause for at most {limit}"),
            Request::Stop => f.write_str("stop"),
            Request::Resume => f.write_str("resume"),
            Request::RollBack { switchover: None } => f.write_str("rollback"),
            Request::RollBack { switchover: Some(id) } => write!(f, "rollback {id}"),
            Request::Decide { matter, choice, .. } => write!(f, "decide {matter} {choice}"),
            Request::Resolve { switchover, moved, .. } => {
                write!(f, "decide {switchover} {}", if *moved { "--moved" } else { "--not-moved" })
            }
        }
    }
}

/// What is decided about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matter {
    Approval,
    Canary,
    /// More nodes than `limits.refuse_above` allows.
    Storm,
    /// The prompt at which the switchover waits.
    Prompt(SwitchoverId),
}

impl fmt::Display for Matter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Matter::Approval => f.write_str("approval"),
            Matter::Canary => f.write_str("canary"),
            Matter::Storm => f.write_str("storm"),
            Matter::Prompt(id) => write!(f, "{id}"),
        }
    }
}

/// A request in the mailbox. `seq` counts from 1 within the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    pub seq: u64,
    pub at: Time,
    pub by: String,
    pub request: Request,
}
