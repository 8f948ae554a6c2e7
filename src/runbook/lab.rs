//! Labs (a simulated fleet) and drills (a run against faults), as plain data.
//!
//! Fault rules use the simulator's own words; they are written here as text so that the language does not depend on
//! the simulator, and a test holds both lists together.

use super::document::{Limits, Tree};
use super::inventory::facts;
use super::kind::Kind;
use super::raw::head;
use super::read::{end, tree};
use super::shape::*;
use super::{Files, beside, read_inventory};
use crate::diagnostic::{Diagnostic, Diagnostics, Source, codes, did_you_mean};
use crate::model::{Facts, NodeRecord, Span, Threshold};
use serde::Serialize;

/// Simulated BMCs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lab {
    /// How many machines to make up; with an inventory, how many it must have.
    pub count: Option<u32>,
    /// Facts of machines whose inventory record says nothing else.
    pub template: Facts,
    pub timing: LabTiming,
    pub faults: Vec<FaultRule>,
    /// Decides every `chance`.
    pub seed: u64,
    /// Path of the inventory as seen from the working directory: one machine for each of its nodes.
    pub inventory: Option<String>,
}

/// How long simulated machines take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabTiming {
    pub off: Span,
    pub on: Span,
    /// The operating system's own way down.
    pub soft: Span,
    /// Before every answer.
    pub latency: Span,
    /// For so long after Off an On is refused.
    pub settle: Span,
    /// From On until the operating system runs.
    pub boot: Span,
}

impl Default for LabTiming {
    /// Fast enough to watch, slow enough to see.
    fn default() -> LabTiming {
        LabTiming {
            off: Span::secs(1),
            on: Span::secs(1),
            soft: Span::secs(2),
            latency: Span::ZERO,
            settle: Span::ZERO,
            boot: Span::secs(3),
        }
    }
}

/// What goes wrong with which request; its serialised form is the simulator's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FaultRule {
    /// A name; `*` and `?` stand for any text and any character.
    pub machine: String,
    pub request: &'static str,
    #[serde(rename = "do")]
    pub action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    pub answers: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chance: Option<Threshold>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Of drills only: once it has happened to a machine it goes on happening to it.
    #[serde(skip)]
    pub lasting: bool,
}

/// Requests that a fault can be about; the first is the default.
pub const REQUESTS: [&str; 11] =
    ["any", "read", "read_system", "write", "soft_off", "hard_off", "power_on", "restart", "set_boot", "login", "logout"];

/// What may happen instead of the right thing.
pub const ACTIONS: [&str; 19] = [
    "refuse",
    "conflict",
    "error",
    "error_after",
    "busy",
    "hang",
    "hang_after",
    "drop",
    "drop_after",
    "ignore",
    "late",
    "drop_late",
    "slow",
    "false_off",
    "no_power",
    "stale",
    "wrong_machine",
    "garbage",
    "empty",
];

/// Fault mixtures that have a name.
pub const PRESETS: [&str; 7] = ["rude-bmc", "slow-post", "lost-answers", "dead-bmc", "failing-hook", "slow-storage", "late-power"];

/// What a drill's faults may be about besides [`REQUESTS`]: a hook, and a machine's way from On to its operating system.
pub const DRILL_REQUESTS: [&str; 2] = ["hook", "boot"];

/// A run against a simulated copy, again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drill {
    pub seeds: u32,
    pub faults: Vec<DrillFault>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrillFault {
    /// One of [`PRESETS`].
    Preset(&'static str),
    Rule(FaultRule),
}

pub(super) struct RawLab {
    lab: Lab,
    count: Option<At<i64>>,
    inventory: Option<At<String>>,
    machines: Vec<At<String>>,
}

/// Read and check a lab; `files` is asked for its inventory.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_lab(source: &Source, files: &dyn Files) -> Result<(Lab, Diagnostics), Diagnostics> {
    let (tree, mut found) = tree(source, Kind::Lab, Limits::FILE)?;
    let reading = Reading::new(&source.name, &source.text);
    let raw = lab().read(&reading, &tree, &Path::ROOT);
    let lab = raw.map(|raw| fitted(&reading, &tree, files, raw));
    found.extend(reading.finish());
    end(lab, found)
}

/// Read and check a drill.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_drill(source: &Source) -> Result<(Drill, Diagnostics), Diagnostics> {
    let (tree, mut found) = tree(source, Kind::Drill, Limits::FILE)?;
    let reading = Reading::new(&source.name, &source.text);
    let drill = drill().read(&reading, &tree, &Path::ROOT);
    found.extend(reading.finish());
    end(drill, found)
}

/// The lab against its inventory: how many machines, and which names.
fn fitted(reading: &Reading<'_>, tree: &Tree, files: &dyn Files, raw: RawLab) -> Lab {
    let mut lab = raw.lab;
    let Some(path) = &raw.inventory else {
        if raw.count.is_none() {
            let at = tree.get("machines").map_or(0..0, |m| m.at.clone());
            let message = "the lab has neither an `inventory` nor a `count` of machines";
            reading.hinted(codes::LAB_MACHINES, message, &at, "name an `inventory`, or give `machines.count`");
        }
        if let Some(count) = lab.count.filter(|_| !raw.machines.is_empty()) {
            known(reading, &raw.machines, &made_up_names(count), "the lab");
        }
        return lab;
    };
    let beside = beside(reading.file, &path.value);
    match files.read(&beside) {
        Err(why) => {
            let message = format!("the inventory `{}` cannot be read: {why}", path.value);
            reading.hinted(codes::LAB_INVENTORY, message, &path.at, format!("paths are relative to the lab's file: `{beside}`"));
        }
        Ok(text) => match read_inventory(&Source::new(beside.clone(), text)) {
            Err(wrong) => {
                let message = format!("the inventory `{}` is wrong itself: {}", path.value, wrong.tally());
                reading.hinted(codes::LAB_INVENTORY, message, &path.at, format!("coldswap validate {beside}"));
            }
            Ok((records, _)) => agrees(reading, &raw.count, &raw.machines, &records),
        },
    }
    lab.inventory = Some(beside);
    lab
}

fn agrees(reading: &Reading<'_>, count: &Option<At<i64>>, machines: &[At<String>], records: &[NodeRecord]) {
    if let Some(count) = count.as_ref().filter(|c| usize::try_from(c.value) != Ok(records.len())) {
        let message = format!("`count` is {}, and the inventory has {} nodes", count.value, records.len());
        reading.hinted(codes::LAB_MACHINES, message, &count.at, "remove `count`: there is one machine for each node");
    }
    known(reading, machines, &records.iter().map(|r| r.node.name.clone()).collect::<Vec<_>>(), "the inventory");
}

fn known(reading: &Reading<'_>, machines: &[At<String>], names: &[String], who: &str) {
    for machine in machines.iter().filter(|m| !meant(&m.value, names.iter().map(String::as_str))) {
        let hint = did_you_mean(&machine.value, names.iter().map(String::as_str)).map(|n| format!("did you mean `{n}`?"));
        let found = Diagnostic::error(codes::LAB_MACHINES, format!("{who} has no machine `{}`", machine.value));
        reading.tell(found.maybe_hint(hint), &machine.at);
    }
}

/// Does a fault for `machine` (`*` and `?` stand for any text and any character) mean one of these at least? A rule that
/// means none would only look as if something had been tried.
pub fn meant<'n>(machine: &str, names: impl IntoIterator<Item = &'n str>) -> bool {
    machine == "*" || names.into_iter().any(|name| super::glob(machine, name))
}

/// The machines of a lab without inventory: two thirds of them serve, the others are spares.
pub fn made_up_names(count: u32) -> Vec<String> {
    let serving = count - count / 3;
    (1..=count).map(|n| if n <= serving { format!("node-{n:03}") } else { format!("spare-{:03}", n - serving) }).collect()
}

fn span() -> Quantity<Span> {
    quantity("a duration such as `20ms`")
}

pub(super) fn lab() -> Record<RawLab> {
    record("lab", |f| {
        head(f, "Lab");
        let machines = f.required("machines", "the simulated machines", record("machines", machines));
        let rules = list_of("a list of faults", record("fault", |f| rule(f, &REQUESTS, false)));
        let rules = f.optional("faults", "what goes wrong; the first rule that fits decides", rules).unwrap_or_default();
        let seed = f.optional("seed", "decides every chance; default 0", number(0, i64::MAX));
        let inventory = f.optional("inventory", "an inventory file: one machine for each node", text("a path"));
        let (count, template, timing) = machines?;
        let names = rules.iter().flat_map(|(_, names)| names.clone()).collect();
        let lab = Lab {
            count: count.as_ref().map(At::small),
            template,
            timing,
            faults: rules.into_iter().map(|(rule, _)| rule).collect(),
            seed: seed.and_then(|s| u64::try_from(s.value).ok()).unwrap_or(0),
            inventory: None,
        };
        Some(RawLab { lab, count, inventory, machines: names })
    })
}

fn machines(f: &mut Fields<'_>) -> Option<(Option<At<i64>>, Facts, LabTiming)> {
    let count = f.optional("count", "how many to make up", number(1, 10_000));
    let template = f.optional("template", "facts of machines that say nothing else", facts());
    let timing = f.optional(
        "power",
        "how long power takes",
        record("power timing", |f| {
            let mut take = |key, about, default: Span| f.optional(key, about, span()).map_or(default, |s| s.value);
            let default = LabTiming::default();
            Some(LabTiming {
                off: take("off", "a hard off", default.off),
                on: take("on", "power on", default.on),
                soft: take("soft", "the operating system's own way down", default.soft),
                latency: take("latency", "before every answer", default.latency),
                settle: take("settle", "for so long after Off an On is refused", default.settle),
                boot: default.boot,
            })
        }),
    );
    let boot = f.optional("boot", "from On until the operating system runs", span());
    let timing = timing.unwrap_or_default();
    Some((count, template.unwrap_or_default(), LabTiming { boot: boot.map_or(timing.boot, |b| b.value), ..timing }))
}

/// A rule, and the machines that it names.
fn drill_rule(f: &mut Fields<'_>) -> Option<(FaultRule, Vec<At<String>>)> {
    let requests: Vec<&'static str> = REQUESTS.into_iter().chain(DRILL_REQUESTS).collect();
    rule(f, &requests, true)
}

fn rule(f: &mut Fields<'_>, requests: &[&'static str], drill: bool) -> Option<(FaultRule, Vec<At<String>>)> {
    let machine = f.optional(
        "machine",
        "a name; * and ? stand for any text and any character; default: every machine",
        text("the name of a machine"),
    );
    let request = f.optional("request", "which requests; default any", words(&requests.iter().map(|r| (*r, *r)).collect::<Vec<_>>()));
    let action = f.required("do", "what happens instead", words(&ACTIONS.map(|a| (a, a))));
    let by = f.optional("by", "how late, slow, stale or how long to wait", span());
    let status = f.optional("status", "status code of refuse, error and error_after", number(400, 599));
    let answers = f.optional("as", "the machine that answers instead; with wrong_machine", text("the name of a machine"));
    let chance = f.optional("chance", "a share such as 5%; default: always", Chance);
    let times = f.optional("times", "how often in all; default: without end", at_least(1));
    let lasting = drill.then(|| f.optional("lasting", "once it has happened to a machine it goes on; default false", flag())).flatten();
    let rule = FaultRule {
        machine: machine.as_ref().map_or_else(|| "*".to_owned(), |m| m.value.clone()),
        request: request.map_or(REQUESTS[0], |r| r.value),
        action: action?.value,
        by: by.map(|b| b.value),
        status: status.and_then(|s| u16::try_from(s.value).ok()),
        answers: answers.as_ref().map(|a| a.value.clone()),
        chance: chance.map(|c| c.value),
        times: times.map(|t| t.small()),
        lasting: lasting.is_some_and(|l| l.value),
    };
    Some((rule, machine.into_iter().chain(answers).collect()))
}

pub(super) fn drill() -> Record<Drill> {
    record("drill", |f| {
        head(f, "Drill");
        let seeds = f.optional("seeds", "how many runs, each with a seed of its own; default 100", number(1, 1_000_000));
        let fault = Forms::new("a preset or a fault rule")
            .scalar(words(&PRESETS.map(|p| (p, p))), |p| DrillFault::Preset(p.value))
            .map(record("fault", drill_rule), |(rule, _)| DrillFault::Rule(rule));
        let faults = f.optional("faults", "what goes wrong", list_of("a list of faults", fault));
        Some(Drill { seeds: seeds.map_or(100, |s| s.small()), faults: faults.unwrap_or_default() })
    })
}

/// A share: a bare number would be a count.
struct Chance;

impl Shape for Chance {
    type Out = At<Threshold>;
    fn read(&self, reading: &Reading<'_>, tree: &Tree, path: &Path<'_>) -> Option<At<Threshold>> {
        let read = quantity::<Threshold>("a share such as `5%`").read(reading, tree, path)?;
        if let Threshold::Count(n) = read.value {
            reading.hinted(
                codes::BAD_QUANTITY,
                format!("`{n}` is a number; a share such as `5%` is wanted"),
                &tree.at,
                format!("write `{n}%`"),
            );
            return None;
        }
        Some(read)
    }
    fn schema(&self, _: &mut Definitions) -> serde_json::Value {
        serde_json::json!({"type": "string", "pattern": "^[0-9]+([.][0-9]{1,2})?%$"})
    }
}
