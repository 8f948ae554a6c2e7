//! What the service that keeps a node does of it: takes it from one provision state to another, and forgets what it ran.

use super::guard::{Seen, both_off, power_of};
use super::record::{foreign, single};
use super::reserve::{held, unreadable};
use super::*;
use crate::model::gate_table::gates;

/// A deployment or adoption from volumes writes no disk: it takes seconds. A conductor that restarts in the middle takes a
/// minute; after this a person looks.
const AT_WORK: Span = Span::mins(15);

/// The service is about something with the node and will end it by itself, perhaps with a start.
pub(super) fn is_at_work(state: ProvisionState) -> bool {
    use ProvisionState::*;
    matches!(
        state,
        Verifying | Inspecting | Cleaning | Deploying | Deleting | Rebuild | Rescuing | Unrescuing | Adopting | Servicing | DeployWait
    )
}

/// The node is in the provision state that a verb of the service's leads to. `active` starts the destination: its first
/// durable intent is the point of no return.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provision {
    pub pair: Shared<Pair>,
    pub node: NodeId,
    pub target: ProvisionTarget,
    /// In what state the plan finds it.
    pub was: ProvisionState,
    /// What must stand in its `instance_uuid` by then, our own claim left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Instance>,
    /// Each must be recorded at the destination and nowhere else: the service reads them at that moment, and never again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<(TargetId, String)>,
    /// The agents that may vouch for the source; those that did are asked once more before a start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentCall>,
    /// On the way back: whatever it became meanwhile is left to the step that undeploys it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undoing: bool,
}

impl Provision {
    fn machine(&self) -> &Machine {
        if self.node == self.pair.source.node { &self.pair.source } else { &self.pair.destination }
    }

    /// It opens the volumes, or writes down for the firmware what to open.
    fn takes_over(&self) -> bool {
        matches!(self.target, ProvisionTarget::Active | ProvisionTarget::Adopt)
    }

    /// It ends with a start.
    pub fn starts(&self) -> bool {
        self.target == ProvisionTarget::Active
    }

    fn asked_again(&self, cx: &Context) -> impl Iterator<Item = &AgentCall> {
        self.agents.iter().filter(|call| cx.vouchers.iter().any(|(agent, plug)| *agent == call.name && *plug == call.plug()))
    }

    pub(super) fn observes(&self, cx: &Context) -> Vec<Query> {
        let node = Query::Node(self.node);
        if !self.takes_over() || cx.sent {
            return vec![node];
        }
        // A destination that this run may have told to start is asked nothing that could switch it off.
        let destination = if cx.begun && self.starts() { Query::System(self.pair.destination.node) } else { self.pair.destination.off() };
        let mut queries = vec![self.pair.source.off(), destination, node, Query::Node(self.pair.source.node)];
        for (target, _) in &self.targets {
            queries.extend([Query::Target(*target), Query::SameVolume(*target)]);
        }
        queries.extend(self.asked_again(cx).map(|call| Query::Plug(Box::new(call.clone()))));
        queries
    }

    pub(super) fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        let guarded = self.takes_over() && !cx.sent;
        let record = if guarded { &seen[2] } else { &seen[0] };
        let node = match record {
            Observation::Node(node, _) => node,
            Observation::Unreadable(fault) => return unreadable(&self.machine().name, fault),
            other => unreachable!("a query for a node gives its record, not {other:?}"),
        };
        if let Err(verdict) = held(cx, self.machine(), record) {
            return verdict;
        }
        if let Err(verdict) = self.ours(node) {
            return verdict;
        }
        let verdict = self.state(cx, node);
        if verdict != Verdict::Act || !guarded {
            return verdict;
        }
        match self.before(cx, seen) {
            Ok(()) => Verdict::Act,
            Err(verdict) => verdict,
        }
    }

    /// A deployment of somebody else's instance would open our volumes for it.
    fn ours(&self, node: &Node) -> Result<(), Verdict> {
        let uuid = |i: &Option<Instance>| i.as_ref().map(|i| i.uuid);
        if !self.takes_over() || self.undoing || uuid(&node.instance) == uuid(&self.instance) {
            return Ok(());
        }
        let text = match &node.instance {
            Some(_) => format!("`{}` carries another instance{}", node.name, foreign(node, true)),
            None => format!("`{}` carries no instance any more; find out who took it away", node.name),
        };
        Err(Verdict::Refuse(Reason::new(ReasonCode::ForeignInstance, text)))
    }

    fn state(&self, cx: &Context, node: &Node) -> Verdict {
        let state = node.provision_state;
        let name = &node.name;
        if state == self.target.leads_to() {
            // A node that somebody else has made active is not taken for ours.
            if self.takes_over() && !cx.begun {
                let text = format!("`{name}` is {state}, and nothing of this run made it so; find out who did");
                return Verdict::Refuse(Reason::new(ReasonCode::ProvisionState, text));
            }
            return Verdict::Satisfied;
        }
        if is_at_work(state) {
            return Verdict::Wait(Reason::new(ReasonCode::Provisioning, format!("`{name}` is {state}")));
        }
        if self.target.allowed_from(state) {
            return Verdict::Act;
        }
        if self.undoing {
            return Verdict::Satisfied;
        }
        let text = format!("`{name}` is {state}, and `{}` cannot be asked for; its history in Ironic says why", self.target.as_str());
        Verdict::Refuse(Reason::new(ReasonCode::ProvisionState, text))
    }

    /// Rule S1, and everything that the service will open must be where it should be.
    fn before(&self, cx: &Context, seen: &[Observation]) -> Result<(), Verdict> {
        both_off(cx, &self.pair, &seen[0], &seen[1])?;
        held(cx, &self.pair.source, &seen[3])?;
        let (records, plugs) = seen[4..].split_at(2 * self.targets.len());
        for ((_, volume), seen) in self.targets.iter().zip(records.chunks(2)) {
            match &seen[0] {
                Observation::At(node) if *node == self.pair.destination.node => {}
                Observation::Unreadable(fault) => return Err(unreadable(volume, fault)),
                _ => {
                    let text = format!("`{volume}` is not recorded at `{}` any more; find out who moved it", self.pair.destination.name);
                    return Err(Verdict::Refuse(Reason::new(ReasonCode::Elsewhere, text)));
                }
            }
            single(volume, &seen[1])?;
        }
        self.asked_again(cx).zip(plugs).try_for_each(|(call, seen)| power::plug_is_off(&self.pair.source.name, call, seen))
    }

    pub(super) fn command(&self, cx: &Context) -> Option<Command> {
        let (node, target, holder) = (self.node, self.target, cx.holder.clone());
        Some(Command::Change(Change::SetProvisionState { node, target, holder }))
    }

    /// An adoption that failed leads back to where it came from at once. One that succeeded is undeployed when no record hangs
    /// on the node any more ([`Provision::afterwards`]).
    pub(super) fn undo(&self) -> Undo {
        match self.target {
            ProvisionTarget::Active => Undo::Never,
            ProvisionTarget::Adopt => {
                let manage = Provision { target: ProvisionTarget::Manage, was: ProvisionState::AdoptFailed, undoing: true, ..self.clone() };
                Undo::Steps(vec![Step::Provision(manage)])
            }
            ProvisionTarget::Manage | ProvisionTarget::Provide => Undo::Nothing,
        }
    }

    /// What the way back owes once everything is at the source again: the spare is undeployed and becomes what it was.
    pub fn afterwards(&self) -> Vec<Step> {
        if !self.takes_over() {
            return Vec::new();
        }
        let clean = CleanSource { pair: self.pair.clone(), node: self.node, targets: Vec::new() };
        let manage = Provision { target: ProvisionTarget::Manage, was: ProvisionState::Available, undoing: true, ..self.clone() };
        let manage = (self.target == ProvisionTarget::Adopt).then_some(Step::Provision(manage));
        std::iter::once(Step::CleanSource(clean)).chain(manage).collect()
    }

    pub(super) fn patience(&self, _: u32) -> Patience {
        Patience { wait: AT_WORK, ..Patience::RECORD }
    }

    pub(super) fn subject(&self) -> String {
        self.machine().name.clone()
    }

    pub(super) fn change_text(&self) -> (String, String) {
        (self.was.to_string(), self.target.leads_to().to_string())
    }

    pub(super) fn remark(&self) -> String {
        match self.target {
            ProvisionTarget::Active => "Ironic deploys it from its volumes and starts it; no way back from here".into(),
            ProvisionTarget::Adopt => "Ironic adopts it with its volumes; it starts nothing".into(),
            ProvisionTarget::Manage => "`manage`: Ironic looks at its BMC".into(),
            ProvisionTarget::Provide => "`provide`".into(),
        }
    }
}

/// The service has forgotten what it ran on the node: no network boot file stays that would open the volumes. It deletes every
/// target that is recorded there, and so it is asked for only while a look shows none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanSource {
    pub pair: Shared<Pair>,
    /// The source; on the way back the spare.
    pub node: NodeId,
    /// Each must be recorded at the other end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<(TargetId, String)>,
}

impl CleanSource {
    fn ends(&self) -> (&Machine, &Machine) {
        if self.node == self.pair.source.node {
            (&self.pair.source, &self.pair.destination)
        } else {
            (&self.pair.destination, &self.pair.source)
        }
    }

    pub(super) fn observes(&self, cx: &Context) -> Vec<Query> {
        let node = Query::Node(self.node);
        if cx.sent {
            return vec![node];
        }
        let targets = self.targets.iter().map(|(target, _)| Query::Target(*target));
        [node, Query::TargetsAt(self.node), self.ends().0.off()].into_iter().chain(targets).collect()
    }

    pub(super) fn evaluate(&self, cx: &Context, seen: &[Observation]) -> Verdict {
        let (machine, other) = self.ends();
        let node = match &seen[0] {
            Observation::Node(node, _) => node,
            Observation::Unreadable(fault) => return unreadable(&machine.name, fault),
            other => unreachable!("a query for a node gives its record, not {other:?}"),
        };
        if let Err(verdict) = held(cx, machine, &seen[0]) {
            return verdict;
        }
        let name = &machine.name;
        let state = node.provision_state;
        let refuse = |code, text: String| Verdict::Refuse(Reason::new(code, text));
        match state {
            ProvisionState::Available | ProvisionState::Manageable | ProvisionState::Enroll => return Verdict::Satisfied,
            ProvisionState::Active | ProvisionState::DeployFailed | ProvisionState::Error => {}
            state if is_at_work(state) => return Verdict::Wait(Reason::new(ReasonCode::Provisioning, format!("`{name}` is {state}"))),
            state => return refuse(ReasonCode::ProvisionState, format!("`{name}` is {state}, and `deleted` cannot be asked for")),
        }
        if let Some(instance) = &node.instance {
            return refuse(ReasonCode::ForeignInstance, format!("`{name}` carries instance {}; it is not undeployed", instance.uuid));
        }
        if cx.sent {
            return Verdict::Act;
        }
        match &seen[1] {
            Observation::Targets(targets) if targets.is_empty() => {}
            Observation::Targets(targets) => {
                let list: Vec<String> = targets.iter().map(ToString::to_string).collect();
                let text = format!(
                    "`{name}` has volume targets ({}), which its undeployment would delete; find out who put them there",
                    list.join(", ")
                );
                return refuse(ReasonCode::Elsewhere, text);
            }
            Observation::Unreadable(fault) => return unreadable("the volume targets", fault),
            other => unreachable!("a query for targets gives them, not {other:?}"),
        }
        match power_of(machine, &seen[2]) {
            // Where its BMC is silent the service cannot undeploy it either; that is for its answer to say.
            Seen::Off | Seen::Neither(_) => {}
            Seen::On => return refuse(ReasonCode::SourceOn, format!("`{name}` is On and must be Off to be undeployed")),
            Seen::Wrong(why) => return Verdict::Refuse(why),
        }
        for ((_, volume), seen) in self.targets.iter().zip(&seen[3..]) {
            match seen {
                Observation::At(node) if *node == other.node => {}
                Observation::Unreadable(fault) => return unreadable(volume, fault),
                _ => return refuse(ReasonCode::Elsewhere, format!("`{volume}` is not recorded at `{}` any more", other.name)),
            }
        }
        Verdict::Act
    }

    pub(super) fn command(&self, cx: &Context) -> Option<Command> {
        Some(Command::Change(Change::Undeploy { node: self.node, holder: cx.holder.clone() }))
    }

    pub(super) fn undo(&self) -> Undo {
        Undo::Nothing
    }

    /// A dead BMC keeps the service for half a minute each time; more attempts would not make it live.
    pub(super) fn patience(&self, _: u32) -> Patience {
        Patience { wait: AT_WORK, attempts_max: 3, ..Patience::RECORD }
    }

    pub(super) fn subject(&self) -> String {
        self.ends().0.name.clone()
    }

    pub(super) fn change_text(&self) -> (String, String) {
        ("active".into(), "available".into())
    }

    pub(super) fn remark(&self) -> String {
        "undeployed without cleaning: no network boot file stays".into()
    }
}

gates! {
    "deploy or adopt", "the service is told to take the spare over only while both machines are Off, the volumes at the spare and the instance ours",
        Closed, "it opens whatever stands there then, and looks at nothing else", an_instance_of_somebody_elses_is_never_deployed;
    "undeploy", "a node is undeployed only while no volume target is recorded at it",
        Closed, "the service deletes the targets with it, and their secrets are lost", an_undeployment_before_the_move_loses_the_volumes;
    "undeploy that fails", "after the point of no return it is left as a debt: never power on, undeploy pending; `resume` tries it again",
        Open, "the destination serves; the source is off and stays held", a_source_that_cannot_be_undeployed_stays_held_and_resume_settles_it;
}
