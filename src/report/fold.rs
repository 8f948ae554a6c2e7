//! Plan and events, entry by entry, into a report.

use super::people::{Waits, decision};
use super::steps::*;
use super::tally;
use super::types::*;
use super::{Stamp, Took};
use crate::engine::{BadEvent, Entry, Event, Outcome, Progress, Read, Told, Voucher};
use crate::model::*;
use crate::plan::{Plan, Switchover};
use crate::step::Step;

/// The fold. It can be asked for its report after any entry.
pub struct Fold<'p> {
    plan: &'p Plan,
    progress: Progress,
    report: Report,
    marks: Vec<Mark>,
    waits: Waits,
}

/// What the fold remembers of one switchover beside its report.
#[derive(Clone, Copy, Default)]
struct Mark {
    /// Position in the report of the first step of the path that is being walked.
    base: usize,
    /// When the source's power-off was first sent.
    dark_from: Option<Time>,
}

impl<'p> Fold<'p> {
    pub fn new(plan: &'p Plan, about: &About) -> Fold<'p> {
        let report = Report {
            format_version: REPORT_FORMAT,
            run: run_of(plan, about),
            switchovers: plan.switchovers.iter().map(waiting).collect(),
            left_out: plan
                .left_out
                .iter()
                .map(|l| LeftOutReport { name: l.name.clone(), uuid: l.node, code: wire(&l.code), why: l.why.clone() })
                .collect(),
            totals: Totals::default(),
        };
        let count = plan.switchovers.len();
        Fold { plan, progress: Progress::new(plan), report, marks: vec![Mark::default(); count], waits: Waits::new(count) }
    }

    /// # Errors
    /// [`BadEvent`] when the event does not fit what came before; the report stays as it was.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), BadEvent> {
        let index = entry.event.switchover().and_then(|id| self.plan.index(id));
        // Where the switchover was before this event: the events that end a path do not say.
        let cursor = index.map_or(0, |i| self.progress.tracks[i].cursor);
        self.progress.apply(self.plan, entry)?;
        let run = &mut self.report.run;
        run.started_at.get_or_insert(Stamp::new(entry.at));
        run.as_of = Some(Stamp::new(entry.at));
        run.resumed += u32::from(matches!(entry.event, Event::RunResumed | Event::TakenOver { .. }));
        run.taken_over += u32::from(matches!(entry.event, Event::TakenOver { .. }));
        run.paused = self.progress.paused.clone();
        run.decisions.extend(decision(entry));
        self.waits.hear(self.plan, &self.progress, entry);
        if let Some(index) = index {
            self.tell(index, cursor, entry);
        }
        Ok(())
    }

    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The report as of the last entry.
    pub fn report(&self) -> Report {
        let mut report = self.report.clone();
        let flying = self.progress.tracks.iter().any(|t| t.in_flight());
        report.run.status = match &report.run.paused {
            _ if self.progress.all_finished() && self.progress.started => RunStatus::Finished,
            Some(_) if !flying && self.progress.pause_until.is_none() => RunStatus::Parked,
            _ => RunStatus::Open,
        };
        if report.run.status != RunStatus::Open {
            report.run.ended_at = report.run.as_of;
        }
        if let Some(at) = report.run.as_of {
            let waited = self.waits.told(at.time());
            report.switchovers.iter_mut().zip(waited).for_each(|(s, waited)| s.waited = waited);
        }
        report.totals = tally::totals(&report);
        report
    }

    fn tell(&mut self, index: usize, cursor: usize, entry: &Entry) {
        let planned = &self.plan.switchovers[index];
        let told = &mut self.report.switchovers[index];
        let mark = &mut self.marks[index];
        let at = Stamp::new(entry.at);
        match &entry.event {
            Event::Started { .. } => {
                told.status = SwitchoverStatus::InFlight;
                told.started_at = Some(at);
                begin(told, 0, at);
            }
            Event::Intended { step, attempt, command, before, .. } => {
                let before = reads_of(planned, before);
                let sent = sent_of(planned, at, *attempt, command);
                intended(planned, told, mark, position(mark.base, *step), &sent, &before);
            }
            Event::FenceLevel { level, why, .. } => {
                let fence = told.fence.get_or_insert_default();
                fence.levels.push(LevelReport { at, level: *level, why: why.clone() });
            }
            Event::Achieved { step, how, after, hook, fence, .. } => {
                let here = position(mark.base, *step);
                let after = reads_of(planned, after);
                achieved(told, mark, here, at, &after);
                if let (Some(voucher), Some(told)) = (fence, &mut told.fence) {
                    told.voucher = Some(voucher_of(voucher));
                }
                if let Some(step) = end(told, here, at, StepStatus::Achieved) {
                    step.how = Some(*how);
                    step.result = hook.as_ref().map(hook_of);
                    step.after = after;
                }
                begin(told, here + 1, at);
            }
            Event::Retried { step, attempt, why, hook, .. } => {
                if let Some(step) = told.steps.get_mut(position(mark.base, *step)) {
                    let retry = Retry { at, attempt: attempt + 1, why: why.clone(), result: hook.as_ref().map(hook_of) };
                    step.retries.push(retry);
                }
            }
            Event::Tolerated { step, why, hook, .. } => {
                let here = position(mark.base, *step);
                if let Some(step) = end(told, here, at, StepStatus::Tolerated) {
                    step.why = Some(why.clone());
                    step.result = hook.as_ref().map(hook_of);
                }
                told.warnings.push(format!("{why}; the run went on"));
                begin(told, here + 1, at);
            }
            Event::RollingBack { why, hook, .. } => {
                give_up(told, mark.base + cursor, at, Some(why), hook.as_ref());
                told.rolled_back = Some(Turn { at, why: why.clone() });
                mark.base = detour(told, self.progress.tracks[index].path(&planned.steps), Direction::Back, at);
            }
            Event::CuttingOff { why, .. } => {
                give_up(told, mark.base + cursor, at, Some(why), None);
                told.cut_off = Some(Turn { at, why: why.clone() });
                mark.base = detour(told, self.progress.tracks[index].path(&planned.steps), Direction::CuttingOff, at);
            }
            Event::Finished { outcome, why, debt, hook, .. } => {
                give_up(told, mark.base + cursor, at, why.as_ref(), hook.as_ref());
                finished(told, *outcome, why.as_ref(), debt.as_deref(), at);
            }
            Event::Resolved { .. } | Event::Mending { .. } => {
                told.status = SwitchoverStatus::InFlight;
                (told.outcome, told.debt, told.ended_at) = (None, None, None);
                mark.base = detour(told, self.progress.tracks[index].path(&planned.steps), Direction::Settling, at);
            }
            Event::Settled { .. } => {
                told.debt = None;
                told.settled_at = Some(at);
            }
            // What is about the run as a whole is told above.
            _ => {}
        }
    }
}

fn run_of(plan: &Plan, about: &About) -> RunReport {
    RunReport {
        id: about.run.clone(),
        plan: plan.id.clone(),
        runbook: RunbookReport {
            name: plan.runbook.name.clone(),
            description: plan.runbook.description.clone(),
            labels: plan.runbook.labels.clone(),
            digest: plan.runbook.digest.clone(),
        },
        mode: wire(&plan.mode),
        store: plan.store.clone(),
        status: RunStatus::Open,
        started_at: None,
        ended_at: None,
        as_of: None,
        resumed: 0,
        taken_over: 0,
        paused: None,
        decisions: Vec::new(),
        coldswap: about.coldswap.clone(),
    }
}

fn waiting(planned: &Switchover) -> SwitchoverReport {
    let node = |m: &crate::step::Machine| NodeReport { name: m.name.clone(), uuid: m.node };
    SwitchoverReport {
        id: planned.id,
        source: node(&planned.source),
        destination: node(&planned.destination),
        pool: planned.pool.clone(),
        preferred: planned.preferred.clone(),
        identical: planned.identical,
        group: planned.group,
        status: SwitchoverStatus::Waiting,
        outcome: None,
        why: None,
        debt: None,
        settled_at: None,
        waited: Vec::new(),
        started_at: None,
        ended_at: None,
        took: None,
        dark: None,
        predicted: planned.predicted.map(|s| Predicted { p50: Took::new(s.p50), p95: Took::new(s.p95) }),
        rolled_back: None,
        cut_off: None,
        fence: None,
        warnings: planned.warnings.clone(),
        steps: steps_of(&planned.steps, Direction::Forward).collect(),
    }
}

fn steps_of(steps: &[Step], direction: Direction) -> impl Iterator<Item = StepReport> {
    steps.iter().enumerate().map(move |(at, step)| StepReport {
        number: u32::try_from(at + 1).unwrap_or(u32::MAX),
        step: step.name().to_owned(),
        hook: step.hook().map(|h| h.name.clone()),
        subject: step.subject(),
        direction,
        status: StepStatus::NotBegun,
        started_at: None,
        ended_at: None,
        took: None,
        how: None,
        attempts: 0,
        sent: Vec::new(),
        retries: Vec::new(),
        before: Vec::new(),
        after: Vec::new(),
        result: None,
        why: None,
    })
}

/// Position in the report of step `number` of the path that begins at `base`.
fn position(base: usize, number: u32) -> usize {
    base + (number as usize).saturating_sub(1)
}

/// A step's turn has come. Past the end of the path nothing's has.
fn begin(told: &mut SwitchoverReport, here: usize, at: Stamp) {
    if let Some(step) = told.steps.get_mut(here) {
        step.status = StepStatus::InHand;
        step.started_at = Some(at);
    }
}

fn end(told: &mut SwitchoverReport, here: usize, at: Stamp, status: StepStatus) -> Option<&mut StepReport> {
    let step = told.steps.get_mut(here)?;
    step.status = status;
    step.ended_at = Some(at);
    step.took = step.started_at.map(|from| Took::between(from.time(), at.time()));
    Some(step)
}

/// The step in hand, if one is, will not come true.
fn give_up(told: &mut SwitchoverReport, here: usize, at: Stamp, why: Option<&Reason>, hook: Option<&HookResult>) {
    if let Some(step) = end(told, here, at, StepStatus::GivenUp) {
        step.why = why.cloned();
        step.result = hook.map(hook_of).or(step.result.take());
    }
}

fn detour(told: &mut SwitchoverReport, path: &[Step], direction: Direction, at: Stamp) -> usize {
    let base = told.steps.len();
    told.steps.extend(steps_of(path, direction));
    begin(told, base, at);
    base
}

fn intended(planned: &Switchover, told: &mut SwitchoverReport, mark: &mut Mark, here: usize, sent: &Sent, before: &[ReadReport]) {
    let Some(step) = told.steps.get_mut(here) else { return };
    step.attempts += 1;
    step.sent.push(sent.clone());
    step.before.extend_from_slice(before);
    if step.direction != Direction::Forward {
        return;
    }
    match planned.steps.get(here) {
        Some(Step::PowerOff(_)) => {
            mark.dark_from.get_or_insert(sent.at.time());
        }
        Some(Step::Fence(_)) => told.fence.get_or_insert_default().sent.push(sent.clone()),
        Some(step) if step.starts_destination() => {
            if let Some(fence) = &mut told.fence {
                fence.before_start = before.to_vec();
            }
        }
        _ => {}
    }
}

/// What an achieved step says of the switchover: its fence held, its work is served again.
fn achieved(told: &mut SwitchoverReport, mark: &Mark, here: usize, at: Stamp, after: &[ReadReport]) {
    let Some(step) = told.steps.get(here) else { return };
    match (step.direction, step.step.as_str()) {
        (Direction::Forward, "fence") => {
            let fence = told.fence.get_or_insert_default();
            fence.held_at = Some(at);
            fence.reads = after.to_vec();
        }
        (Direction::Forward, "await_boot") => {
            told.dark = mark.dark_from.map(|from| Took::between(from, at.time()));
            if let Some(fence) = &mut told.fence {
                fence.after_boot = after.to_vec();
            }
        }
        (Direction::Back, "power_back") => told.dark = mark.dark_from.map(|from| Took::between(from, at.time())),
        _ => {}
    }
}

fn finished(told: &mut SwitchoverReport, outcome: Outcome, why: Option<&Reason>, debt: Option<&str>, at: Stamp) {
    told.status = SwitchoverStatus::Finished;
    told.outcome = Some(outcome);
    told.ended_at = Some(at);
    told.took = told.started_at.map(|from| Took::between(from.time(), at.time()));
    // One that was taken back ended for what turned it back.
    told.why = why.or(told.rolled_back.as_ref().map(|t| &t.why)).cloned();
    told.debt = debt.map(str::to_owned);
}

fn reads_of(planned: &Switchover, reads: &[Read]) -> Vec<ReadReport> {
    let read = |r: &Read| ReadReport { at: Stamp::new(r.at), node: planned.name_of(r.node).to_owned(), power: r.power, who: r.who.clone() };
    reads.iter().map(read).collect()
}

fn sent_of(planned: &Switchover, at: Stamp, attempt: u32, command_told: &Told) -> Sent {
    let (command, reset, node) = match command_told {
        Told::Reset { node, reset } => (CommandKind::Reset, Some(*reset), Some(planned.name_of(*node).to_owned())),
        Told::Change => (CommandKind::Change, None, None),
        Told::Boot => (CommandKind::Boot, None, None),
        Told::Prompt => (CommandKind::Prompt, None, None),
        Told::Hook => (CommandKind::Hook, None, None),
        Told::RestorePolicy => (CommandKind::RestorePolicy, None, None),
        Told::Agents(_) => (CommandKind::Agents, None, None),
        Told::Attestation => (CommandKind::Attestation, None, None),
        Told::Provision { node, .. } => (CommandKind::Provision, None, Some(planned.name_of(*node).to_owned())),
    };
    let agents = if let Told::Agents(agents) = command_told { agents.clone() } else { Vec::new() };
    Sent { at, attempt: attempt + 1, command, reset, node, agents }
}

fn voucher_of(voucher: &Voucher) -> VoucherReport {
    match voucher {
        Voucher::Agents(reads) => VoucherReport::Agents(
            reads
                .iter()
                .map(|r| PlugReport { at: Stamp::new(r.at), agent: r.agent.clone(), plug: r.plug.clone(), state: r.state })
                .collect(),
        ),
        Voucher::Attestation { id, by, reason, at, until } => {
            VoucherReport::Attestation { id: *id, by: by.clone(), reason: reason.clone(), at: Stamp::new(*at), until: Stamp::new(*until) }
        }
    }
}

/// The runner bounds the output; a journal that another version wrote is bounded here.
fn hook_of(result: &HookResult) -> HookReport {
    let mut from = result.output.len().saturating_sub(OUTPUT_BYTES_MAX);
    while !result.output.is_char_boundary(from) {
        from += 1;
    }
    HookReport {
        succeeded: result.succeeded,
        how: result.how.clone(),
        output: result.output[from..].to_owned(),
        took: Took::new(result.took),
    }
}

/// The text that a fieldless enum has on the wire.
fn wire<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        other => unreachable!("a fieldless enum is a string on the wire, not {other:?}"),
    }
}
