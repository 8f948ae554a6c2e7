//! The fence: what makes it certain that the source is off.
//!
//! It has levels. The BMC is always asked first. Only where it leaves the question open (it is silent, or says Off without
//! saying of which machine) for a declared time does the fence go on to the next level: fence agents, each told `off` and
//! each then read back, or a person's attestation. A BMC that comes back takes the fence back to its own level, and an On
//! ends whatever an agent or a person said.
//!
//! Nothing here counts time as evidence: the time that a silent BMC is tried only decides who is asked next. Where nobody
//! is left to ask, the switchover stops with its reason.

use super::ask::SILENCE;
use super::guard::leaves_open;
use super::reserve::{held, unreadable};
use super::*;
use crate::model::gate_table::gates;

/// Who is asked where the BMC leaves the question open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FenceLevel {
    /// Every one of them: a machine with two feeds is off when both plugs are.
    Agents(Vec<AgentCall>),
    /// A person's word, that counts for so long after it was given.
    Attestation { expires: Span },
}

/// The source is certainly off: one off of ours, then so many reads in a row, apart, from the right machine (or of every
/// plug), with no power command of any run still to land on either end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    pub pair: Shared<Pair>,
    pub reads: u32,
    pub apart: Span,
    pub landing: Span,
    /// The runbook lets the BMC's own word be enough.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub bmc: bool,
    /// How long a level that cannot tell is tried before the next one is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<Span>,
    /// The levels after the BMC's, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<FenceLevel>,
    /// The source was On when the plan was made: a word from before then is void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_on: Option<Time>,
    /// `hard_off: never`: a source that is On again is not switched off.
    #[serde(default, skip_serializing_if = "is_false")]
    pub never_hard: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn yes() -> bool {
    true
}

fn is_true(flag: &bool) -> bool {
    *flag
}

impl Fence {
    /// The level in force; `None`: the BMC's.
    pub fn level(&self, level: u32) -> Option<&FenceLevel> {
        (level as usize).checked_sub(1).and_then(|at| self.levels.get(at))
    }

    /// Every agent's call of every level.
    pub fn agents(&self) -> Vec<AgentCall> {
        let calls = self.levels.iter().filter_map(|level| if let FenceLevel::Agents(calls) = level { Some(calls) } else { None });
        calls.flatten().cloned().collect()
    }

    pub(super) fn observes(&self, cx: &Context) -> Vec<Query> {
        let source = self.pair.source.node;
        let mut queries = vec![self.pair.source.off(), Query::Node(source), Query::Node(self.pair.destination.node)];
        match self.level(cx.level) {
            None => {}
            Some(FenceLevel::Agents(calls)) => queries.extend(calls.iter().map(|c| Query::Plug(Box::new(c.clone())))),
            Some(FenceLevel::Attestation { .. }) => queries.push(Query::Attestation(source)),
        }
        queries
    }

    pub(super) fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        for (machine, seen) in [(&self.pair.source, &seen[1]), (&self.pair.destination, &seen[2])] {
            if let Err(verdict) = held(cx, machine, seen) {
                return verdict;
            }
        }
        let verdict = match self.level(cx.level) {
            None => self.by_bmc(cx, &seen[0]),
            Some(level) => match (self.bmc_decides(&seen[0]), level) {
                (Some(verdict), _) => verdict,
                (None, FenceLevel::Agents(calls)) => by_agents(cx, calls, &seen[3..]),
                (None, FenceLevel::Attestation { expires }) => self.by_attestation(cx, *expires, &seen[1], &seen[3]),
            },
        };
        if verdict == Verdict::Satisfied { self.landed(seen) } else { verdict }
    }

    fn by_bmc(&self, cx: &Context, seen: &Observation) -> Verdict {
        match power_of(&self.pair.source, seen) {
            Seen::On if self.never_hard => {
                let text = format!("`{}` is On again, and `hard_off: never` forbids to switch it off", self.pair.source.name);
                Verdict::Refuse(Reason::new(ReasonCode::SourceOn, text))
            }
            Seen::On => Verdict::Act,
            Seen::Wrong(why) => Verdict::Refuse(why),
            Seen::Neither(why) if !self.levels.is_empty() && leaves_open(&self.pair.source, seen) => {
                Verdict::Wait(Reason::new(ReasonCode::NoVoucher, why.text))
            }
            Seen::Neither(why) => Verdict::Wait(why),
            // One ForceOff of this process, also where an earlier one meant to send it: its intent is no sending.
            Seen::Off if !cx.sent => Verdict::Act,
            Seen::Off if !self.bmc => {
                let text = format!("the BMC of `{}` reads Off, and the runbook wants another voucher", self.pair.source.name);
                Verdict::Level(1, Reason::new(ReasonCode::NoVoucher, text))
            }
            Seen::Off => Verdict::Satisfied,
        }
    }

    /// What the BMC says while another level is asked: everything but silence takes the question back to it.
    fn bmc_decides(&self, seen: &Observation) -> Option<Verdict> {
        let name = &self.pair.source.name;
        let back = |power: &str| {
            Some(Verdict::Level(0, Reason::new(ReasonCode::InTransition, format!("the BMC of `{name}` answers again: {power}"))))
        };
        match power_of(&self.pair.source, seen) {
            Seen::Wrong(why) => Some(Verdict::Refuse(why)),
            Seen::On => back("On"),
            Seen::Off if self.bmc => back("Off"),
            Seen::Off => None,
            Seen::Neither(_) if leaves_open(&self.pair.source, seen) => None,
            Seen::Neither(why) => Some(Verdict::Wait(why)),
        }
    }

    /// A word counts from the moment it was given, and nothing that was so before: not after an On that was seen or told, by
    /// whichever run, nor after the BMC has answered for itself.
    fn by_attestation(&self, cx: &Context, expires: Span, node: &Observation, seen: &Observation) -> Verdict {
        let name = &self.pair.source.name;
        let wait = |what: String| {
            let text = format!("{what}; look at the machine, then `coldswap attest {name} --off --by NAME --reason TEXT`");
            Verdict::Wait(Reason::new(ReasonCode::NotAttested, text))
        };
        match seen {
            Observation::Attestation(None) => wait(format!("nobody has attested that `{name}` is off")),
            Observation::Attestation(Some(word)) => match &word.used_by {
                Some(used) if *used != cx.holder => wait(format!("the attestation of {} for `{name}` was used by {used}", word.by)),
                _ if last_on(cx, node).max(self.seen_on).is_some_and(|on| word.at <= on) => {
                    wait(format!("the attestation of {} for `{name}` is older than what its BMC last said or was told", word.by))
                }
                _ if word.counts_until(expires) <= cx.now => {
                    let end = word.counts_until(expires);
                    wait(format!("the attestation of {} for `{name}` ended at {end}: it expired, or the machine was seen running", word.by))
                }
                None if word.at > cx.now => {
                    let text = "a clock was set, and nobody can tell what came first";
                    wait(format!("the attestation of {} for `{name}` was given at {}, and it is {} here: {text}", word.by, word.at, cx.now))
                }
                Some(_) => Verdict::Satisfied,
                None => Verdict::Act,
            },
            Observation::Unreadable(fault) => unreadable("the attestations", fault),
            other => unreachable!("a query for an attestation gives one, not {other:?}"),
        }
    }

    /// Rule S6: no power-on of an earlier run may still land on either end.
    fn landed(&self, seen: &[Observation]) -> Verdict {
        for (machine, seen) in [(&self.pair.source, &seen[1]), (&self.pair.destination, &seen[2])] {
            match seen {
                Observation::Unreadable(fault) => return unreadable(&machine.name, fault),
                Observation::Node(node, Some(left)) if node.power_mark.is_some_and(|m| m.reset.starts()) => {
                    let text = format!("a power-on of an earlier run may still land on `{}` for {left}", machine.name);
                    return Verdict::Wait(Reason::new(ReasonCode::Landing, text));
                }
                _ => {}
            }
        }
        Verdict::Satisfied
    }

    pub(super) fn command(&self, cx: &Context) -> Option<Command> {
        Some(match self.level(cx.level) {
            None => Command::Reset { node: self.pair.source.node, reset: ResetType::ForceOff },
            Some(FenceLevel::Agents(calls)) => Command::Agents(calls.clone()),
            Some(FenceLevel::Attestation { .. }) => Command::UseAttestation { node: self.pair.source.node, holder: cx.holder.clone() },
        })
    }

    pub(super) fn undo(&self) -> Undo {
        Undo::Nothing
    }

    pub(super) fn patience(&self, _: u32) -> Patience {
        self.patience_at(0)
    }

    pub(super) fn patience_at(&self, level: u32) -> Patience {
        let silent = self.silent.unwrap_or(SILENCE);
        let device = Patience { silent, reads: self.reads, apart: self.apart, ..Patience::device(self.landing) };
        match self.level(level) {
            None => device,
            // An agent tries by itself; what it cannot do in so many attempts it cannot do.
            Some(FenceLevel::Agents(_)) => Patience { attempts_max: 3, ..device },
            Some(FenceLevel::Attestation { expires }) => Patience { silent: *expires, ..Patience::RECORD },
        }
    }

    pub(super) fn subject(&self) -> String {
        self.pair.source.name.clone()
    }

    pub(super) fn change_text(&self) -> (String, String) {
        (String::new(), format!("ForceOff, then the BMC reads Off {} times, {} apart", self.reads, self.apart))
    }

    pub(super) fn remark(&self) -> String {
        let levels: Vec<String> = self.levels.iter().map(describe).collect();
        match (levels.is_empty(), self.bmc) {
            (true, _) => String::new(),
            (false, true) => format!("where it is silent for {}: {}", self.silent.unwrap_or(SILENCE), levels.join(", then ")),
            (false, false) => format!("and in any case: {}", levels.join(", then ")),
        }
    }
}

fn describe(level: &FenceLevel) -> String {
    match level {
        FenceLevel::Agents(calls) => {
            let calls: Vec<String> = calls.iter().map(ToString::to_string).collect();
            format!("{} off, read back", calls.join(" and "))
        }
        FenceLevel::Attestation { expires } => format!("a person's attestation (counts {expires})"),
    }
}

/// When the machine was last seen On, told On by any run, or answered for itself.
fn last_on(cx: &Context, node: &Observation) -> Option<Time> {
    let told = match node {
        Observation::Node(node, _) => node.power_mark.filter(|mark| mark.reset.starts()).map(|mark| mark.sent_at),
        _ => None,
    };
    cx.spoke.max(told)
}

/// Every plug must be off by `status`, after an `off` of ours. An agent's exit from `off` achieves nothing (rule S5).
fn by_agents(cx: &Context, calls: &[AgentCall], seen: &[Observation]) -> Verdict {
    if !cx.sent || seen.contains(&Observation::Plug(PlugState::On)) {
        return Verdict::Act;
    }
    for (call, seen) in calls.iter().zip(seen) {
        match seen {
            Observation::Plug(_) => {}
            Observation::Unreadable(fault) => {
                return Verdict::Wait(Reason::new(
                    ReasonCode::FenceAgent,
                    format!("`{call}` cannot tell whether its plug is off: {fault}"),
                ));
            }
            other => unreachable!("a fence agent's status gives a plug's state, not {other:?}"),
        }
    }
    Verdict::Satisfied
}

gates! {
    "fence", "the source is certainly Off: a ForceOff of our own, then several reads in a row",
        Closed, "a watchdog's power cycle also reads Off for a moment; a source that cannot be fenced is not moved",
        an_acknowledgement_that_is_believed;
    "silent BMC", "a BMC that leaves the question open is tried for a time, then the next level is asked; without one nothing moves",
        Closed, "no time-out stands for Off", without_anybody_to_vouch_nothing_moves;
    "fence agents", "every plug of the level reads off by `status`, after an `off` of ours",
        Closed, "an agent's exit says what it tried and not what became of it", an_agents_exit_that_is_believed;
    "attestation", "a person's word counts for one switchover and until it expires",
        Closed, "what was seen yesterday, or for another switchover, says nothing of now",
        an_attestation_that_is_used_twice_or_has_expired;
    "On beats a voucher", "a BMC that answers again takes the question back from agents and people",
        Closed, "whoever vouched may have looked at the wrong machine", a_live_on_that_is_overridden;
}
