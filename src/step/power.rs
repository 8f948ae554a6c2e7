//! Power: off, the fence, on, the boot, and the way back.

use super::ask::SILENCE;
use super::boot::{boot_query, describe as describe_boot};
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
    /// Of a kept machine the record is asked before this process has told it anything: a proof that it is Off would switch it
    /// off without asking its operating system, where the record says off and is stale.
    pub(super) fn observes(&self, cx: &Context) -> Vec<Query> {
        // Who holds the node matters before a command, not while it is waited for.
        if cx.sent {
            return vec![self.machine.off()];
        }
        let spare = self.spare.as_ref().filter(|_| !cx.begun).map(Machine::off);
        [Query::System(self.machine.node), Query::Node(self.machine.node)].into_iter().chain(spare).collect()
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
            // What a service recorded and does not look at says nothing: the command that goes through it is live.
            Seen::Neither(_) if self.machine.kept && !cx.sent && says_nothing(&seen[0]) => Verdict::Act,
            // A null power state is no transition that hangs: it is asked again.
            Seen::Neither(why) if why.code == ReasonCode::InTransition && hard_now && !says_nothing(&seen[0]) => Verdict::Act,
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

/// A plug that was switched off for the fence is off still.
pub(super) fn plug_is_off(source: &str, call: &AgentCall, seen: &Observation) -> Result<(), Verdict> {
    match seen {
        Observation::Plug(PlugState::Off) => Ok(()),
        Observation::Plug(PlugState::On) => {
            let text = format!("`{call}` is on again, and `{source}` behind it may run");
            Err(Verdict::Refuse(Reason::new(ReasonCode::SourceOn, text)))
        }
        Observation::Unreadable(fault) => {
            let text = format!("`{call}` cannot tell whether its plug is still off: {fault}");
            Err(Verdict::Wait(Reason::new(ReasonCode::FenceAgent, text)))
        }
        other => unreachable!("a fence agent's status gives a plug's state, not {other:?}"),
    }
}

/// The BMC answers and gives no power state.
fn says_nothing(seen: &Observation) -> bool {
    matches!(seen, Observation::System(reading) if reading.power == PowerState::Unknown)
}

/// The destination runs. Its first durable intent is the point of no return.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerOn {
    pub pair: Shared<Pair>,
    pub reset: ResetType,
    pub landing: Span,
    /// Looked at once more: each must be recorded at the destination and nowhere else.
    pub targets: Vec<(TargetId, String)>,
    /// What the destination's firmware was told to open, where this plan told it: asked once more just before the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<BootSettings>,
    /// The agents that may vouch for the source. Those that did are asked once more: a feed that came back is seen by its
    /// plug, where the BMC behind it is silent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentCall>,
}

impl PowerOn {
    fn asked_again(&self, cx: &Context) -> impl Iterator<Item = &AgentCall> {
        self.agents.iter().filter(|call| cx.vouchers.iter().any(|(agent, plug)| *agent == call.name && *plug == call.plug()))
    }

    pub(super) fn observes(&self, cx: &Context) -> Vec<Query> {
        let (source, destination) = (self.pair.source.node, self.pair.destination.node);
        // While it is waited for, the destination is what tells. The source is looked at beside it every other time: it stays
        // Off unless somebody starts it, and the step that follows looks at both.
        if cx.sent && cx.looks % 2 == 1 {
            return vec![Query::System(destination)];
        }
        // A destination that this run may have told On is asked nothing that could switch it off.
        let started = if cx.begun { Query::System(destination) } else { self.pair.destination.off() };
        let mut queries = vec![self.pair.source.off(), started];
        // The records matter before the command.
        if cx.sent {
            return queries;
        }
        queries.extend([Query::Node(source), Query::Node(destination)]);
        for (target, _) in &self.targets {
            queries.push(Query::Target(*target));
            queries.push(Query::SameVolume(*target));
        }
        queries.extend(self.boot.as_ref().map(|boot| boot_query(self.pair.destination.node, boot)));
        queries.extend(self.asked_again(cx).map(|call| Query::Plug(Box::new(call.clone()))));
        queries
    }

    pub(super) fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        let destination = match seen {
            [destination] => destination,
            _ => {
                if let Err(verdict) = source_off(cx, &self.pair.source, &seen[0]) {
                    return verdict;
                }
                &seen[1]
            }
        };
        match power_of(&self.pair.destination, destination) {
            Seen::Off => {}
            Seen::Wrong(why) => return Verdict::Refuse(why),
            Seen::On if cx.begun => return Verdict::Satisfied,
            // A BMC that gives no power state has not said that anything starts.
            Seen::Neither(why) if says_nothing(destination) => return Verdict::Wait(why),
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
        let mut rest = seen[4 + 2 * self.targets.len()..].iter();
        let opens = match (&self.boot, self.boot.as_ref().and_then(|_| rest.next())) {
            (Some(boot), Some(seen)) => self.opens_what_it_should(boot, seen),
            _ => Verdict::Act,
        };
        if opens != Verdict::Act {
            return opens;
        }
        let source = &self.pair.source.name;
        self.asked_again(cx).zip(rest).try_for_each(|(call, seen)| plug_is_off(source, call, seen)).err().unwrap_or(Verdict::Act)
    }

    /// Between the step that set it and this one lie hooks, and whoever else has a way to the BMC.
    fn opens_what_it_should(&self, boot: &BootSettings, seen: &Observation) -> Verdict {
        match seen {
            Observation::Boot(now) if now.shows(boot) => Verdict::Act,
            Observation::Boot(now) => {
                let name = &self.pair.destination.name;
                let text = format!(
                    "the boot configuration of `{name}` was changed after it had been set: it is \"{}\" and must be \"{}\"; find out \
                     who changed it, or whether its BMC forgets it",
                    describe_boot(now),
                    describe_boot(boot)
                );
                Verdict::Refuse(Reason::new(ReasonCode::BootChanged, text))
            }
            Observation::Unreadable(fault) => unreadable("the boot configuration", fault),
            other => unreachable!("a query for a boot configuration gives one, not {other:?}"),
        }
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

gates! {
    "power-off", "a silent BMC keeps the power-off from being seen: the question is left to the fence",
        Open, "the fence asks again, and more strictly", an_agent_switches_off_what_a_dead_bmc_cannot;
    "started by us", "a destination that is On counts as started only when this run meant to start it",
        Closed, "somebody else's start opens whatever its firmware names", a_destination_that_is_on_already_is_not_taken_for_started;
    "plugs before the start", "agents that vouched for a silent source read its plugs once more just before the start",
        Closed, "a feed that comes back starts the machine, and nobody else would see it",
        a_plug_that_comes_back_after_the_fence_is_seen_before_the_start;
    "destination's boot configuration", "it is read once more just before the start, and must be what was set",
        Closed, "a machine opens what its firmware names, and somebody else may have written it since",
        a_boot_configuration_that_is_changed_before_the_start;
    "everything back", "the source is started again only when all its records and boot settings are back and the spare is Off",
        Closed, "a source that starts without its volumes, or beside its spare, is worse than one that is dark",
        going_back_without_standing_still;
}
