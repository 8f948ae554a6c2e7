//! Confirm: a person has said where the volumes are, and a fresh look at both nodes does not contradict.

use super::boot::describe as describe_boot;
use super::guard::{power_of, source_off};
use super::provision::is_at_work;
use super::reserve::{held, unreadable};
use super::*;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    pub pair: Shared<Pair>,
    /// The person says that the destination has them and serves.
    pub moved: bool,
    /// What must be recorded at the destination then.
    #[serde(default)]
    pub connectors: Vec<(ConnectorId, String)>,
    #[serde(default)]
    pub targets: Vec<(TargetId, String)>,
    /// What the destination's firmware must open then, where the plan was to tell it. A machine that runs without it serves
    /// nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens: Option<IscsiBoot>,
}

impl Confirm {
    pub(super) fn observes(&self, _: &Context) -> Vec<Query> {
        let (source, destination) = (self.pair.source.node, self.pair.destination.node);
        // Whoever is said to have the volumes may run, and is asked nothing that could switch it off.
        let power = match self.moved {
            true => [self.pair.source.off(), Query::System(destination)],
            false => [Query::System(source), self.pair.destination.off()],
        };
        let nodes = power.into_iter().chain([Query::Node(source), Query::Node(destination)]);
        let connectors = self.connectors.iter().map(|(id, _)| Query::Connector(*id));
        let targets = self.targets.iter().map(|(id, _)| Query::Target(*id));
        let boot = self.opens.iter().map(|_| Query::Boot(destination));
        nodes.chain(connectors).chain(targets).chain(boot).collect()
    }

    /// Rules S1, S2 and S6 in one look: both are still ours, nothing can land any more, and the machine that is said
    /// not to have the volumes is Off.
    pub(super) fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        let (source, destination) = (&self.pair.source, &self.pair.destination);
        for (machine, seen) in [(source, &seen[2]), (destination, &seen[3])] {
            if let Err(verdict) = held(cx, machine, seen) {
                return verdict;
            }
            // A deployment that goes on starts the machine by itself.
            if let Observation::Node(node, _) = seen
                && machine.kept
                && is_at_work(node.provision_state)
            {
                let text = format!("`{}` is {}: what comes of it must be seen first", machine.name, node.provision_state);
                return Verdict::Wait(Reason::new(ReasonCode::Provisioning, text));
            }
            if let Observation::Node(_, Some(left)) = seen {
                let text = format!("a power command may still land on `{}` for {left}", machine.name);
                return Verdict::Wait(Reason::new(ReasonCode::Landing, text));
            }
        }
        let power = if self.moved { self.moved(cx, &seen[0], &seen[1]) } else { self.not_moved(&seen[0], &seen[1]) };
        let records = &seen[4..];
        let (records, boot) = records.split_at(records.len() - self.opens.iter().count());
        let checked = power.and_then(|()| self.recorded(records)).and_then(|()| boot.iter().try_for_each(|seen| self.opened(seen)));
        checked.err().unwrap_or(Verdict::Satisfied)
    }

    fn opened(&self, seen: &Observation) -> Result<(), Verdict> {
        let name = &self.pair.destination.name;
        match seen {
            Observation::Boot(boot) if boot.iscsi == self.opens => Ok(()),
            Observation::Boot(boot) => {
                let text = format!(
                    "the firmware of `{name}` does not open the volume (its boot configuration is \"{}\"), so it does not serve; say \
                     `--not-moved`, or set it and start the machine again first",
                    describe_boot(boot)
                );
                Err(Verdict::Refuse(Reason::new(ReasonCode::Contradicted, text)))
            }
            Observation::Unreadable(fault) => Err(unreadable(&format!("the boot configuration of `{name}`"), fault)),
            other => unreachable!("a query for a boot configuration gives one, not {other:?}"),
        }
    }

    /// A record is never changed around a machine that runs (S1), so those that lag behind are a person's to correct.
    fn recorded(&self, seen: &[Observation]) -> Result<(), Verdict> {
        let names = self.connectors.iter().map(|(_, name)| name).chain(self.targets.iter().map(|(_, name)| name));
        for (name, seen) in names.zip(seen) {
            match seen {
                Observation::At(node) if *node == self.pair.destination.node => {}
                Observation::At(_) => {
                    let text = format!(
                        "`{name}` is not recorded at `{}`; correct the inventory, or say `--not-moved`",
                        self.pair.destination.name
                    );
                    return Err(Verdict::Refuse(Reason::new(ReasonCode::Contradicted, text)));
                }
                Observation::Unreadable(fault) => return Err(unreadable(name, fault)),
                other => unreachable!("a query for a record gives its node, not {other:?}"),
            }
        }
        Ok(())
    }

    fn moved(&self, cx: &Context, source: &Observation, destination: &Observation) -> Result<(), Verdict> {
        source_off(cx, &self.pair.source, source)?;
        match power_of(&self.pair.destination, destination) {
            Seen::On => Ok(()),
            Seen::Off => {
                let text = format!("`{}` is Off, so it does not serve; say `--not-moved`, or start it first", self.pair.destination.name);
                Err(Verdict::Refuse(Reason::new(ReasonCode::Contradicted, text)))
            }
            Seen::Neither(why) => Err(Verdict::Wait(why)),
            Seen::Wrong(why) => Err(Verdict::Refuse(why)),
        }
    }

    fn not_moved(&self, source: &Observation, destination: &Observation) -> Result<(), Verdict> {
        match power_of(&self.pair.destination, destination) {
            Seen::Off => {}
            Seen::On => {
                let text = format!("`{}` is On and may be writing; say `--moved`, or switch it off first", self.pair.destination.name);
                return Err(Verdict::Refuse(Reason::new(ReasonCode::Contradicted, text)));
            }
            Seen::Neither(why) => return Err(Verdict::Wait(why)),
            Seen::Wrong(why) => return Err(Verdict::Refuse(why)),
        }
        match power_of(&self.pair.source, source) {
            Seen::Off | Seen::On => Ok(()),
            // In maintenance its record is stale; nothing is moved before a look that proves it Off.
            Seen::Neither(_) if self.pair.source.kept => Ok(()),
            Seen::Neither(why) => Err(Verdict::Wait(why)),
            Seen::Wrong(why) => Err(Verdict::Refuse(why)),
        }
    }

    pub(super) fn command(&self, _: &Context) -> Option<Command> {
        None
    }

    pub(super) fn undo(&self) -> Undo {
        Undo::Nothing
    }

    /// A person waits for it.
    pub(super) fn patience(&self, _: u32) -> Patience {
        Patience { wait: Span::secs(30), ..Patience::RECORD }
    }

    pub(super) fn subject(&self) -> String {
        format!("{}, {}", self.pair.source.name, self.pair.destination.name)
    }

    pub(super) fn change_text(&self) -> (String, String) {
        let what = if self.moved { "a look shows no more than the destination running" } else { "a look shows the destination Off" };
        (String::new(), what.into())
    }

    pub(super) fn remark(&self) -> String {
        String::new()
    }
}
