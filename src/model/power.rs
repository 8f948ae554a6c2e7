//! Power states and reset types as Redfish writes them (DSP0268, ComputerSystem).

use super::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a BMC says of its machine's power. Only `Off` is off: `PoweringOff` still writes, and a state that is absent,
/// null or made up by a vendor is `Unknown`, never a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PowerState {
    On,
    Off,
    PoweringOn,
    PoweringOff,
    Paused,
    #[default]
    Unknown,
}

impl PowerState {
    /// It runs, starts, or has not ended yet: whatever was said before of its being off is over.
    pub fn runs(self) -> bool {
        matches!(self, PowerState::On | PowerState::PoweringOn | PowerState::Paused | PowerState::PoweringOff)
    }
}

impl fmt::Display for PowerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PowerState::On => "On",
            PowerState::Off => "Off",
            PowerState::PoweringOn => "PoweringOn",
            PowerState::PoweringOff => "PoweringOff",
            PowerState::Paused => "Paused",
            PowerState::Unknown => "unknown",
        })
    }
}

/// The reset types that coldswap sends. `Nmi` asks for a crash dump and changes no power. `GracefulRestart`, `PowerCycle`, `ForceRestart` and `PushPowerButton` are left
/// out on purpose: a restart is off, verify, on, and a button that toggles proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ResetType {
    On,
    ForceOn,
    ForceOff,
    GracefulShutdown,
    Nmi,
}

impl ResetType {
    pub const ALL: [ResetType; 5] = [ResetType::On, ResetType::ForceOn, ResetType::ForceOff, ResetType::GracefulShutdown, ResetType::Nmi];

    pub fn as_str(self) -> &'static str {
        match self {
            ResetType::On => "On",
            ResetType::ForceOn => "ForceOn",
            ResetType::ForceOff => "ForceOff",
            ResetType::GracefulShutdown => "GracefulShutdown",
            ResetType::Nmi => "Nmi",
        }
    }

    /// What power is after it; `None`: as before.
    pub fn leads_to(self) -> Option<PowerState> {
        match self {
            ResetType::On | ResetType::ForceOn => Some(PowerState::On),
            ResetType::ForceOff | ResetType::GracefulShutdown => Some(PowerState::Off),
            ResetType::Nmi => None,
        }
    }

    /// Could this start a machine if it lands late?
    pub fn starts(self) -> bool {
        matches!(self, ResetType::On | ResetType::ForceOn)
    }
}

impl fmt::Display for ResetType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a machine has booted (Redfish `BootProgress.LastState`), as far as coldswap cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BootProgress {
    /// Any state before the operating system has control, `None` included.
    Firmware,
    /// `OSBootStarted`.
    OsBootStarted,
    /// `OSRunning`.
    OsRunning,
}

/// A power command that was sent (or was about to be) and may not have landed yet. Stored with the node, outlives the
/// run (rule S6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PowerMark {
    pub reset: ResetType,
    pub sent_at: Time,
    /// After this the command has landed or never will.
    pub lands_by: Time,
}

impl PowerMark {
    /// How long it may still take to land: never longer than from its sending, which a clock that was set back since would
    /// make of it.
    pub fn left(&self, now: Time) -> Span {
        self.lands_by.since(now).min(self.lands_by.since(self.sent_at))
    }
}
