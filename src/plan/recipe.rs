//! THE order of steps. Everything that a switchover does, it does because this file says so.

mod boot;
mod fence;
mod hooks;
mod keeper;
mod power;
mod warnings;

use super::assign::{LeftOut, NAMED_POOL, Pair as Chosen};
use super::candidates::LeftOutCode;
use super::home::Homecoming;
use super::{Request, Switchover, digest_of};
use crate::diagnostic::{Diagnostic, Severity, codes};
use crate::model::*;
use crate::runbook::{BootReady, BootVia, HardOff, Mode, Runbook, Scope};
use crate::step::*;
use std::borrow::Cow;
use std::collections::BTreeMap;

pub use boot::GATES as BOOT_GATES;
pub use fence::{GATES, Plugs};
pub(super) use hooks::render_action;
pub use keeper::GATES as KEEPER_GATES;

/// Why a pair of nodes gets no steps.
pub enum Unfit {
    /// The source is left out.
    Left(Box<LeftOut>),
    /// The runbook is wrong.
    Wrong(Box<Diagnostic>),
}

/// What many switchovers of one plan rest on alike, once for all of them: the facts of one kind of machine.
#[derive(Default)]
pub struct Shelf {
    facts: Vec<Kind>,
}

/// Live and declared facts, and what of them a reservation compares.
type Kind = (Shared<Facts>, Shared<Facts>, Shared<BTreeMap<String, Scalar>>);

/// More than most switchovers have.
const STEPS: usize = 24;

/// More kinds than this are not looked for.
const SHELF_MAX: usize = 256;

/// Compose one switchover. `fleet` need hold only what hangs on its two nodes.
pub fn compose(
    runbook: &Runbook,
    fleet: &Fleet,
    request: &Request,
    chosen: &Chosen,
    (plugs, shelf): (&Plugs, &mut Shelf),
    id: SwitchoverId,
) -> Result<Switchover, Unfit> {
    let cx = Cook::new(runbook, fleet, request, chosen, id)?;
    let keeping = cx.keeping()?;
    let boot = cx.boot()?;
    let mut steps = Vec::with_capacity(STEPS);
    steps.extend([cx.reserve(chosen.source, false, shelf), cx.reserve(chosen.destination, true, shelf)]);
    if let Some(keeping) = &keeping {
        // The claim on the spare locks the source as well, and so it comes first.
        steps.reverse();
        steps.extend(keeping.verify.clone());
    }
    cx.hooks(HookPoint::PreShutdown, fleet, &mut steps)?;
    steps.push(Step::SetMaintenance(SetMaintenance { machine: cx.pair.source.clone(), reason: format!("{} {id}", runbook.name) }));
    steps.extend(keeping.iter().map(|k| k.set_aside.clone()));
    let (connectors, targets) = (cx.connectors(), cx.targets());
    steps.extend(cx.crash_dump());
    steps.push(cx.power_off(&connectors, &targets, &boot));
    steps.extend(cx.restore_policy());
    let fence = cx.fence(plugs)?;
    steps.push(fence.clone());
    steps.extend(boot.clear.clone().map(Step::ClearSourceBoot));
    steps.extend(connectors);
    steps.extend(targets);
    steps.push(cx.move_instance());
    match &keeping {
        Some(keeping) => steps.extend(cx.take_over(keeping)),
        None => {
            steps.extend(cx.home.and_then(|h| h.before_boot(&cx.pair.destination)));
            steps.extend(boot.configure.clone().map(Step::ConfigureBoot));
        }
    }
    let after = &cx.after(&steps);
    cx.hooks(HookPoint::PostMigration, after, &mut steps)?;
    steps.push(match keeping.as_ref().filter(|k| k.deploys()) {
        Some(_) => cx.deploy(&fence),
        None => cx.power_on(&boot, &fence),
    });
    steps.push(Step::AwaitBoot(AwaitBoot {
        pair: cx.pair.clone(),
        boot_progress: runbook.boot.ready.contains(&BootReady::BootProgress) && cx.destination.abilities.boot_progress,
        timeout: runbook.boot.timeout,
    }));
    cx.hooks(HookPoint::PostBoot, after, &mut steps)?;
    steps.extend(match &keeping {
        Some(_) => cx.clean_source(),
        None => cx.note_debt(&boot).into_iter().collect(),
    });
    let afterwards = cx.home.map(|h| h.afterwards(&cx.pair, format!("{} {id}", runbook.name), &steps));
    steps.extend(afterwards.into_iter().flatten());
    steps.push(Step::Release(Release { machine: cx.pair.source.clone() }));
    steps.push(Step::Release(Release { machine: cx.pair.destination.clone() }));
    steps.shrink_to_fit();
    let used: Vec<&Step> = steps.iter().filter(|s| matches!(s, Step::Reserve(_))).collect();
    let digest = digest_of(&used);
    Ok(Switchover {
        id,
        source: cx.pair.source.clone(),
        destination: cx.pair.destination.clone(),
        pool: (chosen.pool != NAMED_POOL).then(|| chosen.pool.clone()),
        group: chosen.group,
        preferred: chosen.preferred.clone(),
        identical: u32::try_from(chosen.identical).unwrap_or(u32::MAX),
        warnings: cx.warnings(&steps),
        landing: cx.landing,
        allowance: None,
        domains: Vec::new(),
        steps,
        already_so: Vec::new(),
        digest,
        predicted: None,
    })
}

struct Cook<'a> {
    runbook: &'a Runbook,
    fleet: &'a Fleet,
    source: &'a Node,
    destination: &'a Node,
    pair: Shared<Pair>,
    landing: Span,
    id: SwitchoverId,
    home: Option<&'a Homecoming>,
    /// A person has said that the source is rightly Off with firmware that opens nothing.
    allow_boot_cleared: bool,
}

impl<'a> Cook<'a> {
    fn new(runbook: &'a Runbook, fleet: &'a Fleet, request: &'a Request, chosen: &Chosen, id: SwitchoverId) -> Result<Cook<'a>, Unfit> {
        let source = &fleet.nodes[&chosen.source];
        let destination = &fleet.nodes[&chosen.destination];
        let landing = request.landing.of(chosen.source).max(request.landing.of(chosen.destination));
        let machine =
            |node: &Node| Machine { node: node.id, name: node.name.clone(), identity: identity(fleet, node), kept: node.kept_by.is_some() };
        let pair = Pair { source: machine(source), destination: machine(destination) }.into();
        let home = request.home.get(&chosen.source);
        let allow_boot_cleared = request.allow_boot_cleared.iter().any(|n| *n == source.name || *n == source.id.to_string());
        let cook = Cook { runbook, fleet, source, destination, pair, landing, id, home, allow_boot_cleared };
        for machine in [&cook.pair.source, &cook.pair.destination] {
            // Somebody else may vouch for a source; for a destination nobody.
            let vouched = machine.node == chosen.source && !runbook.vouchers.levels.is_empty();
            if machine.identity.is_empty() && !vouched {
                let why = format!(
                    "nothing tells which machine the BMC of `{}` speaks for (no usable system UUID or serial number), so its Off would prove nothing",
                    machine.name
                );
                return Err(cook.left(LeftOutCode::Unidentified, why));
            }
        }
        Ok(cook)
    }

    fn context(&self) -> Context {
        Context::fresh(Holder { run: "planned".into(), switchover: self.id }, 1, self.fleet.captured_at)
    }

    /// The fleet once these steps are done, so that templates see the world of their step.
    fn after(&self, steps: &[Step]) -> Cow<'a, Fleet> {
        if self.runbook.hooks.iter().all(|h| h.point == HookPoint::PreShutdown) {
            return Cow::Borrowed(self.fleet);
        }
        let mut after = self.fleet.clone();
        for step in steps {
            // Hooks mean nothing to the records; what is refused here is found by the audit.
            if let Some(command @ Command::Change(_)) = step.command(&self.context()) {
                let _ = meaning::obey(&mut after, &command);
            }
        }
        Cow::Owned(after)
    }

    fn left(&self, code: LeftOutCode, why: String) -> Unfit {
        let listed = self.runbook.sources.nodes.iter().any(|(n, _)| *n == self.source.name || *n == self.source.id.to_string());
        Unfit::Left(Box::new(LeftOut { node: self.source.id, name: self.source.name.clone(), code, why, listed }))
    }

    fn reserve(&self, node: NodeId, destination: bool, shelf: &mut Shelf) -> Step {
        let record = &self.fleet.nodes[&node];
        let machine = if destination { &self.pair.destination } else { &self.pair.source };
        let facts = self.facts(record, shelf);
        let ours = self.home.filter(|_| destination).and_then(|h| h.maintenance.clone());
        // The service's own, for a fault: what is presumed bad is not left alone for that.
        let found = record.kept_by.as_ref().filter(|k| !destination && k.fault.is_some());
        let ours = ours.or_else(|| found.and(record.maintenance.as_ref()).map(|m| m.reason.clone()));
        let claim = (destination && record.kept_by.is_some()).then(|| claim_of(self.source.id));
        Step::Reserve(Reserve { machine: machine.clone(), generation: record.generation, facts, ours, claim })
    }

    /// Those that the plan rests on.
    fn facts(&self, node: &Node, shelf: &mut Shelf) -> Shared<BTreeMap<String, Scalar>> {
        let alike = |(live, declared, _): &&(_, _, _)| node.live_facts.is(live) && node.declared_facts.is(declared);
        if let Some((_, _, facts)) = shelf.facts.iter().find(alike).filter(|_| node.imported.is_none()) {
            return facts.clone();
        }
        let names = self.runbook.matching.identical.iter().map(String::as_str).chain(self.runbook.matching.required_facts());
        let facts: BTreeMap<String, Scalar> = names.filter_map(|n| Some((n.to_owned(), node.fact(n)?))).collect();
        let facts = Shared::from(facts);
        if node.imported.is_none() && shelf.facts.len() < SHELF_MAX {
            shelf.facts.push((node.live_facts.clone(), node.declared_facts.clone(), facts.clone()));
        }
        facts
    }

    fn connectors(&self) -> Vec<Step> {
        let mut moving: Vec<_> = self.fleet.connectors_of(self.source.id).filter(|c| !c.burned_in).collect();
        moving.sort_by(|a, b| (a.kind, &a.connector_id).cmp(&(b.kind, &b.connector_id)));
        moving
            .into_iter()
            .map(|c| {
                Step::MoveConnector(MoveConnector {
                    pair: self.pair.clone(),
                    connector: c.id,
                    kind: c.kind,
                    connector_id: c.connector_id.clone(),
                    from: self.source.id,
                    to: self.destination.id,
                })
            })
            .collect()
    }

    /// Data targets first, the boot target last: a spare with data and no boot volume does not come up by accident.
    fn targets(&self) -> Vec<Step> {
        let mut targets = self.fleet.targets_of(self.source.id);
        targets.reverse();
        targets
            .into_iter()
            .map(|t| {
                Step::MoveTarget(MoveTarget {
                    pair: self.pair.clone(),
                    target: t.id,
                    volume_id: t.volume_id.clone(),
                    boot_index: t.boot_index,
                    from: self.source.id,
                    to: self.destination.id,
                })
            })
            .collect()
    }

    fn move_instance(&self) -> Step {
        if self.source.kept_by.is_some() {
            return self.move_kept_instance();
        }
        Step::MoveInstance(MoveInstance {
            pair: self.pair.clone(),
            instance: self.source.instance.clone(),
            from: self.source.id,
            to: self.destination.id,
            from_state: self.home.map_or(ProvisionState::Manageable, |h| h.spare_state),
            to_state: self.source.provision_state,
            from_was: self.source.provision_state,
            to_was: self.destination.provision_state,
        })
    }
}

/// What the machine's BMC must say of itself: as recorded, or as it says now where nothing was recorded.
fn identity(fleet: &Fleet, node: &Node) -> Identity {
    match fleet.live.get(&node.id) {
        Some(Live::Answered { reading, .. }) if node.identity.is_empty() => reading.identity.clone(),
        _ => node.identity.clone(),
    }
}
