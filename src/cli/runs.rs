//! `runs`, `show`, `journal`, `report`: what happened.

use super::apply::{make_report, read_plan};
use super::args::{Global, IdArgs, Output, ReportArgs};
use super::site::{self, Site};
use super::{Failure, output};
use crate::adapter::store_sqlite::SqliteStore;
use crate::diagnostic::did_you_mean;
use crate::model::*;
use crate::plan::{self, Plan};
use crate::ports::{RunRow, Store};
use crate::report::{self, ExitCode};
use serde_json::json;
use std::fmt::Write;

pub fn list(global: &Global) -> Result<ExitCode, Failure> {
    let site = Site::open_to_read(global)?;
    let mut rows = rows_of(&site.store)?;
    let left = rows.iter().find(|row| row.status == LEFT).map(|row| row.id.clone());
    rows.extend(lab_runs(global)?);
    let text = || {
        if rows.is_empty() {
            return "no runs yet; `coldswap apply RUNBOOK` makes one\n".to_owned();
        }
        let width = rows.iter().map(|r| r.id.0.len()).max().unwrap_or(0);
        rows.iter().fold(String::new(), |mut out, r| {
            let resume =
                if r.status == LEFT { format!("  (`coldswap resume {}` looks at its machines and goes on)", r.id) } else { String::new() };
            let _ = writeln!(out, "{:<width$}  {}  {:<9}  {}{resume}", r.id.0, r.created_at, r.status, r.name);
            out
        })
    };
    let json = || {
        let runs: Vec<_> = rows
            .iter()
            .map(|r| json!({"id": r.id, "plan": r.plan, "created_at": r.created_at.to_string(), "status": r.status, "runbook": r.name}))
            .collect();
        json!({ "runs": runs })
    };
    output::print(global, text, json);
    if let Some(run) = left {
        output::note(
            global,
            format!("nobody carries out a run that was left, and its machines may be dark: `coldswap resume {run}` goes on"),
        );
    }
    Ok(ExitCode::Done)
}

/// A run whose process was killed is `running` in its row for ever: its lease has ended, and nobody renews it.
fn rows_of(store: &SqliteStore) -> Result<Vec<RunRow>, Failure> {
    let mut rows = store.runs()?;
    for row in rows.iter_mut().filter(|r| r.status == "running") {
        if store.lease(&row.id)?.is_some_and(|lease| lease.left == Some(Span::ZERO)) {
            row.status = LEFT.to_owned();
        }
    }
    Ok(rows)
}

/// Nobody carries it out, and it has not come to an end.
const LEFT: &str = "left";

fn lab_runs(global: &Global) -> Result<Vec<RunRow>, Failure> {
    if global.store.is_some() {
        return Ok(Vec::new());
    }
    let directory = site::labs_directory(&site::store_path(global, &site::config(global)?)?);
    let Ok(files) = std::fs::read_dir(directory) else { return Ok(Vec::new()) };
    let mut paths: Vec<_> = files.filter_map(|f| f.ok()).map(|f| f.path()).filter(|p| p.extension().is_some_and(|e| e == "db")).collect();
    paths.sort_by_key(|p| std::fs::metadata(p).and_then(|m| m.modified()).ok());
    let mut rows = Vec::new();
    for path in paths {
        rows.extend(rows_of(&site::to_read(&path)?)?);
    }
    Ok(rows)
}

/// There is no such run or plan; perhaps another was meant.
pub fn unknown(site: &Site, id: &str) -> Failure {
    let rows = site.store.runs().unwrap_or_default();
    let names = rows.iter().flat_map(|r| [r.id.0.as_str(), r.plan.0.as_str()]);
    let hint = match did_you_mean(id, names) {
        Some(name) => format!("did you mean `{name}`?"),
        None => "`coldswap runs` lists them".to_owned(),
    };
    Failure::usage(format!("there is no run or plan `{id}` in this store")).hint(hint)
}

pub fn plan_of(site: &Site, id: &PlanId) -> Result<Plan, Failure> {
    let Some(text) = site.store.load_plan(id)? else { return Err(unknown(site, &id.0)) };
    read_plan(text.as_bytes()).map_err(|why| Failure::refused(format!("plan `{id}` cannot be read: {why}")))
}

fn run_of(site: &Site, id: &str) -> Result<RunRow, Failure> {
    site.store.run(&RunId(id.to_owned()))?.ok_or_else(|| unknown(site, id))
}

pub fn show(global: &Global, args: &IdArgs) -> Result<ExitCode, Failure> {
    let site = Site::of_id_to_read(global, &args.id)?;
    if site.store.load_plan(&PlanId(args.id.clone()))?.is_some() {
        let plan = plan_of(&site, &PlanId(args.id.clone()))?;
        output::print(global, || plan::render(&plan), || json!(plan));
        return Ok(ExitCode::Done);
    }
    let row = run_of(&site, &args.id)?;
    let report = make_report(&site.store, &plan_of(&site, &row.plan)?, &row.id)?;
    output::print(global, || report::text::render(&report, output::width(), false), || json!(report));
    Ok(ExitCode::Done)
}

pub fn report(global: &Global, args: &ReportArgs) -> Result<ExitCode, Failure> {
    let site = Site::of_id_to_read(global, &args.id)?;
    let row = run_of(&site, &args.id)?;
    let report = make_report(&site.store, &plan_of(&site, &row.plan)?, &row.id)?;
    let global = Global { output: args.format.unwrap_or(global.output), ..global.clone() };
    output::print(&global, || report::text::render(&report, output::width(), false), || json!(report));
    Ok(ExitCode::Done)
}

pub fn journal(global: &Global, args: &IdArgs) -> Result<ExitCode, Failure> {
    let site = Site::of_id_to_read(global, &args.id)?;
    let row = run_of(&site, &args.id)?;
    let records = site.store.journal(&row.id)?;
    let body = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_or_else(|_| json!({ "unreadable": text }));
    let text = || {
        records.iter().fold(String::new(), |mut out, r| {
            let _ = writeln!(out, "{:>6}  {}  {}", r.seq, r.at, r.body);
            out
        })
    };
    let json = || {
        let events: Vec<_> = records.iter().map(|r| json!({"seq": r.seq, "at": r.at.to_string(), "event": body(&r.body)})).collect();
        json!({ "run": row.id, "plan": row.plan, "journal_format": crate::engine::JOURNAL_FORMAT, "events": events })
    };
    match global.output {
        Output::Text => output::print(global, text, || json!({})),
        Output::Json => output::print(global, String::new, json),
    }
    Ok(ExitCode::Done)
}
