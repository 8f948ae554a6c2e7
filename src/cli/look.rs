//! From a checked runbook to a plan: gather, then decide.

use super::args::{ChooseArgs, Global};
use super::site::Site;
use super::{Failure, files, output};
use crate::diagnostic::Source;
use crate::executor::{Gathered, Ports, gather};
use crate::model::*;
use crate::plan::{self, Plan, Request};
use crate::runbook::Runbook;
use crate::step::Step;

/// What was looked at and what was decided from it.
pub struct Looked {
    pub gathered: Gathered,
    pub plan: Plan,
}

/// BMCs that are asked at the same time. Each gets one request at a time, and `bmc.total_at_once` bounds them all.
pub const ASKED_AT_ONCE: usize = 4096;

/// Read the inventory and the BMCs that the runbook concerns. Touches nothing.
pub async fn gathered(global: &Global, ports: &Ports, runbook: &Runbook) -> Result<Gathered, Failure> {
    let concerns = |fleet: &Fleet| plan::concerned(runbook, fleet);
    let bar = progress(global);
    let tell = |count: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(count as u64);
    };
    let gathered = gather(&*ports.inventory, &*ports.bmc, &*ports.clock, ASKED_AT_ONCE, concerns, tell).await?;
    bar.finish_and_clear();
    if gathered.fleet.nodes.is_empty() {
        return Err(Failure::refused("the inventory is empty")
            .hint("`coldswap inventory import FILE` takes nodes from a file; `--lab LAB` brings its own"));
    }
    Ok(gathered)
}

fn progress(global: &Global) -> indicatif::ProgressBar {
    if global.quiet {
        return indicatif::ProgressBar::hidden();
    }
    let style = indicatif::ProgressStyle::with_template("asking BMCs {pos}/{len} {wide_bar}");
    let bar = indicatif::ProgressBar::new(0);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Look and decide. Warnings go to standard error.
pub async fn look(
    global: &Global,
    site: &Site,
    ports: &Ports,
    (runbook, source): (&Runbook, Option<&Source>),
    choose: &ChooseArgs,
    id: PlanId,
) -> Result<Looked, Failure> {
    let gathered = gathered(global, ports, runbook).await?;
    let request = Request {
        id,
        store: ports.store.id(),
        now: site.now(),
        landing: site.landing(&gathered.fleet)?,
        only: choose.only.clone(),
        exclude: choose.exclude.clone(),
        allow_storm: choose.allow_storm,
    };
    let sources: Vec<&Source> = source.into_iter().collect();
    match plan::plan(runbook, &gathered.fleet, &request) {
        Ok((mut plan, warnings)) => {
            files::warn(&warnings, &sources);
            plan.switchovers.iter_mut().flat_map(|s| &mut s.steps).for_each(anchor);
            plan.notify.iter_mut().for_each(|n| anchor_action(&mut n.action));
            Ok(Looked { gathered, plan })
        }
        Err(wrong) => Err(Failure::Diagnostics(wrong, sources.into_iter().cloned().collect())),
    }
}

/// A saved plan or a resumed run finds its hooks from any working directory.
fn anchor(step: &mut Step) {
    let Step::RunHook(hook) = step else { return };
    let hook = &mut hook.hook;
    [Some(&mut hook.action), hook.check.as_mut(), hook.undo.as_mut()].into_iter().flatten().for_each(anchor_action);
}

fn anchor_action(action: &mut HookAction) {
    if let HookAction::Run(run) = action
        && let Some(directory) = &mut run.directory
    {
        let here = if directory.is_empty() { "." } else { directory.as_str() };
        if let Ok(absolute) = std::path::absolute(here) {
            *directory = absolute.display().to_string();
        }
    }
}

/// Remember in the inventory what the BMCs said of themselves. What is refused is told and stops nothing: the step that
/// reserves the node compares again.
pub async fn learn(global: &Global, site: &Site, ports: &Ports, gathered: &Gathered) {
    // All at once: the store commits in groups.
    let learnt = gathered.reports.iter().map(|(node, report)| ports.inventory.learn(*node, report, site.now()));
    for fault in futures_util::future::join_all(learnt).await.into_iter().filter_map(Result::err) {
        output::note(global, format!("warning: {fault}"));
    }
}
