//! `plan` and `explain`: look, decide, show. Nothing here has a port that could touch anything but our own store, where a
//! plan is saved.

use super::args::{ExplainArgs, Global, PlanArgs};
use super::files::Kind;
use super::lab::Bench;
use super::look::{Looked, gathered, gathered_to, heed, look, look_with};
use super::site::Site;
use super::{Failure, files, output};
use crate::diagnostic::Source;
use crate::executor::Looks;
use crate::model::*;
use crate::plan::{self, Plan};
use crate::ports::{Inventory, Store};
use crate::report::ExitCode;
use crate::runbook::Runbook;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

pub async fn plan(global: &Global, args: &PlanArgs) -> Result<ExitCode, Failure> {
    let (runbook, source) = files::runbook(&args.runbook, &args.vars)?;
    let saves = args.out.is_some() || (args.refresh && args.lab.is_none());
    let bench = Bench::open(global, args.lab.as_deref(), saves).await?;
    args.out.as_deref().map_or(Ok(()), |out| bench.site.try_to_write(out, Kind::Plan))?;
    let looks = bench.site.looks();
    let id = if args.out.is_some() { bench.site.store.next_plan_id()? } else { "unsaved".into() };
    let concerned = (&runbook, Some(&source));
    let looked = match args.refresh {
        true => afresh(global, &bench.site, &looks, concerned, args, id).await,
        false => look(global, &bench.site, &looks, concerned, &args.choose, id).await,
    };
    looks.close().await;
    let plan = looked?.plan;
    if let Some(out) = &args.out {
        save(&bench.site.store, &plan)?;
        files::write_whole(out, Kind::Plan, pretty(&plan)?.as_bytes())?;
    }
    output::print(
        global,
        || {
            let saved = args.out.as_ref().map(|out| saved(args, &plan, out));
            plan::render(&plan) + &saved.unwrap_or_default()
        },
        || json!(plan),
    );
    let changes = !plan.switchovers.is_empty();
    Ok(if args.detailed_exitcode && changes { ExitCode::Changes } else { ExitCode::Done })
}

fn saved(args: &PlanArgs, plan: &Plan, out: &Path) -> String {
    let (id, out) = (&plan.id, out.display());
    match &args.lab {
        None => format!("\nsaved as {id} in {out}; `coldswap apply {out}` carries it out\n"),
        Some(lab) => {
            let again = format!("`coldswap apply {} --lab {}`", args.runbook.display(), lab.display());
            format!("\nsaved as {id} in {out}, to be looked at: its lab has ended; {again} makes a plan of its own and carries it out\n")
        }
    }
}

/// Read everything that the plan may concern in full, remember it, and plan with it. What is planned with and what is
/// remembered come from the same reading.
async fn afresh(
    global: &Global,
    site: &Site,
    looks: &Looks,
    runbook: (&Runbook, Option<&Source>),
    args: &PlanArgs,
    id: PlanId,
) -> Result<Looked, Failure> {
    let gathered = gathered_to(global, looks, runbook.0, Depth::Full).await?;
    heed(site, &gathered)?;
    for (node, refused) in remember(site, &gathered.reports).await {
        let name = gathered.fleet.nodes.get(&node).map_or_else(|| node.to_string(), |n| n.name.clone());
        output::note(global, format!("warning: {name}: {refused}"));
    }
    for (node, report) in gathered.reports.iter().filter(|(_, r)| !r.unread.is_empty()) {
        let name = gathered.fleet.nodes.get(node).map_or_else(|| node.to_string(), |n| n.name.clone());
        output::note(global, format!("warning: {name}: could not be read: {}", report.unread.join("; ")));
    }
    look_with(site, looks, runbook, &args.choose, gathered, id)
}

/// Remember what BMCs said of themselves; what the inventory refused is given back.
pub async fn remember(site: &Site, reports: &BTreeMap<NodeId, SystemReport>) -> Vec<(NodeId, Fault)> {
    // Ironic remembers for itself.
    if site.ironic.is_some() {
        return Vec::new();
    }
    // All at once: the store commits in groups.
    let learnt = reports.iter().map(|(node, report)| async move { (*node, site.store.learn(*node, report, site.now()).await) });
    let learnt = futures_util::future::join_all(learnt).await;
    learnt.into_iter().filter_map(|(node, done)| Some((node, done.err()?))).collect()
}

/// Keep a plan in the store, where `apply` and `show` find it.
pub fn save(store: &dyn Store, plan: &Plan) -> Result<(), Failure> {
    let json = serde_json::to_string(plan).map_err(|e| Failure::refused(format!("the plan cannot be written: {e}")))?;
    store.save_plan(&plan.id, plan.created_at, &json)?;
    Ok(())
}

pub fn pretty(plan: &Plan) -> Result<String, Failure> {
    serde_json::to_string_pretty(plan).map(|text| text + "\n").map_err(|e| Failure::refused(format!("the plan cannot be written: {e}")))
}

pub async fn explain(global: &Global, args: &ExplainArgs) -> Result<ExitCode, Failure> {
    let (Some(file), Some(node)) = (&args.runbook, &args.node) else {
        let rules: Vec<_> = crate::runbook::BUILTIN_IDENTICAL.iter().map(|(fact, why)| json!({"fact": fact, "reason": why})).collect();
        let always: Vec<_> = plan::explain::ALWAYS.iter().map(|(rule, why)| json!({"rule": rule, "reason": why})).collect();
        output::print(global, plan::explain::explain_rules, || json!({ "always": always, "identical": rules }));
        return Ok(ExitCode::Done);
    };
    let (runbook, source) = files::runbook(file, &args.vars)?;
    let bench = Bench::open(global, args.lab.as_deref(), false).await?;
    let looks = bench.site.looks();
    let gathered = gathered(global, &looks, &runbook).await;
    looks.close().await;
    let gathered = gathered?;
    heed(&bench.site, &gathered)?;
    let explanation = plan::explain::explain(&runbook, &gathered.fleet, node).map_err(|wrong| Failure::Diagnostics(wrong, vec![source]))?;
    output::print(global, || explanation.to_string(), || json!({ "explanation": explanation }));
    Ok(ExitCode::Done)
}
