//! Arguments of `drill` and `failback`.

use super::{ChooseArgs, VarArgs};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "Exit code 0: every source has a way out; 4: one has none (it is left out, was switched over in no run, or ended \
in doubt in one); 6: two machines had one volume open")]
pub struct DrillArgs {
    pub runbook: PathBuf,
    /// On a copy of this lab's machines [default: of the inventory]
    #[arg(long, value_name = "LAB")]
    pub lab: Option<PathBuf>,
    /// Seeds and faults from a file of kind Drill
    #[arg(long, value_name = "FILE")]
    pub drill: Option<PathBuf>,
    /// How many runs [default: the file's, or 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub seeds: Option<u32>,
    /// What goes wrong, besides what the file says
    #[arg(long, value_name = "PRESET", value_delimiter = ',', value_parser = preset_names())]
    pub fault: Vec<String>,
    /// As if the runbook were of that mode
    #[arg(long, value_enum)]
    pub mode: Option<DrillMode>,
    /// Only the run of this seed, told whole
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Ask the BMCs first instead of going by what is recorded; reads only
    #[arg(long, conflicts_with = "lab")]
    pub refresh: bool,
    #[command(flatten)]
    pub choose: ChooseArgs,
    #[command(flatten)]
    pub vars: VarArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DrillMode {
    Planned,
    Disaster,
    Both,
}

/// The presets with what each stands for, for `--help` and completions.
fn preset_names() -> clap::builder::PossibleValuesParser {
    crate::sim::drill::PRESETS.iter().map(|p| clap::builder::PossibleValue::new(p.name).help(p.about)).collect::<Vec<_>>().into()
}

#[derive(Args, Debug)]
pub struct FailbackArgs {
    /// A run: everything that it switched over. A node: the last switchover that it was part of
    #[arg(value_name = "RUN or NODE")]
    pub id: String,
    /// Of the run: only these nodes, by their original name or by the spare's
    #[arg(long, value_name = "NODE", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Hooks, fence, power and rules of the way home [default: as the run had them, without hooks]
    #[arg(long, value_name = "FILE")]
    pub runbook: Option<PathBuf>,
    /// Go home without hooks although the run had some
    #[arg(long, conflicts_with = "runbook")]
    pub without_hooks: bool,
    /// Save the plan here and stop; `apply` carries it out
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The volumes stay where they are, and the repaired machines become spares
    #[arg(long, conflicts_with_all = ["runbook", "without_hooks", "out", "report"])]
    pub keep: bool,
    /// With --keep: the label `pool` of the new spares
    #[arg(long, value_name = "NAME", requires = "keep")]
    pub pool: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Write the report here as well
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub vars: VarArgs,
}
