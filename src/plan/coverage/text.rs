//! Coverage for a terminal of 80 columns: the worst first, long lists folded.

use super::{AfterFailures, ClassCoverage, Coverage};
use crate::model::FailureDomain;
use std::fmt::Write;

const WIDTH: usize = 80;
const CLASSES: usize = 20;
const DOMAINS: usize = 12;
const NAMES: usize = 12;
/// More columns of failures than this do not fit: the first ones and the last are shown.
const COLUMNS: usize = 4;

pub fn render(coverage: &Coverage) -> String {
    let mut out = String::new();
    let failures = coverage.failures.len();
    line(
        &mut out,
        2,
        &format!("{}, {} that could stand in for some of them", count(coverage.nodes, "node"), count(coverage.spares, "spare")),
    );
    match coverage.tolerates {
        Some(0) => line(&mut out, 2, "there are nodes without any spare: the first failure among them leaves one without"),
        Some(n) => line(&mut out, 2, &format!("any {} leave nobody without a spare; {} can", failed(n), n + 1)),
        None => line(&mut out, 2, "no node carries anything that could be switched over"),
    }
    for after in &coverage.failures {
        line(&mut out, 2, &worst(after));
    }
    if !coverage.classes.is_empty() {
        classes(&mut out, coverage, failures);
    }
    domains(&mut out, coverage);
    mend(&mut out, coverage);
    left_out(&mut out, coverage);
    out
}

fn worst(after: &AfterFailures) -> String {
    let lead = format!("{}, of nodes or spares, the worst case:", failed(after.failures));
    match (after.uncovered, after.at_most) {
        (0, 0) => format!("{lead} nobody without a spare"),
        (known, at_most) if known == at_most => format!("{lead} {} without a spare", count(known, "node")),
        (known, at_most) => {
            format!("{lead} at least {known}, at most {at_most} nodes without a spare (not worked out exactly: too many classes overlap)")
        }
    }
}

fn levels(coverage: &Coverage) -> Vec<&'static str> {
    FailureDomain::LEVELS.into_iter().filter(|l| coverage.classes.iter().any(|c| c.domains.contains_key(*l))).collect()
}

/// Numbers of failures that have a column.
fn shown(failures: usize) -> Vec<usize> {
    if failures <= COLUMNS { (1..=failures).collect() } else { (1..COLUMNS).chain([failures]).collect() }
}

fn classes(out: &mut String, coverage: &Coverage, failures: usize) {
    let (levels, columns) = (levels(coverage), shown(failures));
    let name = WIDTH - 14 - 6 * columns.len() - 8 * levels.len();
    let _ = writeln!(out, "\nnodes without a spare when all failures strike one class, or a domain is lost");
    let _ = write!(out, "{:name$} {:>6}{:>7}", "class", "nodes", "spares");
    for k in &columns {
        let _ = write!(out, "{:>6}", format!("+{k}"));
    }
    for l in &levels {
        let _ = write!(out, "{l:>8}");
    }
    out.push('\n');
    for class in coverage.classes.iter().take(CLASSES) {
        row(out, class, &columns, &levels, name);
    }
    more(out, coverage.classes.len(), CLASSES, "class", "classes");
    let without: Vec<&str> = coverage.classes.iter().flat_map(|c| &c.without).map(String::as_str).collect();
    if !without.is_empty() {
        line(out, 2, &format!("no spare matches: {}", folded(&without)));
    }
}

fn row(out: &mut String, class: &ClassCoverage, columns: &[usize], levels: &[&str], width: usize) {
    // A name that is too long has a line of its own.
    if class.name.chars().count() > width {
        let _ = writeln!(out, "{}", cut(&class.name, WIDTH));
    }
    let name = if class.name.chars().count() > width { "" } else { &class.name };
    let number = |n: usize| if n == 0 { "-".to_owned() } else { n.to_string() };
    let _ = write!(out, "{name:width$} {:>6}{:>7}", class.nodes, class.spares);
    for k in columns {
        let _ = write!(out, "{:>6}", number(class.after[k - 1]));
    }
    for l in levels {
        let _ = write!(out, "{:>8}", class.domains.get(*l).map_or(String::new(), |d| number(d.uncovered)));
    }
    out.push('\n');
}

fn domains(out: &mut String, coverage: &Coverage) {
    if coverage.domains.is_empty() {
        return;
    }
    let bad: Vec<_> = coverage.domains.iter().filter(|d| d.uncovered > 0).collect();
    out.push('\n');
    if bad.is_empty() {
        let mut levels: Vec<&str> = coverage.domains.iter().map(|d| d.level.as_str()).collect();
        levels.dedup();
        line(out, 2, &format!("the loss of any one {} leaves nobody without a spare", one_of(&levels)));
        return;
    }
    let _ = writeln!(out, "{:46} {:>8}{:>10}{:>14}", "loss of", "nodes", "spares", "without spare");
    for domain in bad.iter().take(DOMAINS) {
        let name = cut(&format!("{} {}", domain.level, domain.name), 46);
        let _ = writeln!(out, "{name:46} {:>8}{:>10}{:>14}", domain.nodes, domain.spares, domain.uncovered);
    }
    more(out, bad.len(), DOMAINS, "domain", "domains");
}

fn one_of(levels: &[&str]) -> String {
    let mut seen: Vec<&str> = Vec::new();
    levels.iter().for_each(|l| {
        if !seen.contains(l) {
            seen.push(l)
        }
    });
    match seen.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => seen.join(""),
    }
}

fn mend(out: &mut String, coverage: &Coverage) {
    let mend = &coverage.mend;
    if mend.failures == 0 || mend.count() == 0 {
        return;
    }
    let fewest = if mend.fewest == mend.count() { "no fewer can do".to_owned() } else { format!("fewer than {} cannot do", mend.fewest) };
    let lead = format!("for any {} to leave nobody without a spare ({}; {fewest}):", failed(mend.failures), count(mend.count(), "machine"));
    out.push('\n');
    line(out, 2, &lead);
    for step in mend.moves.iter().take(NAMES) {
        let what = match &step.labels_of {
            Some(like) if *like == step.place_of => format!("place and labels of `{like}`"),
            Some(like) => format!("place of `{}`, labels of `{like}`", step.place_of),
            None => format!("place of `{}`", step.place_of),
        };
        line(out, 6, &format!("  move `{}`: {what}, to stand behind {}", step.spare, step.to));
    }
    more(out, mend.moves.len(), NAMES, "move", "moves");
    for buy in mend.buy.iter().take(NAMES) {
        let serves: Vec<&str> = buy.serves.iter().map(String::as_str).collect();
        line(out, 6, &format!("  {} more like `{}`, for {}", buy.count, buy.like, folded(&serves)));
    }
    more(out, mend.buy.len(), NAMES, "kind", "kinds");
}

fn left_out(out: &mut String, coverage: &Coverage) {
    if !coverage.unable.is_empty() || !coverage.unfit.is_empty() {
        out.push('\n');
    }
    for left in coverage.unable.iter().take(NAMES) {
        line(out, 2, &format!("cannot be switched over: {}", left.why));
    }
    more(out, coverage.unable.len(), NAMES, "node", "nodes");
    for (why, nodes) in coverage.unfit.iter().take(NAMES) {
        let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
        line(out, 2, &format!("no spare ({}): {why}", folded(&nodes)));
    }
    more(out, coverage.unfit.len(), NAMES, "reason", "reasons");
}

fn more(out: &mut String, all: usize, shown: usize, one: &str, many: &str) {
    if all > shown {
        let n = all - shown;
        let _ = writeln!(out, "  and {n} more {}; `--output json` has them all", if n == 1 { one } else { many });
    }
}

fn folded(names: &[&str]) -> String {
    let first = names.iter().take(NAMES).copied().collect::<Vec<_>>().join(", ");
    if names.len() > NAMES { format!("{first} and {} more", names.len() - NAMES) } else { first }
}

fn failed(n: usize) -> String {
    count(n, "failure")
}

fn count(n: usize, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width { text.to_owned() } else { text.chars().take(width - 2).chain("..".chars()).collect() }
}

/// Broken between words; what follows is indented.
fn line(out: &mut String, indent: usize, text: &str) {
    let lead: String = text.chars().take_while(|c| *c == ' ').collect();
    let mut now = lead.clone();
    for word in text.split_whitespace() {
        if now.trim().is_empty() {
            now.push_str(word);
        } else if now.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(out, "{now}");
            now = format!("{}{word}", " ".repeat(indent));
        } else {
            now.push(' ');
            now.push_str(word);
        }
    }
    let _ = writeln!(out, "{now}");
}
