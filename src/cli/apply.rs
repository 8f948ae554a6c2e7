//! `apply` and `resume`: carry a plan out.

use super::args::{ApplyArgs, Global, ResumeArgs};
use super::files::Kind;
use super::lab::Bench;
use super::live::Live;
use super::look::{ASKED_AT_ONCE, look};
use super::site::Site;
use super::{Failure, control, files, output, reports};
use crate::diagnostic::Source;
use crate::executor::{Claim, Control, Ended, Gathered, Looks, Ports, claim, entries, execute, take_over};
use crate::model::gate_table::gates;
use crate::model::*;
use crate::plan::{self, PLAN_FORMAT, Plan};
use crate::ports::{Bmc, Lease, Store, StoreError};
use crate::report::{self, ExitCode, Report};
use crate::runbook::Runbook;
use std::path::Path;
use std::sync::Arc;

/// What to do with a plan once it is there.
pub struct Go<'a> {
    pub yes: bool,
    pub report: Option<&'a Path>,
    pub allow_storm: bool,
}

pub async fn apply(global: &Global, args: &ApplyArgs) -> Result<ExitCode, Failure> {
    let go = Go { yes: args.yes, report: args.report.as_deref(), allow_storm: args.choose.allow_storm };
    let bytes = files::source(&args.file)?;
    if is_plan(&bytes.text) {
        return saved(global, args, &bytes.text, &go).await;
    }
    let (runbook, source) = files::runbook(&args.file, &args.vars)?;
    let bench = Bench::open(global, args.lab.as_deref(), true).await?;
    let ports = bench.site.ports();
    let bmc = Arc::clone(&ports.bmc);
    let done = fresh(global, args, (&runbook, &source), &bench.site, ports, &go).await;
    log_out(&*bmc, &done).await;
    done
}

/// A BMC has few sessions, and one that is left open keeps others out for half an hour. Only who was superseded says
/// nothing more to any BMC, not even good-bye: its sessions end by themselves.
pub async fn log_out<T>(bmc: &dyn Bmc, done: &Result<T, Failure>) {
    if !matches!(done, Err(Failure::Superseded { .. })) {
        bmc.close().await;
    }
}

/// Plan, ask, and carry it out.
async fn fresh(
    global: &Global,
    args: &ApplyArgs,
    (runbook, source): (&Runbook, &Source),
    site: &Site,
    ports: Ports,
    go: &Go<'_>,
) -> Result<ExitCode, Failure> {
    let id = ports.store.next_plan_id()?;
    let looked = look(global, site, &Looks::of(&ports), (runbook, Some(source)), &args.choose, id).await?;
    super::plan::save(&site.store, &looked.plan)?;
    if !agreed(global, site, &looked.plan, go)? {
        return Ok(ExitCode::Refused);
    }
    learn(global, site, &ports, &looked.gathered).await;
    begin(global, site, ports, looked.plan, go).await
}

/// A plan from a file. The store's copy is what is carried out; the file must be the same.
async fn saved(global: &Global, args: &ApplyArgs, text: &[u8], go: &Go<'_>) -> Result<ExitCode, Failure> {
    let name = args.file.display();
    if args.lab.is_some() {
        return Err(Failure::usage("a saved plan is bound to its store and cannot be applied to a lab; apply the runbook"));
    }
    let choose = &args.choose;
    let chosen = !(choose.only.is_empty() && choose.exclude.is_empty() && choose.allow_boot_cleared.is_empty());
    if chosen || !(args.vars.var.is_empty() && args.vars.vars.is_empty()) {
        let belong = "`--var`, `--only`, `--exclude` and `--allow-boot-cleared` belong to `plan`";
        return Err(Failure::usage(format!("a saved plan is carried out as it is; {belong}")));
    }
    let plan = read_plan(text).map_err(|why| Failure::refused(format!("`{name}` is no plan: {why}")))?;
    let site = Site::open(global)?;
    let ports = site.ports();
    if plan.store != ports.store.id() {
        let message = format!("`{name}` was made for store {}, and this is store {}", plan.store, ports.store.id());
        return Err(Failure::refused(message).hint("name its store with `--store`, or plan again here"));
    }
    let kept = ports.store.load_plan(&plan.id)?;
    if kept.as_deref().map(|k| read_plan(k.as_bytes())) != Some(Ok(plan.clone())) {
        return Err(
            Failure::refused(format!("`{name}` is not the plan {} that the store knows; it was changed", plan.id)).hint("plan again")
        );
    }
    if let Some(storm) = plan.storm.as_ref().filter(|_| !go.allow_storm) {
        return Err(Failure::refused(format!("P024: a storm: {storm}")).hint("if it is meant, `--allow-storm`"));
    }
    if !agreed(global, &site, &plan, go)? {
        return Ok(ExitCode::Refused);
    }
    let bmc = Arc::clone(&ports.bmc);
    let done = looked_again(global, &site, ports, plan, go).await;
    log_out(&*bmc, &done).await;
    done
}

/// Remember what the BMCs say now, and begin.
async fn looked_again(global: &Global, site: &Site, ports: Ports, plan: Plan, go: &Go<'_>) -> Result<ExitCode, Failure> {
    let nodes = plan.switchovers.iter().flat_map(|s| [s.source.node, s.destination.node]).collect();
    let gathered = Looks::of(&ports).gather(ASKED_AT_ONCE, |_| nodes, |_, _| ()).await?;
    super::look::heed(site, &gathered)?;
    learn(global, site, &ports, &gathered).await;
    begin(global, site, ports, plan, go).await
}

/// A saved plan says so by its `format_version`, a runbook by its `apiVersion`, whatever the file is called. One that was cut
/// off is a plan as long as it begins like one.
fn is_plan(text: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Head {
        format_version: Option<serde::de::IgnoredAny>,
        #[serde(rename = "apiVersion")]
        api_version: Option<serde::de::IgnoredAny>,
    }
    let text = text.trim_ascii_start();
    match serde_json::from_slice::<Head>(text) {
        Ok(head) => head.format_version.is_some() && head.api_version.is_none(),
        Err(_) => text.strip_prefix(b"{").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\"format_version\"")),
    }
}

/// # Errors
/// In words: not JSON, another format version, a field that is missing or unknown.
pub fn read_plan(text: &[u8]) -> Result<Plan, String> {
    #[derive(serde::Deserialize)]
    struct Head {
        format_version: u32,
    }
    let head: Head = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    if head.format_version != PLAN_FORMAT {
        return Err(format!("its format version is {}, and this coldswap reads {PLAN_FORMAT}", head.format_version));
    }
    serde_json::from_slice(text).map_err(|e| e.to_string())
}

/// # Errors
/// There is nobody to ask, or no place for the report.
pub fn agreed(global: &Global, site: &Site, plan: &Plan, go: &Go) -> Result<bool, Failure> {
    reports::try_places(site, go.report, plan)?;
    output::note(global, if go.yes { plan::summary(plan) } else { plan::render(plan) });
    if go.yes || plan.switchovers.is_empty() {
        return Ok(true);
    }
    let count = plan.switchovers.len();
    output::confirmed(
        &format!("Switch over {count} node{}?", if count == 1 { "" } else { "s" }),
        "`--yes` carries the plan out without asking",
    )
}

/// Begin a run of the plan and see it through.
pub async fn begin(global: &Global, site: &Site, ports: Ports, plan: Plan, go: &Go<'_>) -> Result<ExitCode, Failure> {
    if !site.lab {
        super::agents::check(&*ports.agents, &plan).await?;
    }
    let run = ports.store.begin_run(&plan.id, &plan.runbook.name, site.now())?;
    output::note(global, format!("run {run}"));
    if plan.storm.is_some() && go.allow_storm {
        let allow = Request::Decide { matter: Matter::Storm, choice: "allow".to_owned(), why: None };
        ports.store.post(&run, site.now(), &super::people::who(None), &allow)?;
    }
    let claim = claim(&ports, &run, &site.terms())?;
    carry_out(global, ports, Arc::new(plan), claim, go.report, control::listen(None)).await
}

pub async fn resume(global: &Global, args: &ResumeArgs) -> Result<ExitCode, Failure> {
    let site = Site::of_id(global, &args.id)?;
    let ports = site.ports();
    let run = RunId(args.id.clone());
    let Some(row) = ports.store.run(&run)? else { return Err(super::runs::unknown(&site, &args.id)) };
    if site.lab && global.store.is_none() {
        return Err(Failure::refused(format!("`{run}` ran in a lab that has ended; its machines are gone"))
            .hint("`coldswap show` still tells what happened"));
    }
    // Another process is at it: then a pause is what is to be lifted.
    match ports.store.test_lock(&run) {
        _ if args.take_over => {}
        Err(StoreError::Locked { .. }) => return super::people::wait_for(global, &site, &row, args.by.as_deref(), Request::Resume).await,
        other => other?,
    }
    let plan = super::runs::plan_of(&site, &row.plan)?;
    // Only what was named just now: a run with machines in flight does not wait for a place that its runbook names.
    args.report.as_deref().map_or(Ok(()), |path| site.try_to_write(path, Kind::Report))?;
    let claim = match args.take_over {
        false => claim(&ports, &run, &site.terms())?,
        true => {
            let landing = plan.switchovers.iter().map(|s| s.landing).max().unwrap_or_default();
            let tell = |by: &Lease| output::note(global, format!("waiting for the end of the lease of {by}"));
            take_over(&ports, &run, &site.terms(), landing, tell).await?
        }
    };
    if let Some(left) = claim.waits(site.now()) {
        let seconds = left.0.div_ceil(1000);
        output::note(global, format!("the run was taken over before; what was sent then may land for another {seconds} s"));
    }
    carry_out(global, ports, Arc::new(plan), claim, args.report.as_deref(), control::listen(None)).await
}

/// See a run through from wherever it is, and report.
pub async fn carry_out(
    global: &Global,
    ports: Ports,
    plan: Arc<Plan>,
    claim: Claim,
    report_file: Option<&Path>,
    control: tokio::sync::mpsc::UnboundedReceiver<Control>,
) -> Result<ExitCode, Failure> {
    let run = claim.run().clone();
    let mut live = Live::new(plan.clone(), global.quiet);
    let ended = execute(plan.clone(), claim, ports.clone(), control, &mut live).await;
    let ended = ended.map_err(Failure::from);
    log_out(&*ports.bmc, &ended).await;
    let ended = ended?;
    let report = make_report(&*ports.store, &plan, &run)?;
    output::print(global, || report::text::render(&report, output::width(), false), || serde_json::json!(report));
    for debt in &report.totals.debts {
        output::note(global, format!("owed: {} {} -> {}: {}", debt.switchover, debt.source, debt.destination, debt.text));
        output::note(global, format!("what settles it: {}; then `coldswap resume {run}` sees that nothing is owed", debt.next));
    }
    let code = reports::write(&report, &run, report_file, &plan, report::exit_code(&report));
    if ended == Ended::Left {
        output::note(global, format!("left with switchovers in flight; `coldswap resume {run}` looks at them and goes on"));
    }
    Ok(code)
}

/// Remember in the inventory what the BMCs said of themselves. What is refused is told and stops nothing: the step that
/// reserves the node compares again.
pub async fn learn(global: &Global, site: &Site, ports: &Ports, gathered: &Gathered) {
    // Ironic remembers for itself.
    if site.ironic.is_some() {
        return;
    }
    // All at once: the store commits in groups.
    let learnt = gathered.reports.iter().map(|(node, report)| ports.inventory.learn(*node, report, site.now()));
    for fault in futures_util::future::join_all(learnt).await.into_iter().filter_map(Result::err) {
        output::note(global, format!("warning: {fault}"));
    }
}

/// The report of a run from what the store holds.
pub fn make_report(store: &dyn Store, plan: &Plan, run: &RunId) -> Result<Report, Failure> {
    let journal = entries(&store.journal(run)?).map_err(|bad| Failure::refused(format!("run `{run}`: {bad}")))?;
    report::report(plan, &report::About::run(run.clone()), &journal).map_err(|bad| Failure::refused(format!("run `{run}`: {bad}")))
}

#[cfg(test)]
mod tests {
    use super::is_plan;

    #[test]
    fn a_plan_is_told_from_a_runbook_by_what_it_says() {
        assert!(is_plan(b" {\n \"format_version\": 1, \"id\": \"p-1\"}"));
        assert!(is_plan(b"{\"format_version\": 1, \"id\": \"p-"), "cut off");
        assert!(!is_plan(b"{\"apiVersion\": \"coldswap/v1\", \"kind\": \"Runbook\"}"));
        assert!(!is_plan(b"{\"apiVersion\": \"coldswap/v1\", \"kind\": \"Runb"));
        assert!(!is_plan(b"apiVersion: coldswap/v1\n"));
        assert!(!is_plan(b"{}") && !is_plan(b"[1]") && !is_plan(b""));
    }
}

gates! {
    "saved plan", "a saved plan is carried out once, in its own store, and word for word",
        Closed, "a plan that is applied twice finds a world that it was not made for", a_saved_plan_is_single_use_and_bound_to_its_store;
    "learning facts", "what a BMC says of itself is remembered before a run; where that is refused the run goes on",
        Open, "the step that reserves the node compares again", a_node_that_changed_since_the_plan_is_refused_and_the_rest_goes_on;
}
