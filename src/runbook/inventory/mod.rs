//! Inventories as files: nodes with their connectors and volumes, and the way back from records to a file.
//!
//! A file says what a node is. What runs and BMCs have found out (reservations, live facts, power marks, generations) is not
//! part of it and is neither read nor written; but a debt is, because a machine that must not be powered on as it is
//! must not in any other store either.

mod check;
mod raw;
mod volume;
mod write;

pub use write::{Format, write_inventory};

use super::document::Limits;
use super::kind::Kind;
use super::read::{end, tree};
use super::shape::{Path, Reading, Shape};
use crate::diagnostic::{Diagnostics, Source};
use crate::model::NodeRecord;

pub(super) use raw::facts;

/// Read and check an inventory, `defaults` merged in, in the order of the file.
///
/// # Errors
/// Everything that is wrong with it; without errors the warnings come with the records.
pub fn read_inventory(source: &Source) -> Result<(Vec<NodeRecord>, Diagnostics), Diagnostics> {
    let (tree, mut found) = tree(source, Kind::Inventory, Limits::INVENTORY)?;
    let reading = Reading::new(&source.name, &source.text);
    let records = raw::inventory().read(&reading, &tree, &Path::ROOT).and_then(|raw| check::records(&reading, &raw));
    found.extend(reading.finish());
    end(records, found)
}

pub(super) use raw::inventory as shape;
