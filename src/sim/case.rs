//! Small fleets to run, and what must hold at the end of every run whatever went wrong.

use super::{Faults, Rng, Run, check_gates};
use crate::engine::{Outcome, Phase, Progress};
use crate::model::*;
use crate::plan::{Plan, Switchover};
use std::collections::BTreeMap;

/// A fleet of `pairs` sources that are On and boot from iSCSI, each with a spare that is Off, and `volumes` volumes each.
pub fn fleet(pairs: u32, volumes: u32) -> (Fleet, Vec<(NodeId, NodeId)>) {
    let mut fleet = Fleet { captured_at: Time(1_700_000_000_000_000), ..Fleet::default() };
    let mut ends = Vec::new();
    for n in 0..pairs {
        let source = add_node(&mut fleet, &format!("source-{n:02}"), PowerState::On);
        let spare = add_node(&mut fleet, &format!("spare-{n:02}"), PowerState::Off);
        let connector = VolumeConnector {
            id: ConnectorId::derived(&format!("c{n}")),
            node: source,
            kind: ConnectorKind::Iqn,
            connector_id: format!("iqn.2026-01.example:source-{n:02}"),
            burned_in: false,
            generation: Generation(0),
        };
        for v in 0..volumes {
            add_target(&mut fleet, source, n, v);
        }
        let boot = fleet.targets_of(source)[0].iscsi_boot(&connector.connector_id);
        if let Some(Live::Answered { boot: settings, .. }) = fleet.live.get_mut(&source) {
            settings.iscsi = boot;
        }
        fleet.connectors.insert(connector.id, connector);
        ends.push((source, spare));
    }
    (fleet, ends)
}

/// The same, kept by a service that deploys from volumes (Ironic). What a source's firmware opens is what its network boot file
/// says. `spare`: the provision state of the spares.
pub fn kept_fleet(pairs: u32, volumes: u32, spare: ProvisionState) -> (Fleet, Vec<(NodeId, NodeId)>) {
    let (mut fleet, ends) = fleet(pairs, volumes);
    for node in fleet.nodes.values_mut() {
        node.kept_by = Some(Box::default());
        node.capabilities.insert("iscsi_boot".to_owned(), "true".to_owned());
        let reset_types = Some(vec![ResetType::On, ResetType::ForceOff, ResetType::GracefulShutdown]);
        node.abilities = BmcAbilities { reset_types, ..BmcAbilities::default() };
        if node.instance.is_none() {
            node.provision_state = spare;
        }
    }
    (fleet, ends)
}

fn add_node(fleet: &mut Fleet, name: &str, power: PowerState) -> NodeId {
    let mut node = Node::named(name, &format!("http://127.0.0.1/{name}"));
    node.identity.system_uuid = Some(node.id.to_string());
    node.abilities =
        BmcAbilities { reset_types: Some(ResetType::ALL.to_vec()), iscsi_boot: true, boot_progress: true, ..BmcAbilities::default() };
    node.declared_facts.model = Some("C1".into());
    let on = power == PowerState::On;
    node.provision_state = if on { ProvisionState::Active } else { ProvisionState::Available };
    node.instance = on.then(|| Instance { uuid: node.id.0, name: Some(format!("{name}-instance")) });
    let reading = SystemReading {
        power,
        identity: node.identity.clone(),
        boot_progress: on.then_some(BootProgress::OsRunning),
        boot_override: BootOverride::default(),
        restore_policy: None,
        power_unknown: None,
        recorded: None,
    };
    let boot = BootSettings { iscsi: Some(IscsiBoot::default()), boot_override: None };
    let id = node.id;
    fleet.live.insert(id, Live::Answered { reading, boot });
    fleet.nodes.insert(id, node);
    id
}

fn add_target(fleet: &mut Fleet, node: NodeId, n: u32, v: u32) {
    let text = |t: String| Scalar::Text(t);
    let id = TargetId::derived(&format!("t{n}/{v}"));
    let properties = BTreeMap::from([
        ("target_iqn".to_owned(), text(format!("iqn.2026-01.example:vol-{n}-{v}"))),
        ("target_portal".to_owned(), text("127.0.0.1:3260".into())),
        ("target_lun".to_owned(), Scalar::Integer(1)),
    ]);
    let target = VolumeTarget {
        id,
        node,
        volume_type: VolumeType::Iscsi,
        boot_index: v,
        volume_id: format!("vol-{n}-{v}"),
        properties,
        shareable: false,
        generation: Generation(0),
    };
    fleet.targets.insert(id, target);
}

/// Faults drawn for a seed: some seeds are kind, some are cruel.
pub fn faults_of(rng: &mut Rng) -> Faults {
    Faults {
        lost_before: rng.below(12),
        lost_after: rng.below(12),
        refused: rng.below(4),
        blind: rng.below(10),
        ignored: rng.below(8),
        soft_ignored: rng.below(60),
        slow_power_ms: rng.below(550),
        hook_fails: rng.below(15),
        button: if rng.percent(30) { rng.below(12) } else { 0 },
        null_power: rng.below(6),
        tampered: if rng.percent(30) { rng.below(20) } else { 0 },
        ..Faults::default()
    }
}

/// How often each outcome came.
pub type Tally = BTreeMap<Outcome, u32>;

/// Check the end of a run.
///
/// # Errors
/// What is wrong, in words: a volume open twice, a node lost, an outcome that the world contradicts.
pub fn check(plan: &Plan, before: &Fleet, run: &Run) -> Result<Tally, String> {
    if let Some(violation) = run.world.violations.first() {
        return Err(violation.clone());
    }
    if run.stuck {
        return Err("it does not come to an end".into());
    }
    let mut progress = Progress::new(plan);
    for entry in &run.journal {
        progress.apply(plan, entry).map_err(|e| e.to_string())?;
    }
    check_gates(plan, &run.stage, &run.journal)?;
    let mut tally = Tally::new();
    for (switchover, track) in plan.switchovers.iter().zip(&progress.tracks) {
        let outcome = match track.phase {
            Phase::Finished(outcome) => Some(outcome),
            Phase::Waiting if progress.paused.is_some() => None,
            phase => return Err(format!("{} ended in {phase:?}", switchover.id)),
        };
        check_hooks(switchover, run)?;
        check_end(stays_off(switchover), switchover, before, run, outcome).map_err(|e| format!("{} ({outcome:?}): {e}", switchover.id))?;
        if let Some(outcome) = outcome {
            *tally.entry(outcome).or_insert(0) += 1;
        }
    }
    Ok(tally)
}

/// Rule S4.
fn check_hooks(switchover: &Switchover, run: &Run) -> Result<(), String> {
    for hook in switchover.steps.iter().filter_map(crate::step::Step::hook).filter(|h| h.rerun == Rerun::Never) {
        let ran = run.world.hooks.get(&(hook.name.clone(), switchover.id)).copied().unwrap_or(0);
        if ran > 1 {
            return Err(format!("S4: hook `{}` of {} ran {ran} times", hook.name, switchover.id));
        }
    }
    Ok(())
}

/// In a disaster nothing starts the source again.
fn stays_off(s: &Switchover) -> bool {
    !s.steps.iter().any(|step| matches!(step, crate::step::Step::PowerOff(off) if off.way_back.is_some()))
}

fn check_end(disaster: bool, s: &Switchover, before: &Fleet, run: &Run, outcome: Option<Outcome>) -> Result<(), String> {
    let world = &run.world;
    let (source, destination) = (s.source.node, s.destination.node);
    let at = |node: NodeId| world.fleet.targets.values().filter(|t| t.node == node).count();
    let had = before.targets.values().filter(|t| t.node == source).count();
    let node = |id: NodeId| &world.fleet.nodes[&id];
    let want = |what: &str, holds: bool| if holds { Ok(()) } else { Err(what.to_owned()) };
    want("a volume is lost", at(source) + at(destination) == had)?;
    let pressed = world.buttons_pressed > 0;
    if outcome == Some(Outcome::SwitchedOver) {
        // What is owed keeps the source held until it is settled.
        let owes = node(source).kept_by.is_some() && node(source).debt.is_some();
        want("what is owed is not held", !owes || node(source).reservation.is_some())?;
        let opens = match world.fleet.live.get(&source) {
            Some(Live::Answered { boot, .. }) => boot.iscsi.as_ref().is_some_and(|i| !i.is_clear()),
            _ => false,
        };
        want("the source's firmware opens what is the destination's now, and nothing is owed", !opens || node(source).debt.is_some())?;
    }
    match outcome {
        Some(Outcome::SwitchedOver) => {
            want("the source is not Off", pressed || world.was_fed(source) || world.fleet.power(source) == PowerState::Off)?;
            want("the destination is not On", world.fleet.power(destination) == PowerState::On)?;
            want("the volumes are not at the destination", at(destination) == had)?;
            want("the destination has not opened its volume", world.tampered_unseen(destination) || world.has_open(destination))?;
            want("the source is not in maintenance", node(source).maintenance.is_some())?;
            want("the instance is not at the destination", node(destination).instance == before.nodes[&source].instance)?;
            let owes = node(source).kept_by.is_some() && node(source).debt.is_some();
            let state = node(destination).provision_state == before.nodes[&source].provision_state;
            want("the destination is not what the source was", state)?;
            want("a node is still held", (owes || node(source).reservation.is_none()) && node(destination).reservation.is_none())
        }
        Some(Outcome::RolledBack | Outcome::Skipped) | None => {
            // A disaster's source is left as it is: Off, once it was switched off. So is one that a person switched off.
            let disaster = disaster || world.pulled.contains(&source);
            want("the source is dark", disaster || world.fleet.power(source) == PowerState::On)?;
            want("the source has not opened its volume", disaster || world.has_open(source))?;
            want("the volumes are not at the source", at(source) == had)?;
            let started = world.strangers.contains_key(&destination);
            want("the destination is not Off", started || world.fleet.power(destination) == PowerState::Off)?;
            want("the source is still in maintenance", node(source).maintenance.is_none())?;
            want("the instance is not at the source", node(source).instance == before.nodes[&source].instance)?;
            // Nobody un-verifies a node: one that was in `enroll` is manageable from then on.
            let was = before.nodes[&destination].provision_state;
            let now = node(destination).provision_state;
            let verified = was == ProvisionState::Enroll && now == ProvisionState::Manageable;
            want("the spare is not as it was", now == was || verified)?;
            want("the spare is still in maintenance", node(destination).maintenance.is_none())?;
            want("a node is still held", node(source).reservation.is_none() && node(destination).reservation.is_none())
        }
        // A person must be able to find both: they stay held by this switchover.
        Some(Outcome::Stopped | Outcome::InDoubt) => {
            let ours = |id: NodeId| node(id).reservation.as_ref().is_some_and(|h| h.switchover == s.id);
            let one_free = node(source).reservation.is_none() || node(destination).reservation.is_none();
            want(
                "a node is lost: not held any more",
                (ours(source) && ours(destination)) || (one_free && outcome == Some(Outcome::InDoubt)) || ours(source) || ours(destination),
            )
        }
    }
}
