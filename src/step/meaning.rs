//! What a query and a command mean to a fleet, said once: the plan's diff, the audit and the simulation all use it, and
//! every inventory is checked against it.

use super::*;
use crate::model::*;
use std::sync::Arc;

/// Answer from a snapshot, as the real world would if nothing were slow or broken.
pub fn answer(fleet: &Fleet, query: &Query) -> Observation {
    let missing = |what: &str| Observation::Unreadable(Fault::refused(format!("{what} is not in the inventory")));
    match query {
        Query::Node(id) => match fleet.nodes.get(id) {
            Some(node) => Observation::Node(Arc::new(node.clone()), landing_left(node, fleet.captured_at)),
            None => missing("the node"),
        },
        Query::System(id) | Query::Off(id) => match fleet.live.get(id) {
            // What is recorded while nobody looks turns out to be so, where nothing is slow or broken.
            Some(Live::Answered { reading, .. }) if matches!(query, Query::Off(_)) && reading.recorded.is_some() => {
                Observation::System(SystemReading { power: reading.recorded.unwrap_or_default(), recorded: None, ..reading.clone() })
            }
            Some(Live::Answered { reading, .. }) => Observation::System(reading.clone()),
            Some(Live::Silent(fault)) => Observation::Unreadable(fault.clone()),
            None => Observation::Unreadable(Fault::transient("the BMC was not asked")),
        },
        Query::Boot(id) | Query::BootAndOverride(id) | Query::Override(id) => match fleet.live.get(id) {
            Some(Live::Answered { boot, .. }) => {
                let iscsi = boot.iscsi.clone().filter(|_| !matches!(query, Query::Override(_)));
                let boot_override = boot.boot_override.clone().filter(|_| !matches!(query, Query::Boot(_)));
                Observation::Boot(BootSettings { iscsi, boot_override })
            }
            Some(Live::Silent(fault)) => Observation::Unreadable(fault.clone()),
            None => Observation::Unreadable(Fault::transient("the BMC was not asked")),
        },
        Query::Connector(id) => fleet.connectors.get(id).map_or_else(|| missing("the connector"), |c| Observation::At(c.node)),
        Query::Target(id) => fleet.targets.get(id).map_or_else(|| missing("the target"), |t| Observation::At(t.node)),
        Query::SameVolume(id) => match fleet.targets.get(id) {
            Some(target) => Observation::AlsoAt(fleet.second_attachments(target).iter().map(|t| t.node).collect()),
            None => missing("the target"),
        },
        Query::TargetsAt(id) => Observation::Targets(fleet.targets_of(*id).into_iter().map(|t| t.id).collect()),
        // No agent is asked and nobody's word is taken in a dry run.
        Query::Plug(_) => Observation::Unreadable(Fault::transient("the fence agent was not asked")),
        Query::Attestation(_) => Observation::Attestation(None),
        // A dry run runs no hook, so a check is never taken for done.
        Query::Check(_) => {
            Observation::Check(HookResult { succeeded: false, how: "not run".into(), output: String::new(), took: Span::ZERO })
        }
    }
}

/// How long a power command of any run may still take to land on the node.
pub fn landing_left(node: &Node, now: Time) -> Option<Span> {
    node.power_mark.map(|mark| mark.left(now)).filter(|left| *left > Span::ZERO)
}

/// Do at once what the command asks for.
///
/// # Errors
/// `Refused` where a change's expectation does not hold, as an inventory would answer.
pub fn obey(fleet: &mut Fleet, command: &Command) -> Result<(), Fault> {
    match command {
        Command::Change(change) => {
            fleet.apply(change)?;
            if let Some((node, power)) = switches(change)
                && let Some(Live::Answered { reading, .. }) = fleet.live.get_mut(&node)
            {
                (reading.power, reading.recorded) = (power, None);
                reading.boot_progress = (power == PowerState::On).then_some(BootProgress::OsRunning);
            }
            // A service that verifies a node reads its power for the first time.
            if let Change::SetProvisionState { node, target: ProvisionTarget::Manage, .. } = change
                && let Some(Live::Answered { reading, .. }) = fleet.live.get_mut(node)
                && reading.power == PowerState::Unknown
            {
                (reading.power, reading.recorded) = (PowerState::Off, None);
            }
            Ok(())
        }
        Command::Reset { node, reset } => {
            let Some(Live::Answered { reading, .. }) = fleet.live.get_mut(node) else {
                return Err(Fault::transient("the BMC does not answer"));
            };
            let Some(power) = reset.leads_to() else { return Ok(()) };
            (reading.power, reading.recorded) = (power, None);
            reading.boot_progress = reset.starts().then_some(BootProgress::OsRunning);
            Ok(())
        }
        Command::SetBoot { node, settings } => {
            let Some(Live::Answered { boot, .. }) = fleet.live.get_mut(node) else {
                return Err(Fault::transient("the BMC does not answer"));
            };
            if let Some(iscsi) = &settings.iscsi {
                boot.iscsi = Some(iscsi.clone());
            }
            if let Some(over) = &settings.boot_override {
                boot.boot_override = Some(over.clone());
            }
            Ok(())
        }
        Command::SetRestorePolicy { node, policy } => {
            let Some(Live::Answered { reading, .. }) = fleet.live.get_mut(node) else {
                return Err(Fault::transient("the BMC does not answer"));
            };
            reading.restore_policy = Some(*policy);
            Ok(())
        }
        // Neither is any part of a fleet: what they are for is a machine that cannot be seen.
        Command::Hook(_) | Command::Agents(_) | Command::UseAttestation { .. } => Ok(()),
    }
}

/// The machine that a change of its record switches as well, and to what: a deployment ends with a start, and an undeployment
/// begins with an off.
pub fn switches(change: &Change) -> Option<(NodeId, PowerState)> {
    match change {
        Change::SetProvisionState { node, target: ProvisionTarget::Active, .. } => Some((*node, PowerState::On)),
        Change::Undeploy { node, .. } => Some((*node, PowerState::Off)),
        _ => None,
    }
}

/// A safety rule that this fleet breaks, if it breaks one: two machines that are On and open one volume, or a node that
/// is On with a volume recorded at another node.
pub fn broken(fleet: &Fleet) -> Option<String> {
    let on = |node: NodeId| fleet.power(node) == PowerState::On;
    for target in fleet.targets.values().filter(|t| !t.shareable && on(t.node)) {
        if let Some(other) = fleet.second_attachments(target).iter().find(|o| on(o.node)) {
            return Some(format!("`{}` is attached to two machines that are On: {} and {}", target.volume_id, target.node, other.node));
        }
    }
    None
}
