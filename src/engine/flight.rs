//! What one switchover is waiting for right now. It does not survive a crash and need not: everything that must is in
//! [`super::progress`].

use super::event::{PlugRead, Read};
use super::fencing::SILENT_LOOKS;
use super::order::Ticket;
use crate::model::*;
use crate::step::{Observation, Patience, Query};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The next thing is a look.
    Idle,
    Looking(Ticket),
    Acting(Ticket),
    Resting(Time),
    /// Finished.
    Over,
}

#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub state: State,
    /// When the command of this attempt was handed out in this process.
    pub sent_at: Option<Time>,
    /// When the command of this attempt was answered in this process; `None`: not sent by this process.
    pub told_at: Option<Time>,
    /// The answer said that it certainly did not happen, so that waiting for it is idle.
    pub told_in_vain: Option<Fault>,
    /// Nobody knows whether the command arrived.
    pub told_unknown: bool,
    /// A soft off or an On that got lost was asked for a second time.
    pub asked_again: bool,
    /// An earlier process intended this step.
    pub inherited: bool,
    /// What a hook with a check said of itself.
    pub hook_result: Option<HookResult>,
    pub waiting_since: Option<Time>,
    /// Looks in a row that were satisfied.
    pub streak: u32,
    /// Power readings: of the streak, or of the look before a command.
    pub reads: Vec<Read>,
    /// What agents said, of the streak.
    pub plugs: Vec<PlugRead>,
    /// The attestation as last seen.
    pub attestation: Option<Box<Attestation>>,
    /// Since when, and for how many looks in a row, the level in hand could not tell. A BMC that answers between them is
    /// not silent, whatever it answers.
    pub silent_since: Option<Time>,
    pub silent_looks: u32,
    /// Looks since the command of this attempt was answered.
    pub looks: u32,
    /// Stand still at least until then before going back (rule S6).
    pub quiet_until: Time,
}

impl Flight {
    pub fn new(state: State, inherited: bool, quiet_until: Time) -> Flight {
        Flight {
            state,
            sent_at: None,
            told_at: None,
            told_in_vain: None,
            told_unknown: false,
            asked_again: false,
            hook_result: None,
            inherited,
            waiting_since: None,
            streak: 0,
            reads: Vec::new(),
            plugs: Vec::new(),
            attestation: None,
            silent_since: None,
            silent_looks: 0,
            looks: 0,
            quiet_until,
        }
    }

    /// Forget everything that belongs to the attempt in hand.
    pub fn fresh_attempt(&mut self) {
        self.sent_at = None;
        self.told_at = None;
        self.told_in_vain = None;
        self.told_unknown = false;
        self.asked_again = false;
        self.hook_result = None;
        self.waiting_since = None;
        self.looks = 0;
        self.heard_something();
        self.break_streak();
    }

    /// Whoever is asked has said something.
    pub fn heard_something(&mut self) {
        self.silent_since = None;
        self.silent_looks = 0;
    }

    /// Has it been waited for long enough, one more look having had to wait?
    pub fn waited_enough(&mut self, now: Time, code: ReasonCode, patience: &Patience) -> bool {
        if !leaves_to_others(code) {
            self.heard_something();
            let waited = self.waiting_since.map_or(Span::ZERO, |since| now.since(since));
            // A bound on landing ends by itself, however long it is.
            return waited >= patience.wait && code != ReasonCode::Landing;
        }
        self.silent_looks += 1;
        let silent = now.since(*self.silent_since.get_or_insert(now));
        // One look that takes long is not yet silence.
        silent >= patience.silent && self.silent_looks >= SILENT_LOOKS
    }

    pub fn fresh_step(&mut self) {
        self.fresh_attempt();
        self.inherited = false;
    }

    pub fn break_streak(&mut self) {
        self.streak = 0;
        self.reads.clear();
        self.plugs.clear();
        self.attestation = None;
    }

    /// Keep the power readings of a look as evidence.
    pub fn keep_reads(&mut self, now: Time, queries: &[Query], seen: &[Observation]) {
        for (query, seen) in queries.iter().zip(seen) {
            match (query, seen) {
                (Query::System(node) | Query::Off(node), Observation::System(reading)) if reading.recorded.is_none() => {
                    let who = reading.identity.system_uuid.clone().or_else(|| reading.identity.serial_number.clone());
                    self.reads.push(Read { at: now, node: *node, power: reading.power, who });
                }
                (Query::Plug(call), Observation::Plug(state)) => {
                    self.plugs.push(PlugRead { at: now, agent: call.name.clone(), plug: call.plug(), state: *state });
                }
                (Query::Attestation(_), Observation::Attestation(word)) => self.attestation.clone_from(word),
                _ => {}
            }
        }
    }
}

/// Whoever is asked cannot tell, and the next level of the fence may.
pub(super) fn leaves_to_others(code: ReasonCode) -> bool {
    matches!(code, ReasonCode::NoVoucher | ReasonCode::FenceAgent | ReasonCode::NotAttested)
}

/// How long to pause before looking again: an eighth of the time already waited, so that a wait is never more than an
/// eighth too long, and a BMC that takes minutes is not asked hundreds of times.
pub(super) fn poll_pause(waited: Span) -> Span {
    Span((waited.0 / 8).clamp(POLL_MIN.0, POLL_MAX.0))
}

/// No machine goes off or comes on sooner than in about a second: asking more often than this buys nothing, and with a
/// thousand in flight it costs more than it buys.
const POLL_MIN: Span = Span::millis(250);
/// And a boot that takes a quarter of an hour is noticed within seconds.
const POLL_MAX: Span = Span::secs(5);

/// The pause before attempt `attempt + 1`: doubling from one second to half a minute.
pub(super) fn backoff(attempt: u32) -> Span {
    Span((1000u64 << attempt.min(5)).min(30_000))
}
