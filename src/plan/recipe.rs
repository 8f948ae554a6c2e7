//! THE order of steps. Everything that a switchover does, it does because this file says so.

use super::assign::{LeftOut, NAMED_POOL, Pair as Chosen};
use super::candidates::LeftOutCode;
use super::{Request, Switchover, digest_of};
use crate::diagnostic::{Diagnostic, Severity, codes};
use crate::model::*;
use crate::runbook::{
    self, ActionTemplate, BootReady, BootVia, ExpressionError, HardOff, HookTemplate, Mode, Runbook, Scope, SensitiveTemplate,
};
use crate::step::*;
use std::collections::BTreeMap;

/// Why a pair of nodes gets no steps.
pub enum Unfit {
    /// The source is left out.
    Left(Box<LeftOut>),
    /// The runbook is wrong.
    Wrong(Box<Diagnostic>),
}

/// Compose one switchover. `after` is the fleet as it will be when the switchovers before this one are done; this one is
/// done to it as well, so that templates see the world of their step.
pub fn compose(
    runbook: &Runbook,
    fleet: &Fleet,
    after: &mut Fleet,
    request: &Request,
    chosen: &Chosen,
    id: SwitchoverId,
) -> Result<Switchover, Unfit> {
    let cx = Cook::new(runbook, fleet, request, chosen, id)?;
    let boot = cx.boot()?;
    let mut steps = vec![cx.reserve(chosen.source, false), cx.reserve(chosen.destination, true)];
    cx.hooks(HookPoint::PreShutdown, after, &mut steps)?;
    steps.push(Step::SetMaintenance(SetMaintenance { machine: cx.pair.source.clone(), reason: format!("{} {id}", runbook.name) }));
    let (connectors, targets) = (cx.connectors(), cx.targets());
    steps.push(cx.power_off(&connectors, &targets, &boot));
    steps.push(Step::Fence(Fence { pair: cx.pair.clone(), reads: runbook.fence.reads, apart: runbook.fence.apart, landing: cx.landing }));
    steps.extend(boot.clear.clone().map(Step::ClearSourceBoot));
    steps.extend(connectors);
    steps.extend(targets);
    steps.push(cx.move_instance());
    steps.extend(boot.configure.clone().map(Step::ConfigureBoot));
    for step in &steps {
        let context = cx.context();
        // Hooks mean nothing to the records; what is refused here is found by the audit.
        if let Some(command @ Command::Change(_)) = step.command(&context) {
            let _ = meaning::obey(after, &command);
        }
    }
    cx.hooks(HookPoint::PostMigration, after, &mut steps)?;
    steps.push(cx.power_on());
    steps.push(Step::AwaitBoot(AwaitBoot {
        pair: cx.pair.clone(),
        boot_progress: runbook.boot.ready.contains(&BootReady::BootProgress) && cx.destination.abilities.boot_progress,
        timeout: runbook.boot.timeout,
    }));
    cx.hooks(HookPoint::PostBoot, after, &mut steps)?;
    steps.push(Step::Release(Release { machine: cx.pair.source.clone() }));
    steps.push(Step::Release(Release { machine: cx.pair.destination.clone() }));
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
        warnings: cx.warnings(),
        landing: cx.landing,
        steps,
        already_so: Vec::new(),
        digest,
    })
}

#[derive(Default)]
struct BootSteps {
    clear: Option<ClearSourceBoot>,
    configure: Option<ConfigureBoot>,
}

struct Cook<'a> {
    runbook: &'a Runbook,
    fleet: &'a Fleet,
    source: &'a Node,
    destination: &'a Node,
    pair: Pair,
    landing: Span,
    id: SwitchoverId,
}

impl<'a> Cook<'a> {
    fn new(runbook: &'a Runbook, fleet: &'a Fleet, request: &Request, chosen: &Chosen, id: SwitchoverId) -> Result<Cook<'a>, Unfit> {
        let source = &fleet.nodes[&chosen.source];
        let destination = &fleet.nodes[&chosen.destination];
        let landing = request.landing.of(chosen.source).max(request.landing.of(chosen.destination));
        let machine = |node: &Node| Machine { node: node.id, name: node.name.clone(), identity: identity(fleet, node) };
        let pair = Pair { source: machine(source), destination: machine(destination) };
        let cook = Cook { runbook, fleet, source, destination, pair, landing, id };
        for machine in [&cook.pair.source, &cook.pair.destination] {
            if machine.identity.is_empty() {
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
        Context { holder: Holder { run: "planned".into(), switchover: self.id }, begun: false, sent: false, attempt: 0, number: 1 }
    }

    fn left(&self, code: LeftOutCode, why: String) -> Unfit {
        let listed = self.runbook.sources.nodes.iter().any(|(n, _)| *n == self.source.name || *n == self.source.id.to_string());
        Unfit::Left(Box::new(LeftOut { node: self.source.id, name: self.source.name.clone(), code, why, listed }))
    }

    fn reserve(&self, node: NodeId, destination: bool) -> Step {
        let record = &self.fleet.nodes[&node];
        let machine = if destination { &self.pair.destination } else { &self.pair.source };
        let known = record.facts();
        let names = self.runbook.matching.identical.iter().map(String::as_str).chain(self.runbook.matching.required_facts());
        let facts: BTreeMap<String, Scalar> = names.filter_map(|n| Some((n.to_owned(), known.get(n)?))).collect();
        Step::Reserve(Reserve { machine: machine.clone(), generation: record.generation, facts })
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

    fn power_off(&self, connectors: &[Step], targets: &[Step], boot: &BootSteps) -> Step {
        let power = &self.runbook.power;
        let soft_possible = self.source.abilities.reset_types.as_ref().is_none_or(|t| t.contains(&ResetType::GracefulShutdown));
        let soft = (power.hard_off != HardOff::AtOnce && power.soft_off > Span::ZERO && soft_possible).then_some(power.soft_off);
        let hard = (power.hard_off != HardOff::Never).then_some(ResetType::ForceOff);
        let way_back = (self.runbook.mode == Mode::Planned).then(|| {
            Box::new(PowerBack {
                pair: self.pair.clone(),
                reset: on_type(self.source),
                landing: self.landing,
                connectors: connectors
                    .iter()
                    .filter_map(|s| if let Step::MoveConnector(m) = s { Some(m.connector) } else { None })
                    .collect(),
                targets: targets.iter().filter_map(|s| if let Step::MoveTarget(m) = s { Some(m.target) } else { None }).collect(),
                boot: boot.clear.as_ref().map(|c| c.was.clone()),
                destination_boot: boot.configure.as_ref().map(|c| c.was.clone()),
            })
        });
        Step::PowerOff(PowerOff { machine: self.pair.source.clone(), soft, hard, landing: self.landing, way_back })
    }

    fn move_instance(&self) -> Step {
        Step::MoveInstance(MoveInstance {
            pair: self.pair.clone(),
            instance: self.source.instance.clone(),
            from: self.source.id,
            to: self.destination.id,
            from_state: ProvisionState::Manageable,
            to_state: self.source.provision_state,
            from_was: self.source.provision_state,
            to_was: self.destination.provision_state,
        })
    }

    fn power_on(&self) -> Step {
        let targets = self.fleet.targets_of(self.source.id);
        Step::PowerOn(PowerOn {
            pair: self.pair.clone(),
            reset: on_type(self.destination),
            landing: self.landing,
            targets: targets.into_iter().map(|t| (t.id, t.volume_id.clone())).collect(),
        })
    }

    fn boot(&self) -> Result<BootSteps, Unfit> {
        match self.runbook.boot.via {
            BootVia::None => Ok(BootSteps::default()),
            BootVia::RedfishIscsi => self.iscsi_boot(),
            BootVia::RedfishOverride => Ok(self.override_boot()),
        }
    }

    fn settings_of(&self, node: NodeId) -> BootSettings {
        match self.fleet.live.get(&node) {
            Some(Live::Answered { boot, .. }) => boot.clone(),
            _ => BootSettings::default(),
        }
    }

    fn iscsi_boot(&self) -> Result<BootSteps, Unfit> {
        let targets = self.fleet.targets_of(self.source.id);
        let boot_target = targets.first().filter(|t| t.boot_index == 0);
        let initiator =
            self.fleet.connectors_of(self.source.id).filter(|c| c.kind == ConnectorKind::Iqn).map(|c| c.connector_id.clone()).min();
        let wanted = boot_target.and_then(|t| t.iscsi_boot(initiator.as_deref().unwrap_or_default()));
        let Some(wanted) = wanted.filter(|w| !w.is_clear()) else {
            let why = format!(
                "`boot.via: redfish-iscsi` needs a boot target of type iscsi with `target_iqn`, and `{}` has none",
                self.source.name
            );
            return Err(self.left(LeftOutCode::BootUnsupported, why));
        };
        for node in [self.source, self.destination] {
            if !node.abilities.iscsi_boot {
                let why = format!("`boot.via: redfish-iscsi` needs an adapter with iSCSIBoot, and the BMC of `{}` shows none", node.name);
                return Err(self.left(LeftOutCode::BootUnsupported, why));
            }
        }
        let was = BootSettings { iscsi: Some(self.settings_of(self.source.id).iscsi.unwrap_or_default()), boot_override: None };
        let opens = was.iscsi.clone().unwrap_or_default();
        if !opens.is_clear() && (&opens.target, opens.lun) != (&wanted.target, wanted.lun) {
            let why = format!(
                "the adapter of `{}` opens `{}` lun {}, but the inventory says `{}` lun {}; correct one of them",
                self.source.name, opens.target, opens.lun, wanted.target, wanted.lun
            );
            return Err(self.left(LeftOutCode::BootMismatch, why));
        }
        let clear = BootSettings { iscsi: Some(IscsiBoot::default()), boot_override: None };
        // Whatever it opened before, the way back leaves it opening nothing: a spare that opens a volume is no spare.
        let destination_was = clear.clone();
        let asked = BootSettings { iscsi: Some(wanted), boot_override: None };
        Ok(BootSteps {
            clear: Some(ClearSourceBoot { pair: self.pair.clone(), settings: clear, was, landing: self.landing }),
            configure: Some(ConfigureBoot {
                pair: self.pair.clone(),
                node: self.destination.id,
                settings: asked,
                was: destination_was,
                landing: self.landing,
            }),
        })
    }

    /// The destination is told to boot as the source did, or from the network where the source says nothing.
    fn override_boot(&self) -> BootSteps {
        let only = |o: BootOverride| BootSettings { iscsi: None, boot_override: Some(o) };
        let of = |node: NodeId| self.settings_of(node).boot_override.unwrap_or_default();
        let active =
            |o: &BootOverride| !matches!(o.enabled.as_deref(), Some("Disabled")) && !matches!(o.target.as_deref(), None | Some("None"));
        let (source, destination) = (of(self.source.id), of(self.destination.id));
        let off = BootOverride { target: Some("None".into()), enabled: Some("Disabled".into()) };
        let allowed = &self.source.abilities.override_targets;
        let can_clear = allowed.is_empty() || allowed.iter().any(|t| t == "None");
        let target = if active(&source) { source.target.clone() } else { Some("Pxe".to_owned()) };
        let wanted = BootOverride { target, enabled: Some("Continuous".into()) };
        let was = if active(&destination) { destination } else { off.clone() };
        BootSteps {
            clear: (active(&source) && can_clear).then(|| ClearSourceBoot {
                pair: self.pair.clone(),
                settings: only(off),
                was: only(source.clone()),
                landing: self.landing,
            }),
            configure: Some(ConfigureBoot {
                pair: self.pair.clone(),
                node: self.destination.id,
                settings: only(wanted),
                was: only(was),
                landing: self.landing,
            }),
        }
    }

    fn hooks(&self, point: HookPoint, after: &Fleet, steps: &mut Vec<Step>) -> Result<(), Unfit> {
        let scope = Scope::new(&self.runbook.vars).with("source", after, self.source.id).with("destination", after, self.destination.id);
        for hook in self.runbook.hooks.iter().filter(|h| h.point == point) {
            let wanted = match &hook.when {
                Some(when) => when.holds(&scope).map_err(|e| self.wrong(hook, "when", &e))?,
                None => true,
            };
            if wanted {
                steps.push(Step::RunHook(RunHook { hook: self.render(hook, &scope)?, node: self.source.name.clone(), undoing: false }));
            }
        }
        Ok(())
    }

    fn wrong(&self, hook: &HookTemplate, part: &str, error: &ExpressionError) -> Unfit {
        Unfit::Wrong(Box::new(Diagnostic {
            code: codes::HOOK_TEMPLATE,
            severity: Severity::Error,
            message: format!("hook `{}`, `{part}`, for `{}`: {}", hook.name, self.source.name, error.message),
            span: None,
            hint: error.hint.clone(),
        }))
    }

    fn render(&self, hook: &HookTemplate, scope: &Scope) -> Result<Hook, Unfit> {
        let action = |part: &str, a: &ActionTemplate| render_action(a, scope).map_err(|e| self.wrong(hook, part, &e));
        Ok(Hook {
            name: hook.name.clone(),
            point: hook.point,
            action: action("run", &hook.action)?,
            check: hook.check.as_ref().map(|a| action("check", a)).transpose()?,
            undo: hook.undo.as_ref().map(|a| action("undo", a)).transpose()?,
            timeout: hook.timeout,
            retries: hook.retries,
            until: hook.until,
            rerun: hook.rerun,
            on_failure: hook.on_failure,
            lab: hook.lab,
        })
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let name = &self.source.name;
        if self.source.facts().power_restore_policy != Some(PowerRestorePolicy::AlwaysOff) {
            warnings.push(format!(
                "only the BMC vouches that `{name}` is off: no restore policy AlwaysOff, export fence or agent; after a power cut it may start again"
            ));
        }
        let soft = self.source.abilities.reset_types.as_ref().is_some_and(|t| !t.contains(&ResetType::GracefulShutdown));
        if soft && self.runbook.power.soft_off > Span::ZERO {
            warnings.push(format!("the BMC of `{name}` offers no GracefulShutdown; its operating system is not asked"));
        }
        if self.runbook.boot.via == BootVia::None {
            warnings.push(format!("`boot.via: none`: nothing takes the boot configuration off `{name}`; its hooks must"));
        }
        for hook in self.runbook.hooks.iter().filter(|h| h.point != HookPoint::PostBoot && h.undo.is_none()) {
            warnings.push(format!("hook `{}` has no `undo`: a rollback leaves what it did", hook.name));
        }
        warnings
    }
}

/// What the machine's BMC must say of itself: as recorded, or as it says now where nothing was recorded.
fn identity(fleet: &Fleet, node: &Node) -> Identity {
    match fleet.live.get(&node.id) {
        Some(Live::Answered { reading, .. }) if node.identity.is_empty() => reading.identity.clone(),
        _ => node.identity.clone(),
    }
}

fn on_type(node: &Node) -> ResetType {
    match &node.abilities.reset_types {
        Some(types) if !types.contains(&ResetType::On) && types.contains(&ResetType::ForceOn) => ResetType::ForceOn,
        _ => ResetType::On,
    }
}

fn render_action(action: &ActionTemplate, scope: &Scope) -> Result<HookAction, ExpressionError> {
    let sensitive = |s: &SensitiveTemplate| match s {
        SensitiveTemplate::Plain(t) => t.render(scope).map(Sensitive::Plain),
        SensitiveTemplate::Secret(s) => Ok(Sensitive::Secret(s.clone())),
    };
    let all = |m: &BTreeMap<String, SensitiveTemplate>| {
        m.iter().map(|(k, v)| Ok((k.clone(), sensitive(v)?))).collect::<Result<BTreeMap<_, _>, ExpressionError>>()
    };
    Ok(match action {
        ActionTemplate::Run { argv, env, directory, digest } => HookAction::Run(RunAction {
            argv: argv.iter().map(|t| t.render(scope)).collect::<Result<_, _>>()?,
            env: all(env)?,
            directory: directory.clone(),
            digest: digest.clone(),
        }),
        ActionTemplate::Http { method, url, headers, json, expect } => HookAction::Http(HttpAction {
            method: method.clone(),
            url: sensitive(url)?,
            headers: all(headers)?,
            json: json.as_ref().map(|j: &runbook::TemplateValue| j.render(scope)).transpose()?,
            expect: expect.clone(),
        }),
    })
}
