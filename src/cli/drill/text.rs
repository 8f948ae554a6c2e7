//! A drill's findings for people: what came of it, then who has no way out and why.

use super::{DrillResult, History, TimeFrom};
use crate::model::Spread;
use crate::report::brief;
use crate::sim::drill::{Drilled, Found};
use std::fmt::Write;

/// Reasons that are told of a switchover; the JSON has them all.
const WHYS: usize = 3;

pub fn render(result: &DrillResult, history: &History) -> String {
    let mut out = String::new();
    let faults = if result.faults.is_empty() { "no faults (`--fault`, `--drill`)".to_owned() } else { result.faults.join(", ") };
    let _ = writeln!(out, "drill of {}: {} seeds, {faults}; a copy, nothing was touched", result.runbook, result.seeds);
    if history.switchovers > 0 {
        let _ = writeln!(out, "times learned from {} switchovers of {} runs", history.switchovers, history.runs);
    }
    for time in &result.times {
        let from = match time.from {
            TimeFrom::Measured => format!("{} measured", time.measured),
            TimeFrom::Lab => "as the lab says".to_owned(),
            TimeFrom::Assumed => "assumed".to_owned(),
        };
        let _ = writeln!(out, "  {:<12} {:<24} {from}", time.what, spread(&time.spread));
    }
    if result.never_read > 0 {
        let _ = writeln!(out, "{} nodes were never read and are presumed able; `coldswap inventory discover` asks them", result.never_read);
    }
    for found in &result.modes {
        out.push('\n');
        mode(&mut out, found);
    }
    if result.modes.iter().any(|m| m.switchovers.iter().any(|s| !s.whys.is_empty())) {
        out.push_str("\nthe same command with `--seed N` tells that run whole\n");
    }
    out
}

fn spread(spread: &Spread) -> String {
    if spread.p50 == spread.p95 { brief(spread.p50) } else { format!("{}, 95%: {}", brief(spread.p50), brief(spread.p95)) }
}

/// `98.2%`, and never `100%` or `0%` for what is not all or nothing.
fn share(count: u64, of: u64) -> String {
    let thousandths = (count * 1_000).checked_div(of).unwrap_or(0);
    match (count, thousandths) {
        (0, _) => "0%".to_owned(),
        _ if count == of => "100%".to_owned(),
        (_, 0) => "<0.1%".to_owned(),
        (_, n) => format!("{}.{}%", n / 10, n % 10),
    }
}

fn mode(out: &mut String, found: &Found) {
    let _ = writeln!(
        out,
        "{}: everything was switched over in {} of {} runs ({})",
        found.mode,
        found.complete,
        found.runs,
        share(found.complete, found.runs)
    );
    let all: u64 = found.outcomes.told().iter().map(|(_, n)| n).sum();
    let told: Vec<String> =
        found.outcomes.told().iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{what} {}", share(*n, all))).collect();
    let _ = writeln!(out, "  switchovers: {}", told.join(", "));
    if let Some(took) = &found.took {
        let _ = writeln!(out, "  the run takes {}", spread(took));
    }
    let pair = |s: &Drilled| format!("{} -> {}", s.source, s.destination);
    let width = found.switchovers.iter().map(|s| pair(s).chars().count()).max().unwrap_or(0);
    for s in &found.switchovers {
        let mut line = format!("  {}  {:<width$}  {:>6}", s.id, pair(s), share(s.outcomes.switched_over, found.runs));
        if let Some(took) = &s.took {
            let _ = write!(line, "  {}", spread(took));
        }
        if let Some(dark) = &s.dark {
            let _ = write!(line, "; dark {}", spread(dark));
        }
        let _ = writeln!(out, "{line}");
    }
    troubles(out, found);
    no_way_out(out, found);
    if let Some(two) = &found.two_writers {
        let _ = writeln!(out, "  TWO WRITERS in {} runs: {} (seed {})", two.runs, two.text, two.seed);
    }
}

fn troubles(out: &mut String, found: &Found) {
    let troubled: Vec<&Drilled> = found.switchovers.iter().filter(|s| !s.whys.is_empty()).collect();
    if troubled.is_empty() {
        return;
    }
    out.push_str("  why not:\n");
    for s in troubled {
        for why in s.whys.iter().take(WHYS) {
            let outcome = crate::report::text::outcome_words(why.outcome);
            let _ =
                writeln!(out, "    {}  {:>6} {outcome}, {}: {} (seed {})", s.id, share(why.runs, found.runs), why.code, why.text, why.seed);
        }
        if s.whys.len() > WHYS {
            let more = s.whys.len() - WHYS;
            let _ = writeln!(out, "    {}  and {more} more reason{}", s.id, if more == 1 { "" } else { "s" });
        }
    }
}

fn no_way_out(out: &mut String, found: &Found) {
    let without: Vec<&Drilled> = found.switchovers.iter().filter(|s| s.no_way_out).collect();
    if without.is_empty() && found.left_out.is_empty() {
        return;
    }
    out.push_str("  no way out:\n");
    for left in &found.left_out {
        let _ = writeln!(out, "    {}: left out: {}", left.name, left.why);
    }
    for s in without {
        let why = match s.outcomes.in_doubt {
            0 => "switched over in no run".to_owned(),
            n => format!("in doubt in {n} of {} runs", found.runs),
        };
        let _ = writeln!(out, "    {}: {why}", s.source);
    }
}
