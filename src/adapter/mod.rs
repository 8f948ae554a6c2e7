//! The world as it is: BMCs, stores, hooks, secrets, the clock. Each implements a trait of [`crate::ports`] and knows
//! neither steps nor plans.

pub mod clock;
pub mod fence_agent;
mod fence_metadata;
mod gate;
mod hook_command;
mod hook_http;
pub mod hooks;
pub mod inventory_memory;
pub mod ironic;
pub mod openstack;
mod process;
pub mod redfish;
pub mod secrets;
pub mod store_sqlite;
mod watchdog;

use crate::model::Gate;

/// What the adapters guard, for `docs/gates.md`.
pub const GATES: &[&[Gate]] = &[store_sqlite::GATES, gate::GATES, ironic::CHANGE_GATES, ironic::OFF_GATES];
