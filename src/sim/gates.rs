//! People and windows in the simulated world, and what must hold of every start whatever anybody asks: checked over the
//! journal by counting, without the engine's own bookkeeping.

use super::Rng;
use crate::engine::{Entry, Event, Outcome, Told};
use crate::model::*;
use crate::plan::Plan;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Who asks for what and when, and when windows are open. Delivered anew to every life of the process.
#[derive(Clone, Debug, Default)]
pub struct Stage {
    pub mail: Vec<Posted>,
    pub openings: Vec<Opening>,
    /// How often a parked run is resumed.
    pub resumes: u32,
    /// A planted bug: each letter is delivered twice, the second time as a new one.
    pub mail_twice: bool,
}

impl Stage {
    pub(super) fn letters(&self) -> VecDeque<Posted> {
        let mut letters: Vec<Posted> = self.mail.clone();
        if self.mail_twice {
            let again = self.mail.iter().map(|l| Posted { seq: l.seq + 1_000_000, ..l.clone() });
            letters.extend(again.collect::<Vec<_>>());
        }
        letters.sort_by_key(|l| (l.at, l.seq));
        letters.into()
    }

    /// Requests of a seed, in its first half minute. Each has a sender of its own, so that it can be told from others.
    pub fn drawn(rng: &mut Rng, plan: &Plan, from: Time) -> Stage {
        let count = rng.below(7);
        let mut at: Vec<u64> = (0..count).map(|_| rng.below(30_000)).collect();
        at.sort_unstable();
        let mut request = |_| {
            let switchover = plan.switchovers[usize::try_from(rng.below(plan.switchovers.len() as u64)).unwrap_or(0)].id;
            match rng.below(12) {
                0 => Request::Pause { limit: Span(rng.below(10_000)) },
                1 => Request::Stop,
                2 | 3 => Request::Resume,
                4 => Request::RollBack { switchover: None },
                5 | 6 => Request::RollBack { switchover: Some(switchover) },
                7 => Request::Decide { matter: Matter::Approval, choice: "approve".into(), why: None },
                8 => Request::Decide { matter: Matter::Canary, choice: "go".into(), why: None },
                9 => Request::Decide { matter: Matter::Prompt(switchover), choice: "good".into(), why: None },
                _ => Request::Resolve { switchover, moved: rng.percent(50), why: None },
            }
        };
        let mail =
            (1u64..).zip(at).map(|(seq, ms)| Posted { seq, at: from + Span(ms), by: format!("person-{seq}"), request: request(seq) });
        Stage { mail: mail.collect(), ..Stage::default() }
    }
}

/// What the checks remember while they read the journal.
#[derive(Default)]
struct Tale {
    flying: BTreeSet<SwitchoverId>,
    failed: BTreeSet<SwitchoverId>,
    turned: BTreeSet<SwitchoverId>,
    /// Taken back because somebody asked for it.
    asked: BTreeSet<SwitchoverId>,
    /// Failures that were there when somebody let the run go on.
    known: usize,
    over: BTreeSet<SwitchoverId>,
    last_start: Option<Time>,
    approved: bool,
    passed: bool,
    begun: u32,
    stopped: bool,
    /// Open questions: what and until when.
    open: BTreeMap<String, Time>,
    heard: BTreeSet<String>,
}

/// # Errors
/// The first start that a limit, a window or a person forbids, a question that outlived its time, a request acted upon
/// twice.
pub fn check_gates(plan: &Plan, stage: &Stage, journal: &[Entry]) -> Result<(), String> {
    let mut tale = Tale::default();
    let mut revived_at = Time(i64::MIN);
    for entry in journal {
        // Nothing happens after a question's time but that it is decided. A life that begins later decides at once.
        if matches!(entry.event, Event::RunResumed) {
            revived_at = entry.at;
        }
        let revived = entry.at <= revived_at;
        let decides = matches!(entry.event, Event::Decided { .. } | Event::RollingBack { .. } | Event::Finished { .. });
        if let Some((what, _)) = tale.open.iter().find(|(_, until)| **until + Span::secs(1) < entry.at && !revived && !decides) {
            return Err(format!("gate: `{what}` stayed open after its time: {:?}", entry.event));
        }
        if let Some(voice) = entry.event.voice()
            && !tale.heard.insert(voice.name.clone())
        {
            return Err(format!("gate: the request of {} was acted upon twice", voice.name));
        }
        if let Event::Started { switchover } = entry.event {
            start(plan, stage, &tale, switchover, entry.at)?;
        }
        tale.hear(plan, entry);
    }
    Ok(())
}

fn start(plan: &Plan, stage: &Stage, tale: &Tale, id: SwitchoverId, at: Time) -> Result<(), String> {
    let wrong = |what: String| Err(format!("gate: {id} started at {at} although {what}"));
    let find = |id: SwitchoverId| plan.switchovers.iter().find(|s| s.id == id);
    let Some(own) = find(id) else { return wrong("it is not in the plan".into()) };
    let flying: Vec<_> = tale.flying.iter().filter_map(|id| find(*id)).collect();
    if flying.len() >= plan.limits.at_once as usize {
        return wrong(format!("{} were in flight", flying.len()));
    }
    for domain in &own.domains {
        let there = flying.iter().filter(|s| s.domains.contains(domain)).count();
        if plan.limits.per_domain.get(&domain.level).is_some_and(|limit| there >= *limit as usize) {
            return wrong(format!("{there} were in flight in {} {}", domain.level, domain.name));
        }
    }
    if let Some(earlier) = plan.switchovers.iter().find(|s| s.group < own.group && !tale.over.contains(&s.id)) {
        return wrong(format!("{} of an earlier group had not ended", earlier.id));
    }
    let failures = (tale.failed.len() - tale.known.min(tale.failed.len())) + tale.turned.len();
    let brakes = match plan.limits.stop_after_failures {
        None => false,
        Some(Threshold::Count(n)) => failures >= n as usize,
        Some(Threshold::Share(share)) => failures > 0 && failures * 10_000 >= share as usize * plan.switchovers.len(),
    };
    if brakes {
        return wrong(format!("{failures} had failed"));
    }
    if let (Some(rate), Some(last)) = (plan.limits.start_rate, tale.last_start)
        && at.0 - last.0 < i64::try_from(rate.per.0 * 1000 / u64::from(rate.count)).unwrap_or(i64::MAX)
    {
        return wrong(format!("another one had started at {last}"));
    }
    let fits = |o: &Opening| o.opens <= at && own.expected().is_some_and(|p| at + p <= o.closes);
    if !plan.windows.is_empty() && !stage.openings.iter().any(fits) {
        return wrong("no window would see its end".into());
    }
    if plan.approval.is_some() && !tale.approved {
        return wrong("nobody had agreed".into());
    }
    if plan.limits.canary.is_some_and(|c| tale.begun >= c.count) && !tale.passed {
        return wrong("nobody had looked at the canaries".into());
    }
    if tale.stopped { wrong("the run was paused".into()) } else { Ok(()) }
}

impl Tale {
    fn hear(&mut self, plan: &Plan, entry: &Entry) {
        match &entry.event {
            Event::Started { switchover } => {
                self.flying.insert(*switchover);
                self.last_start = Some(entry.at);
                self.begun += 1;
            }
            Event::Resolved { switchover, .. } => {
                self.flying.insert(*switchover);
                self.failed.remove(switchover);
                self.over.remove(switchover);
            }
            Event::RollingBack { switchover, why, .. } if why.code == ReasonCode::Asked => {
                self.asked.insert(*switchover);
                self.open.remove(&switchover.to_string());
            }
            Event::RollingBack { switchover, .. } | Event::CuttingOff { switchover, .. } => {
                self.turned.insert(*switchover);
                self.open.remove(&switchover.to_string());
            }
            Event::Finished { switchover, outcome, why, .. } => {
                self.flying.remove(switchover);
                self.turned.remove(switchover);
                self.over.insert(*switchover);
                self.open.remove(&switchover.to_string());
                let never_began = *outcome == Outcome::Skipped && why.as_ref().is_some_and(|w| w.code == ReasonCode::Asked);
                let asked = never_began || self.asked.contains(switchover) && matches!(outcome, Outcome::RolledBack | Outcome::Skipped);
                if *outcome != Outcome::SwitchedOver && !asked {
                    self.failed.insert(*switchover);
                }
            }
            Event::Paused { .. } => self.stopped = true,
            Event::Continued { .. } | Event::RunResumed => {
                self.stopped = false;
                self.known = self.failed.len();
            }
            Event::Asked { matter, until, .. } => {
                self.open.insert(matter.to_string(), *until);
            }
            Event::Intended { switchover, step, command: Told::Prompt, .. } => {
                let asked = plan.switchovers.iter().find(|s| s.id == *switchover).and_then(|s| s.steps.get(*step as usize - 1)?.hook());
                if let Some(hook) = asked {
                    self.open.insert(switchover.to_string(), entry.at + hook.timeout);
                }
            }
            Event::Decided { matter, choice, .. } => {
                self.open.remove(&matter.to_string());
                self.approved |= *matter == Matter::Approval && choice == "approve";
                self.passed |= *matter == Matter::Canary && choice == "go";
            }
            _ => {}
        }
    }
}
