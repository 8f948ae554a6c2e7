//! What an event is to a person who looks on.

use crate::engine::{Entry, Event, How, Outcome, Phase, Progress, Read, Told, Track, Voucher};
use crate::model::*;
use crate::plan::Plan;
use crate::report::{Stamp, brief, text};
use crate::step::{FenceLevel, Step};

/// How much a line matters, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// One step further.
    Step,
    Retry,
    /// Something ended well, or the run began.
    Good,
    /// Not as planned.
    Odd,
    /// A person must look.
    Bad,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub at: Time,
    /// `s-001 web-01 -> spare-03  `; empty for the run.
    pub who: String,
    pub what: String,
    pub weight: Weight,
}

/// The line of an event; `None` for one that says nothing new. `progress` is the fold before the event.
pub(super) fn line(plan: &Plan, progress: &Progress, started: &[Option<Time>], entry: &Entry) -> Option<Line> {
    let index = entry.event.about().and_then(|id| plan.index(id));
    let (weight, what) = match index.filter(|_| entry.event.switchover().is_some()) {
        Some(index) => of_switchover(plan, progress, index, started, entry)?,
        None => of_run(plan, progress, &entry.event)?,
    };
    let who = index.map(|i| format!("{}  ", pair(plan, i))).unwrap_or_default();
    Some(Line { at: entry.at, who, what, weight })
}

fn pair(plan: &Plan, index: usize) -> String {
    let s = &plan.switchovers[index];
    format!("{} {} -> {}", s.id, s.source.name, s.destination.name)
}

fn of_run(plan: &Plan, progress: &Progress, event: &Event) -> Option<(Weight, String)> {
    match event {
        Event::RunStarted { run, plan: id, .. } => {
            let at_once = plan.limits.at_once;
            Some((Weight::Good, format!("run {run} of plan {id}: {} to switch over, {at_once} at once", plan.switchovers.len())))
        }
        Event::RunResumed => {
            let count = |is: fn(&Track) -> bool| progress.tracks.iter().filter(|t| is(t)).count();
            let (over, flying) = (count(|t| matches!(t.phase, Phase::Finished(_))), count(Track::in_flight));
            let waiting = count(|t| t.phase == Phase::Waiting);
            Some((Weight::Good, format!("taken up again: {over} finished, {flying} in flight, {waiting} not begun")))
        }
        Event::TakenOver { from, first_look, .. } => {
            let until = Stamp::new(*first_look).clock();
            Some((Weight::Odd, format!("taken over from executor {from}; nothing is looked at until {until}: what it sent may still land")))
        }
        Event::Paused { why, .. } => Some((Weight::Odd, format!("paused, nothing new starts: {why}"))),
        Event::Continued { by } => Some((Weight::Good, format!("goes on, said {}", by.name))),
        Event::Held { limit: Some(limit), why, .. } => {
            Some((Weight::Step, format!("waits for {}: {}", limit.as_str(), why.as_deref().unwrap_or_default())))
        }
        Event::Held { .. } => None,
        Event::Asked { matter, until, default } => {
            let choices = if *matter == Matter::Canary { "go|stop" } else { "approve|refuse" };
            Some((Weight::Odd, format!("waits for `coldswap decide {} {matter} {choices}`; `{default}` at {until}", run_of(progress))))
        }
        Event::Decided { choice, by, matter, .. } => {
            let by = by.as_ref().map_or("by default, nobody answered in time".to_owned(), |v| format!("said {}", v.name));
            let what = if matches!(matter, Matter::Prompt(_)) { String::new() } else { format!("{matter}: ") };
            Some((Weight::Odd, format!("{what}`{choice}`, {by}")))
        }
        Event::Recalled { by, .. } => Some((Weight::Odd, format!("{} asked for a rollback", by.name))),
        Event::Declined { request, why, by } => Some((Weight::Odd, format!("`{request}` of {} is refused: {why}", by.name))),
        _ => None,
    }
}

fn run_of(progress: &Progress) -> &str {
    progress.run.as_ref().map_or("RUN", |run| &run.0)
}

fn of_switchover(plan: &Plan, progress: &Progress, index: usize, started: &[Option<Time>], entry: &Entry) -> Option<(Weight, String)> {
    let track = &progress.tracks[index];
    let steps = &plan.switchovers[index].steps;
    let step = track.path(steps).get(track.cursor);
    let label = step.map(|s| label(track, s)).unwrap_or_default();
    let name = |node: &NodeId| plan.switchovers[index].name_of(*node);
    Some(match &entry.event {
        Event::Started { .. } => (Weight::Step, "started".into()),
        Event::Intended { command: Told::Reset { node, reset }, attempt, .. } => {
            let again = if *attempt > 0 { format!(", attempt {}", attempt + 1) } else { String::new() };
            (Weight::Step, format!("{label}  {reset} to {}{again}", name(node)))
        }
        Event::Intended { command: Told::Provision { node, target }, attempt, .. } => {
            let again = if *attempt > 0 { format!(", attempt {}", attempt + 1) } else { String::new() };
            (Weight::Step, format!("{label}  `{}` for {}{again}", target.as_str(), name(node)))
        }
        Event::Mending { .. } => (Weight::Odd, "what is owed is tried once more".into()),
        Event::Intended { command: Told::Agents(agents), .. } => (Weight::Step, format!("{label}  off by {}", agents.join(" and "))),
        Event::FenceLevel { level, why, .. } => (Weight::Odd, format!("{label}  {why}; {}", next_level(step?, *level))),
        Event::Achieved { fence: Some(voucher), .. } => (Weight::Step, format!("{label}  {}", vouched(voucher))),
        Event::Intended { command: Told::Prompt, .. } => {
            let prompt = step?.prompt()?;
            let (id, timeout) = (plan.switchovers[index].id, step?.hook()?.timeout);
            let choices = prompt.choices.join("|");
            (
                Weight::Odd,
                format!(
                    "asks: {} `coldswap decide {} {id} {choices}`; `{}` after {timeout}",
                    prompt.text,
                    run_of(progress),
                    prompt.default
                ),
            )
        }
        Event::Intended { .. } => return None,
        Event::Resolved { moved, by, .. } => {
            let what = if *moved { "moved" } else { "not moved" };
            (Weight::Odd, format!("{}, says {}; both nodes are looked at", what, by.name))
        }
        Event::Settled { .. } => (Weight::Good, "nothing is owed any more".into()),
        Event::Achieved { how, after, hook, .. } => (Weight::Step, format!("{label}  {}", achieved(step?, *how, after, hook.as_ref()))),
        Event::Retried { attempt, why, .. } => (Weight::Retry, format!("{label}  attempt {} came to nothing: {why}", attempt + 1)),
        Event::Tolerated { why, .. } => (Weight::Odd, format!("{label}  {why}; going on")),
        Event::RollingBack { why, .. } => (Weight::Odd, format!("{label}  going back: {why}")),
        Event::CuttingOff { why, .. } => (Weight::Bad, format!("{label}  cutting the source off: {why}")),
        Event::Finished { outcome, why, .. } => {
            let took = started[index].map(|from| format!(" after {}", brief(entry.at.since(from)))).unwrap_or_default();
            let why = why.as_ref().map(|w| format!(": {w}")).unwrap_or_default();
            (weight_of(*outcome), format!("{}{took}{why}", text::outcome_words(*outcome)))
        }
        _ => return None,
    })
}

fn weight_of(outcome: Outcome) -> Weight {
    match outcome {
        Outcome::SwitchedOver => Weight::Good,
        Outcome::RolledBack | Outcome::Skipped => Weight::Odd,
        Outcome::Stopped | Outcome::InDoubt => Weight::Bad,
    }
}

fn label(track: &Track, step: &Step) -> String {
    let way = match track.phase {
        Phase::Back => "back: ",
        Phase::CuttingOff => "cutting off: ",
        Phase::Settling => "settling: ",
        _ => "",
    };
    format!("{way}{}", step.name())
}

fn achieved(step: &Step, how: How, after: &[Read], hook: Option<&HookResult>) -> String {
    let what = match (step, hook) {
        (Step::RunHook(run), Some(result)) => format!("{}: {}, {}", run.hook.name, result.how, brief(result.took)),
        (Step::RunHook(run), None) => run.hook.name.clone(),
        (Step::Fence(_), _) => format!("ForceOff, {} reads Off", after.len()),
        _ => match step.change_text() {
            (before, after) if before.is_empty() => format!("{}: {after}", step.subject()),
            (before, after) => format!("{}: {before} -> {after}", step.subject()),
        },
    };
    match how {
        How::Acted => what,
        How::AlreadySo => format!("{what} (already so)"),
        How::FoundDone => format!("{what} (found done)"),
    }
}

/// Who is asked now.
fn next_level(step: &Step, level: u32) -> String {
    match step.fence().and_then(|f| f.level(level)) {
        None => "the BMC is asked again".into(),
        Some(FenceLevel::Agents(calls)) => format!("asking {}", calls.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")),
        Some(FenceLevel::Attestation { expires }) => format!(
            "look at the machine, then `coldswap attest {} --off --by NAME --reason TEXT`; it is waited for {expires}",
            step.subject()
        ),
    }
}

fn vouched(voucher: &Voucher) -> String {
    match voucher {
        Voucher::Agents(reads) => format!("off by agent, {} status reads", reads.len()),
        Voucher::Attestation { by, reason, .. } => format!("{by} attested that it is off: {reason}"),
    }
}

/// The step in hand of a switchover in flight: `s-001 web-01 -> spare-03  5/17 fence web-01`.
pub(super) fn in_hand(plan: &Plan, track: &Track, index: usize) -> String {
    let path = track.path(&plan.switchovers[index].steps);
    let what = match path.get(track.cursor) {
        Some(step) => {
            let again = if track.attempt > 0 { format!(", attempt {}", track.attempt + 1) } else { String::new() };
            format!("{}/{} {} {}{again}", track.number(), path.len(), label(track, step), step.subject())
        }
        None => "all steps done".to_owned(),
    };
    text::printable(&format!("{}  {what}", pair(plan, index)))
}
