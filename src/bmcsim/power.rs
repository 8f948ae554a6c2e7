//! Power: commands, the time they take, and what happens the moment a machine comes On or goes Off.
//!
//! A transition is begun under the machine's lock and landed by a timer that carries the transition's number: whoever
//! begins another in between makes the old timer void. A volume is opened before On can be read, and closed before Off
//! can be read, under the same lock: a client that reads Off reads the truth about the volume.

use super::fleet::Fleet;
use super::machine::{Machine, State};
use super::spec::{Already, Timing};
use crate::model::{PowerRestorePolicy, Span};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Off,
    PoweringOn,
    On,
    PoweringOff,
}

/// What a reset type asks of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    On,
    HardOff,
    SoftOff,
    HardRestart,
    SoftRestart,
    /// The power button: soft off when On, on when Off.
    Button,
    /// Accepted without any effect on power (`Nmi`).
    Nothing,
}

impl Verb {
    pub(super) fn of(reset_type: &str) -> Verb {
        match reset_type {
            "On" | "ForceOn" | "PowerOn" => Verb::On,
            "ForceOff" | "PowerOff" => Verb::HardOff,
            "GracefulShutdown" | "PowerOffGraceful" => Verb::SoftOff,
            "GracefulRestart" => Verb::SoftRestart,
            "ForceRestart" | "PowerCycle" | "FullPowerCycle" => Verb::HardRestart,
            "PushPowerButton" => Verb::Button,
            _ => Verb::Nothing,
        }
    }
}

/// Why a reset is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotNow {
    /// It is so already.
    Already,
    /// In between, or just after Off.
    Busy,
}

pub(super) struct Power {
    /// The latest phases with their beginnings, oldest first, never empty.
    history: VecDeque<(Instant, Phase)>,
    /// The number of the transition that is under way.
    epoch: u64,
    /// The way down is a hard one.
    hard: bool,
    /// Come On again after Off.
    restart: bool,
}

const HISTORY: usize = 16;

impl Power {
    pub(super) fn new() -> Power {
        Power { history: VecDeque::from([(Instant::now(), Phase::Off)]), epoch: 0, hard: false, restart: false }
    }

    pub(super) fn phase(&self) -> Phase {
        self.history.back().map_or(Phase::Off, |(_, p)| *p)
    }

    /// How long the phase has lasted.
    pub(super) fn lasted(&self) -> Span {
        let since = self.history.back().map_or(0, |(at, _)| at.elapsed().as_millis());
        Span(u64::try_from(since).unwrap_or(u64::MAX))
    }

    /// The phase as it was so long ago, as far as that is remembered.
    pub(super) fn ago(&self, span: Span) -> Phase {
        let Some(then) = Instant::now().checked_sub(span.duration()) else { return Phase::Off };
        let at_that_time = self.history.iter().rev().find(|(at, _)| *at <= then);
        at_that_time.or(self.history.front()).map_or(Phase::Off, |(_, p)| *p)
    }

    fn enter(&mut self, phase: Phase) {
        self.epoch += 1;
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back((Instant::now(), phase));
    }

    /// As if the phase had begun so much earlier, and there had never been another.
    pub(super) fn long_since(&mut self, span: Span) {
        let (at, phase) = (Instant::now(), self.phase());
        self.history = VecDeque::from([(at.checked_sub(span.duration()).unwrap_or(at), phase)]);
    }

    /// May the BMC accept this?
    pub(super) fn refusal(&self, verb: Verb, timing: &Timing) -> Option<NotNow> {
        let just_off = self.phase() == Phase::Off && self.history.len() > 1 && self.lasted() < timing.settle;
        match (verb, self.phase()) {
            (Verb::On, Phase::On | Phase::PoweringOn) => Some(NotNow::Already),
            (Verb::On, Phase::Off) if just_off => Some(NotNow::Busy),
            (Verb::HardOff | Verb::SoftOff, Phase::Off) => Some(NotNow::Already),
            (Verb::HardRestart | Verb::SoftRestart, Phase::Off) => Some(NotNow::Busy),
            (Verb::On | Verb::HardRestart | Verb::SoftRestart, Phase::PoweringOff) => Some(NotNow::Busy),
            (Verb::SoftOff | Verb::SoftRestart, Phase::PoweringOn) => Some(NotNow::Busy),
            _ => None,
        }
    }

    /// Begin what the verb asks, if it means anything in this phase, and say how long it takes.
    fn begin(&mut self, verb: Verb, timing: &Timing) -> Option<Span> {
        match (verb, self.phase()) {
            (Verb::On | Verb::Button, Phase::Off) => {
                self.enter(Phase::PoweringOn);
                Some(timing.power_on)
            }
            // A second hard off changes nothing; one after a soft off cuts it short.
            (Verb::HardOff, Phase::PoweringOff) if self.hard && !self.restart => None,
            (Verb::HardOff | Verb::HardRestart, Phase::On | Phase::PoweringOn | Phase::PoweringOff) => {
                self.down(true, verb == Verb::HardRestart);
                Some(timing.power_off)
            }
            (Verb::SoftOff | Verb::SoftRestart | Verb::Button, Phase::On) => {
                self.down(false, verb == Verb::SoftRestart);
                Some(timing.soft_off)
            }
            _ => None,
        }
    }

    fn down(&mut self, hard: bool, restart: bool) {
        self.enter(Phase::PoweringOff);
        (self.hard, self.restart) = (hard, restart);
    }
}

/// How long a command takes once it has landed, for the task that answers it.
pub(super) fn duration(verb: Verb, timing: &Timing) -> Span {
    match verb {
        Verb::On => timing.power_on,
        Verb::HardOff => timing.power_off,
        Verb::SoftOff | Verb::Button => timing.soft_off,
        Verb::HardRestart => Span(timing.power_off.0 + timing.power_on.0),
        Verb::SoftRestart => Span(timing.soft_off.0 + timing.power_on.0),
        Verb::Nothing => Span::ZERO,
    }
}

/// Is a reset that asks for what is so already an error here?
pub(super) fn accepts(already: Already, why: NotNow) -> bool {
    why == NotNow::Already && already == Already::Accept
}

impl Fleet {
    /// A power command lands on the machine, now.
    pub(super) fn obey(self: &Arc<Fleet>, machine: &Arc<Machine>, verb: Verb) {
        let mut state = machine.state();
        let due = state.power.begin(verb, &machine.timing);
        self.follow(machine, &mut state, due);
    }

    /// A power button, a watchdog, a feed that came back: On or Off at once, whatever was under way.
    pub(super) fn force(&self, machine: &Arc<Machine>, on: bool) {
        let mut state = machine.state();
        match (on, state.power.phase()) {
            (true, Phase::On) | (false, Phase::Off) => {}
            // Still open from before: it never went Off.
            (true, Phase::PoweringOff) => state.power.enter(Phase::On),
            (true, _) => self.come_on(machine, &mut state),
            (false, _) => self.go_off(machine, &mut state),
        }
    }

    /// Its feed fails and comes back (DSP0268, `PowerRestorePolicy`).
    pub(super) fn power_cut(&self, machine: &Arc<Machine>) {
        let (was_on, policy) = {
            let state = machine.state();
            (matches!(state.power.phase(), Phase::On | Phase::PoweringOn), state.restore)
        };
        self.force(machine, false);
        let starts = match policy {
            Some(PowerRestorePolicy::AlwaysOn) => true,
            Some(PowerRestorePolicy::AlwaysOff) => false,
            Some(PowerRestorePolicy::LastState) | None => was_on,
        };
        if starts {
            self.force(machine, true);
        }
    }

    /// See a transition through: at once where it takes no time, else by a timer.
    fn follow(self: &Arc<Fleet>, machine: &Arc<Machine>, state: &mut State, mut due: Option<Span>) {
        while let Some(after) = due {
            if after > Span::ZERO {
                let (fleet, machine, epoch) = (self.clone(), machine.clone(), state.power.epoch);
                tokio::spawn(async move {
                    tokio::time::sleep(after.duration()).await;
                    let mut state = machine.state();
                    if state.power.epoch == epoch && !fleet.stopped.load(Ordering::Relaxed) {
                        let due = fleet.land(&machine, &mut state);
                        fleet.follow(&machine, &mut state, due);
                    }
                });
                return;
            }
            due = self.land(machine, state);
        }
    }

    /// The transition under way is over. Says how long the next one takes, if there is one.
    fn land(&self, machine: &Arc<Machine>, state: &mut State) -> Option<Span> {
        match state.power.phase() {
            Phase::PoweringOn => {
                self.come_on(machine, state);
                None
            }
            Phase::PoweringOff => {
                let again = std::mem::take(&mut state.power.restart);
                self.go_off(machine, state);
                again.then(|| state.power.begin(Verb::On, &machine.timing)).flatten()
            }
            Phase::On | Phase::Off => None,
        }
    }

    fn come_on(&self, machine: &Arc<Machine>, state: &mut State) {
        let wanted = state.wanted();
        let got_all = self.witness.open(self.now(), &machine.name, &wanted);
        let can_boot = !wanted.is_empty() && got_all;
        let blind = state.adapters.iter().all(|a| a.iscsi.is_none());
        state.boots = can_boot || state.boots_from_network() || blind || machine.spec.local_disk;
        state.opened = wanted;
        if state.boot.enabled.as_deref() == Some("Once") {
            state.boot.enabled = Some("Disabled".into());
            state.boot.target = Some("None".into());
        }
        state.power.enter(Phase::On);
    }

    fn go_off(&self, machine: &Arc<Machine>, state: &mut State) {
        let opened = std::mem::take(&mut state.opened);
        self.witness.close(self.now(), &machine.name, &opened);
        state.boots = false;
        state.power.enter(Phase::Off);
    }
}

/// `PowerState` on the wire. A machine that does not report transitions shows the old state until the new one.
pub(super) fn power_state(phase: Phase, transitions: bool) -> &'static str {
    match (phase, transitions) {
        (Phase::On, _) | (Phase::PoweringOff, false) => "On",
        (Phase::Off, _) | (Phase::PoweringOn, false) => "Off",
        (Phase::PoweringOn, true) => "PoweringOn",
        (Phase::PoweringOff, true) => "PoweringOff",
    }
}

/// `BootProgress.LastState`.
pub(super) fn boot_progress(state: &State, boot: Span) -> &'static str {
    match state.power.phase() {
        Phase::Off | Phase::PoweringOn => return "None",
        Phase::PoweringOff => return "OSRunning",
        Phase::On => {}
    }
    let lasted = state.power.lasted();
    let percent = lasted.0.saturating_mul(100).checked_div(boot.0).unwrap_or(100);
    match percent {
        0..20 => "PrimaryProcessorInitializationStarted",
        20..40 => "MemoryInitializationStarted",
        40..70 => "SystemHardwareInitializationComplete",
        _ if !state.boots => "SystemHardwareInitializationComplete",
        70..100 => "OSBootStarted",
        _ => "OSRunning",
    }
}
