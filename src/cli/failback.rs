//! `failback`: the way home after a repair, or the decision to stay.
//!
//! By run or by node, through the same planner, checks and engine as the way out ([`crate::plan::home`]). Without a
//! runbook the way home uses what the run's own plan says of fence, power, boot and matching; hooks cannot be had from
//! it (they were rendered for the other direction), so a run that had hooks asks for a runbook or for `--without-hooks`.

use super::apply::{Go, agreed, begin, learn, log_out, make_report};
use super::args::{FailbackArgs, Global};
use super::look::{Looked, look_home};
use super::site::Site;
use super::{Failure, files, output, runs};
use crate::diagnostic::Source;
use crate::engine::Outcome;
use crate::executor::{Gathered, Looks, Ports};
use crate::model::*;
use crate::plan::home::{self, Homecoming};
use crate::plan::{self, LeftOut, LeftOutCode, Plan, Switchover};
use crate::ports::Store;
use crate::report::ExitCode;
use crate::runbook::{LeftOutPolicy, Place, Runbook, Sources, Vars, read_runbook};
use crate::step::Step;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Switchovers of one run that may be taken home.
struct Away {
    run: RunId,
    plan: Plan,
    chosen: Vec<(Switchover, Option<Outcome>)>,
    /// Named one by one: then what cannot come home is an error and not only left out.
    named: bool,
}

pub async fn run(global: &Global, args: &FailbackArgs) -> Result<ExitCode, Failure> {
    // A node may be called anything; only a lab's run says where it is kept.
    let site = if args.id.starts_with("lab-") { Site::of_id(global, &args.id)? } else { Site::open(global)? };
    if args.keep && !site.lab {
        super::site::records_here(&site.config, "failback --keep")?;
    }
    let away = find(&site, args).await?;
    if site.lab && global.store.is_none() {
        return Err(Failure::refused(format!("`{}` ran in a lab that has ended; its machines are gone", away.run)));
    }
    if away.chosen.is_empty() {
        return Err(Failure::refused(format!("run `{}` had no switchovers: there is nothing to take home", away.run)));
    }
    let ports = site.ports();
    let nodes: BTreeSet<NodeId> = away.chosen.iter().flat_map(|(s, _)| [s.source.node, s.destination.node]).collect();
    let bmc = std::sync::Arc::clone(&ports.bmc);
    let done: Result<ExitCode, Failure> = async {
        let gathered = Looks::of(&ports).gather(512, |_| nodes, |_, _| ()).await?;
        super::look::heed(&site, &gathered)?;
        if args.keep {
            return keep(global, &site, &away, &gathered, args);
        }
        go_home(global, &site, ports, &away, gathered, args).await
    }
    .await;
    log_out(&*bmc, &done).await;
    done
}

/// The run that is named, or the newest one that took the named node somewhere.
async fn find(site: &Site, args: &FailbackArgs) -> Result<Away, Failure> {
    if let Some(row) = site.store.run(&RunId(args.id.clone()))? {
        let plan = runs::plan_of(site, &row.plan)?;
        let mut chosen = with_outcomes(site, &plan, &row.id)?;
        only(&mut chosen, &args.only, &row.id)?;
        return Ok(Away { run: row.id, plan, chosen, named: !args.only.is_empty() });
    }
    let fleet = site.inventory().fleet().await?;
    let Some(node) = fleet.find(&args.id).map(|n| n.id) else { return Err(runs::unknown(site, &args.id)) };
    if !args.only.is_empty() {
        return Err(Failure::usage("`--only` chooses among the nodes of a run, and a node is named already"));
    }
    for row in site.store.runs()?.into_iter().rev() {
        let plan = runs::plan_of(site, &row.plan)?;
        let about = |s: &Switchover| s.source.node == node || s.destination.node == node;
        // A way home takes nothing away.
        if plan.failback_of.is_some() || !plan.switchovers.iter().any(about) {
            continue;
        }
        let mut chosen = with_outcomes(site, &plan, &row.id)?;
        chosen.retain(|(s, outcome)| about(s) && *outcome == Some(Outcome::SwitchedOver));
        if !chosen.is_empty() {
            return Ok(Away { run: row.id, plan, chosen, named: true });
        }
    }
    Err(Failure::refused(format!("no run has switched `{}` over", args.id)).hint("`coldswap runs` lists the runs of this store"))
}

fn with_outcomes(site: &Site, plan: &Plan, run: &RunId) -> Result<Vec<(Switchover, Option<Outcome>)>, Failure> {
    let report = make_report(&site.store, plan, run)?;
    Ok(plan.switchovers.iter().cloned().zip(report.switchovers.iter().map(|s| s.outcome)).collect())
}

fn only(chosen: &mut Vec<(Switchover, Option<Outcome>)>, names: &[String], run: &RunId) -> Result<(), Failure> {
    if names.is_empty() {
        return Ok(());
    }
    let called = |s: &Switchover, name: &str| [&s.source.name, &s.destination.name].iter().any(|n| **n == name);
    if let Some(name) = names.iter().find(|name| !chosen.iter().any(|(s, _)| called(s, name))) {
        return Err(
            Failure::usage(format!("run `{run}` has no switchover of or to `{name}`")).hint(format!("`coldswap show {run}` lists them"))
        );
    }
    chosen.retain(|(s, _)| names.iter().any(|name| called(s, name)));
    Ok(())
}

/// What has not ended switched over is nowhere else.
fn ended(switchover: &Switchover, outcome: Option<Outcome>) -> Result<(), home::Stays> {
    let name = &switchover.source.name;
    let why = match outcome {
        Some(Outcome::SwitchedOver) => return Ok(()),
        Some(Outcome::RolledBack | Outcome::Skipped) => format!("the switchover of `{name}` came to nothing: it serves as before"),
        Some(Outcome::Stopped | Outcome::InDoubt) => format!("the switchover of `{name}` is not settled; look at both machines first"),
        None => format!("the switchover of `{name}` has not ended; bring the run to its end first"),
    };
    Err((LeftOutCode::NotSwitchedOver, why))
}

/// What stays away, in words and codes; an error where it was asked for by name or where it is everything.
fn refuse(away: &Away, stays: &[LeftOut]) -> Result<(), Failure> {
    if stays.is_empty() || !(away.named || stays.len() == away.chosen.len()) {
        return Ok(());
    }
    Err(nothing_home(stays))
}

fn nothing_home(stays: &[LeftOut]) -> Failure {
    let lines: Vec<String> = stays.iter().map(|s| format!("\n  {}: {}: {}", s.name, super::output::word(&s.code), s.why)).collect();
    Failure::refused(format!("nothing is taken home:{}", lines.concat()))
}

async fn go_home(
    global: &Global,
    site: &Site,
    ports: Ports,
    away: &Away,
    gathered: Gathered,
    args: &FailbackArgs,
) -> Result<ExitCode, Failure> {
    let mut stays = Vec::new();
    let mut homes: BTreeMap<NodeId, Homecoming> = BTreeMap::new();
    let mut pairs: BTreeMap<String, String> = BTreeMap::new();
    for (switchover, outcome) in &away.chosen {
        let found = ended(switchover, *outcome).and_then(|()| home::homecoming(switchover, &gathered.fleet, args.runbook.is_none()));
        match found {
            Ok(home) => {
                homes.insert(switchover.destination.node, home);
                pairs.insert(switchover.destination.name.clone(), switchover.source.name.clone());
            }
            Err(why) => stays.push(home::left_out(switchover, why)),
        }
    }
    refuse(away, &stays)?;
    let (runbook, source) = runbook(away, &pairs, args)?;
    let saves = args.out.is_some();
    args.out.as_deref().map_or(Ok(()), |out| site.try_to_write(out, files::Kind::Plan))?;
    let id = ports.store.next_plan_id()?;
    let looked = look_home(site, &Looks::of(&ports), (&runbook, source.as_ref()), gathered, homes, id)?;
    let Looked { gathered, mut plan } = looked;
    plan.failback_of = Some(away.run.clone());
    plan.left_out.extend(stays);
    plan.left_out.sort_by(|a, b| a.name.cmp(&b.name));
    if plan.switchovers.is_empty() && !plan.left_out.is_empty() {
        return Err(nothing_home(&plan.left_out));
    }
    super::plan::save(&site.store, &plan)?;
    if let Some(out) = args.out.as_ref().filter(|_| saves) {
        files::write_whole(out, files::Kind::Plan, super::plan::pretty(&plan)?.as_bytes())?;
        let saved = format!("\nsaved as {} in {}; `coldswap apply {}` carries it out\n", plan.id, out.display(), out.display());
        output::print(global, || plan::render(&plan) + &saved, || json!(plan));
        return Ok(ExitCode::Done);
    }
    let go = Go { yes: args.yes, report: args.report.as_deref(), allow_storm: false };
    if !agreed(global, site, &plan, &go)? {
        return Ok(ExitCode::Refused);
    }
    learn(global, site, &ports, &gathered).await;
    begin(global, site, ports, plan, &go).await
}

/// The runbook of the way home, and its text where it was made up here or read.
fn runbook(away: &Away, pairs: &BTreeMap<String, String>, args: &FailbackArgs) -> Result<(Runbook, Option<Source>), Failure> {
    let (mut runbook, source) = match &args.runbook {
        Some(path) => files::runbook(path, &args.vars)?,
        None => {
            refuse_hooks(away, args)?;
            let source = Source::new("(failback)", derived(away, pairs));
            let (runbook, _) =
                read_runbook(&source, &Vars::new(), &files::Disk).map_err(|wrong| Failure::Diagnostics(wrong, vec![source.clone()]))?;
            (runbook, source)
        }
    };
    runbook.name = format!("failback-{}", away.run);
    runbook.pools = Vec::new();
    let place = Place::default();
    runbook.sources = Sources {
        nodes: pairs.keys().map(|holder| (holder.clone(), place)).collect(),
        select: None,
        destinations: pairs.iter().map(|(holder, original)| (holder.clone(), (original.clone(), place))).collect(),
        priority: None,
        left_out: Some(if away.named { LeftOutPolicy::Refuse } else { LeftOutPolicy::Allow }),
        // What it believes of an instance that comes home is right again.
        nova_aware: true,
    };
    Ok((runbook, Some(source)))
}

fn refuse_hooks(away: &Away, args: &FailbackArgs) -> Result<(), Failure> {
    let steps = away.chosen.iter().flat_map(|(s, _)| &s.steps);
    let hooks: BTreeSet<&str> = steps.filter_map(Step::hook).map(|h| h.name.as_str()).collect();
    if hooks.is_empty() || args.without_hooks {
        return Ok(());
    }
    let names: Vec<&str> = hooks.into_iter().collect();
    let message = format!("run `{}` had hooks ({}), and nothing says what they are on the way home", away.run, names.join(", "));
    Err(Failure::refused(message)
        .hint("`--runbook FILE` names a runbook with the hooks of the way home; `--without-hooks` goes without any"))
}

/// What the run's own plan says of fence, power, boot and matching, as a runbook. JSON is YAML.
fn derived(away: &Away, pairs: &BTreeMap<String, String>) -> String {
    let steps = || away.chosen.iter().flat_map(|(s, _)| &s.steps);
    let mut runbook = json!({
        "apiVersion": "coldswap/v1",
        "kind": "Runbook",
        "metadata": {
            "name": format!("failback-{}", away.run),
            "description": format!("The way home of run {} of `{}`.", away.run, away.plan.runbook.name),
            "labels": away.plan.runbook.labels,
        },
        "mode": "planned",
        "sources": {"nodes": pairs.keys().collect::<Vec<_>>(), "destinations": pairs},
        "limits": {"at_once": away.plan.limits.at_once.max(1)},
    });
    if let Some(stop) = away.plan.limits.stop_after_failures {
        runbook["limits"]["stop_after_failures"] = match stop {
            Threshold::Count(n) => json!(n),
            share @ Threshold::Share(_) => json!(share.to_string()),
        };
    }
    for step in steps() {
        match step {
            Step::Fence(f) => runbook["fence"] = json!([{"bmc": {"reads": f.reads, "apart": f.apart}}]),
            // The machine that serves is well, whatever the original was: it is asked first, unless it never was.
            Step::PowerOff(off) => {
                let soft = off.soft.unwrap_or(Span::mins(5));
                runbook["power"] = json!({"soft_off": soft, "hard_off": if off.hard.is_some() { "after_soft" } else { "never" }});
            }
            Step::AwaitBoot(boot) => {
                let mut ready = vec!["post_boot_hooks"];
                ready.splice(0..0, boot.boot_progress.then_some("boot_progress"));
                runbook["boot"] = json!({"timeout": boot.timeout, "ready": ready, "via": via(steps())});
            }
            _ => {}
        }
    }
    let facts: BTreeSet<&String> =
        steps().filter_map(|s| if let Step::Reserve(r) = s { Some(r.facts.keys()) } else { None }).flatten().collect();
    if !facts.is_empty() {
        runbook["match"] = json!({"identical": {"base": "none", "add": facts}});
    }
    runbook.to_string()
}

/// How the machines of the run learned what to boot.
fn via<'a>(steps: impl Iterator<Item = &'a Step>) -> &'static str {
    let steps: Vec<&Step> = steps.collect();
    if steps.iter().any(|s| matches!(s, Step::CleanSource(_))) {
        return "inventory";
    }
    let settings = steps.into_iter().find_map(|s| if let Step::ConfigureBoot(c) = s { Some(&c.settings) } else { None });
    match settings {
        Some(settings) if settings.iscsi.is_some() => "redfish-iscsi",
        Some(_) => "redfish-override",
        None => "none",
    }
}

/// The volumes stay; each repaired machine becomes a spare after a look that finds it Off, itself, empty and nobody's.
fn keep(global: &Global, site: &Site, away: &Away, gathered: &Gathered, args: &FailbackArgs) -> Result<ExitCode, Failure> {
    let mut stays = Vec::new();
    let mut kept: Vec<(&Switchover, Vec<Edit>)> = Vec::new();
    for (switchover, outcome) in &away.chosen {
        match ended(switchover, *outcome).and_then(|()| home::keep(switchover, &gathered.fleet, args.pool.as_deref())) {
            Ok(edits) => kept.push((switchover, edits)),
            Err(why) => stays.push(home::left_out(switchover, why)),
        }
    }
    refuse(away, &stays)?;
    for stays in &stays {
        output::note(global, format!("left out: {}: {}", stays.name, stays.why));
    }
    for (switchover, _) in &kept {
        let (original, holder) = (&switchover.source.name, &switchover.destination.name);
        output::note(global, format!("{original}: Off, empty, itself; becomes a spare, and `{holder}` keeps its volumes"));
    }
    if !(args.yes || confirmed(kept.len())?) {
        return Ok(ExitCode::Refused);
    }
    for (switchover, edits) in &kept {
        site.store.set(switchover.source.node, edits.clone())?;
    }
    let names: Vec<&String> = kept.iter().map(|(s, _)| &s.source.name).collect();
    let text = || names.iter().map(|n| format!("{n}: a spare\n")).collect();
    output::print(global, text, || json!({"spares": names, "pool": args.pool, "left_out": stays}));
    Ok(if stays.is_empty() { ExitCode::Done } else { ExitCode::NotAll })
}

fn confirmed(count: usize) -> Result<bool, Failure> {
    output::confirmed(&format!("Make {count} machine{} spare?", if count == 1 { " a" } else { "s" }), "`--yes` does it without asking")
}
