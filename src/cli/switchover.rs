//! `switchover`: one node, no file. The runbook that the Ironic specification describes, made on the spot and put
//! through the same planner and engine.

use super::apply::{Go, begin, learn};
use super::args::{ChooseArgs, Global, NodeSwitchoverArgs, SwitchoverArgs, SwitchoverHow};
use super::lab::Bench;
use super::look::look;
use super::site::Site;
use super::{Failure, files, output};
use crate::diagnostic::Source;
use crate::executor::{Looks, Ports};
use crate::report::ExitCode;
use crate::runbook::{Runbook, Vars, read_runbook};
use crate::{plan, plan::Plan};
use serde_json::json;

pub async fn positional(global: &Global, args: SwitchoverArgs) -> Result<ExitCode, Failure> {
    one(global, &args.source, args.destination.as_deref(), &args.how).await
}

pub async fn flagged(global: &Global, args: NodeSwitchoverArgs) -> Result<ExitCode, Failure> {
    one(global, &args.source, args.destination.as_deref(), &args.how).await
}

/// The runbook for it, as text: the same language, the same checks. JSON is YAML.
///
/// Without a destination every unheld node without instance in `enroll`, `manageable` or `available` is a spare, by the
/// built-in rules.
fn runbook(source: &str, destination: Option<&str>, how: &SwitchoverHow) -> String {
    let mut sources = json!({ "nodes": [source] });
    if let Some(destination) = destination {
        sources["destinations"] = json!({ source: destination });
    }
    let runbook = json!({
        "apiVersion": "coldswap/v1",
        "kind": "Runbook",
        "metadata": { "name": format!("switchover-{source}") },
        "mode": if how.disaster { "disaster" } else { "planned" },
        "sources": sources,
        "pools": [{ "name": "all", "select": "spare.instance is none" }],
        "power": if how.disaster { json!({ "soft_off": "0s", "hard_off": "at_once" }) } else { json!({}) },
        "boot": how.boot_via.as_ref().map_or(json!({}), |via| json!({ "via": via })),
    });
    runbook.to_string()
}

async fn one(global: &Global, source: &str, destination: Option<&str>, how: &SwitchoverHow) -> Result<ExitCode, Failure> {
    let text = Source::new("(switchover)", runbook(source, destination, how));
    let (runbook, _): (Runbook, _) =
        read_runbook(&text, &Vars::new(), &files::Disk).map_err(|wrong| Failure::Diagnostics(wrong, vec![text.clone()]))?;
    let bench = Bench::open(global, how.lab.as_deref(), !how.dry_run).await?;
    let ports = bench.site.ports();
    let bmc = std::sync::Arc::clone(&ports.bmc);
    let done = looked_at(global, (source, &runbook), &bench.site, ports, how).await;
    super::apply::log_out(&*bmc, &done).await;
    done
}

async fn looked_at(
    global: &Global,
    (source, runbook): (&str, &Runbook),
    site: &Site,
    ports: Ports,
    how: &SwitchoverHow,
) -> Result<ExitCode, Failure> {
    let id = if how.dry_run { "unsaved".into() } else { ports.store.next_plan_id()? };
    let allowed = if how.allow_boot_cleared { vec![source.to_owned()] } else { Vec::new() };
    let choose = ChooseArgs { allow_boot_cleared: allowed, ..ChooseArgs::default() };
    let looked = look(global, site, &Looks::of(&ports), (runbook, None), &choose, id).await?;
    let plan: &Plan = &looked.plan;
    if how.dry_run {
        output::print(global, || plan::render(plan), || json!(plan));
        return Ok(ExitCode::Done);
    }
    super::plan::save(&site.store, plan)?;
    let go = Go { yes: how.yes, report: how.report.as_deref(), allow_storm: false };
    if !super::apply::agreed(global, site, plan, &go)? {
        return Ok(ExitCode::Refused);
    }
    learn(global, site, &ports, &looked.gathered).await;
    begin(global, site, ports, looked.plan, &go).await
}
