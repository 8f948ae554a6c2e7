//! `inventory`: the embedded inventory.

mod discover;
mod list;
mod reading;
mod refresh;
mod removal;
mod show;

use super::args::{Global, InventoryArgs, InventoryCommand};
use super::files::Kind;
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
use std::path::{Path, PathBuf};

pub async fn run(global: &Global, args: InventoryArgs) -> Result<ExitCode, Failure> {
    let looks_only = matches!(args.command, InventoryCommand::Export { .. } | InventoryCommand::List | InventoryCommand::Show { .. });
    if !looks_only {
        site::records_here(&site::config(global)?, "inventory")?;
    }
    let site = if looks_only { Site::open_to_read(global)? } else { Site::open(global)? };
    match args.command {
        InventoryCommand::Import { files, replace, detach } => import(global, &site, &files, replace, &detach).await,
        InventoryCommand::Export { out } => export(global, &site, out.as_deref()).await,
        InventoryCommand::List => list::run(global, &site).await,
        InventoryCommand::Show { node } => show::run(global, &site, &node).await,
        InventoryCommand::Discover(args) => discover::run(global, &site, &args).await,
        InventoryCommand::Refresh { nodes, at_once } => refresh::run(global, &site, &nodes, at_once).await,
        InventoryCommand::Set { node, fields } => set(global, &site, &node, &fields).await,
        InventoryCommand::Release { node, yes } => release(global, &site, &node, yes).await,
        InventoryCommand::Remove { node, force } => removal::run(global, &site, &node, force).await,
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

async fn import(global: &Global, site: &Site, paths: &[PathBuf], replace: bool, detach: &[String]) -> Result<ExitCode, Failure> {
    let mode = if replace { ImportMode::Replace } else { ImportMode::Merge };
    let records = read(paths)?;
    let named = removal::seen_off(site, detach).await?;
    let done = site.store.import_detaching(records, mode, named).map_err(refused)?;
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
        Some(path) => {
            site.try_to_write(path, Kind::Inventory)?;
            files::write_whole(path, Kind::Inventory, text.as_bytes())?;
        }
        None => output::raw(&text),
    }
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
    if reading.as_ref().is_ok_and(|reading| reading.power.runs()) {
        site.store.saw_running(vec![node.id], site.now())?;
    }
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
    let before = node.debt.as_ref().map(|debt| format!("{debt}; ")).unwrap_or_default();
    let debt =
        format!("{before}{holder} ended {outcome}: check its volumes and boot configuration, then `coldswap inventory set {name} debt=`");
    site.store.change(&Change::SetDebt { node: node.id, holder: holder.clone(), debt: Some(debt) }, claim.deadline()).await?;
    site.store.release_reservation(node.id, claim.deadline())?;
    output::print(global, || format!("{name}: released"), || json!({"released": [name], "power": power}));
    Ok(ExitCode::Done)
}

gates! {
    "import", "an import takes no volume, connector or instance from a node, nor moves it, unless the node is named and seen off",
        Closed, "a file from before a switchover would give the volume back while the spare writes to it", an_old_file_takes_nothing_from_a_spare_that_serves;
    "removal", "a node with an instance, volumes or a debt is forgotten only by force, and one that may run not even then",
        Closed, "what is forgotten is planned for another machine", a_node_that_serves_or_owes_is_not_forgotten;
    "release", "a node is released only from a switchover that has ended, and owes something from then on",
        Closed, "a resume would go on with a machine that another run has taken", a_node_is_not_taken_from_a_switchover_that_has_not_ended;
}
