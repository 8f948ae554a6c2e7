//! The way home after a repair: which switchovers of a run can be taken back, and what each owes besides the move.
//!
//! A way home is an ordinary plan: the machines that hold the volumes now are its sources, the original ones its named
//! destinations, and planner, recipe, audit and engine are the same. Two things differ, and both are told to the recipe
//! by [`Homecoming`]: the original is in maintenance because a switchover put it there, and the spare is to be afterwards
//! what it was before. Maintenance is taken back only where its reason is, word for word, the one that the run's own step
//! wrote; anybody else's keeps the machine where it is.

use super::candidates::{LeftOutCode, Obstacle, SpareCode, settle, spare_obstacles};
use super::holdings::Holdings;
use super::{LeftOut, Switchover};
use crate::model::gate_table::gates;
use crate::model::*;
use crate::step::{LeaveMaintenance, Machine, Pair, SetRestorePolicy, Step};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What the way home owes besides moving everything back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Homecoming {
    pub original: NodeId,
    /// The original's maintenance that the switchover itself set. None: it is in none.
    pub maintenance: Option<String>,
    /// The spare's provision state before the switchover.
    pub spare_state: ProvisionState,
    /// The original's restore policy before the switchover set it to AlwaysOff; `policy` is that earlier one.
    pub restore: Option<SetRestorePolicy>,
}

impl Homecoming {
    /// The original leaves our maintenance: just before its boot configuration is set and it is started, so that a look
    /// which sees both machines Off follows at once.
    pub(super) fn before_boot(&self, original: &Machine) -> Option<Step> {
        let reason = self.maintenance.clone()?;
        Some(Step::LeaveMaintenance(LeaveMaintenance { machine: original.clone(), reason, off: false }))
    }

    /// Once the original serves: what either machine had before the way out and the way home changed it. The spare leaves
    /// the maintenance that this very switchover set (`reason`), when it is seen Off.
    pub(super) fn afterwards(&self, pair: &Pair, reason: String, steps: &[Step]) -> Vec<Step> {
        let leave = LeaveMaintenance { machine: pair.source.clone(), reason, off: true };
        let policies = self.restore.iter().cloned().chain(earlier_policy(steps, pair.source.node));
        policies.map(Step::SetRestorePolicy).chain([Step::LeaveMaintenance(leave)]).collect()
    }
}

/// The step that gives a machine the restore policy back that these steps took from it.
fn earlier_policy(steps: &[Step], node: NodeId) -> Option<SetRestorePolicy> {
    steps.iter().find_map(|s| match s {
        Step::SetRestorePolicy(set) if set.machine.node == node => {
            Some(SetRestorePolicy { policy: set.was, was: set.policy, ..set.clone() })
        }
        _ => None,
    })
}

/// The fleet in which the originals are no longer in our maintenance, as the choice of spares must see it.
pub(super) fn as_spares<'a>(fleet: &'a Fleet, home: &BTreeMap<NodeId, Homecoming>) -> Cow<'a, Fleet> {
    if home.values().all(|h| h.maintenance.is_none()) {
        return Cow::Borrowed(fleet);
    }
    let mut fleet = fleet.clone();
    for home in home.values() {
        if let Some(node) = fleet.nodes.get_mut(&home.original)
            && node.maintenance.as_ref().map(|m| &m.reason) == home.maintenance.as_ref()
        {
            node.maintenance = None;
        }
    }
    Cow::Owned(fleet)
}

/// Why something does not come home.
pub type Stays = (LeftOutCode, String);

/// Everything of one switchover that counts for its way home.
struct Trace<'a> {
    original: &'a Node,
    /// The maintenance that the switchover set, where it is still that one.
    ours: Option<String>,
}

/// The reason that the switchover wrote when it put its source into maintenance.
fn reason_of(switchover: &Switchover) -> Option<&String> {
    switchover.steps.iter().find_map(|s| match s {
        Step::SetMaintenance(m) if m.machine.node == switchover.source.node => Some(&m.reason),
        _ => None,
    })
}

/// Where the original's machine, the volumes and the instance are now.
fn trace<'a>(switchover: &Switchover, fleet: &'a Fleet) -> Result<Trace<'a>, Stays> {
    let find = |machine: &Machine| {
        let gone = || (LeftOutCode::MovedOn, format!("`{}` is not in the inventory any more", machine.name));
        fleet.nodes.get(&machine.node).ok_or_else(gone)
    };
    let (original, holder) = (find(&switchover.source)?, find(&switchover.destination)?);
    let name_of = |id: NodeId| fleet.nodes.get(&id).map_or_else(|| id.to_string(), |n| n.name.clone());
    let moved = switchover.steps.iter().filter_map(|s| if let Step::MoveTarget(m) = s { Some(m) } else { None });
    let (mut away, mut home) = (0, 0);
    for target in moved {
        match fleet.targets.get(&target.target).map(|t| t.node) {
            Some(at) if at == holder.id => away += 1,
            Some(at) if at == original.id => home += 1,
            Some(at) => {
                let text =
                    format!("volume `{}` went on from `{}` to `{}`; take it home from there", target.volume_id, holder.name, name_of(at));
                return Err((LeftOutCode::MovedOn, text));
            }
            None => return Err((LeftOutCode::MovedOn, format!("volume `{}` is not in the inventory any more", target.volume_id))),
        }
    }
    match (away, home) {
        (0, _) => return Err((LeftOutCode::AlreadyHome, format!("the volumes are at `{}` already", original.name))),
        (_, 0) => {}
        _ => {
            let text = format!("some volumes are at `{}` and some at `{}`; find out who moved them", original.name, holder.name);
            return Err((LeftOutCode::MovedOn, text));
        }
    }
    let ours = reason_of(switchover).filter(|r| original.maintenance.as_ref().is_some_and(|m| m.reason == **r)).cloned();
    Ok(Trace { original, ours })
}

/// Can the original be a spare again, whatever for: Off, itself, empty, nobody's?
fn fit(trace: &Trace<'_>, fleet: &Fleet) -> Result<(), Stays> {
    let mut node = trace.original.clone();
    if trace.ours.is_some() {
        node.maintenance = None;
    }
    match spare_obstacles(fleet, &Holdings::of_node(fleet, node.id), &node).next() {
        None => Ok(()),
        Some(obstacle) => Err((code_of(obstacle.code), format!("{}{}", obstacle.text, advice(&obstacle, &node.name)))),
    }
}

fn code_of(code: SpareCode) -> LeftOutCode {
    match code {
        SpareCode::Reserved => LeftOutCode::OriginalReserved,
        SpareCode::Maintenance => LeftOutCode::OriginalInMaintenance,
        SpareCode::InDebt => LeftOutCode::OriginalInDebt,
        SpareCode::HasInstance | SpareCode::HasVolumes | SpareCode::ProvisionState | SpareCode::Locked | SpareCode::Allocated => {
            LeftOutCode::OriginalInUse
        }
        SpareCode::Silent => LeftOutCode::OriginalSilent,
        SpareCode::WrongMachine | SpareCode::Unidentified => LeftOutCode::OriginalReplaced,
        SpareCode::OpensVolume | SpareCode::BootUnknown => LeftOutCode::OriginalOpensVolume,
        SpareCode::PowerOn | SpareCode::PowerInTransition | SpareCode::PowerUnknown => LeftOutCode::OriginalNotOff,
        SpareCode::ContradictingFacts | SpareCode::CannotPowerOn | SpareCode::Critical => LeftOutCode::OriginalChanged,
        SpareCode::Retired
        | SpareCode::StorageInterface
        | SpareCode::BootInterface
        | SpareCode::BootCapability
        | SpareCode::ImageSource
        | SpareCode::RecordUnfit
        | SpareCode::OwnInitiator => LeftOutCode::OriginalChanged,
        SpareCode::IsSource | SpareCode::Excluded => LeftOutCode::DestinationUnfit,
    }
}

fn advice(obstacle: &Obstacle<SpareCode>, name: &str) -> String {
    match obstacle.code {
        SpareCode::InDebt => settle(name, &obstacle.text),
        SpareCode::Maintenance => format!("; when the repair is done, `coldswap inventory set {name} maintenance=`"),
        SpareCode::WrongMachine | SpareCode::Unidentified => {
            format!("; if its board was replaced, `coldswap inventory set {name} identity=`, then `coldswap inventory refresh {name}`")
        }
        SpareCode::PowerOn => "; switch it off".to_owned(),
        SpareCode::ContradictingFacts => {
            format!("; if the repair changed it, correct the facts by `inventory import`, then `coldswap inventory refresh {name}`")
        }
        _ => String::new(),
    }
}

/// A fact that the switchover rested on and that is another one now, or unknown.
fn changed(switchover: &Switchover, original: &Node) -> Option<Stays> {
    let now = original.facts();
    let planned = switchover.steps.iter().find_map(|s| match s {
        Step::Reserve(r) if r.machine.node == original.id => Some(&r.facts),
        _ => None,
    })?;
    let (name, was) = planned.iter().find(|(name, was)| Facts::NAMES.contains(&name.as_str()) && now.get(name).as_ref() != Some(*was))?;
    let is = now.get(name).map_or("unknown".to_owned(), |v| format!("`{v}`"));
    let text = format!(
        "`{name}` of `{}` was `{was}` and is {is}: the repair changed it; put it right, or give a runbook whose `match` allows it \
         with `--runbook`",
        original.name
    );
    Some((LeftOutCode::OriginalChanged, text))
}

/// May this switchover be taken home? `same_hardware`: the original's facts must be those of the switchover; without it
/// the rules of a runbook decide alone.
///
/// # Errors
/// The first thing in the way, with its code.
pub fn homecoming(switchover: &Switchover, fleet: &Fleet, same_hardware: bool) -> Result<Homecoming, Stays> {
    let trace = trace(switchover, fleet)?;
    fit(&trace, fleet)?;
    if let Some(stays) = changed(switchover, trace.original).filter(|_| same_hardware) {
        return Err(stays);
    }
    let spare_state = switchover.steps.iter().find_map(|s| if let Step::MoveInstance(m) = s { Some(m.to_was) } else { None });
    let restore = earlier_policy(&switchover.steps, trace.original.id);
    let spare_state = spare_state.unwrap_or(ProvisionState::Manageable);
    Ok(Homecoming { original: trace.original.id, maintenance: trace.ours, spare_state, restore })
}

/// What makes the original a spare where the volumes stay: the edits of its record.
///
/// # Errors
/// The first thing in the way, with its code: the same look as for the way home.
pub fn keep(switchover: &Switchover, fleet: &Fleet, pool: Option<&str>) -> Result<Vec<Edit>, Stays> {
    let Homecoming { maintenance, spare_state, .. } = homecoming(switchover, fleet, false)?;
    let mut edits = vec![Edit::ProvisionState(spare_state)];
    edits.extend(maintenance.map(|_| Edit::Maintenance(None)));
    edits.extend(pool.map(|pool| Edit::Label { name: "pool".into(), value: Some(Scalar::Text(pool.to_owned())) }));
    Ok(edits)
}

/// A switchover that stays away, as a plan lists it: by the machine that holds the volumes.
pub fn left_out(switchover: &Switchover, (code, why): Stays) -> LeftOut {
    let machine = &switchover.destination;
    LeftOut { node: machine.node, name: machine.name.clone(), code, why, listed: true }
}

gates! {
    "way home", "an original comes home only when it is Off, itself, empty, unchanged and in nobody's hands",
        Closed, "a machine that is not repaired fails again, with the volumes", everything_that_keeps_a_machine_away_has_a_code_of_its_own;
}
