//! What may be typed.

mod home;
mod inventory;

pub use home::*;
pub use inventory::*;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// N+1 redundancy for bare metal: moves a server's volumes to an identical spare, safely.
#[derive(Parser, Debug)]
#[command(name = "coldswap", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Args, Debug, Clone)]
pub struct Global {
    /// Configuration file [default: coldswap.yaml, if there is one]
    #[arg(long, global = true, env = "COLDSWAP_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where plans, runs and the inventory are kept: a path, or `sqlite:PATH` [default: .coldswap/state.db]
    #[arg(long, global = true, env = "COLDSWAP_STORE", value_name = "STORE")]
    pub store: Option<String>,
    /// How results are written to standard output
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// More of what happens, on standard error; up to three times
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// No progress
    #[arg(short, long, global = true)]
    pub quiet: bool,
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Check files of any kind; touch nothing else
    Validate(ValidateArgs),
    /// Show what would be done; reads inventory and BMCs, touches nothing
    Plan(PlanArgs),
    /// Show every candidate spare for a node, rule by rule
    Explain(ExplainArgs),
    /// Carry out a runbook or a saved plan
    Apply(ApplyArgs),
    /// Take up a run that was killed, left or parked; lift a pause
    Resume(ResumeArgs),
    /// Start nothing new for now; the run waits for `resume`
    Pause(PauseArgs),
    /// Start nothing new, finish what is in flight, park the rest
    Stop(AskArgs),
    /// Take back what can still go back, skip what has not begun
    Rollback(RollbackArgs),
    /// Answer an approval, a canary, a prompt; say where the volumes of a switchover in doubt are
    Decide(DecideArgs),
    /// Simulated BMCs on loopback, until stopped
    Lab(LabArgs),
    /// Switch one node over, without a runbook
    Switchover(SwitchoverArgs),
    /// The same as `switchover`, spelled as in the Ironic specification
    NodeSwitchover(NodeSwitchoverArgs),
    /// Vouch as a person that a machine is off whose BMC is silent
    Attest(AttestArgs),
    /// What would happen, how often and how long: many runs on a simulated copy; touches nothing
    Drill(DrillArgs),
    /// Take switchovers home after the repair, or keep them where they are
    Failback(FailbackArgs),
    /// What was run
    Runs,
    /// One run or saved plan
    Show(IdArgs),
    /// Every event of a run
    Journal(IdArgs),
    /// The report of a run, also while it goes on
    Report(ReportArgs),
    /// Nodes, volume connectors and volume targets
    Inventory(InventoryArgs),
    /// Which nodes have no spare: now, after more failures, after the loss of a rack
    Coverage(super::coverage::CoverageArgs),
    /// Are there enough spares?
    Spares(super::spares::SparesArgs),
    /// Shell completions
    Completions(CompletionsArgs),
    /// The manual page
    Man,
}

#[derive(Args, Debug)]
pub struct ValidateArgs {
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub vars: VarArgs,
}

#[derive(Args, Debug, Clone, Default)]
pub struct VarArgs {
    /// Set a variable of the runbook
    #[arg(long = "var", value_name = "KEY=VALUE")]
    pub var: Vec<String>,
    /// Variables from a file
    #[arg(long = "vars", value_name = "FILE")]
    pub vars: Vec<PathBuf>,
}

#[derive(Args, Debug, Clone, Default)]
pub struct ChooseArgs {
    /// Only these sources
    #[arg(long, value_name = "NODE", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Neither these sources nor these spares
    #[arg(long, value_name = "NODE", value_delimiter = ',')]
    pub exclude: Vec<String>,
    /// More nodes than `limits.refuse_above` are meant; who said so is journalled
    #[arg(long)]
    pub allow_storm: bool,
    /// These sources are off and their firmware opens nothing, and the inventory is right: they booted otherwise
    #[arg(long, value_name = "NODE", value_delimiter = ',')]
    pub allow_boot_cleared: Vec<String>,
}

#[derive(Args, Debug)]
pub struct PlanArgs {
    pub runbook: PathBuf,
    /// Save the plan here; it is single use and bound to this store
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Against the simulated BMCs of this lab
    #[arg(long, value_name = "LAB")]
    pub lab: Option<PathBuf>,
    /// Read the hardware in full first and remember it; without, plan with what was read in full before
    #[arg(long)]
    pub refresh: bool,
    /// Exit with 10 when there is something to do, 0 when there is not
    #[arg(long)]
    pub detailed_exitcode: bool,
    #[command(flatten)]
    pub choose: ChooseArgs,
    #[command(flatten)]
    pub vars: VarArgs,
}

#[derive(Args, Debug)]
pub struct ExplainArgs {
    #[arg(required_unless_present = "rules")]
    pub runbook: Option<PathBuf>,
    #[arg(required_unless_present = "rules")]
    pub node: Option<String>,
    /// The rules that are built in, each with its reason
    #[arg(long)]
    pub rules: bool,
    #[arg(long, value_name = "LAB")]
    pub lab: Option<PathBuf>,
    #[command(flatten)]
    pub vars: VarArgs,
}

#[derive(Args, Debug)]
pub struct ApplyArgs {
    /// A runbook, or a plan that `plan --out` saved
    #[arg(value_name = "PLAN or RUNBOOK")]
    pub file: PathBuf,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Write the report here as well
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Against simulated BMCs; nothing real is touched
    #[arg(long, value_name = "LAB")]
    pub lab: Option<PathBuf>,
    #[command(flatten)]
    pub choose: ChooseArgs,
    #[command(flatten)]
    pub vars: VarArgs,
}

#[derive(Args, Debug)]
pub struct ResumeArgs {
    pub id: String,
    /// Take the run from a process that hangs or is stopped. Waits until its lease has ended and all that it sent has
    /// landed; refused where it is alive
    #[arg(long)]
    pub take_over: bool,
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Who asks, where another process carries the run out [default: the login name]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

#[derive(Args, Debug)]
pub struct AskArgs {
    pub id: String,
    /// Who asks [default: the login name]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

#[derive(Args, Debug)]
pub struct PauseArgs {
    #[command(flatten)]
    pub ask: AskArgs,
    /// Without `resume` within this time the run is parked
    #[arg(long = "for", value_name = "DURATION", default_value = "8h")]
    pub limit: crate::model::Span,
}

#[derive(Args, Debug)]
pub struct RollbackArgs {
    pub id: String,
    /// Only this one; all, when none is named
    pub switchover: Option<crate::model::SwitchoverId>,
    /// Who asks [default: the login name]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

#[derive(Args, Debug)]
pub struct DecideArgs {
    pub id: String,
    /// `approval`, `canary`, or a switchover such as `s-001`
    #[arg(value_name = "approval, canary or SWITCHOVER")]
    pub about: String,
    /// One of the answers
    #[arg(required_unless_present_any = ["moved", "not_moved"], conflicts_with_all = ["moved", "not_moved"])]
    pub choice: Option<String>,
    /// In doubt: the destination has the volumes and serves
    #[arg(long, conflicts_with = "not_moved")]
    pub moved: bool,
    /// In doubt: the destination does not have them; what was begun is taken back
    #[arg(long)]
    pub not_moved: bool,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// Who decides [default: the login name]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

#[derive(Args, Debug)]
pub struct LabArgs {
    pub lab: PathBuf,
    /// Where the simulated BMCs listen; loopback only
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    pub listen: std::net::SocketAddr,
    /// Write the inventory with the simulated BMCs' addresses here
    #[arg(long, value_name = "FILE")]
    pub write_inventory: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct SwitchoverArgs {
    pub source: String,
    /// Any identical spare, when none is named
    pub destination: Option<String>,
    #[command(flatten)]
    pub how: SwitchoverHow,
}

#[derive(Args, Debug)]
pub struct NodeSwitchoverArgs {
    pub source: String,
    #[arg(long, value_name = "NODE")]
    pub destination: Option<String>,
    #[command(flatten)]
    pub how: SwitchoverHow,
}

#[derive(Args, Debug)]
pub struct SwitchoverHow {
    /// The source is presumed bad: hard off at once, and rollback leaves it off
    #[arg(long)]
    pub disaster: bool,
    /// How the machines learn what to boot [default: redfish-iscsi, and inventory where Ironic keeps the nodes]
    #[arg(long, value_parser = ["redfish-iscsi", "redfish-override", "inventory", "none"])]
    pub boot_via: Option<String>,
    /// The source is off and its firmware opens nothing, and the inventory is right: it booted otherwise
    #[arg(long)]
    pub allow_boot_cleared: bool,
    /// Show the plan and stop
    #[arg(long)]
    pub dry_run: bool,
    #[arg(long, short)]
    pub yes: bool,
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[arg(long, value_name = "LAB")]
    pub lab: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct AttestArgs {
    pub node: String,
    /// It is off: you looked, and it stays off
    #[arg(long, required = true, action = clap::ArgAction::SetTrue)]
    pub off: bool,
    /// Who vouches; stands in the report
    #[arg(long, value_name = "NAME")]
    pub by: String,
    /// How you know; stands in the report
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// How long it counts [default: 30m]
    #[arg(long, value_name = "TIME")]
    pub expires: Option<crate::model::Span>,
}

#[derive(Args, Debug)]
pub struct IdArgs {
    /// Of a run (`r-7`) or a plan (`p-7`)
    pub id: String,
}

#[derive(Args, Debug)]
pub struct ReportArgs {
    pub id: String,
    /// `json` or `text` [default: as --output]
    #[arg(long, value_enum)]
    pub format: Option<Output>,
}

#[derive(Args, Debug)]
pub struct CompletionsArgs {
    pub shell: clap_complete::Shell,
}
