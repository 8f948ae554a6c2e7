//! `coverage`: which nodes have no spare, now and after what may come. Reads the inventory and touches nothing.

use super::args::{Global, VarArgs};
use super::lab::Bench;
use super::{Failure, files, output};
use crate::diagnostic::Source;
use crate::model::Fleet;
use crate::plan::coverage::{Coverage, coverage, render, svg};
use crate::report::ExitCode;
use crate::runbook::{Runbook, Vars, read_runbook};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct CoverageArgs {
    /// Whose `match` and `pools` count [default: the built-in rules, and every free node]
    pub runbook: Option<PathBuf>,
    /// After any so many failures, of nodes or of spares
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub failures: u16,
    /// Draw it, as SVG
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// The inventory of this lab
    #[arg(long, value_name = "LAB")]
    pub lab: Option<PathBuf>,
    #[command(flatten)]
    pub vars: VarArgs,
}

/// What a switchover without a file goes by: every free node, by the built-in rules.
const BUILTIN: &str = "
apiVersion: coldswap/v1
kind: Runbook
metadata: {name: coverage}
mode: planned
sources: {select: node.instance is not none}
pools: [{name: all, select: spare.instance is none}]
boot: {via: redfish-override}
";

pub async fn run(global: &Global, args: &CoverageArgs) -> Result<ExitCode, Failure> {
    let (runbook, source) = match &args.runbook {
        Some(path) => files::runbook(path, &args.vars)?,
        None => builtin()?,
    };
    let bench = Bench::open(global, args.lab.as_deref(), false).await?;
    let fleet = fleet(&bench, args.lab.is_some()).await?;
    if fleet.nodes.is_empty() {
        return Err(Failure::refused("the inventory is empty")
            .hint("`coldswap inventory import FILE` takes nodes from a file; `--lab LAB` brings its own"));
    }
    let coverage: Coverage =
        coverage(&runbook, &fleet, usize::from(args.failures)).map_err(|wrong| Failure::Diagnostics(wrong, vec![source]))?;
    if let Some(path) = &args.svg {
        files::write_whole(path, files::Kind::Drawing, svg(&coverage).as_bytes())?;
    }
    output::print(global, || render(&coverage), || json!(coverage));
    Ok(if coverage.is_complete() { ExitCode::Done } else { ExitCode::NotAll })
}

/// The records of the store, as last read from the BMCs. A lab's machines are asked: nothing has read them before.
async fn fleet(bench: &Bench, lab: bool) -> Result<Fleet, Failure> {
    if !lab {
        return Ok(bench.site.inventory().fleet().await?);
    }
    let looks = bench.site.looks();
    let gathered = looks.gather(super::look::ASKED_AT_ONCE, |fleet| fleet.nodes.keys().copied().collect(), |_, _| ()).await;
    looks.close().await;
    Ok(gathered?.fleet)
}

fn builtin() -> Result<(Runbook, Source), Failure> {
    let text = Source::new("(coverage)", BUILTIN);
    let (runbook, _) = read_runbook(&text, &Vars::new(), &files::Disk).map_err(|wrong| Failure::Diagnostics(wrong, vec![text.clone()]))?;
    Ok((runbook, text))
}
