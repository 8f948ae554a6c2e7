//! `inventory`: the embedded inventory.

mod discover;
mod reading;
mod refresh;
mod show;

use super::args::{Global, InventoryArgs, InventoryCommand};
use super::site::{self, Site};
use super::{Failure, files, output};
use crate::adapter::store_sqlite::ImportError;
use crate::diagnostic::did_you_mean;
use crate::engine::Outcome;
use crate::executor::claim;
use crate::model::gate_table::gates;
use crate::model::*;
use crate::ports::{Inventory, Store};
use crate::report::ExitCode;
use crate::runbook::{Format, read_inventory, write_inventory};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

pub async fn run(global: &Global, args: InventoryArgs) -> Result<ExitCode, Failure> {
    let looks_only = matches!(args.command, InventoryCommand::Export { .. } | InventoryCommand::List | InventoryCommand::Show { .. });
    if !looks_only {
        site::changes(&site::config(global)?, "inventory")?;
    }
    let site = if looks_only { Site::open_to_read(global)? } else { Site::open(global)? };
    match args.command {
        InventoryCommand::Import { files, replace } => import(global, &site, &files, replace),
        InventoryCommand::Export { out } => export(global, &site, out.as_deref()).await,
        InventoryCommand::List => list(global, &site).await,
        InventoryCommand::Show { node } => show::run(global, &site, &node).await,
        InventoryCommand::Discover(args) => discover::run(global, &site, &args).await,
        InventoryCommand::Refresh { nodes, at_once } => refresh::run(global, &site, &nodes, at_once).await,
        InventoryCommand::Set { node, fields } => set(global, &site, &node, &fields).await,
        InventoryCommand::Release { node, yes } => release(global, &site, &node, yes).await,
        InventoryCommand::Remove { node } => {
            let id = find(&site.store.fleet().await?, &node)?.id;
            site.store.remove_node(id)?;
            output::print(global, || format!("{node}: removed"), || json!({ "removed": [node] }));
            Ok(ExitCode::Done)
        }
    }
}

/// The records of inventory files. Warnings go to standard error.
pub fn read(paths: &[PathBuf]) -> Result<Vec<NodeRecord>, Failure> {
    let mut records = Vec::new();
    for path in paths {
        let source = files::source(path)?;
        match read_inventory(&source) {
            Ok((found, warnings)) => {
                files::warn(&warnings, &[&source]);
                records.extend(found);
            }
            Err(wrong) => return Err(Failure::Diagnostics(wrong, vec![source])),
        }
    }
    Ok(records)
}

pub fn refused(error: ImportError) -> Failure {
    match error {
        ImportError::Problems(problems) => {
            let lines: Vec<String> = problems.iter().map(|p| format!("\n  {}", p.text)).collect();
            Failure::refused(format!("nothing was imported:{}", lines.concat()))
        }
        ImportError::Store(error) => error.into(),
    }
}

fn import(global: &Global, site: &Site, paths: &[PathBuf], replace: bool) -> Result<ExitCode, Failure> {
    let mode = if replace { ImportMode::Replace } else { ImportMode::Merge };
    let done = site.store.import(read(paths)?, mode).map_err(refused)?;
    let text = || {
        let count = |what: &str, names: &[String]| if names.is_empty() { String::new() } else { format!("{} {what}, ", names.len()) };
        let all = count("added", &done.added)
            + &count("updated", &done.updated)
            + &count("unchanged", &done.unchanged)
            + &count("removed", &done.removed);
        format!("inventory: {}", all.trim_end_matches(", "))
    };
    let json =
        || json!({"added": done.added, "updated": done.updated, "unchanged": done.unchanged, "removed": done.removed, "kept": done.kept});
    output::print(global, text, json);
    Ok(ExitCode::Done)
}

async fn export(global: &Global, site: &Site, out: Option<&Path>) -> Result<ExitCode, Failure> {
    let fleet = site.inventory().fleet().await?;
    let wants_json = output::is_json(global) || out.and_then(Path::extension).is_some_and(|e| e == "json");
    let text = write_inventory(&fleet, if wants_json { Format::Json } else { Format::Yaml });
    match out {
        Some(path) => files::write_whole(path, text.as_bytes())?,
        None => output::raw(&text),
    }
    Ok(ExitCode::Done)
}

async fn list(global: &Global, site: &Site) -> Result<ExitCode, Failure> {
    let fleet = site.inventory().fleet().await?;
    let mut nodes: Vec<&Node> = fleet.nodes.values().collect();
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    let state = |n: &Node| match (&n.reservation, &n.maintenance, &n.debt) {
        (Some(holder), ..) => format!("held by {holder}"),
        (_, Some(m), _) => format!("maintenance: {}", m.reason),
        (_, _, Some(debt)) => format!("owes: {debt}"),
        _ => String::new(),
    };
    // Looked through once, not once for each node.
    let mut targets: BTreeMap<NodeId, Vec<&VolumeTarget>> = BTreeMap::new();
    fleet.targets.values().for_each(|t| targets.entry(t.node).or_default().push(t));
    targets.values_mut().for_each(|list| list.sort_by_key(|t| (t.boot_index, t.id)));
    let mut connectors: BTreeMap<NodeId, Vec<&str>> = BTreeMap::new();
    fleet.connectors.values().for_each(|c| connectors.entry(c.node).or_default().push(&c.connector_id));
    let text = || {
        if nodes.is_empty() {
            return "no nodes; `coldswap inventory import FILE` takes them from a file\n".to_owned();
        }
        let width = nodes.iter().map(|n| n.name.chars().count()).max().unwrap_or(0);
        nodes.iter().fold(String::new(), |mut out, n| {
            let rack = n.failure_domain.rack.as_deref().unwrap_or("-");
            let volumes = targets.get(&n.id).map_or(0, Vec::len);
            let line = format!(
                "{:<width$}  {:<10}  rack {:<6}  {volumes} volume{}  {}",
                n.name,
                n.provision_state.to_string(),
                rack,
                if volumes == 1 { " " } else { "s" },
                state(n)
            );
            let _ = writeln!(out, "{}", line.trim_end());
            out
        })
    };
    let json = || {
        let list: Vec<_> = nodes
            .iter()
            .map(|n| {
                json!({"name": n.name, "uuid": n.id, "provision_state": n.provision_state, "failure_domain": n.failure_domain,
                       "maintenance": n.maintenance, "reservation": n.reservation, "debt": n.debt, "instance": n.instance,
                       "volume_targets": targets.get(&n.id).into_iter().flatten().map(|t| &t.volume_id).collect::<Vec<_>>(),
                       "volume_connectors": connectors.get(&n.id).into_iter().flatten().collect::<Vec<_>>()})
            })
            .collect();
        json!({ "nodes": list })
    };
    output::print(global, text, json);
    Ok(ExitCode::Done)
}

fn find<'a>(fleet: &'a Fleet, name: &str) -> Result<&'a Node, Failure> {
    fleet.find(name).ok_or_else(|| {
        let hint = did_you_mean(name, fleet.nodes.values().map(|n| n.name.as_str())).map(|n| format!("did you mean `{n}`?"));
        Failure::usage(format!("there is no node `{name}`")).hint(hint.unwrap_or_else(|| "`coldswap inventory list` lists them".into()))
    })
}

/// `FIELD=VALUE`, as `inventory set` takes it.
fn edit(text: &str) -> Result<Edit, Failure> {
    let Some((field, value)) = text.split_once('=') else {
        return Err(Failure::usage(format!("`{text}` is not of the form FIELD=VALUE")));
    };
    let given = || (!value.is_empty()).then(|| value.to_owned());
    if let Some(name) = field.strip_prefix("label.") {
        let scalar = |v: String| match (v.parse::<i64>(), v.parse::<bool>()) {
            (Ok(n), _) => Scalar::Integer(n),
            (_, Ok(b)) => Scalar::Bool(b),
            _ => Scalar::Text(v),
        };
        return Ok(Edit::Label { name: name.to_owned(), value: given().map(scalar) });
    }
    match field {
        "maintenance" => Ok(Edit::Maintenance(given().map(|reason| Maintenance { reason }))),
        "debt" if value.is_empty() => Ok(Edit::SettleDebt),
        "identity" if value.is_empty() => Ok(Edit::ForgetIdentity),
        "provision_state" => {
            let found = ProvisionState::SETTLED.into_iter().find(|s| s.to_string() == value).map(Edit::ProvisionState);
            found.ok_or_else(|| Failure::usage(format!("`{value}` is no provision state; enroll, manageable, available and active are")))
        }
        _ => {
            let hint = did_you_mean(field, ["maintenance", "debt", "identity", "provision_state"]).map_or_else(
                || {
                    "maintenance, provision_state, label.NAME, identity and debt can be set by hand; the rest by `inventory import`"
                        .to_owned()
                },
                |f| format!("did you mean `{f}`?"),
            );
            Err(Failure::usage(format!("`{field}` cannot be set")).hint(hint))
        }
    }
}

async fn set(global: &Global, site: &Site, name: &str, fields: &[String]) -> Result<ExitCode, Failure> {
    let edits: Vec<Edit> = fields.iter().map(|f| edit(f)).collect::<Result<_, _>>()?;
    let id = find(&site.store.fleet().await?, name)?.id;
    site.store.set(id, edits)?;
    output::print(global, || format!("{name}: set"), || json!({ "set": [name] }));
    Ok(ExitCode::Done)
}

/// How the switchover that holds a node ended.
///
/// # Errors
/// It has not ended: releasing its nodes would let a resume go on with machines that another run may have taken.
fn outcome_of(site: &Site, holder: &Holder) -> Result<&'static str, Failure> {
    let Some(row) = site.store.run(&holder.run)? else { return Ok("unknown to this store") };
    let plan = super::runs::plan_of(site, &row.plan)?;
    let report = super::apply::make_report(&site.store, &plan, &row.id)?;
    let outcome = report.switchovers.iter().find(|s| s.id == holder.switchover).and_then(|s| s.outcome);
    outcome.map(Outcome::as_str).ok_or_else(|| {
        Failure::refused(format!("{holder} has not ended")).hint(format!("`coldswap resume {}` brings it to an end first", holder.run))
    })
}

/// Free a node after a fresh look, which is shown: a person decides, the look does not.
async fn release(global: &Global, site: &Site, name: &str, yes: bool) -> Result<ExitCode, Failure> {
    let fleet = site.store.fleet().await?;
    let node = find(&fleet, name)?;
    let Some(holder) = &node.reservation else {
        output::print(global, || format!("{name}: held by nobody"), || json!({ "released": [] }));
        return Ok(ExitCode::Done);
    };
    let ports = site.ports();
    // Whoever executes the run holds its lock: a node is never taken from a run that goes on.
    let claim = claim(&ports, &holder.run, &site.terms())?;
    let outcome = outcome_of(site, holder)?;
    let reading = ports.bmc.read(&node.bmc).await;
    ports.bmc.close().await;
    let power = match &reading {
        Ok(reading) => reading.power.to_string(),
        Err(fault) => format!("not to be read ({fault})"),
    };
    output::note(global, format!("{name}: held by {holder}; power {power}; {} volume targets recorded", fleet.targets_of(node.id).len()));
    if !yes {
        return Err(Failure::usage(format!("`{name}` is not released without being told to"))
            .hint("look at both ends of the switchover, then repeat with `--yes`"));
    }
    // What a person has not yet put right is remembered: a node that owes something is no spare.
    let debt = format!("{holder} ended {outcome}: check its volumes and boot configuration, then `coldswap inventory set {name} debt=`");
    site.store.change(&Change::SetDebt { node: node.id, holder: holder.clone(), debt: Some(debt) }, claim.deadline()).await?;
    site.store.release_reservation(node.id, claim.deadline())?;
    output::print(global, || format!("{name}: released"), || json!({"released": [name], "power": power}));
    Ok(ExitCode::Done)
}

gates! {
    "release", "a node is released only from a switchover that has ended, and owes something from then on",
        Closed, "a resume would go on with a machine that another run has taken", a_node_is_not_taken_from_a_switchover_that_has_not_ended;
}
