//! Who can be switched over, and who could stand in: each refusal with its own code and a text that names the node
//! and says what to do.

use super::holdings::Holdings;
use crate::model::gate_table::gates;
use crate::model::*;
use crate::runbook::{Mode, Runbook};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a source is not switched over. Wire names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeftOutCode {
    /// It has no volume to move.
    NoVolumes,
    /// None of its volumes is the one to boot from, or the node is declared unable to boot from it.
    NotVolumeBooted,
    /// Another run holds it.
    Reserved,
    /// It is in maintenance for somebody else's reason.
    Maintenance,
    /// Something is owed for it after an earlier switchover.
    InDebt,
    /// One of its volumes is attached to another node as well.
    SecondAttachment,
    /// Its connectors belong to its hardware, and no hook does the zoning.
    BurnedInConnectors,
    /// Its BMC contradicts facts that were declared.
    ContradictingFacts,
    /// Its BMC does not answer.
    Silent,
    /// Its BMC does not answer in a disaster, and the runbook names nobody else who may vouch that it is off.
    SilentInDisaster,
    /// Its BMC is there and does not say what it is asked: a wrong password, a locked account, a certificate that is not
    /// trusted, errors only.
    BmcRefuses,
    /// Another machine answers at its BMC's address.
    WrongMachine,
    /// Its BMC does not say which machine it speaks for.
    Unidentified,
    /// Its BMC does not allow ForceOff: it cannot be fenced.
    CannotBeFenced,
    /// Neither On nor Off.
    PowerInTransition,
    /// Its BMC answers but does not say whether the machine is on.
    PowerUnknown,
    /// The boot method that the runbook asks for cannot be used with it or its spare.
    BootUnsupported,
    /// Its adapter opens another volume than the inventory says.
    BootMismatch,
    /// It is Off and its adapter opens nothing, though the inventory has its boot volume there: as a switchover leaves its
    /// source.
    BootCleared,
    /// A fence agent's options speak of something that it lacks.
    FenceIncomplete,
    /// A fence agent would switch off another node as well.
    PlugShared,
    /// No spare matches.
    NoSpare,
    /// Spares match, but all are taken or must stay behind.
    SparesExhausted,
    /// The destination named for it cannot serve.
    DestinationUnfit,
    /// The destination named for it does not match.
    DestinationNotIdentical,
    /// The destination named for it is another's destination already.
    DestinationTaken,
    /// Failback: that switchover did not end switched over, so that nothing is away from home.
    NotSwitchedOver,
    /// Failback: the volumes are at the original already.
    AlreadyHome,
    /// Failback: the volumes or the instance went on to somewhere else, or a node has left the inventory.
    MovedOn,
    /// Failback: the original is held by a run.
    OriginalReserved,
    /// Failback: somebody else has put the original into maintenance.
    OriginalInMaintenance,
    /// Failback: something is owed for the original.
    OriginalInDebt,
    /// Failback: the original has an instance or volumes of its own by now.
    OriginalInUse,
    /// Failback: the original's BMC does not answer.
    OriginalSilent,
    /// Failback: the original is not Off.
    OriginalNotOff,
    /// Failback: another machine answers for the original, or one that cannot be told.
    OriginalReplaced,
    /// Failback: the original's firmware opens a volume.
    OriginalOpensVolume,
    /// Failback: the original's hardware or firmware is not what it was.
    OriginalChanged,
}

/// Why a node is no spare at all, whatever the source. Wire names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpareCode {
    /// It is one of the sources.
    IsSource,
    /// The command line leaves it out.
    Excluded,
    Reserved,
    Maintenance,
    InDebt,
    HasInstance,
    HasVolumes,
    ContradictingFacts,
    Silent,
    WrongMachine,
    /// Its BMC does not say which machine it speaks for.
    Unidentified,
    /// Its own boot configuration opens a volume: started, it would write to it.
    OpensVolume,
    /// It is on: somebody uses it.
    PowerOn,
    PowerInTransition,
    PowerUnknown,
    /// Its BMC allows neither On nor ForceOn.
    CannotPowerOn,
    /// Its BMC reports it broken.
    Critical,
    /// None of the provision states that its pool takes.
    ProvisionState,
}

/// One thing in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Obstacle<C> {
    pub code: C,
    /// Names the node, the value and what to do.
    pub text: String,
}

fn obstacle<C>(code: C, text: String) -> Option<Obstacle<C>> {
    Some(Obstacle { code, text })
}

/// Everything that keeps a node from being switched over; the first is the reason that is told.
pub fn source_obstacles<'a>(
    runbook: &'a Runbook,
    fleet: &'a Fleet,
    holdings: &'a Holdings,
    node: &'a Node,
) -> impl Iterator<Item = Obstacle<LeftOutCode>> + 'a {
    use LeftOutCode as C;
    type Look = fn(&Runbook, &Fleet, &Holdings, &Node) -> Option<Obstacle<LeftOutCode>>;
    const LOOKS: [Look; 9] = [
        |_, _, _, node| {
            let (name, holder) = (&node.name, node.reservation.as_ref()?);
            obstacle(C::Reserved, format!("`{name}` is reserved by {holder}; wait for that run, or `coldswap inventory release {name}`"))
        },
        |_, _, _, node| {
            let reason = &node.maintenance.as_ref()?.reason;
            obstacle(C::Maintenance, format!("`{}` is in maintenance: {reason}; end the maintenance first", node.name))
        },
        |_, _, _, node| {
            let debt = node.debt.as_ref()?;
            obstacle(C::InDebt, format!("`{}` still owes an earlier switchover: {debt}{}", node.name, settle(&node.name, debt)))
        },
        |_, _, holdings, node| boot_obstacle(holdings, node),
        |_, fleet, holdings, node| attachment_obstacle(fleet, holdings, node),
        |runbook, _, holdings, node| connector_obstacle(runbook, holdings, node),
        |_, _, _, node| contradiction(node).and_then(|text| obstacle(C::ContradictingFacts, text)),
        |_, _, _, node| cannot_fence(node),
        |runbook, fleet, _, node| live_obstacle(runbook, fleet, node),
    ];
    LOOKS.into_iter().filter_map(|look| look(runbook, fleet, holdings, node))
}

/// What ends a debt, where the debt does not say so itself: only a person can.
pub(super) fn settle(name: &str, debt: &str) -> String {
    let command = format!("`coldswap inventory set {name} debt=`");
    if debt.contains(&command) { String::new() } else { format!("; settle it, then {command}") }
}

fn boot_obstacle(holdings: &Holdings, node: &Node) -> Option<Obstacle<LeftOutCode>> {
    use LeftOutCode as C;
    let (name, targets) = (&node.name, holdings.targets(node.id));
    if targets.is_empty() {
        return obstacle(C::NoVolumes, format!("`{name}` has no volume targets: there is nothing to move"));
    }
    let Some(boot) = targets.iter().find(|t| t.boot_index == 0) else {
        let text = format!("`{name}` is not volume-booted: none of its {} volume targets has boot_index 0", targets.len());
        return obstacle(C::NotVolumeBooted, text);
    };
    let capability = match boot.volume_type {
        VolumeType::Iscsi => "iscsi_boot",
        VolumeType::FibreChannel | VolumeType::Fcoe => "fibre_channel_boot",
        VolumeType::Nfs | VolumeType::NvmeTcp => return None,
    };
    let denied = node.capabilities.get(capability).is_some_and(|v| matches!(v.trim().to_lowercase().as_str(), "false" | "no" | "0"));
    denied.then_some(())?;
    let text = format!("`{name}` is not volume-booted: its capability `{capability}` is false, but `{}` has boot_index 0", boot.volume_id);
    obstacle(C::NotVolumeBooted, text)
}

fn attachment_obstacle(fleet: &Fleet, holdings: &Holdings, node: &Node) -> Option<Obstacle<LeftOutCode>> {
    let (target, other) = holdings.targets(node.id).iter().find_map(|t| holdings.elsewhere(t).map(|other| (t, other)))?;
    let other_name = fleet.nodes.get(&other.node).map_or_else(|| other.node.to_string(), |n| n.name.clone());
    let text = format!(
        "volume `{}` of `{}` is attached to `{other_name}` as well (there: `{}`); detach it there, or mark it `shareable`",
        target.volume_id, node.name, other.volume_id
    );
    obstacle(LeftOutCode::SecondAttachment, text)
}

fn connector_obstacle(runbook: &Runbook, holdings: &Holdings, node: &Node) -> Option<Obstacle<LeftOutCode>> {
    if runbook.hooks.iter().any(|h| h.zones) {
        return None;
    }
    let burned = holdings.connectors(node.id).iter().find(|c| c.burned_in)?;
    let text = format!(
        "connector `{}` of `{}` is burned into its hardware and cannot move; add a hook that zones with `destination.connectors`, or mark it `burned_in: false` if it is virtual",
        burned.connector_id, node.name
    );
    obstacle(LeftOutCode::BurnedInConnectors, text)
}

fn contradiction(node: &Node) -> Option<String> {
    let (fact, declared, live) = node.contradictions().into_iter().next()?;
    Some(format!("`{}` is declared with `{fact}` {declared}, its BMC says {live}; correct whichever is wrong", node.name))
}

fn cannot_fence(node: &Node) -> Option<Obstacle<LeftOutCode>> {
    let allowed = node.abilities.reset_types.as_ref()?;
    if allowed.contains(&ResetType::ForceOff) {
        return None;
    }
    let listed: Vec<&str> = allowed.iter().map(|r| r.as_str()).collect();
    let text = format!("the BMC of `{}` does not allow ForceOff (it allows {}): it cannot be fenced", node.name, listed.join(", "));
    obstacle(LeftOutCode::CannotBeFenced, text)
}

fn live_obstacle(runbook: &Runbook, fleet: &Fleet, node: &Node) -> Option<Obstacle<LeftOutCode>> {
    use LeftOutCode as C;
    let name = &node.name;
    match fleet.live.get(&node.id)? {
        // It is there, so that no agent and nobody's word counts against it: the fence would only find that out later.
        Live::Silent(fault) if !fault.is_silence() => {
            let text = format!(
                "the BMC of `{name}` is there and does not say what it is asked ({fault}), and nobody may vouch for a machine whose BMC is there; correct its \
                 account, address or certificate in the inventory, or make it silent (unplug it), then plan again"
            );
            obstacle(C::BmcRefuses, text)
        }
        // Kept, with the fence that the runbook names.
        Live::Silent(_) if runbook.mode == Mode::Disaster && !runbook.vouchers.levels.is_empty() => None,
        Live::Silent(fault) if runbook.mode == Mode::Disaster => {
            let text = format!(
                "the BMC of `{name}` is silent ({fault}), and only it can vouch that the node is off; make it answer, or name a fence agent or an attestation under `fence`"
            );
            obstacle(C::SilentInDisaster, text)
        }
        Live::Silent(fault) => obstacle(C::Silent, format!("the BMC of `{name}` is silent ({fault}); make it answer, then plan again")),
        Live::Answered { reading, .. } => {
            if let Some(text) = wrong_machine(node, &reading.identity) {
                return obstacle(C::WrongMachine, text);
            }
            if reading.identity.is_empty() && runbook.vouchers.levels.is_empty() {
                let text =
                    format!("the BMC of `{name}` names neither a system UUID nor a serial number: its word proves nothing of this machine");
                return obstacle(C::Unidentified, text);
            }
            match reading.power {
                PowerState::On | PowerState::Off => None,
                PowerState::Unknown => obstacle(C::PowerUnknown, format!("the BMC of `{name}` does not say whether it is on")),
                moving => obstacle(C::PowerInTransition, format!("`{name}` reads {moving}; wait until it reads On or Off")),
            }
        }
    }
}

fn wrong_machine(node: &Node, seen: &Identity) -> Option<String> {
    let differs = node.identity.recognises(seen) == Some(false);
    let text = |id: &Identity| match (&id.system_uuid, &id.serial_number) {
        (Some(uuid), Some(serial)) => format!("{uuid}, serial {serial}"),
        (Some(uuid), None) => uuid.clone(),
        (None, Some(serial)) => format!("serial {serial}"),
        (None, None) => "nothing".to_owned(),
    };
    differs.then(|| {
        let (seen, want) = (text(seen), text(&node.identity));
        format!(
            "another machine answers at {} for `{}`: it says {seen}, the inventory {want}; correct one of them",
            node.bmc.address, node.name
        )
    })
}

/// S1 needs to know whose power was read. An inventory that has no identity yet learns the first one that is seen; a BMC
/// that shows none, or none that can be compared, proves nothing.
fn unidentified(node: &Node, seen: &Identity) -> Option<String> {
    if seen.is_empty() {
        let name = &node.name;
        return Some(format!(
            "the BMC of `{name}` names neither a system UUID nor a serial number: its word proves nothing of this machine"
        ));
    }
    if node.identity.is_empty() || node.identity.recognises(seen).is_some() {
        return None;
    }
    Some(format!(
        "nothing that the BMC of `{}` says of its machine can be compared with the inventory's identity; declare its UUID",
        node.name
    ))
}

/// Everything that keeps a node from being a spare, whatever the source and the pool; the first is the reason that is told.
pub fn spare_obstacles<'a>(fleet: &'a Fleet, holdings: &'a Holdings, node: &'a Node) -> impl Iterator<Item = Obstacle<SpareCode>> + 'a {
    use SpareCode as C;
    type Look = fn(&Fleet, &Holdings, &Node) -> Option<Obstacle<SpareCode>>;
    const LOOKS: [Look; 9] = [
        |_, _, node| obstacle(C::Reserved, format!("`{}` is reserved by {}", node.name, node.reservation.as_ref()?)),
        |_, _, node| obstacle(C::Maintenance, format!("`{}` is in maintenance: {}", node.name, node.maintenance.as_ref()?.reason)),
        |_, _, node| obstacle(C::InDebt, format!("`{}` still owes an earlier switchover: {}", node.name, node.debt.as_ref()?)),
        |_, _, node| {
            let instance = node.instance.as_ref()?;
            let what = instance.name.clone().unwrap_or_else(|| instance.uuid.to_string());
            obstacle(C::HasInstance, format!("`{}` carries instance `{what}`", node.name))
        },
        |_, holdings, node| {
            let volumes = Some(holdings.targets(node.id).len()).filter(|n| *n > 0)?;
            obstacle(C::HasVolumes, format!("`{}` has {volumes} volume targets of its own", node.name))
        },
        |_, _, node| contradiction(node).and_then(|text| obstacle(C::ContradictingFacts, text)),
        |_, _, node| {
            let never = node.abilities.reset_types.as_ref()?.iter().all(|r| !r.starts());
            never.then_some(())?;
            obstacle(C::CannotPowerOn, format!("the BMC of `{}` allows neither On nor ForceOn", node.name))
        },
        |fleet, _, node| spare_live(fleet, node),
        |_, _, node| {
            let name = &node.name;
            // As the `health` rule of matching has it: what the BMC says, else what a person declared.
            (node.live_facts.health.or(node.declared_facts.health) == Some(Health::Critical)).then_some(())?;
            obstacle(C::Critical, format!("`{name}` reports health critical: repair it, then `coldswap inventory refresh {name}`"))
        },
    ];
    LOOKS.into_iter().filter_map(|look| look(fleet, holdings, node))
}

fn spare_live(fleet: &Fleet, node: &Node) -> Option<Obstacle<SpareCode>> {
    use SpareCode as C;
    let name = &node.name;
    match fleet.live.get(&node.id)? {
        Live::Silent(fault) => obstacle(C::Silent, format!("the BMC of `{name}` is silent ({fault})")),
        Live::Answered { boot, .. } if boot.iscsi.as_ref().is_some_and(|i| !i.is_clear()) => obstacle(
            C::OpensVolume,
            format!("the adapter of `{name}` still opens a volume when it starts; take its iSCSI boot target off first"),
        ),
        Live::Answered { reading, .. } => match (wrong_machine(node, &reading.identity), reading.power) {
            (Some(text), _) => obstacle(C::WrongMachine, text),
            (None, PowerState::Off) => unidentified(node, &reading.identity).and_then(|text| obstacle(C::Unidentified, text)),
            (None, PowerState::On) => obstacle(C::PowerOn, format!("`{name}` is On: somebody uses it, or it must be switched off first")),
            (None, PowerState::Unknown) => obstacle(C::PowerUnknown, format!("the BMC of `{name}` does not say whether it is on")),
            (None, moving) => obstacle(C::PowerInTransition, format!("`{name}` reads {moving}")),
        },
    }
}

gates! {
    "silent source", "a source whose BMC does not answer is left out, but in a disaster with a fence that does not need it",
        Closed, "nobody else may say that it is off", a_silent_source_is_kept_in_a_disaster_with_whom_the_runbook_names;
    "free spare", "a spare is Off, itself, empty, in nobody's hands and opens nothing",
        Closed, "another spare costs less than a wrong one", a_spare_that_is_not_free_takes_over_nothing;
    "unknown facts", "a fact that is unknown on either side is not identical",
        Closed, "null equals nothing, not even null", unknown_equals_nothing_not_even_unknown;
}
