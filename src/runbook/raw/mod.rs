//! A runbook as it is written: the whole language, typed, with places; nothing is decided yet.
//!
//! Every optional key is an `Option` here. Defaults and sense are the business of `meaning`, and what does not execute
//! yet is refused by `supported`, so that a runbook of tomorrow is read and named today.

mod gates;
mod hooks;
mod matching;
mod policy;
mod secret;

pub use gates::{RawApproval, RawCanary, RawLimits, RawNotify, RawWindow};
pub use hooks::{RawAction, RawHook, RawHttp, RawPrompt};
pub use matching::{Base, RawAgainst, RawIdentical, RawMatch, RawPrefer, RawRequire, RawSpread, TESTS};
pub use policy::{RawAgent, RawBoot, RawFence, RawPower, RawVia};
pub use secret::{RawSensitive, secret, sensitive};

use super::document::Tree;
use super::shape::*;
use super::{LeftOutPolicy, Mode};
use crate::model::{HookPoint, ProvisionState};

#[derive(Clone, Debug)]
pub struct RawRunbook {
    pub name: At<String>,
    pub description: Option<At<String>>,
    pub labels: Map<At<String>>,
    pub vars: Map<Tree>,
    pub mode: Option<At<Mode>>,
    pub sources: Option<RawSources>,
    pub pools: Vec<RawPool>,
    pub matching: RawMatch,
    pub power: RawPower,
    pub fence: Option<Vec<At<RawFence>>>,
    pub boot: RawBoot,
    pub hooks: Vec<(HookPoint, At<RawHook>)>,
    pub limits: RawLimits,
    pub windows: Vec<At<RawWindow>>,
    pub approval: Option<At<RawApproval>>,
    pub notify: Vec<At<RawNotify>>,
    pub report: Option<At<String>>,
    pub lab: Option<At<bool>>,
    /// Where `pools` and `fence` are written, for what is wrong with a section as a whole.
    pub places: Places,
}

/// Places of sections; `None`: not written.
#[derive(Clone, Debug, Default)]
pub struct Places {
    pub pools: Option<std::ops::Range<usize>>,
    pub fence: Option<std::ops::Range<usize>>,
}

#[derive(Clone, Debug)]
pub struct RawSources {
    pub at: std::ops::Range<usize>,
    pub nodes: Vec<At<String>>,
    pub select: Option<At<String>>,
    pub destinations: Map<At<String>>,
    pub priority: Option<At<String>>,
    pub left_out: Option<At<LeftOutPolicy>>,
    pub nova_aware: Option<At<bool>>,
    /// Both were meant to be there, whatever became of them.
    pub named: bool,
}

#[derive(Clone, Debug)]
pub struct RawPool {
    pub name: At<String>,
    pub select: At<String>,
    pub keep: Option<At<i64>>,
    pub provision_states: Option<At<Vec<At<ProvisionState>>>>,
}

/// Text in `metadata`.
struct Metadata {
    name: Option<At<String>>,
    description: Option<At<String>>,
    labels: Map<At<String>>,
}

/// The keys that every kind begins with.
pub fn head(f: &mut Fields<'_>, kind: &'static str) {
    f.fixed("apiVersion", "version of the language", crate::runbook::kind::API_VERSION);
    f.fixed("kind", "what this file is", kind);
}

pub fn expression() -> Text {
    text("an expression")
}

/// The shape of a whole runbook.
pub fn runbook() -> Record<RawRunbook> {
    record("runbook", fields)
}

fn fields(f: &mut Fields<'_>) -> Option<RawRunbook> {
    head(f, "Runbook");
    let metadata = f.required("metadata", "what the runbook is called", record("metadata", metadata));
    let vars = f.optional("vars", "variables with their defaults; --var and --vars override them", map_of("a map of variables", Any));
    let modes = words(&[("planned", Mode::Planned), ("disaster", Mode::Disaster)]);
    let mode = f.required("mode", "planned: the source is healthy; disaster: it is presumed bad", modes);
    let sources = f.required("sources", "which nodes are to be switched over", record("sources", sources));
    let places = Places { pools: f.place("pools"), fence: f.place("fence") };
    let pools = f.optional("pools", "where spares come from, in order", list_of("a list of pools", record("pool", pool)));
    let matching = f.optional("match", "what identical means", matching::shape());
    let power = f.optional("power", "how the source is switched off", policy::power());
    let fence = f.optional("fence", "who may vouch that the source is off, in this order", policy::fence());
    let boot = f.optional("boot", "how a machine learns what to boot", policy::boot());
    let hooks = f.optional("hooks", "what runs in between", record("hooks", hook_points));
    let limits = f.optional("limits", "brakes", gates::limits());
    let windows = f.optional("windows", "when switchovers may run", list_of("a list of windows", Placed(gates::window())).not_empty());
    let approval = f.optional("approval", "somebody must agree first", Placed(gates::approval()));
    let notify = f.optional("notify", "who is told", list_of("a list of notifications", Placed(gates::notify())).not_empty());
    let report =
        f.optional("report", "where the report goes", record("report", |f| f.required("path", "path; may use run.id", text("a path"))));
    let lab = f.optional("lab", "allowed: all hooks may run for real in a lab", lab());
    let metadata = metadata?;
    Some(RawRunbook {
        name: metadata.name?,
        description: metadata.description,
        labels: metadata.labels,
        vars: vars.unwrap_or_default(),
        mode,
        sources,
        pools: pools.unwrap_or_default(),
        matching: matching.unwrap_or_default(),
        power: power.unwrap_or_default(),
        fence,
        boot: boot.unwrap_or_default(),
        hooks: hooks.unwrap_or_default(),
        limits: limits.unwrap_or_default(),
        windows: windows.unwrap_or_default(),
        approval,
        notify: notify.unwrap_or_default(),
        report,
        lab,
        places,
    })
}

/// In a lab only what says so runs for real.
fn lab() -> Words<bool> {
    words(&[("allowed", true), ("never", false)])
}

fn metadata(f: &mut Fields<'_>) -> Option<Metadata> {
    let name = f.required("name", "name of the runbook", text("a name"));
    let description = f.optional("description", "what it is for", text("text"));
    let labels = f.optional("labels", "free labels, such as a change number", map_of("a map of labels", text("text")));
    Some(Metadata { name, description, labels: labels.unwrap_or_default() })
}

fn sources(f: &mut Fields<'_>) -> Option<RawSources> {
    let named = f.has("nodes") || f.has("select");
    let node = text("a node's name or uuid");
    let nodes = f.optional("nodes", "names or uuids", list_of("a list of nodes", node).not_empty());
    let select = f.optional("select", "an expression over node", expression());
    let pairs = map_of("a map of sources to destinations", node);
    let destinations = f.optional("destinations", "pinned pairs: source to destination", pairs);
    let priority = f.optional("priority", "an expression over node that gives an integer; the lowest goes first", expression());
    let policies = words(&[("refuse", LeftOutPolicy::Refuse), ("allow", LeftOutPolicy::Allow)]);
    let left_out =
        f.optional("left_out", "may the plan run when a node has no spare? default: refuse for nodes, allow for select", policies);
    let nova_aware = f.optional("nova_aware", "move instances of Nova's too? Nova goes on believing that they are where they were", flag());
    let (nodes, destinations) = (nodes.unwrap_or_default(), destinations.unwrap_or_default());
    Some(RawSources { at: f.at(), nodes, select, destinations, priority, left_out, nova_aware, named })
}

fn pool(f: &mut Fields<'_>) -> Option<RawPool> {
    let name = f.required("name", "name of the pool", text("a name"));
    let select = f.required("select", "an expression over spare and source", expression());
    let keep = f.optional("keep", "spares that must stay behind; default 0", at_least(0));
    let states =
        words(&[("manageable", ProvisionState::Manageable), ("available", ProvisionState::Available), ("enroll", ProvisionState::Enroll)]);
    let states = Placed(list_of("a list of provision states", states).not_empty());
    let provision_states = f.optional("provision_states", "best first; default: manageable, available, enroll", states);
    Some(RawPool { name: name?, select: select?, keep, provision_states })
}

fn hook_points(f: &mut Fields<'_>) -> Option<Vec<(HookPoint, At<RawHook>)>> {
    let mut all = Vec::new();
    let about = ["before the source is touched", "before the destination is started", "after the destination was started"];
    for (point, about) in HookPoint::ALL.into_iter().zip(about) {
        let read = f.optional(point.as_str(), about, list_of("a list of hooks", Placed(hooks::hook())));
        all.extend(read.unwrap_or_default().into_iter().map(|hook| (point, hook)));
    }
    Some(all)
}
