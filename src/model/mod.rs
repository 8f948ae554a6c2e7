//! Nouns: nodes, volumes, hardware facts, hooks, units and faults.
//!
//! Field names are Ironic's and Redfish's own. Nothing here reads a clock, a file or a socket, and nothing here
//! imports another module of this crate.

pub mod apply;
pub mod bmc;
pub mod change;
pub mod clash;
pub mod detach;
pub mod duration;
pub mod edit;
pub mod fact_table;
pub mod facts;
pub mod fault;
pub mod fence;
pub mod fleet;
pub mod gate;
pub mod gate_table;
pub mod hook;
pub mod id;
pub mod identity;
pub mod import;
pub mod keeper;
pub mod node;
pub mod power;
pub mod provision;
pub mod request;
pub mod shared;
pub mod units;
pub mod volume;

pub use apply::*;
pub use bmc::*;
pub use change::*;
pub use duration::*;
pub use edit::*;
pub use fact_table::*;
pub use facts::*;
pub use fault::*;
pub use fence::*;
pub use fleet::*;
pub use gate::*;
pub use gate_table::{Fails, Gate};
pub use hook::*;
pub use id::*;
pub use identity::*;
pub use import::*;
pub use keeper::*;
pub use node::*;
pub use power::*;
pub use provision::*;
pub use request::*;
pub use shared::*;
pub use units::*;
pub use volume::*;
