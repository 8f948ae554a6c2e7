//! Power: off, the fence, on, the boot, and the way back.

use super::ask::SILENCE;
use super::guard::{destination_off, leaves_open, source_off};
use super::reserve::{held, unreadable};
use super::*;
use crate::model::gate_table::gates;
use crate::model::*;

/// The source is off, asked nicely first where the runbook says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerOff {
    pub machine: Machine,
    /// How long the operating system may take. None: it is not asked.
    pub soft: Option<Span>,
    /// None: `hard_off: never`.
    pub hard: Option<ResetType>,
    /// How long a hard off may take to show.
    pub landing: Span,
    /// How long a BMC that is silent is tried where the fence has another voucher; then the fence decides. None: there is
    /// no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<Span>,
    /// The destination: looked at before the source is told anything. A spare that runs would turn the switchover back with
    /// the source already dark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spare: Option<Machine>,
    /// What rollback owes: planned mode starts the source again, disaster mode leaves it off.
    pub way_back: Option<Box<PowerBack>>,
}

impl PowerOff {
    pub(super) fn observes(&self, cx: &Context) -> Vec<Query> {
        let system = Query::System(self.machine.node);
        // Who holds the node matters before a command, not while it is waited for.
        if cx.sent {
            return vec![system];
        }
        let spare = self.spare.as_ref().filter(|_| !cx.begun).map(|spare| Query::System(spare.node));
        [system, Query::Node(self.machine.node)].into_iter().chain(spare).collect()
    }

    pub(super) fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        if !cx.sent
            && let Err(verdict) = held(cx, &self.machine, &seen[1])
        {
            return verdict;
        }
        if let (Some(spare), Some(seen)) = (&self.spare, seen.get(2))
            && let Err(verdict) = destination_off(spare, seen)
        {
            return verdict;
        }
        // A machine that hangs on its way down (or up) has had its time once the soft off is over.
        let hard_now = self.hard.is_some() && (cx.attempt > 0 || self.soft.is_none());
        match power_of(&self.machine, &seen[0]) {
            Seen::Off => Verdict::Satisfied,
            Seen::On => Verdict::Act,
            Seen::Wrong(why) => Verdict::Refuse(why),
            Seen::Neither(why) if why.code == ReasonCode::InTransition && hard_now => Verdict::Act,
            Seen::Neither(why) if self.silent.is_some() && leaves_open(&self.machine, &seen[0]) => {
                Verdict::Wait(Reason::new(ReasonCode::NoVoucher, why.text))
            }
            Seen::Neither(why) => Verdict::Wait(why),
        }
    }

    pub(super) fn command(&self, cx: &Context) -> Option<Command> {
        let reset = match (self.soft, self.hard) {
            (Some(_), _) if cx.attempt == 0 => ResetType::GracefulShutdown,
            (_, Some(hard)) => hard,
            _ => ResetType::GracefulShutdown,
        };
        Some(Command::Reset { node: self.machine.node, reset })
    }

    pub(super) fn undo(&self) -> Undo {
        let Some(back) = &self.way_back else { return Undo::Nothing };
        // A soft off that was sent may take effect minutes later, after its undo was found already so. It is finished
        // forward first: off, hard where allowed, then on.
        let finish = PowerOff { soft: self.soft.filter(|_| self.hard.is_none()), silent: None, way_back: None, ..self.clone() };
        Undo::Steps(vec![Step::PowerOff(finish), Step::PowerBack((**back).clone())])
    }

    pub(super) fn patience(&self, attempt: u32) -> Patience {
        let silent = self.silent.unwrap_or(SILENCE);
        match self.soft {
            // Asked nicely once; a second asking only where nothing harder is allowed.
            Some(soft) if attempt == 0 || self.hard.is_none() => {
                Patience { attempts_max: if self.hard.is_none() { 2 } else { 6 }, silent, ..Patience::device(soft) }
            }
            _ => Patience { silent, ..Patience::device(self.landing) },
        }
    }

    pub(super) fn subject(&self) -> String {
        self.machine.name.clone()
    }

    pub(super) fn change_text(&self) -> (String, String) {
        ("On".into(), "Off".into())
    }

    pub(super) fn remark(&self) -> String {
        match (self.soft, self.hard) {
            (Some(soft), Some(hard)) => format!("GracefulShutdown, then {hard} after {soft}"),
            (Some(soft), None) => format!("GracefulShutdown only, {soft}; never hard"),
            (None, Some(hard)) => format!("{hard} at once"),
            (None, None) => "nothing allowed".into(),
        }
    }
}

/// The destination runs. Its first durable intent is the point of no return.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerOn {
    pub pair: Pair,
    pub reset: ResetType,
    pub landing: Span,
    /// Looked at once more: each must be recorded at the destination and nowhere else.
    pub targets: Vec<(TargetId, String)>,
}

impl PowerOn {
    pub(super) fn observes(&self, cx: &Context) -> Vec<Query> {
        let (source, destination) = (self.pair.source.node, self.pair.destination.node);
        let mut queries = vec![Query::System(source), Query::System(destination)];
        // The records matter before the command; while it is waited for, both machines do.
        if cx.sent {
            return queries;
        }
        queries.extend([Query::Node(source), Query::Node(destination)]);
        for (target, _) in &self.targets {
            queries.push(Query::Target(*target));
            queries.push(Query::SameVolume(*target));
        }
        queries
    }

    pub(super) fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        if let Err(verdict) = source_off(cx, &self.pair.source, &seen[0]) {
            return verdict;
        }
        match power_of(&self.pair.destination, &seen[1]) {
            Seen::Off => {}
            Seen::Wrong(why) => return Verdict::Refuse(why),
            Seen::On if cx.begun => return Verdict::Satisfied,
            Seen::Neither(why) if cx.begun || why.code == ReasonCode::Silent => return Verdict::Wait(why),
            Seen::Neither(why) if why.code != ReasonCode::InTransition => return Verdict::Wait(why),
            Seen::On | Seen::Neither(_) => {
                let text =
                    format!("`{}` is starting or On, and nothing of this run started it; find out who did", self.pair.destination.name);
                return Verdict::Refuse(Reason::new(ReasonCode::DestinationOn, text));
            }
        }
        if cx.sent {
            return Verdict::Act;
        }
        for (machine, seen) in [(&self.pair.source, &seen[2]), (&self.pair.destination, &seen[3])] {
            if let Err(verdict) = held(cx, machine, seen) {
                return verdict;
            }
        }
        for ((_, volume), seen) in self.targets.iter().zip(seen[4..].chunks(2)) {
            match &seen[0] {
                Observation::At(node) if *node == self.pair.destination.node => {}
                Observation::Unreadable(fault) => return unreadable(volume, fault),
                _ => {
                    let text = format!("`{volume}` is not recorded at `{}` any more; find out who moved it", self.pair.destination.name);
                    return Verdict::Refuse(Reason::new(ReasonCode::Elsewhere, text));
                }
            }
            if let Err(verdict) = single(volume, &seen[1]) {
                return verdict;
            }
        }
        Verdict::Act
    }

    pub(super) fn command(&self, _: &Context) -> Option<Command> {
        Some(Command::Reset { node: self.pair.destination.node, reset: self.reset })
    }

    pub(super) fn undo(&self) -> Undo {
        Undo::Never
    }

    pub(super) fn patience(&self, _: u32) -> Patience {
        Patience::device(self.landing)
    }

    pub(super) fn subject(&self) -> String {
        self.pair.destination.name.clone()
    }

    pub(super) fn change_text(&self) -> (String, String) {
        ("Off".into(), "On".into())
    }

    pub(super) fn remark(&self) -> String {
        "no way back from here".into()
    }
}

/// The destination's operating system has control, as far as its BMC can tell; and the source is still off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitBoot {
    pub pair: Pair,
    /// BootProgress counts where the BMC has it; else being On does, and the post-boot hooks decide.
    pub boot_progress: bool,
    pub timeout: Span,
}

impl AwaitBoot {
    pub(super) fn observes(&self, _: &Context) -> Vec<Query> {
        vec![Query::System(self.pair.source.node), Query::System(self.pair.destination.node)]
    }

    pub(super) fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        // S1's last look, once after boot.
        if let Err(verdict) = source_off(cx, &self.pair.source, &seen[0]) {
            return verdict;
        }
        let name = &self.pair.destination.name;
        match power_of(&self.pair.destination, &seen[1]) {
            Seen::On => {}
            Seen::Wrong(why) => return Verdict::Refuse(why),
            Seen::Neither(why) => return Verdict::Wait(why),
            Seen::Off => return Verdict::Wait(Reason::new(ReasonCode::TimedOut, format!("`{name}` is Off again"))),
        }
        match &seen[1] {
            Observation::System(reading) if self.boot_progress => match reading.boot_progress {
                Some(BootProgress::OsRunning) => Verdict::Satisfied,
                progress => {
                    let text = match progress {
                        Some(BootProgress::OsBootStarted) => format!("the operating system of `{name}` has started and is not running yet"),
                        Some(_) => format!("`{name}` is still in its firmware"),
                        None => format!("`{name}` reports no boot progress yet"),
                    };
                    Verdict::Wait(Reason::new(ReasonCode::TimedOut, text))
                }
            },
            _ => Verdict::Satisfied,
        }
    }

    pub(super) fn command(&self, _: &Context) -> Option<Command> {
        None
    }

    pub(super) fn undo(&self) -> Undo {
        Undo::Nothing
    }

    pub(super) fn patience(&self, _: u32) -> Patience {
        Patience { wait: self.timeout, ..Patience::device(self.timeout) }
    }

    pub(super) fn subject(&self) -> String {
        self.pair.destination.name.clone()
    }

    pub(super) fn change_text(&self) -> (String, String) {
        let what = if self.boot_progress { "BootProgress OSRunning" } else { "On; its post-boot hooks tell the rest" };
        (String::new(), what.into())
    }

    pub(super) fn remark(&self) -> String {
        format!("at most {}", self.timeout)
    }
}

gates! {
    "power-off", "a silent BMC keeps the power-off from being seen: the question is left to the fence",
        Open, "the fence asks again, and more strictly", an_agent_switches_off_what_a_dead_bmc_cannot;
    "started by us", "a destination that is On counts as started only when this run meant to start it",
        Closed, "somebody else's start opens whatever its firmware names", a_destination_that_is_on_already_is_not_taken_for_started;
    "everything back", "the source is started again only when all its records and boot settings are back and the spare is Off",
        Closed, "a source that starts without its volumes, or beside its spare, is worse than one that is dark",
        going_back_without_standing_still;
    "boot progress", "booted means BootProgress OSRunning; where the BMC has none, On counts and the post-boot hooks decide",
        Open, "most BMCs have no BootProgress, and a machine that runs must not be reported lost for that",
        a_bmc_without_boot_progress_is_believed_when_on;
}
