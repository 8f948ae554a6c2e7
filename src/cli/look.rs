//! From a checked runbook to a plan: gather, then decide. Nothing here can do more than look ([`Looks`]).

use super::args::{ChooseArgs, Global};
use super::asking::{Asking, SURVEYED_AT_ONCE};
use super::history::history;
use super::site::Site;
use super::{Failure, files};
use crate::diagnostic::{Diagnostic, Diagnostics, Source, codes};
use crate::executor::{Gathered, Looks, openings};
use crate::model::*;
use crate::plan::home::Homecoming;
use crate::plan::{self, Plan, Request};
use crate::runbook::Runbook;
use crate::step::Step;
use std::collections::BTreeMap;

/// What was looked at and what was decided from it.
pub struct Looked {
    pub gathered: Gathered,
    pub plan: Plan,
}

/// BMCs that are asked at the same time. Each gets one request at a time, and `bmc.total_at_once` bounds them all.
pub const ASKED_AT_ONCE: usize = 4096;

/// Read the inventory and the BMCs that the runbook concerns. Touches nothing.
pub async fn gathered(global: &Global, looks: &Looks, runbook: &Runbook) -> Result<Gathered, Failure> {
    gathered_to(global, looks, runbook, Depth::Short).await
}

/// The same, to the depth that is asked for.
pub async fn gathered_to(global: &Global, looks: &Looks, runbook: &Runbook, depth: Depth) -> Result<Gathered, Failure> {
    let concerns = |fleet: &Fleet| plan::concerned(runbook, fleet);
    let mut asking = Asking::new(global, depth);
    let at_once = if depth == Depth::Full { SURVEYED_AT_ONCE } else { ASKED_AT_ONCE };
    let gathered = looks.ask((depth, runbook.further), at_once, concerns, |count, total| asking.tell(count, total)).await?;
    asking.end();
    if gathered.fleet.nodes.is_empty() {
        return Err(Failure::refused("the inventory is empty")
            .hint("`coldswap inventory import FILE` takes nodes from a file; `--lab LAB` brings its own"));
    }
    Ok(gathered)
}

/// Rule S1: whatever command sees a machine run ends what people said before of its being off.
pub fn heed(site: &Site, gathered: &Gathered) -> Result<(), Failure> {
    Ok(site.store.saw_running(gathered.running.iter().copied().collect(), site.now())?)
}

/// Look and decide. Warnings go to standard error.
pub async fn look(
    global: &Global,
    site: &Site,
    looks: &Looks,
    (runbook, source): (&Runbook, Option<&Source>),
    choose: &ChooseArgs,
    id: PlanId,
) -> Result<Looked, Failure> {
    let gathered = gathered(global, looks, runbook).await?;
    heed(site, &gathered)?;
    decide(site, looks, (runbook, source), choose, gathered, BTreeMap::new(), id)
}

/// Decide from what was looked at.
pub fn look_with(
    site: &Site,
    looks: &Looks,
    runbook: (&Runbook, Option<&Source>),
    choose: &ChooseArgs,
    gathered: Gathered,
    id: PlanId,
) -> Result<Looked, Failure> {
    decide(site, looks, runbook, choose, gathered, BTreeMap::new(), id)
}

/// Decide the way home from what was looked at.
pub fn look_home(
    site: &Site,
    looks: &Looks,
    runbook: (&Runbook, Option<&Source>),
    gathered: Gathered,
    home: BTreeMap<NodeId, Homecoming>,
    id: PlanId,
) -> Result<Looked, Failure> {
    decide(site, looks, runbook, &ChooseArgs::default(), gathered, home, id)
}

fn decide(
    site: &Site,
    looks: &Looks,
    (runbook, source): (&Runbook, Option<&Source>),
    choose: &ChooseArgs,
    gathered: Gathered,
    home: BTreeMap<NodeId, Homecoming>,
    id: PlanId,
) -> Result<Looked, Failure> {
    let request = Request {
        id,
        store: looks.records().store(),
        now: site.now(),
        landing: site.landing(&gathered.fleet)?,
        only: choose.only.clone(),
        exclude: choose.exclude.clone(),
        allow_storm: choose.allow_storm,
        allow_boot_cleared: choose.allow_boot_cleared.clone(),
        home,
    };
    let sources: Vec<&Source> = source.into_iter().collect();
    match plan::plan(runbook, &gathered.fleet, &request) {
        Ok((mut plan, warnings)) => {
            files::warn(&warnings, &sources);
            files::warn(&windows_over(&plan, request.now)?, &[]);
            plan::predict(&mut plan, &history(looks.records())?.durations);
            plan.switchovers.iter_mut().flat_map(|s| &mut s.steps).for_each(anchor);
            plan.notify.iter_mut().for_each(|n| anchor_action(&mut n.action));
            Ok(Looked { gathered, plan })
        }
        Err(wrong) => Err(Failure::Diagnostics(wrong, sources.into_iter().cloned().collect())),
    }
}

/// The windows that do not open any more. A plan is made all the same: its run is parked at once, with the reason.
fn windows_over(plan: &Plan, now: Time) -> Result<Diagnostics, Failure> {
    let mut over = Vec::new();
    for window in &plan.windows {
        if openings(std::slice::from_ref(window), now).map_err(Failure::refused)?.is_empty() {
            over.push(match window {
                Window::Once { closes, time_zone, .. } => format!("the window until {closes} {time_zone} is over"),
                Window::Cron { cron, .. } => format!("the window `{cron}` does not open within two years"),
            });
        }
    }
    let hint = match over.len() == plan.windows.len() {
        true => "no other is left: nothing would start, and the run would be parked at once",
        false => "the others count",
    };
    Ok(Diagnostics(over.into_iter().map(|text| Diagnostic::warning(codes::WINDOWS_OVER, text).hint(hint)).collect()))
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
