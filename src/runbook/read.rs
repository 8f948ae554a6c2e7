//! A runbook, from its text to what it means.

use super::document::{self, Limits, Tree};
use super::kind::{self, Kind};
use super::meaning::Check;
use super::shape::{Path, Reading, Shape};
use super::{Files, Runbook, Vars, meaning, raw, read_config, read_drill, read_inventory, read_lab, supported, vars};
use crate::diagnostic::{Diagnostic, Diagnostics, Source, codes};

/// Read and check a runbook with its variables. `files` is asked for the scripts that it names.
///
/// # Errors
/// Everything that is wrong with it, warnings included, in the order of the file. Without errors the warnings come
/// with the runbook.
pub fn read_runbook(source: &Source, overrides: &Vars, files: &dyn Files) -> Result<(Runbook, Diagnostics), Diagnostics> {
    let (tree, mut found) = tree(source, Kind::Runbook, Limits::FILE)?;
    let reading = Reading::new(&source.name, &source.text);
    let raw = raw::runbook().read(&reading, &tree, &Path::ROOT);
    let runbook = raw.and_then(|raw| {
        let vars = vars::resolve(&reading, &raw.vars, overrides);
        let runbook = meaning::runbook(&Check::new(&reading, &vars, files), &raw);
        supported::supported(&reading, &raw);
        runbook
    });
    found.extend(reading.finish());
    end(runbook, found)
}

/// Check a file of whatever kind it says that it is; `validate` in one call. Warnings come with the kind.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check_document(source: &Source, overrides: &Vars, files: &dyn Files) -> Result<(Kind, Diagnostics), Diagnostics> {
    let limits = if kind::looks_like_inventory(source) { Limits::INVENTORY } else { Limits::FILE };
    let (tree, found) = document::read(source, limits);
    let Some(tree) = tree else { return Err(found) };
    // Each reader below tells what was found so far again.
    let (kind, wrong) = kind::kind(source, &tree, None);
    let Some(kind) = kind else {
        let mut all = found;
        all.extend(wrong);
        return Err(all.sorted());
    };
    drop(tree);
    let warnings = match kind {
        Kind::Runbook => read_runbook(source, overrides, files)?.1,
        Kind::Inventory => read_inventory(source)?.1,
        Kind::Lab => read_lab(source, files)?.1,
        Kind::Drill => read_drill(source)?.1,
        Kind::Config => read_config(source)?.1,
    };
    Ok((kind, warnings))
}

/// The tree of a file of that kind, with what was wrong so far.
pub(super) fn tree(source: &Source, wanted: Kind, limits: Limits) -> Result<(Tree, Diagnostics), Diagnostics> {
    let (tree, mut found) = document::read(source, limits);
    let Some(tree) = tree else { return Err(found) };
    let (kind, wrong) = kind::kind(source, &tree, Some(wanted));
    found.extend(wrong);
    match kind {
        Some(_) => Ok((tree, found)),
        None => Err(found.sorted()),
    }
}

/// The value with the warnings, or everything that is wrong.
pub(super) fn end<T>(value: Option<T>, found: Diagnostics) -> Result<(T, Diagnostics), Diagnostics> {
    let found = without_follow_ups(found.sorted());
    match value {
        Some(value) if !found.has_errors() => Ok((value, found)),
        _ => {
            assert!(found.has_errors(), "a file that gives no value has an error that says why");
            Err(found)
        }
    }
}

/// A template without quotes is two maps to YAML; that a map is not wanted there need not be told as well.
fn without_follow_ups(mut found: Diagnostics) -> Diagnostics {
    let place = |d: &Diagnostic| d.span.as_ref().map(|s| s.start);
    let templates: Vec<Option<usize>> = found.0.iter().filter(|d| d.code == codes::UNQUOTED_TEMPLATE).map(place).collect();
    found.0.retain(|d| d.code == codes::UNQUOTED_TEMPLATE || !templates.contains(&place(d)));
    found
}
