//! Ironic's provision states.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! states {
    ($($(#[$about:meta])* $name:ident = $wire:literal,)*) => {
        /// Ironic's provision states (`ironic/common/states.py` of release 39). An inventory of our own knows the first four; a
        /// switchover starts from these alone.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum ProvisionState {
            $($(#[$about])* #[serde(rename = $wire)] $name,)*
        }

        impl ProvisionState {
            pub const ALL: &[ProvisionState] = &[$(ProvisionState::$name),*];

            /// The text of Ironic's API.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(ProvisionState::$name => $wire,)*
                }
            }
        }
    };
}

states! {
    #[default]
    Enroll = "enroll",
    Manageable = "manageable",
    Available = "available",
    Active = "active",
    Verifying = "verifying",
    Inspecting = "inspecting",
    InspectWait = "inspect wait",
    InspectFailed = "inspect failed",
    Cleaning = "cleaning",
    CleanWait = "clean wait",
    CleanHold = "clean hold",
    CleanFailed = "clean failed",
    Deploying = "deploying",
    DeployWait = "wait call-back",
    DeployHold = "deploy hold",
    DeployFailed = "deploy failed",
    Deleting = "deleting",
    Error = "error",
    Rebuild = "rebuild",
    Rescuing = "rescuing",
    RescueWait = "rescue wait",
    Rescue = "rescue",
    RescueFailed = "rescue failed",
    Unrescuing = "unrescuing",
    UnrescueFailed = "unrescue failed",
    Adopting = "adopting",
    AdoptFailed = "adopt failed",
    Servicing = "servicing",
    ServiceWait = "service wait",
    ServiceHold = "service hold",
    ServiceFailed = "service failed",
    /// A word that this version does not know, or none.
    Other = "other",
}

impl ProvisionState {
    /// The states that a file may record and that a person may set.
    pub const SETTLED: [ProvisionState; 4] =
        [ProvisionState::Enroll, ProvisionState::Manageable, ProvisionState::Available, ProvisionState::Active];

    /// Ironic's word, read.
    pub fn of(word: &str) -> ProvisionState {
        ProvisionState::ALL.iter().copied().find(|s| s.as_str() == word).unwrap_or(ProvisionState::Other)
    }

    /// Nothing is going on and nothing has failed: a switchover may start from it.
    pub fn is_settled(self) -> bool {
        ProvisionState::SETTLED.contains(&self)
    }
}

impl fmt::Display for ProvisionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_written_as_ironic_has_it_and_an_unknown_one_is_usable_for_nothing() {
        for state in ProvisionState::ALL {
            assert_eq!(serde_json::to_value(state).expect("JSON"), state.as_str());
            assert_eq!(ProvisionState::of(state.as_str()), *state);
        }
        assert_eq!(ProvisionState::of("polishing"), ProvisionState::Other);
        let settled: Vec<_> = ProvisionState::ALL.iter().filter(|s| s.is_settled()).map(|s| s.as_str()).collect();
        assert_eq!(settled, ["enroll", "manageable", "available", "active"]);
    }
}
