//! `inventory show`: everything that is known of one node.

use super::find;
use crate::cli::args::Global;
use crate::cli::site::Site;
use crate::cli::{Failure, output};
use crate::model::*;
use crate::ports::Attestations;
use crate::report::ExitCode;
use crate::runbook::{Format, write_inventory};
use serde_json::json;
use std::fmt::Write;

pub(super) async fn run(global: &Global, site: &Site, name: &str) -> Result<ExitCode, Failure> {
    let fleet = site.inventory().fleet().await?;
    let node = find(&fleet, name)?;
    let alone = Fleet {
        nodes: [(node.id, node.clone())].into(),
        connectors: fleet.connectors_of(node.id).map(|c| (c.id, c.clone())).collect(),
        targets: fleet.targets_of(node.id).into_iter().map(|t| (t.id, t.clone())).collect(),
        ..Fleet::default()
    };
    let word = site.store.attestation(node.id).await?;
    let text = || {
        let mut out = write_inventory(&alone, Format::Yaml);
        let time = |at: Option<Time>| at.map_or("never".to_owned(), |at| at.to_string());
        let (read, full) = (time(node.facts_at), time(node.full_at));
        let _ = writeln!(
            out,
            "# generation {}, BMC read {read}, in full {full}, reservation {}",
            node.generation.0,
            node.reservation.as_ref().map_or("none".to_owned(), ToString::to_string)
        );
        if let Some(word) = &word {
            let used = word.used_by.as_ref().map_or("not used".to_owned(), |h| format!("used by {h}"));
            let _ =
                writeln!(out, "# {} attested at {} that it is off ({}), until {}, {used}", word.by, word.at, word.reason, word.expires_at);
        }
        out.push_str(&table(node));
        out
    };
    output::print(
        global,
        text,
        || json!({"node": node, "facts": node.known_facts(), "attestation": word, "volume_connectors": alone.connectors.values().collect::<Vec<_>>(), "volume_targets": alone.targets.values().collect::<Vec<_>>()}),
    );
    Ok(ExitCode::Done)
}

/// Every fact with its source and the time at which it was read.
fn table(node: &Node) -> String {
    let facts = node.known_facts();
    let wide = |of: fn(&KnownFact) -> usize| facts.iter().map(of).max().unwrap_or(0);
    let (names, values) = (wide(|f| f.name.chars().count()), wide(|f| f.value.to_string().chars().count()).min(VALUE_WIDTH));
    facts.iter().fold(String::new(), |mut out, f| {
        let at = f.at.map(|at| at.to_string()).unwrap_or_default();
        let line = format!("# {:<names$}  {:<values$}  {:<8}  {at}", f.name, f.value.to_string(), f.source.to_string());
        let _ = writeln!(out, "{}", line.trim_end());
        out
    })
}

/// Longer values push their line's rest to the right.
const VALUE_WIDTH: usize = 48;
