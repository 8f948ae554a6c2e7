//! `drill`: what would happen, how often, and how long, on a copy of the inventory in a simulated world.
//!
//! Nothing here can touch anything. The inventory is read through [`Records`], which can only read and knows no BMC; with
//! `--refresh` BMCs are asked through [`Looks`](crate::executor::Looks), which can only look. The rest is values.

mod text;

use super::args::{DrillArgs, DrillMode, Global};
use super::history::{History, history};
use super::site::Site;
use super::{Failure, files, lab, output};
use crate::diagnostic::{Source, did_you_mean};
use crate::executor::Records;
use crate::model::*;
use crate::plan::{self, Landing, Plan, Request};
use crate::report::{self, About, ExitCode};
use crate::runbook::{Drill, DrillFault, HardOff, Mode, PowerPolicy, Runbook, meant, read_drill};
use crate::sim::drill::{Action, DRILL_FORMAT, Found, Preset, Rule, Setting, Tally, Times, once, presume};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What `drill --output json` writes; `schemas/drill-result.schema.json` is generated from it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DrillResult {
    pub format_version: u32,
    pub runbook: String,
    pub seeds: u32,
    /// Presets by name, and how many rules besides.
    pub faults: Vec<String>,
    /// Nodes whose BMC was never asked: it is presumed able to do everything.
    pub never_read: usize,
    /// How long things take, and where that is from.
    pub times: Vec<DrillTime>,
    /// One for each mode that was drilled.
    pub modes: Vec<Found>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DrillTime {
    /// `soft_off`, `hard_off`, `power_on`, `boot`, `hook`, `hook NAME`.
    pub what: String,
    #[serde(flatten)]
    pub spread: Spread,
    /// How many were measured; 0 where it is from elsewhere.
    pub measured: usize,
    pub from: TimeFrom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeFrom {
    /// The journals of past runs.
    Measured,
    /// The lab's own timing.
    Lab,
    Assumed,
}

/// The copy of the world that is drilled on.
struct Copy {
    fleet: Fleet,
    landing: Landing,
    times: Times,
    rules: Vec<Rule>,
    never_read: usize,
}

pub async fn run(global: &Global, args: &DrillArgs) -> Result<ExitCode, Failure> {
    let (runbook, source) = files::runbook(&args.runbook, &args.vars)?;
    let drill = args.drill.as_deref().map(drill_file).transpose()?;
    let seeds = args.seeds.or(drill.as_ref().map(|d| d.seeds)).unwrap_or(SEEDS);
    let mut faults: Vec<String> = args.fault.clone();
    let (mut copy, history) = match &args.lab {
        Some(path) => (lab_copy(path)?, History::default()),
        None => real_copy(global, args, &runbook).await?,
    };
    for fault in drill.iter().flat_map(|d| &d.faults) {
        match fault {
            DrillFault::Preset(name) => faults.push((*name).to_owned()),
            DrillFault::Rule(rule) => {
                means_a_machine(&copy.fleet, rule)?;
                copy.rules.push(rule_of(rule)?);
            }
        }
    }
    for name in &faults {
        let preset = Preset::find(name).ok_or_else(|| Failure::usage(format!("there is no fault preset `{name}`")))?;
        copy.rules.extend(preset.rules());
    }
    let mut modes = Vec::new();
    for runbook in by_mode(&runbook, args.mode) {
        let plan = Arc::new(plan_of(&runbook, &source, &copy, args)?);
        let setting = Setting::new(plan.clone(), &copy.fleet, &copy.rules, copy.times.clone());
        if let Some(seed) = args.seed {
            return tell_one(global, &plan, &setting, seed);
        }
        let tally = all(&setting, seeds);
        if tally.stuck() > 0 {
            let message = format!("{} of {seeds} runs did not come to an end", tally.stuck());
            return Err(Failure::Said { message, hint: None, code: ExitCode::Bug });
        }
        modes.push(tally.found(&setting, &plan.left_out));
    }
    let own = copy.rules.len() - faults.iter().filter_map(|f| Preset::find(f)).map(|p| p.rules().len()).sum::<usize>();
    let result = DrillResult {
        format_version: DRILL_FORMAT,
        runbook: runbook.name.clone(),
        seeds,
        faults: faults.into_iter().chain((own > 0).then(|| format!("{own} rule{} of its own", if own == 1 { "" } else { "s" }))).collect(),
        never_read: copy.never_read,
        times: times_of(&copy.times, args.lab.is_some()),
        modes,
    };
    output::print(global, || text::render(&result, &history), || serde_json::json!(result));
    Ok(exit_code(&result))
}

/// Enough to meet what happens once in thirty runs.
const SEEDS: u32 = 100;

/// 0: every source has a way out; 4: one has none; 6: two machines had one volume open.
fn exit_code(result: &DrillResult) -> ExitCode {
    let any = |what: &dyn Fn(&Found) -> bool| result.modes.iter().any(what);
    if any(&|m| m.two_writers.is_some()) {
        ExitCode::NeedsPerson
    } else if any(&|m| !m.left_out.is_empty() || m.switchovers.iter().any(|s| s.no_way_out)) {
        ExitCode::NotAll
    } else {
        ExitCode::Done
    }
}

fn drill_file(path: &std::path::Path) -> Result<Drill, Failure> {
    let source = files::source(path)?;
    let (drill, warnings) = read_drill(&source).map_err(|wrong| Failure::Diagnostics(wrong, vec![source.clone()]))?;
    files::warn(&warnings, &[&source]);
    Ok(drill)
}

/// A fault that hits nobody would pass for one that was borne.
fn means_a_machine(fleet: &Fleet, rule: &crate::runbook::FaultRule) -> Result<(), Failure> {
    let names = || fleet.nodes.values().map(|n| n.name.as_str());
    let Some(machine) = [Some(&rule.machine), rule.answers.as_ref()].into_iter().flatten().find(|m| !meant(m, names())) else {
        return Ok(());
    };
    let hint = did_you_mean(machine, names()).map_or("`coldswap inventory list` shows them".to_owned(), |n| format!("did you mean `{n}`?"));
    Err(Failure::refused(format!("a fault is meant for `{machine}`, and there is no such machine")).hint(hint))
}

/// The language's words as the drill's.
fn rule_of(rule: &crate::runbook::FaultRule) -> Result<Rule, Failure> {
    use crate::sim::drill::Request as Kind;
    let unknown = |word: &str| Failure::refused(format!("`{word}` means nothing in a drill"));
    let request = Kind::ALL.iter().find(|(word, _)| *word == rule.request).ok_or_else(|| unknown(rule.request))?.1;
    let action = Action::ALL.iter().find(|(word, _)| *word == rule.action).ok_or_else(|| unknown(rule.action))?.1;
    let chance = match rule.chance {
        Some(Threshold::Share(share)) => share,
        _ => Rule::whole(),
    };
    Ok(Rule { machine: rule.machine.clone(), request, action, by: rule.by, chance, times: rule.times, lasting: rule.lasting })
}

fn lab_copy(path: &std::path::Path) -> Result<Copy, Failure> {
    let (lab, records) = lab::read(path)?;
    let mut fleet = Fleet::from_records(records);
    for node in fleet.nodes.values_mut() {
        node.live_facts = node.declared_facts.or(&lab.template).into();
    }
    // Its machines are made up, and able to do what the lab's are.
    presume(&mut fleet);
    let timing = &lab.timing;
    let exactly = |span: Span| Spread::exactly(span);
    let assumed = [
        ("soft_off", exactly(timing.soft)),
        ("hard_off", exactly(timing.off)),
        ("power_on", exactly(timing.on)),
        ("boot", exactly(timing.boot)),
        ("hook", Times::default().assumed["hook"]),
    ];
    let times = Times { measured: Durations::default(), assumed: assumed.into(), answer: exactly(timing.latency + Span(1)) };
    let rules = lab.faults.iter().map(rule_of).collect::<Result<_, _>>()?;
    let landing = Landing { default: Some(lab::landing(&lab)), by_node: BTreeMap::new() };
    Ok(Copy { fleet, landing, times, rules, never_read: 0 })
}

/// The inventory as it is written down, or as its BMCs say with `--refresh`.
async fn real_copy(global: &Global, args: &DrillArgs, runbook: &Runbook) -> Result<(Copy, History), Failure> {
    let site = Site::open_to_read(global)?;
    let records: Records = site.records();
    let mut fleet = if args.refresh {
        let looks = site.looks();
        let gathered = super::look::gathered(global, &looks, runbook).await;
        looks.close().await;
        let gathered = gathered?;
        super::look::heed(&site, &gathered)?;
        gathered.fleet
    } else {
        records.fleet().await?
    };
    if fleet.nodes.is_empty() {
        return Err(Failure::refused("the inventory is empty")
            .hint("`coldswap inventory import FILE` takes nodes from a file; `--lab LAB` brings its own"));
    }
    let landing = site.landing(&fleet)?;
    let never_read = presume(&mut fleet);
    let mut history = history(&records)?;
    let times = Times { measured: std::mem::take(&mut history.durations), ..Times::default() };
    Ok((Copy { fleet, landing, times, rules: Vec::new(), never_read }, history))
}

/// The runbook in each mode that is asked for. What it says of power stays; what it leaves to the mode's defaults follows
/// the mode.
fn by_mode(runbook: &Runbook, wanted: Option<DrillMode>) -> Vec<Runbook> {
    let modes = match wanted {
        None => vec![runbook.mode],
        Some(DrillMode::Planned) => vec![Mode::Planned],
        Some(DrillMode::Disaster) => vec![Mode::Disaster],
        Some(DrillMode::Both) => vec![Mode::Planned, Mode::Disaster],
    };
    let in_mode = |mode: Mode| {
        let mut runbook = runbook.clone();
        if runbook.mode != mode {
            let (soft_off, hard_off) = match mode {
                Mode::Planned => (Span::mins(5), HardOff::AfterSoft),
                Mode::Disaster => (Span::ZERO, HardOff::AtOnce),
            };
            runbook.power = PowerPolicy { soft_off, hard_off, ..runbook.power };
            runbook.mode = mode;
        }
        runbook
    };
    modes.into_iter().map(in_mode).collect()
}

fn plan_of(runbook: &Runbook, source: &Source, copy: &Copy, args: &DrillArgs) -> Result<Plan, Failure> {
    let request = Request {
        id: "drill".into(),
        store: "drill".into(),
        now: copy.fleet.captured_at,
        landing: copy.landing.clone(),
        only: args.choose.only.clone(),
        exclude: args.choose.exclude.clone(),
        home: BTreeMap::new(),
        allow_storm: true,
        allow_boot_cleared: args.choose.allow_boot_cleared.clone(),
    };
    let (mut plan, warnings) =
        plan::plan(runbook, &copy.fleet, &request).map_err(|wrong| Failure::Diagnostics(wrong, vec![source.clone()]))?;
    files::warn(&warnings, &[source]);
    plan::predict(&mut plan, &copy.times.measured);
    Ok(plan)
}

/// Every seed, on every processor; what comes out does not depend on which of them did which.
fn all(setting: &Setting, seeds: u32) -> Tally {
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(seeds as usize).max(1);
    let work = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= u64::from(seeds) {
                return tally;
            }
            tally.add(&once(setting, seed));
        }
    };
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut total = Tally::default();
        for handle in handles {
            total.merge(&handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        total
    })
}

/// One seed, told whole: the report of that run.
fn tell_one(global: &Global, plan: &Plan, setting: &Setting, seed: u64) -> Result<ExitCode, Failure> {
    let once = once(setting, seed);
    let about = About::run(RunId(format!("drill-{seed}")));
    let report = report::report(plan, &about, &once.journal).map_err(|bad| Failure::refused(bad.to_string()))?;
    output::print(global, || report::text::render(&report, output::width(), false), || serde_json::json!(report));
    Ok(report::exit_code(&report))
}

fn times_of(times: &Times, lab: bool) -> Vec<DrillTime> {
    let measured: Vec<DrillTime> = times
        .measured
        .known()
        .filter(|(what, ..)| times.assumed.contains_key(what) || what.starts_with("hook "))
        .map(|(what, spread, measured)| DrillTime { what: what.to_owned(), spread, measured, from: TimeFrom::Measured })
        .collect();
    let known = |what: &str| measured.iter().any(|t| t.what == what);
    let assumed = times.assumed.iter().filter(|(what, _)| !known(what));
    let from = |what: &str| if lab && what != "hook" { TimeFrom::Lab } else { TimeFrom::Assumed };
    let assumed = assumed.map(|(what, spread)| DrillTime { what: (*what).to_owned(), spread: *spread, measured: 0, from: from(what) });
    let mut all: Vec<DrillTime> = assumed.collect();
    all.extend(measured);
    all.sort_by(|a, b| a.what.cmp(&b.what));
    all
}
