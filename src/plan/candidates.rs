//! Who can be switched over, and who could stand in: each refusal with its own code and a text that names the node
//! and says what to do.

mod codes;

pub use codes::{LeftOutCode, SpareCode};

use super::holdings::Holdings;
use crate::model::gate_table::gates;
use crate::model::*;
use crate::runbook::{Mode, Runbook};
use schemars::JsonSchema;
use serde::Serialize;

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
    const LOOKS: [Look; 10] = [
        |_, _, _, node| {
            let (name, holder) = (&node.name, node.reservation.as_ref()?);
            obstacle(C::Reserved, format!("`{name}` is reserved by {holder}; wait for that run, or `coldswap inventory release {name}`"))
        },
        |_, _, _, node| unsettled(node).and_then(|text| obstacle(C::ProvisionState, text)),
        |_, fleet, _, node| {
            let reason = &node.maintenance.as_ref()?.reason;
            // Its service's own, because the BMC is silent: that is for the look at power to judge.
            let faulty = node.kept_by.as_ref().is_some_and(|k| k.fault.is_some());
            if faulty && matches!(fleet.live.get(&node.id), Some(Live::Silent(_))) {
                return None;
            }
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
    let aware = runbook.sources.nova_aware;
    let bars = node.kept_by.iter().flat_map(|k| &k.source_bars).filter(move |bar| bar.code != SourceBar::Nova || !aware);
    let kept = bars.map(|bar| Obstacle { code: bar.code.into(), text: bar.text.clone() });
    LOOKS.into_iter().filter_map(|look| look(runbook, fleet, holdings, node)).chain(kept)
}

/// Its inventory service is about something with it, or something has failed there.
fn unsettled(node: &Node) -> Option<String> {
    let (name, state) = (&node.name, node.provision_state);
    (!state.is_settled()).then(|| {
        format!("`{name}` is in the provision state `{state}`; bring it to rest (enroll, manageable, available or active), then plan again")
    })
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
    let capability = boot.volume_type.boot_capability()?;
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
                PowerState::Unknown => obstacle(C::PowerUnknown, power_unknown(name, reading)),
                moving => obstacle(C::PowerInTransition, format!("`{name}` reads {moving}; wait until it reads On or Off")),
            }
        }
    }
}

/// Its service does not look at its power just now, and does before anything is moved: an original that comes home was left
/// Off and in maintenance by us, and `manage` looks at one that was never managed.
fn seen_later(node: &Node, reading: &SystemReading) -> bool {
    let never_looked = node.provision_state == ProvisionState::Enroll && node.maintenance.is_none();
    node.kept_by.is_some() && (reading.recorded == Some(PowerState::Off) || never_looked)
}

fn power_unknown(name: &str, reading: &SystemReading) -> String {
    match &reading.power_unknown {
        Some(why) => format!("nothing says whether `{name}` is on: {why}"),
        None => format!("the BMC of `{name}` does not say whether it is on"),
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
    const LOOKS: [Look; 10] = [
        |_, _, node| obstacle(C::Reserved, format!("`{}` is reserved by {}", node.name, node.reservation.as_ref()?)),
        |_, _, node| obstacle(C::Maintenance, format!("`{}` is in maintenance: {}", node.name, node.maintenance.as_ref()?.reason)),
        |_, _, node| obstacle(C::InDebt, format!("`{}` still owes an earlier switchover: {}", node.name, node.debt.as_ref()?)),
        |_, _, node| {
            let instance = node.instance.as_ref()?;
            let what = instance.name.clone().unwrap_or_else(|| instance.uuid.to_string());
            obstacle(C::HasInstance, format!("`{}` carries instance `{what}`", node.name))
        },
        |_, _, node| unsettled(node).and_then(|text| obstacle(C::ProvisionState, text)),
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
            obstacle(C::Critical, format!("`{name}` reports health critical: repair it, then `{}`", node.reread()))
        },
    ];
    let kept = node.kept_by.iter().flat_map(|k| &k.spare_bars).map(|bar| Obstacle { code: bar.code.into(), text: bar.text.clone() });
    LOOKS.into_iter().filter_map(|look| look(fleet, holdings, node)).chain(kept)
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
        Live::Answered { boot, .. } if boot.iscsi.is_none() && node.abilities.iscsi_boot_unread => obstacle(
            C::BootUnknown,
            format!("what the adapters of `{name}` open when it starts cannot be read; `coldswap inventory refresh {name}` says why"),
        ),
        Live::Answered { reading, .. } => match (wrong_machine(node, &reading.identity), reading.power) {
            (Some(text), _) => obstacle(C::WrongMachine, text),
            (None, PowerState::Off) => unidentified(node, &reading.identity).and_then(|text| obstacle(C::Unidentified, text)),
            (None, PowerState::On) => obstacle(C::PowerOn, format!("`{name}` is On: somebody uses it, or it must be switched off first")),
            (None, PowerState::Unknown) if seen_later(node, reading) => None,
            (None, PowerState::Unknown) => obstacle(C::PowerUnknown, power_unknown(name, reading)),
            (None, moving) => obstacle(C::PowerInTransition, format!("`{name}` reads {moving}")),
        },
    }
}

gates! {
    "silent source", "a source whose BMC does not answer is left out, but in a disaster with a fence that does not need it",
        Closed, "nobody else may say that it is off", a_silent_source_is_kept_in_a_disaster_with_whom_the_runbook_names;
    "free spare", "a spare is Off, itself, empty, in nobody's hands and opens nothing",
        Closed, "another spare costs less than a wrong one", a_spare_that_is_not_free_takes_over_nothing;
    "inventory service", "what Ironic would refuse, do by itself or find out only at deployment keeps a node out",
        Closed, "by then the volumes have been moved", what_ironic_would_refuse_keeps_a_node_from_being_a_spare;
    "power in maintenance", "the power of a node that Ironic does not look at is unknown",
        Closed, "what it recorded last is stale both ways", power_in_maintenance_is_not_known_and_says_why;
    "unknown facts", "a fact that is unknown on either side is not identical",
        Closed, "null equals nothing, not even null", unknown_equals_nothing_not_even_unknown;
}
