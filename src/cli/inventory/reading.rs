//! What became of reading many BMCs, and how it is told: what could not be read comes last, with its reason.

use crate::cli::args::Global;
use crate::cli::output;
use crate::model::Scalar;
use crate::report::ExitCode;
use serde::Serialize;
use serde_json::json;
use std::fmt::Write;

/// A fact that is not what it was.
#[derive(Serialize)]
pub(super) struct Changed {
    pub fact: String,
    /// Absent: it was unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Scalar>,
    /// Absent: it is unknown now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<Scalar>,
}

impl Changed {
    fn line(&self) -> String {
        let word = |value: &Option<Scalar>| value.as_ref().map_or("unknown".to_owned(), ToString::to_string);
        format!("{}: {} -> {}", self.fact, word(&self.before), word(&self.now))
    }
}

/// One BMC that was asked.
#[derive(Default)]
pub(super) struct Told {
    /// The node, or the address where there is none.
    pub name: String,
    /// Why it could not be read.
    pub fault: Option<String>,
    /// Parts of its tree that could not be read, each with its reason.
    pub partly: Vec<String>,
    /// How many facts are known of it now.
    pub facts: usize,
    pub changed: Vec<Changed>,
    /// The node was added to the inventory.
    pub added: bool,
    /// Nothing was read: why that is right.
    pub passed_over: Option<String>,
}

impl Told {
    fn was_read(&self) -> bool {
        self.fault.is_none() && self.passed_over.is_none()
    }
}

/// `changes`: tell what has changed, and nothing of those that have not.
pub(super) fn print(global: &Global, mut all: Vec<Told>, changes: bool) -> ExitCode {
    all.sort_by(|a, b| a.name.cmp(&b.name));
    output::print(global, || text(&all, changes), || json(&all));
    if all.iter().any(|t| t.fault.is_some()) { ExitCode::NotAll } else { ExitCode::Done }
}

fn text(all: &[Told], changes: bool) -> String {
    let mut lines = Vec::new();
    for told in all.iter().filter(|t| t.was_read()) {
        if !changes {
            let added = if told.added { "added, " } else { "" };
            lines.push(format!("{}: {added}read, {} facts", told.name, told.facts));
        } else if !told.changed.is_empty() {
            lines.push(format!("{}:", told.name));
            lines.extend(told.changed.iter().map(|c| format!("  {}", c.line())));
        }
    }
    lines.extend(all.iter().filter_map(|t| t.passed_over.as_ref().map(|why| format!("{}: {why}", t.name))));
    lines.extend(all.iter().filter(|t| !t.partly.is_empty()).map(|t| format!("{}: read, but for {}", t.name, t.partly.join("; "))));
    lines.extend(all.iter().filter_map(|t| t.fault.as_ref().map(|why| format!("{}: not read: {why}", t.name))));
    lines.push(sums(all, changes));
    lines.iter().fold(String::new(), |mut out, line| {
        let _ = writeln!(out, "{line}");
        out
    })
}

fn sums(all: &[Told], changes: bool) -> String {
    let count = |of: fn(&Told) -> bool| all.iter().filter(|t| of(t)).count();
    let mut sums = vec![format!("{} read", count(Told::was_read))];
    if changes {
        sums.push(format!("{} changed", count(|t| !t.changed.is_empty())));
    }
    let rest = [
        (count(|t| t.was_read() && t.added), "added"),
        (count(|t| t.passed_over.is_some()), "passed over"),
        (count(|t| t.fault.is_some()), "not read"),
    ];
    sums.extend(rest.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    sums.join(", ")
}

fn json(all: &[Told]) -> serde_json::Value {
    let some = |of: fn(&Told) -> Option<serde_json::Value>| all.iter().filter_map(of).collect::<Vec<_>>();
    json!({
        "read": all.iter().filter(|t| t.was_read()).count(),
        "added": some(|t| (t.was_read() && t.added).then(|| json!(t.name))),
        "changed": some(|t| (!t.changed.is_empty()).then(|| json!({"node": t.name, "facts": t.changed}))),
        "passed_over": some(|t| t.passed_over.as_ref().map(|why| json!({"node": t.name, "why": why}))),
        "partly": some(|t| (!t.partly.is_empty()).then(|| json!({"node": t.name, "unread": t.partly}))),
        "unread": some(|t| t.fault.as_ref().map(|why| json!({"node": t.name, "why": why}))),
    })
}
