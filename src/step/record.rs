//! Steps that are changes of the inventory: maintenance, connectors, targets, instance.

use super::guard::{Seen, both_off, power_of};
use super::reserve::{record, unreadable};
use super::*;
use crate::model::gate_table::gates;

/// The source is in maintenance, so that the inventory's own power sync leaves it alone. Set before power-off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetMaintenance {
    pub machine: Machine,
    pub reason: String,
}

impl SetMaintenance {
    pub(super) fn observes(&self, _: &Context) -> Vec<Query> {
        vec![Query::Node(self.machine.node)]
    }

    pub(super) fn evaluate(&self, _: &Context, seen: &[Observation]) -> Verdict {
        let node = match record(&self.machine, seen) {
            Ok((node, _)) => node,
            Err(wait) => return wait,
        };
        match &node.maintenance {
            Some(m) if m.reason == self.reason => Verdict::Satisfied,
            // Nobody's but the service's own, for a fault that it found: ours says why the node must stay as it is.
            Some(_) if node.kept_by.as_ref().is_some_and(|k| k.fault.is_some()) => Verdict::Act,
            Some(m) => Verdict::Refuse(Reason::new(
                ReasonCode::Maintenance,
                format!("`{}` was put into maintenance by somebody else: {}", self.machine.name, m.reason),
            )),
            None => Verdict::Act,
        }
    }

    pub(super) fn command(&self, cx: &Context) -> Option<Command> {
        Some(Command::Change(Change::SetMaintenance {
            node: self.machine.node,
            holder: cx.holder.clone(),
            maintenance: Some(Maintenance { reason: self.reason.clone() }),
        }))
    }

    pub(super) fn undo(&self) -> Undo {
        let leave = LeaveMaintenance { machine: self.machine.clone(), reason: self.reason.clone(), off: false };
        Undo::Steps(vec![Step::LeaveMaintenance(leave)])
    }

    pub(super) fn patience(&self, _: u32) -> Patience {
        Patience::RECORD
    }

    pub(super) fn subject(&self) -> String {
        self.machine.name.clone()
    }

    pub(super) fn change_text(&self) -> (String, String) {
        ("no".into(), format!("\"{}\"", self.reason))
    }

    pub(super) fn remark(&self) -> String {
        "and stays so: it is not to be started again".into()
    }
}

/// Our maintenance is gone; somebody else's is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaveMaintenance {
    pub machine: Machine,
    pub reason: String,
    /// The very look must see the machine Off: maintenance keeps an inventory's own power sync from starting it, and is
    /// not left while it could have been.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
}

impl LeaveMaintenance {
    pub(super) fn observes(&self, _: &Context) -> Vec<Query> {
        let power = self.off.then(|| self.machine.off());
        [Query::Node(self.machine.node)].into_iter().chain(power).collect()
    }

    pub(super) fn evaluate(&self, _: &Context, seen: &[Observation]) -> Verdict {
        // Only a look says so here: who vouched for the fence speaks of that moment.
        match seen.get(1).map(|seen| power_of(&self.machine, seen)) {
            None | Some(Seen::Off) => {}
            Some(Seen::On) => {
                let text = format!("`{}` is On and must be Off to leave maintenance", self.machine.name);
                return Verdict::Refuse(Reason::new(ReasonCode::SourceOn, text));
            }
            Some(Seen::Neither(why)) => return Verdict::Wait(why),
            Some(Seen::Wrong(why)) => return Verdict::Refuse(why),
        }
        match record(&self.machine, seen) {
            // It would be a spare again, with firmware that opens another's volume.
            Ok((node, _)) if self.off && node.debt.is_some() => Verdict::Satisfied,
            Ok((node, _)) if node.maintenance.as_ref().is_some_and(|m| m.reason == self.reason) => Verdict::Act,
            Ok(_) => Verdict::Satisfied,
            Err(wait) => wait,
        }
    }

    pub(super) fn command(&self, cx: &Context) -> Option<Command> {
        Some(Command::Change(Change::SetMaintenance { node: self.machine.node, holder: cx.holder.clone(), maintenance: None }))
    }

    pub(super) fn undo(&self) -> Undo {
        let machine = self.machine.clone();
        Undo::Steps(vec![Step::SetMaintenance(SetMaintenance { machine, reason: self.reason.clone() })])
    }

    pub(super) fn patience(&self, _: u32) -> Patience {
        Patience::RECORD
    }

    pub(super) fn subject(&self) -> String {
        self.machine.name.clone()
    }

    pub(super) fn change_text(&self) -> (String, String) {
        (format!("\"{}\"", self.reason), "no".into())
    }

    pub(super) fn remark(&self) -> String {
        String::new()
    }
}

/// Where a record is and where it should be. Used by both moves.
fn moved(what: &str, from: NodeId, to: NodeId, seen: &Observation) -> Verdict {
    match seen {
        Observation::At(at) if *at == to => Verdict::Satisfied,
        Observation::At(at) if *at == from => Verdict::Act,
        Observation::At(at) => Verdict::Refuse(Reason::new(
            ReasonCode::Elsewhere,
            format!("`{what}` is at neither end of the move but at node {at}; find out who moved it"),
        )),
        Observation::Unreadable(fault) => unreadable(what, fault),
        other => unreachable!("a query for a record's place gives its node, not {other:?}"),
    }
}

/// A virtual connector is recorded at the other end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveConnector {
    pub pair: Shared<Pair>,
    pub connector: ConnectorId,
    pub kind: ConnectorKind,
    pub connector_id: String,
    pub from: NodeId,
    pub to: NodeId,
}

impl MoveConnector {
    pub(super) fn observes(&self, cx: &Context) -> Vec<Query> {
        let place = Query::Connector(self.connector);
        // Rule S1 wants its look before the command; what became of it is told by the record.
        if cx.sent {
            return vec![place];
        }
        vec![place, self.pair.source.off(), self.pair.destination.off()]
    }

    pub(super) fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        if !cx.sent
            && let Err(verdict) = both_off(cx, &self.pair, &seen[1], &seen[2])
        {
            return verdict;
        }
        moved(&self.connector_id, self.from, self.to, &seen[0])
    }

    pub(super) fn command(&self, cx: &Context) -> Option<Command> {
        Some(Command::Change(Change::MoveConnector { connector: self.connector, from: self.from, to: self.to, holder: cx.holder.clone() }))
    }

    pub(super) fn undo(&self) -> Undo {
        Undo::Steps(vec![Step::MoveConnector(MoveConnector { from: self.to, to: self.from, ..self.clone() })])
    }

    pub(super) fn patience(&self, _: u32) -> Patience {
        Patience::RECORD
    }

    pub(super) fn subject(&self) -> String {
        format!("{} {}", self.kind.as_str(), self.connector_id)
    }

    pub(super) fn change_text(&self) -> (String, String) {
        (name_of(&self.pair, self.from), name_of(&self.pair, self.to))
    }

    pub(super) fn remark(&self) -> String {
        "virtual".into()
    }
}

/// A volume target is recorded at the other end, and nowhere else in the fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveTarget {
    pub pair: Shared<Pair>,
    pub target: TargetId,
    pub volume_id: String,
    pub boot_index: u32,
    pub from: NodeId,
    pub to: NodeId,
}

impl MoveTarget {
    pub(super) fn observes(&self, cx: &Context) -> Vec<Query> {
        let place = Query::Target(self.target);
        // As for connectors.
        if cx.sent {
            return vec![place];
        }
        vec![place, self.pair.source.off(), self.pair.destination.off(), Query::SameVolume(self.target)]
    }

    pub(super) fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        if !cx.sent {
            let before = both_off(cx, &self.pair, &seen[1], &seen[2]).and_then(|()| single(&self.volume_id, &seen[3]));
            if let Err(verdict) = before {
                return verdict;
            }
        }
        moved(&self.volume_id, self.from, self.to, &seen[0])
    }

    pub(super) fn command(&self, cx: &Context) -> Option<Command> {
        Some(Command::Change(Change::MoveTarget { target: self.target, from: self.from, to: self.to, holder: cx.holder.clone() }))
    }

    pub(super) fn undo(&self) -> Undo {
        Undo::Steps(vec![Step::MoveTarget(MoveTarget { from: self.to, to: self.from, ..self.clone() })])
    }

    pub(super) fn patience(&self, _: u32) -> Patience {
        Patience::RECORD
    }

    pub(super) fn subject(&self) -> String {
        if self.boot_index == 0 { format!("{} (boot)", self.volume_id) } else { self.volume_id.clone() }
    }

    pub(super) fn change_text(&self) -> (String, String) {
        (name_of(&self.pair, self.from), name_of(&self.pair, self.to))
    }

    pub(super) fn remark(&self) -> String {
        String::new()
    }
}

/// `Ok` when no other node has the volume.
pub(super) fn single(volume: &str, seen: &Observation) -> Result<(), Verdict> {
    match seen {
        Observation::AlsoAt(nodes) if nodes.is_empty() => Ok(()),
        Observation::AlsoAt(nodes) => {
            let list: Vec<String> = nodes.iter().map(ToString::to_string).collect();
            let text = format!("`{volume}` is attached to {} as well; detach it there, or mark it `shareable`", list.join(", "));
            Err(Verdict::Refuse(Reason::new(ReasonCode::SecondAttachment, text)))
        }
        Observation::Unreadable(fault) => Err(unreadable(volume, fault)),
        other => unreachable!("a query for attachments gives nodes, not {other:?}"),
    }
}

pub(super) fn name_of(pair: &Pair, node: NodeId) -> String {
    if node == pair.source.node { pair.source.name.clone() } else { pair.destination.name.clone() }
}

/// The instance is the destination's, with the provision states that follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveInstance {
    pub pair: Shared<Pair>,
    pub instance: Option<Instance>,
    pub from: NodeId,
    pub to: NodeId,
    /// What `from` becomes.
    pub from_state: ProvisionState,
    /// What `to` becomes.
    pub to_state: ProvisionState,
    /// What they were, for the way back.
    pub from_was: ProvisionState,
    pub to_was: ProvisionState,
}

impl MoveInstance {
    pub(super) fn observes(&self, _: &Context) -> Vec<Query> {
        vec![Query::Node(self.from), Query::Node(self.to)]
    }

    pub(super) fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        let (from, to) = match seen {
            [Observation::Node(from, _), Observation::Node(to, _)] => (from, to),
            [Observation::Unreadable(fault), _] | [_, Observation::Unreadable(fault)] => return unreadable("the inventory", fault),
            other => unreachable!("two queries for nodes give two records, not {other:?}"),
        };
        // A service changes provision states by itself, with its own steps, and shows an instance's name as it likes.
        let kept = self.pair.source.kept;
        let same = |a: &Option<Instance>| match kept {
            true => uuid_of(a) == uuid_of(&self.instance),
            false => *a == self.instance,
        };
        let there = same(&to.instance) && (kept || to.provision_state == self.to_state);
        let gone = (from.instance.is_none() || self.instance.is_none()) && (kept || from.provision_state == self.from_state);
        if there && gone {
            return Verdict::Satisfied;
        }
        if to.instance.is_some() && !same(&to.instance) {
            let text = format!("`{}` carries another instance already{}", to.name, foreign(to, kept));
            let code = if kept { ReasonCode::ForeignInstance } else { ReasonCode::Elsewhere };
            return Verdict::Refuse(Reason::new(code, text));
        }
        // A service moves it in several requests: between them it stands nowhere, and the plan has it.
        let between = kept && cx.begun && from.instance.is_none() && to.instance.is_none();
        if !same(&from.instance) && !between {
            let text = format!("the instance is at neither `{}` nor `{}`", from.name, to.name);
            return Verdict::Refuse(Reason::new(ReasonCode::Elsewhere, text));
        }
        Verdict::Act
    }

    pub(super) fn command(&self, cx: &Context) -> Option<Command> {
        Some(Command::Change(Change::MoveInstance {
            instance: self.instance.clone(),
            from: self.from,
            to: self.to,
            from_state: self.from_state,
            to_state: self.to_state,
            holder: cx.holder.clone(),
        }))
    }

    pub(super) fn undo(&self) -> Undo {
        Undo::Steps(vec![Step::MoveInstance(MoveInstance {
            from: self.to,
            to: self.from,
            from_state: self.to_was,
            to_state: self.from_was,
            from_was: self.to_state,
            to_was: self.from_state,
            ..self.clone()
        })])
    }

    pub(super) fn patience(&self, _: u32) -> Patience {
        Patience::RECORD
    }

    pub(super) fn subject(&self) -> String {
        let name = self.instance.as_ref().map(|i| i.name.clone().unwrap_or_else(|| i.uuid.to_string()));
        name.unwrap_or_else(|| "no instance".into())
    }

    pub(super) fn change_text(&self) -> (String, String) {
        (name_of(&self.pair, self.from), name_of(&self.pair, self.to))
    }

    pub(super) fn remark(&self) -> String {
        if self.pair.source.kept {
            return String::new();
        }
        format!(
            "{} becomes {}, {} becomes {}",
            name_of(&self.pair, self.to),
            self.to_state,
            name_of(&self.pair, self.from),
            self.from_state
        )
    }
}

fn uuid_of(instance: &Option<Instance>) -> Option<uuid::Uuid> {
    instance.as_ref().map(|i| i.uuid)
}

/// What a person has to know of an instance that nobody of ours put there.
pub(super) fn foreign(node: &Node, kept: bool) -> String {
    match &node.instance {
        Some(instance) if kept => {
            format!(" ({}): whoever put it there, its deployment would open these volumes; find out, and take it away first", instance.uuid)
        }
        _ => String::new(),
    }
}

gates! {
    "one attachment", "a volume moves and is started from only while no other node has it",
        Closed, "inventories keep no constraint against two nodes with one volume", a_volume_that_is_attached_twice_is_not_moved;
    "leaving maintenance", "a spare leaves maintenance after a way home only when it is seen Off",
        Closed, "maintenance keeps an inventory's power sync from starting it", a_spare_that_runs_does_not_leave_maintenance;
}
