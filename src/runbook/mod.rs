//! The language: runbooks, inventories, labs, drills and configurations, from text to checked values.
//!
//! A file goes through stages: `document` (text to a tree that knows its places), `shape` and `raw` (the tree to typed
//! values as they are written), `meaning` (defaults, expressions, names that must fit), `supported` (what does not
//! execute yet). Each tells everything that it finds.

mod config;
mod expression;
mod files;
mod inventory;
mod judge;
mod kind;
mod lab;
mod meaning;
mod predicate;
mod read;
mod schema;
mod supported;
mod types;
mod vars;

pub mod document;
pub mod raw;
pub mod shape;

pub use config::{BmcLimits, BmcOverride, Config, InventoryKind, StoreLocation, read_config};
pub use expression::*;
pub use files::{Files, beside, directory};
pub use inventory::{Format, read_inventory, write_inventory};
pub use judge::*;
pub use kind::{API_VERSION, Kind};
pub use lab::{ACTIONS, DRILL_REQUESTS, Drill, DrillFault, FaultRule, Lab, LabTiming, PRESETS, REQUESTS, read_drill, read_lab};
pub use predicate::{Ask, Finding, Property, glob, versions};
pub use read::{check_document, read_runbook};
pub use schema::schema;
pub use types::*;
pub use vars::Vars;
