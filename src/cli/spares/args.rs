//! What may be typed after `spares`.

use crate::model::Span;
use crate::sizing::{Model, Share, Standby, Wrong, YearlyRate};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Args, Debug)]
pub struct SparesArgs {
    #[command(subcommand)]
    pub command: SparesCommand,
}

#[derive(Subcommand, Debug)]
pub enum SparesCommand {
    /// How many spares are enough
    Size(Box<SizeArgs>),
}

const EXAMPLES: &str = "\
Two questions are answered: for which share of the time every node has a machine, and how likely it is that the next
failure finds no spare. The second takes more spares.

Examples:
  100 nodes, each failing once in 20 years, two weeks until the replacement is there:
    coldswap spares size --nodes 100 --failure-rate 5% --repair 14d --target 99.9%
  The same with one person who repairs:
    coldswap spares size --nodes 100 --failure-rate 5% --repair 14d --repairers 1
  Repairs that mostly take a week and sometimes a month; racks of 40 that go dark once in 50 years for 6 hours:
    coldswap spares size --nodes 1000 --failure-rate 5% --repair-p50 7d --repair-p95 30d --repairers 4 \\
      --domain-size 40 --domain-rate 2% --domain-repair 6h
  Every class of the inventory, at the rate at which nodes have failed so far:
    coldswap spares size --from-inventory --failure-rate learned --repair 14d --plot spares.svg";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct SizeArgs {
    /// Nodes that must run
    #[arg(long, value_name = "N", required_unless_present = "from_inventory", conflicts_with = "from_inventory")]
    pub nodes: Option<u32>,
    /// Take nodes and spares from the inventory, class by class: what can stand in for each other by `resource_class` and
    /// the facts that are identical by default
    #[arg(long)]
    pub from_inventory: bool,
    /// The inventory of this lab's simulated machines
    #[arg(long, value_name = "LAB", requires = "from_inventory")]
    pub lab: Option<PathBuf>,
    /// Failures per node and year, `5%` or `0.05`; or `learned`, from the disaster switchovers in the store
    #[arg(long, value_name = "RATE")]
    pub failure_rate: FailureRate,
    /// Mean time until a failed machine, or its replacement, is a spare
    #[arg(long, value_name = "DURATION", required_unless_present = "repair_p50", conflicts_with = "repair_p50")]
    pub repair: Option<Span>,
    /// Repair times are lognormal, with this deviation of their logarithm
    #[arg(long, value_name = "NUMBER", requires = "repair")]
    pub repair_sigma: Option<f64>,
    /// Repair times are lognormal, half of them no longer than this
    #[arg(long, value_name = "DURATION", requires = "repair_p95")]
    pub repair_p50: Option<Span>,
    /// and all but one in twenty no longer than this
    #[arg(long, value_name = "DURATION", requires = "repair_p50")]
    pub repair_p95: Option<Span>,
    /// Repairs that go on at the same time [default: as many as are needed]
    #[arg(long, value_name = "N")]
    pub repairers: Option<u32>,
    /// Do spares fail while they wait? cold: no; warm: like nodes
    #[arg(long, value_enum, default_value = "cold")]
    pub standby: StandbyArg,
    /// Machines that stand in one failure domain and are lost together
    #[arg(long, value_name = "N", requires_all = ["domain_rate", "domain_repair"], conflicts_with = "domain")]
    pub domain_size: Option<u32>,
    /// The same from the inventory: as many as stand in one of these on average
    #[arg(long, value_name = "LEVEL", value_parser = ["site", "row", "rack", "chassis", "feed"],
          requires_all = ["from_inventory", "domain_rate", "domain_repair"])]
    pub domain: Option<String>,
    /// Losses per domain and year
    #[arg(long, value_name = "RATE", requires = "domain_repair")]
    pub domain_rate: Option<YearlyRate>,
    /// Mean time until a lost domain is back with all its machines
    #[arg(long, value_name = "DURATION", requires = "domain_rate")]
    pub domain_repair: Option<Span>,
    /// Wanted for both questions
    #[arg(long, value_name = "SHARE", default_value = "99%")]
    pub target: Share,
    /// Judge this number of spares as well
    #[arg(long, value_name = "N")]
    pub spares: Option<u32>,
    /// [default: the simplest that holds]
    #[arg(long, value_enum)]
    pub model: Option<ModelArg>,
    /// Of the simulation; the same seed gives the same figures
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// How much is simulated for each number of spares; more gives narrower intervals
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    pub simulated_failures: u64,
    /// Draw the answer, as SVG
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FailureRate {
    Given(YearlyRate),
    Learned,
}

impl FromStr for FailureRate {
    type Err = Wrong;
    fn from_str(text: &str) -> Result<FailureRate, Wrong> {
        match text {
            "learned" => Ok(FailureRate::Learned),
            rate => rate.parse().map(FailureRate::Given),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StandbyArg {
    Cold,
    Warm,
}

impl From<StandbyArg> for Standby {
    fn from(arg: StandbyArg) -> Standby {
        match arg {
            StandbyArg::Cold => Standby::Cold,
            StandbyArg::Warm => Standby::Warm,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModelArg {
    Poisson,
    BirthDeath,
    MonteCarlo,
}

impl From<ModelArg> for Model {
    fn from(arg: ModelArg) -> Model {
        match arg {
            ModelArg::Poisson => Model::Poisson,
            ModelArg::BirthDeath => Model::BirthDeath,
            ModelArg::MonteCarlo => Model::MonteCarlo,
        }
    }
}
