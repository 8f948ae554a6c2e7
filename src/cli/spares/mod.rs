//! `spares`: are there enough of them?

mod args;
mod classes;
mod learn;

pub use args::SparesArgs;

use super::args::Global;
use super::lab::Bench;
use super::site::Site;
use super::{Failure, files, output};
use crate::executor::Looks;
use crate::model::*;
use crate::report::ExitCode;
use crate::sizing::{
    DomainLoss, Learned, Question, Repair, Simulation, Sizing, SizingGroup, SizingLeftOut, Wrong, YearlyRate, answer, render, svg,
};
use args::{FailureRate, SizeArgs, SparesCommand};
use classes::Class;
use serde_json::json;

pub async fn run(global: &Global, args: SparesArgs) -> Result<ExitCode, Failure> {
    match args.command {
        SparesCommand::Size(args) => size(global, &args).await,
    }
}

fn told(wrong: Wrong) -> Failure {
    Failure::usage(wrong.message).hint(wrong.hint)
}

async fn size(global: &Global, args: &SizeArgs) -> Result<ExitCode, Failure> {
    let mut sizing = match args.nodes {
        Some(nodes) => of_numbers(global, args, nodes).await?,
        None => of_inventory(global, args).await?,
    };
    sizing.groups.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(path) = &args.plot {
        files::write_whole(path, files::Kind::Drawing, svg(&sizing).as_bytes())?;
    }
    output::print(global, || render(&sizing, output::width()), || json!(sizing));
    Ok(ExitCode::Done)
}

async fn of_numbers(global: &Global, args: &SizeArgs, nodes: u32) -> Result<Sizing, Failure> {
    let learned = match args.failure_rate {
        FailureRate::Given(_) => None,
        FailureRate::Learned => {
            let site = Site::open_to_read(global)?;
            let fleet = site.inventory().fleet().await?;
            Some(learn::learn(&site, &fleet)?)
        }
    };
    let question = question(args, nodes, args.domain_size, learned)?;
    let answer = answer(&question, args.model.map(Into::into)).map_err(told)?;
    let group = SizingGroup { name: "all".into(), class: None, spares_now: None, answer };
    Ok(Sizing { learned, ..Sizing::new(vec![group]) })
}

async fn of_inventory(global: &Global, args: &SizeArgs) -> Result<Sizing, Failure> {
    let bench = Bench::open(global, args.lab.as_deref(), false).await?;
    let fleet = fleet(&bench, args).await?;
    let learned = match args.failure_rate {
        FailureRate::Learned if args.lab.is_some() => {
            return Err(Failure::usage("a lab has no past to learn from").hint("write a rate, like `--failure-rate 5%`"));
        }
        FailureRate::Learned => Some(learn::learn(&bench.site, &fleet)?),
        FailureRate::Given(_) => None,
    };
    let (found, left_out) = classes::classes(&fleet);
    if found.is_empty() {
        return Err(nothing_to_size(&fleet, &left_out));
    }
    let groups = found.into_iter().map(|class| of_class(args, &fleet, class, learned)).collect::<Result<_, _>>()?;
    Ok(Sizing { learned, left_out, ..Sizing::new(groups) })
}

/// The records of the store, as last read from the BMCs. A lab's machines are asked: nothing has read them before.
async fn fleet(bench: &Bench, args: &SizeArgs) -> Result<Fleet, Failure> {
    if args.lab.is_none() {
        return Ok(bench.site.inventory().fleet().await?);
    }
    let ports = bench.site.ports();
    let all = |fleet: &Fleet| fleet.nodes.keys().copied().collect();
    let gathered = Looks::of(&ports).gather(super::look::ASKED_AT_ONCE, all, |_, _| ()).await;
    ports.bmc.close().await;
    Ok(gathered?.fleet)
}

fn nothing_to_size(fleet: &Fleet, left_out: &[SizingLeftOut]) -> Failure {
    if fleet.nodes.is_empty() {
        return Failure::refused("the inventory is empty")
            .hint("`coldswap inventory import FILE` takes nodes from a file; `--nodes N` needs none");
    }
    let why = left_out.iter().map(|l| format!("\n  {}: {}", l.nodes.join(", "), l.why)).collect::<String>();
    Failure::refused(format!("no node of the inventory carries an instance and has known facts{why}"))
        .hint("`--nodes N` sizes without an inventory")
}

fn of_class(args: &SizeArgs, fleet: &Fleet, class: Class, learned: Option<Learned>) -> Result<SizingGroup, Failure> {
    let count = |ids: &[NodeId]| u32::try_from(ids.len()).unwrap_or(u32::MAX);
    let domain = match &args.domain {
        None => args.domain_size,
        Some(level) => Some(class.per_domain(fleet, level).ok_or_else(|| {
            Failure::refused(format!("no node of class `{}` has a {level} in the inventory", class.name))
                .hint(format!("record `failure_domain: {{{level}: ...}}`, or write `--domain-size N`"))
        })?),
    };
    let spares_now = count(&class.spares);
    let mut question = question(args, count(&class.nodes), domain, learned)?;
    // What the inventory has now is always judged.
    question.spares = question.spares.or(Some(spares_now));
    let answer = answer(&question, args.model.map(Into::into)).map_err(|wrong| {
        let message = format!("class `{}`: {}", class.name, wrong.message);
        told(Wrong { message, ..wrong })
    })?;
    Ok(SizingGroup { name: class.name, class: Some(class.common), spares_now: Some(spares_now), answer })
}

fn question(args: &SizeArgs, nodes: u32, domain_size: Option<u32>, learned: Option<Learned>) -> Result<Question, Failure> {
    let failure_rate = match (args.failure_rate, learned) {
        (FailureRate::Given(rate), _) => rate,
        (FailureRate::Learned, Some(learned)) => YearlyRate(learned.rate),
        (FailureRate::Learned, None) => return Err(Failure::usage("no failure rate was learned").hint("write a rate, like `5%`")),
    };
    let repair = match (args.repair, args.repair_sigma, args.repair_p50.zip(args.repair_p95)) {
        (_, _, Some((p50, p95))) => Repair::of_percentiles(p50, p95).map_err(told)?,
        (Some(mean), Some(sigma), None) => Repair::Lognormal { mean, sigma },
        (Some(mean), None, None) => Repair::Exponential { mean },
        (None, ..) => return Err(Failure::usage("nothing says how long a repair takes").hint("write `--repair 14d`")),
    };
    let domain = match (domain_size, args.domain_rate, args.domain_repair) {
        (Some(size), Some(rate), Some(repair)) => Some(DomainLoss { size, rate, repair }),
        (None, None, None) => None,
        _ => {
            return Err(Failure::usage("half of what is known of the domains is missing")
                .hint("write `--domain-size` (or `--domain`), `--domain-rate` and `--domain-repair`, or none of them"));
        }
    };
    Ok(Question {
        nodes,
        failure_rate,
        repair,
        repairers: args.repairers,
        standby: args.standby.into(),
        domain,
        target: args.target,
        spares: args.spares,
        simulation: Simulation { seed: args.seed, failures: args.simulated_failures },
    })
}
