//! The way back: the source runs again, with everything that it had.

use super::boot::boot_query;
use super::guard::both_off;
use super::record::single;
use super::reserve::unreadable;
use super::*;

/// The way back of [`PowerOff`]: the source runs again, once a look has shown that everything is back at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerBack {
    pub pair: Shared<Pair>,
    pub reset: ResetType,
    pub landing: Span,
    pub connectors: Vec<ConnectorId>,
    pub targets: Vec<TargetId>,
    /// The source's own boot configuration, where this plan would have taken it away.
    pub boot: Option<BootSettings>,
    /// The destination's, which must open nothing of the source's.
    pub destination_boot: Option<BootSettings>,
}

impl PowerBack {
    pub(super) fn observes(&self, cx: &Context) -> Vec<Query> {
        let (source, destination) = (self.pair.source.node, self.pair.destination.node);
        // A source that this process has told On is asked nothing that could switch it off.
        let started = if cx.sent { Query::System(source) } else { self.pair.source.off() };
        let mut queries = vec![started, self.pair.destination.off(), Query::Node(source), Query::Node(destination)];
        queries.extend(self.targets.iter().map(|t| Query::SameVolume(*t)));
        queries.extend(self.connectors.iter().map(|c| Query::Connector(*c)));
        queries.extend(self.targets.iter().map(|t| Query::Target(*t)));
        queries.extend(self.boot.as_ref().map(|boot| boot_query(source, boot)));
        queries.extend(self.destination_boot.as_ref().map(|boot| boot_query(destination, boot)));
        queries
    }

    pub(super) fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        let source = power_of(&self.pair.source, &seen[0]);
        if let (Seen::On, true) = (&source, cx.begun) {
            return Verdict::Satisfied;
        }
        for (machine, seen) in [(&self.pair.source, &seen[2]), (&self.pair.destination, &seen[3])] {
            if let Err(verdict) = held(cx, machine, seen) {
                return verdict;
            }
        }
        if let Err(verdict) = self.all_back(&seen[4..]) {
            return verdict;
        }
        match source {
            // It was never off: the power-off did not land and was not needed to.
            Seen::On => return Verdict::Satisfied,
            Seen::Wrong(why) => return Verdict::Refuse(why),
            Seen::Neither(why) => return Verdict::Wait(why),
            Seen::Off => {}
        }
        // Rule S6: an off that is still on its way would end the source that has just come back. It was Off already, so that
        // its being Off does not say that the off has landed.
        if let Observation::Node(node, Some(left)) = &seen[2]
            && node.power_mark.is_some_and(|mark| mark.reset.leads_to() == Some(PowerState::Off))
        {
            let text = format!("a power-off may still land on `{}` for {left}", node.name);
            return Verdict::Wait(Reason::new(ReasonCode::Landing, text));
        }
        match both_off(cx, &self.pair, &seen[0], &seen[1]) {
            Ok(()) => Verdict::Act,
            Err(verdict) => verdict,
        }
    }

    fn all_back(&self, seen: &[Observation]) -> Result<(), Verdict> {
        let name = &self.pair.source.name;
        let mut wanted_boot = self.boot.iter().chain(&self.destination_boot);
        for seen in seen {
            match seen {
                Observation::At(node) if *node == self.pair.source.node => {}
                Observation::At(node) => {
                    let text = format!("a connector or target of `{name}` is at node {node}; it is not started without it");
                    return Err(Verdict::Refuse(Reason::new(ReasonCode::Elsewhere, text)));
                }
                Observation::Boot(boot) => {
                    if !wanted_boot.next().is_none_or(|want| boot.shows(want)) {
                        let text = format!("the boot configuration of `{name}` or its spare is not what it was; it is not started with it");
                        return Err(Verdict::Refuse(Reason::new(ReasonCode::Elsewhere, text)));
                    }
                }
                Observation::AlsoAt(_) => single(name, seen)?,
                Observation::Unreadable(fault) => return Err(unreadable(name, fault)),
                other => unreachable!("places and boot configurations were asked for, not {other:?}"),
            }
        }
        Ok(())
    }

    pub(super) fn command(&self, _: &Context) -> Option<Command> {
        Some(Command::Reset { node: self.pair.source.node, reset: self.reset })
    }

    pub(super) fn undo(&self) -> Undo {
        Undo::Nothing
    }

    pub(super) fn patience(&self, _: u32) -> Patience {
        Patience::device(self.landing)
    }

    pub(super) fn subject(&self) -> String {
        self.pair.source.name.clone()
    }

    pub(super) fn change_text(&self) -> (String, String) {
        ("Off".into(), "On".into())
    }

    pub(super) fn remark(&self) -> String {
        "everything is back at it".into()
    }
}
