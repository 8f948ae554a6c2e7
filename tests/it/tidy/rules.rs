//! The rules themselves: text in, breaches out.

use std::fmt;

/// A place that breaks a rule.
pub struct Problem {
    pub path: String,
    pub line: usize,
    pub rule: &'static str,
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.what)
    }
}

/// Lines of a file of code, tests included. What is longer has two subjects.
pub const BUDGET: usize = 400;

/// Longer for a reason: path, lines, why.
const LONGER: &[(&str, usize, &str)] = &[];

const ALL: &[&str] = &["*"];

/// Module, what it may use besides itself. The absences matter: `plan` does not know `engine`, adapters know neither
/// steps nor plans, `report` never reads a device.
const IMPORTS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("diagnostic", &[]),
    ("runbook", &["model", "diagnostic"]),
    ("step", &["model"]),
    ("plan", &["model", "diagnostic", "runbook", "step"]),
    ("engine", &["model", "step", "plan"]),
    ("report", &["model", "step", "plan", "engine"]),
    ("ports", &["model"]),
    ("adapter", &["model", "ports"]),
    ("sim", &["model", "step", "plan", "engine"]),
    ("sizing", &["model"]),
    ("executor", &["model", "step", "plan", "engine", "ports"]),
    ("bmcsim", &["model"]),
    ("server", ALL),
    ("cli", ALL),
];

const PURE: &[&str] = &["model", "diagnostic", "runbook", "step", "plan", "engine", "report", "sim", "sizing"];

/// The same answer to the same question, whenever and wherever it is asked: needs none of these.
const IMPURE: &[&str] = &[
    "async",
    "tokio",
    "reqwest",
    "rand",
    "HashMap",
    "HashSet",
    "SystemTime",
    "Instant",
    "std::fs",
    // Addresses are values; only what opens or resolves is not.
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "std::env",
    "std::process",
    "std::thread",
    "println!",
    "eprintln!",
    "new_v4",
];

const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "manager", "handler", "service", "helper", "helpers", "misc"];

// In two pieces, so that this file does not break the rule that it states.
const UNFINISHED: [[&str; 2]; 6] = [["TO", "DO"], ["FIX", "ME"], ["to", "do!"], ["unimple", "mented!"], ["#[ig", "nore"], ["db", "g!("]];
const WORDS: [[&str; 2]; 17] = [
    ["/wo", "rk/"],
    ["/tmp/", "wt"],
    ["../sha", "red"],
    ["/fa", "rm/"],
    ["A", "I"],
    ["LL", "M"],
    ["LL", "Ms"],
    ["Cla", "ude"],
    ["Anth", "ropic"],
    ["Chat", "GPT"],
    ["Co", "pilot"],
    ["assis", "tant"],
    ["cra", "tes.io"],
    ["pyp", "i.org"],
    ["python", "hosted"],
    ["npm", "js."],
    ["deb.de", "bian.org"],
];

/// Every breach in one file. `path` is relative to the root, with `/`.
pub fn check(path: &str, text: &str) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut say = |line: usize, rule: &'static str, what: String| found.push(Problem { path: path.into(), line, rule, what });
    words(text, &mut say);
    budget(path, text, &mut say);
    if path.ends_with(".rs") {
        unfinished(text, &mut say);
        names(path, text, &mut say);
        if path == "src/lib.rs" {
            no_logic(text, &mut say);
        } else if let Some(module) = module_of(path) {
            imports(path, module, text, &mut say);
            pure(path, module, text, &mut say);
            unwraps(path, text, &mut say);
        }
    }
    found
}

type Say<'a> = &'a mut dyn FnMut(usize, &'static str, String);

/// `src/plan/audit.rs` and `src/plan.rs` are of `plan`; `src/main.rs` and tests are of none.
fn module_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("src/")?;
    let first = rest.split('/').next()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (name != "main" && name != "lib").then_some(name)
}

/// Lines with their numbers, without comments; tests inside the file only where asked.
fn code(path: &str, text: &str, tests: bool) -> Vec<(usize, String)> {
    let mut kept = Vec::new();
    if !tests && path.ends_with("tests.rs") {
        return kept;
    }
    for (i, line) in text.lines().enumerate() {
        if !tests && line.trim_start().starts_with("#[cfg(test)]") && text.lines().nth(i + 1).is_some_and(|l| l.ends_with('{')) {
            break;
        }
        let bare = if line.trim_start().starts_with("//") { "" } else { line.split(" // ").next().unwrap_or(line) };
        kept.push((i + 1, bare.to_owned()));
    }
    kept
}

/// `word` in `line` where no letter, digit or underscore touches an end that is one itself.
fn has(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let edge = |outer: Option<char>, inner: Option<char>| !(outer.is_some_and(part) && inner.is_some_and(part));
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (line[..at].chars().next_back(), line[at + word.len()..].chars().next());
        edge(before, word.chars().next()) && edge(after, word.chars().next_back())
    })
}

fn words(text: &str, say: Say) {
    let words = WORDS.map(|w| w.concat());
    let lines = text.lines().enumerate();
    for (i, line) in lines {
        let bad = words.iter().find(|w| match w.strip_prefix('/') {
            // `/framework/x` names no such folder: a path that is meant begins there.
            Some(_) => line.match_indices(w.as_str()).any(|(at, _)| !line[..at].ends_with(char::is_alphanumeric)),
            None => line.contains(w.as_str()) && has(line, w),
        });
        if let Some(word) = bad {
            say(i + 1, "word", format!("`{word}` has no place here"));
        }
    }
}

fn budget(path: &str, text: &str, say: Say) {
    let code = path.ends_with(".rs") || path.ends_with(".py") || path.ends_with(".sh") || path.starts_with(".ci/");
    let limit = LONGER.iter().find(|(p, ..)| *p == path).map_or(BUDGET, |(_, lines, _)| *lines);
    let lines = text.lines().count();
    if code && lines > limit {
        say(lines, "budget", format!("{lines} lines, {limit} allowed: split where the subject splits"));
    }
}

fn unfinished(text: &str, say: Say) {
    let marks = UNFINISHED.map(|w| w.concat());
    for (i, line) in text.lines().enumerate() {
        if let Some(mark) = marks.iter().find(|w| has(line, w)) {
            say(i + 1, "unfinished", format!("`{mark}`: do it or leave it out"));
        }
    }
}

fn names(path: &str, text: &str, say: Say) {
    let own = path.strip_prefix("src/").unwrap_or_default().split('/').map(|p| p.trim_end_matches(".rs"));
    if let Some(name) = own.into_iter().find(|p| EMPTY_NAMES.contains(p)) {
        say(1, "name", format!("`{name}` says nothing: name what it is about"));
    }
    for (line, code) in code(path, text, true) {
        let declared = code.split_once("mod ").map(|(_, rest)| rest.trim_end_matches([';', '{', ' ']));
        if let Some(name) = declared.filter(|n| EMPTY_NAMES.contains(n)) {
            say(line, "name", format!("`mod {name}` says nothing: name what it is about"));
        }
    }
}

/// The map of the crate stays a map.
fn no_logic(text: &str, say: Say) {
    for (line, code) in code("src/lib.rs", text, true) {
        if has(&code, "fn") || has(&code, "impl") {
            say(line, "no logic", "`lib.rs` only names modules".into());
        }
    }
}

fn imports(path: &str, module: &str, text: &str, say: Say) {
    let allowed = IMPORTS.iter().find(|(m, _)| *m == module).map(|(_, may)| *may);
    for (line, used) in used_modules(path, text) {
        match allowed {
            _ if used == module => {}
            Some(may) if may == ALL || may.contains(&used.as_str()) => {}
            Some(may) => say(line, "import", format!("`{module}` may use {may:?}, not `{used}`")),
            None => say(line, "import", format!("`{module}` has no row in the table of imports: give it one")),
        }
    }
}

/// The top modules that a file names by path: `crate::x`, `crate::{x, y}` over several lines, `super::..::x` up to the root.
fn used_modules(path: &str, text: &str) -> Vec<(usize, String)> {
    let ident = |t: &str| t.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let known = |name: &str| IMPORTS.iter().any(|(m, _)| *m == name);
    let mut used = Vec::new();
    let mut braces = 0usize;
    for (line, code) in code(path, text, true) {
        let code = code.replace("in crate::", "in ");
        let mut rest = code.as_str();
        if braces > 0 {
            braces = group(rest, braces, line, &mut used);
        }
        while let Some((_, after)) = rest.split_once("crate::") {
            match after.strip_prefix('{') {
                Some(inner) => braces = group(inner, 1, line, &mut used),
                None => used.push((line, ident(after))),
            }
            rest = after;
        }
        let to_root = "super::".repeat(depth(path));
        if let Some((before, after)) = code.split_once(&to_root).filter(|(b, _)| !b.ends_with("super::")) {
            let name = ident(after);
            // One `super` more is needed inside the file's own `mod tests`, and there it leads to the module itself.
            if known(&name) && !before.starts_with("    use") {
                used.push((line, name));
            }
        }
    }
    used.retain(|(_, name)| known(name));
    used
}

/// How many `super` lead from a file's module to the root of the crate.
fn depth(path: &str) -> usize {
    let parts = path.trim_start_matches("src/").split('/').filter(|p| *p != "mod.rs");
    parts.count()
}

/// Names at the first level of `crate::{..}`; the depth that is open at the end of the line.
fn group(text: &str, mut open: usize, line: usize, used: &mut Vec<(usize, String)>) -> usize {
    let mut name = String::new();
    let mut first = true;
    for c in text.chars().chain([',']) {
        match c {
            '{' => open += 1,
            '}' if open == 1 => {
                if !name.is_empty() {
                    used.push((line, std::mem::take(&mut name)));
                }
                return 0;
            }
            '}' => open -= 1,
            ',' | ':' if open == 1 => {
                if first && !name.is_empty() {
                    used.push((line, std::mem::take(&mut name)));
                }
                name.clear();
                first = c == ',';
            }
            c if open == 1 && !c.is_whitespace() => name.push(c),
            _ => {}
        }
    }
    open
}

fn pure(path: &str, module: &str, text: &str, say: Say) {
    if !PURE.contains(&module) {
        return;
    }
    for (line, code) in code(path, text, false) {
        if let Some(word) = IMPURE.iter().find(|w| has(&code, w)) {
            say(line, "pure", format!("`{word}` in `{module}`: it must answer from its arguments alone"));
        }
    }
}

fn unwraps(path: &str, text: &str, say: Say) {
    for (line, code) in code(path, text, false) {
        if code.contains(".unwrap()") || code.contains("panic!()") || code.contains("unreachable!()") {
            say(line, "unwrap", "say why it cannot fail (`expect`), or return the error".into());
        }
    }
}
