//! A runbook that has been checked: every name resolved that can be without an inventory, every default filled in.

use super::{Expression, Template, TemplateValue};
use crate::model::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub struct Runbook {
    pub name: String,
    pub description: Option<String>,
    pub labels: BTreeMap<String, String>,
    /// SHA-256 of the text, the variables and the scripts that it names.
    pub digest: String,
    pub vars: BTreeMap<String, serde_json::Value>,
    pub mode: Mode,
    pub sources: Sources,
    pub pools: Vec<Pool>,
    pub matching: Matching,
    pub power: PowerPolicy,
    pub fence: BmcFence,
    pub vouchers: Vouchers,
    pub boot: BootPolicy,
    /// What a plan of it asks BMCs for.
    pub further: Further,
    /// In the order in which they are written, all points together.
    pub hooks: Vec<HookTemplate>,
    pub limits: Limits,
    pub windows: Vec<Window>,
    pub approval: Option<Approval>,
    pub notify: Vec<NotifyTemplate>,
    /// Path template of the report; may use `run.id`.
    pub report: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Planned,
    Disaster,
}

/// A line and column (from 1) in the file that a thing was written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

#[derive(Clone, Debug)]
pub struct Sources {
    /// Names or uuids.
    pub nodes: Vec<(String, Place)>,
    /// Over `node`.
    pub select: Option<Expression>,
    /// Source to destination, names or uuids.
    pub destinations: BTreeMap<String, (String, Place)>,
    /// Over `node`; an integer; the lowest goes first.
    pub priority: Option<Expression>,
    /// As written; `None`: refuse for listed nodes, allow for selected ones.
    pub left_out: Option<LeftOutPolicy>,
    /// Instances of Nova's are moved as well, though Nova does not hear of it.
    pub nova_aware: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOutPolicy {
    Refuse,
    Allow,
}

#[derive(Clone, Debug)]
pub struct Pool {
    pub name: String,
    /// Over `spare` and `source`.
    pub select: Expression,
    pub keep: u32,
    /// Best first.
    pub provision_states: Vec<ProvisionState>,
}

#[derive(Clone, Debug)]
pub struct Matching {
    /// Facts that must be equal and known on both sides: base, plus `add`, minus `drop`. Never empty together with
    /// an empty `require`.
    pub identical: Vec<String>,
    pub require: Vec<Require>,
    pub prefer: Vec<Prefer>,
    pub spread: Vec<SpreadRule>,
}

/// The facts that are identical by default, each with its reason; `coldswap explain --rules` prints them.
pub const BUILTIN_IDENTICAL: [(&str, &str); 8] = [
    ("manufacturer", "drivers and firmware tools differ between manufacturers"),
    ("model", "boards, slots and device paths differ between models"),
    ("cpu.model", "code built or tuned for one processor may not run on another"),
    ("cpu.count", "licences, NUMA layout and capacity follow the sockets"),
    ("memory_mib", "the same model is sold with 128 and 512 GiB; the work must fit"),
    ("boot_mode", "an image installed for UEFI does not boot from BIOS, nor the other way round"),
    ("resource_class", "the operator's own word for interchangeable machines"),
    ("firmware.bios", "small differences in firmware have kept images from booting"),
];

impl Matching {
    /// The facts that `require` speaks of.
    pub fn required_facts(&self) -> impl Iterator<Item = &str> {
        self.require.iter().filter_map(|r| match &r.rule {
            Rule::Fact { fact, .. } => Some(fact.as_str()),
            Rule::When(_) => None,
        })
    }
}

/// A rule that a spare must meet.
#[derive(Clone, Debug)]
pub struct Require {
    pub name: String,
    pub rule: Rule,
}

#[derive(Clone, Debug)]
pub enum Rule {
    /// Over `spare` and `source`.
    When(Expression),
    /// A fact (or `traits`, `resource_class`) of the spare against the source's or a value.
    Fact { fact: String, test: FactTest, against: Against },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactTest {
    Equal,
    AtLeast,
    AtMost,
    SupersetOf,
    /// A glob (`*` and `?`) over text.
    Matches,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Against {
    Source,
    Value(Scalar),
    Set(Vec<String>),
}

/// Decides which, never whether.
#[derive(Clone, Debug)]
pub struct Prefer {
    pub name: String,
    pub when: Expression,
    pub weight: u32,
}

/// Of the nodes that belong together, at most so many in one failure domain.
#[derive(Clone, Debug)]
pub struct SpreadRule {
    pub name: String,
    /// Over `node`. Nodes for which it gives the same belong together; none belongs to nobody.
    pub by: Expression,
    /// A level of `failure_domain`.
    pub domain: String,
    pub at_most: u32,
}

#[derive(Clone, Debug)]
pub struct PowerPolicy {
    /// How long the operating system may take. Zero: it is not asked.
    pub soft_off: Span,
    pub hard_off: HardOff,
    /// A crash dump is asked for first, and may take so long.
    pub crash_dump: Option<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HardOff {
    AfterSoft,
    AtOnce,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BmcFence {
    pub reads: u32,
    pub apart: Span,
}

impl Default for BmcFence {
    /// Three reads, ten seconds apart: a watchdog's power cycle reads Off for a few seconds too, and a BMC's cached
    /// state lags by 10 s and more (powerman PR #47), so one read proves nothing.
    fn default() -> BmcFence {
        BmcFence { reads: 3, apart: Span::secs(10) }
    }
}

/// Who else may vouch that the source is off.
#[derive(Clone, Debug, Default)]
pub struct Vouchers {
    /// The BMC's own word is not enough: the runbook has no `bmc` level.
    pub bmc_not_enough: bool,
    /// How long a level that cannot tell is tried; as written.
    pub silent: Option<Span>,
    /// After the BMC, in this order.
    pub levels: Vec<VoucherTemplate>,
}

#[derive(Clone, Debug)]
pub enum VoucherTemplate {
    /// All of them together.
    Agents(Vec<AgentTemplate>),
    Attestation {
        expires: Span,
    },
}

/// A fence agent as written: templates over `source`, `destination`, `vars`.
#[derive(Clone, Debug)]
pub struct AgentTemplate {
    pub name: String,
    pub options: BTreeMap<String, SensitiveTemplate>,
    /// Where its name is written, and the names of its options.
    pub at: std::ops::Range<usize>,
    pub options_at: BTreeMap<String, std::ops::Range<usize>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BootVia {
    RedfishIscsi,
    RedfishOverride,
    /// The inventory service lets it boot.
    Inventory,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootReady {
    BootProgress,
    PostBootHooks,
}

#[derive(Clone, Debug)]
pub struct BootPolicy {
    /// Absent: what suits the inventory.
    pub via: Option<BootVia>,
    pub timeout: Span,
    pub ready: Vec<BootReady>,
}

#[derive(Clone, Debug)]
pub struct Limits {
    /// Switchovers in flight.
    pub at_once: u32,
    pub stop_after_failures: Option<Threshold>,
    pub canary: Option<Canary>,
    /// In flight in one failure domain, by level.
    pub per_domain: BTreeMap<String, u32>,
    pub start_rate: Option<Rate>,
    /// Of all nodes that boot from a volume. More is a storm.
    pub refuse_above: Option<Threshold>,
}

impl Default for Limits {
    /// Ten switchovers at once are what a storage array and a person can follow.
    fn default() -> Limits {
        Limits { at_once: 10, stop_after_failures: None, canary: None, per_domain: BTreeMap::new(), start_rate: None, refuse_above: None }
    }
}

/// A notification as written: templates over `event`, `run` and `vars`.
#[derive(Clone, Debug)]
pub struct NotifyTemplate {
    pub events: Vec<NoticeEvent>,
    pub action: ActionTemplate,
}

/// A hook as written: templates over `source`, `destination`, `vars`.
#[derive(Clone, Debug)]
pub struct HookTemplate {
    pub name: String,
    pub point: HookPoint,
    pub action: ActionTemplate,
    pub check: Option<ActionTemplate>,
    pub undo: Option<ActionTemplate>,
    /// Over `source`, `destination`, `vars`. False: the switchover has no such step.
    pub when: Option<Expression>,
    pub timeout: Span,
    pub retries: u32,
    pub until: Option<Span>,
    pub rerun: Rerun,
    pub on_failure: OnFailure,
    pub lab: bool,
    /// One of its templates names `destination.connectors`: it does the zoning of connectors that cannot move.
    pub zones: bool,
    pub place: Place,
}

#[derive(Clone, Debug)]
pub enum ActionTemplate {
    Run {
        argv: Vec<Template>,
        env: BTreeMap<String, SensitiveTemplate>,
        directory: Option<String>,
        digest: Option<String>,
    },
    Http {
        method: String,
        url: SensitiveTemplate,
        headers: BTreeMap<String, SensitiveTemplate>,
        json: Option<TemplateValue>,
        expect: Vec<u16>,
    },
    Prompt {
        text: Template,
        choices: Vec<String>,
        fails: Vec<String>,
        default: String,
    },
}

#[derive(Clone, Debug)]
pub enum SensitiveTemplate {
    Plain(Template),
    Secret(SecretRef),
}
