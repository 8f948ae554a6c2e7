//! The answer for the terminal: what it rests on, a table, a plot of letters, and the two numbers.

use super::answer::{Answer, Choice, Estimate, Sizing, SizingGroup, standby_words};
use super::figures::{count, of_a_year, percent, percent_of_rest, plain, three};
use super::model::{Question, Repair};
use std::fmt::Write;

/// `width`: columns of the terminal.
pub fn render(sizing: &Sizing, width: usize) -> String {
    let mut out = String::new();
    if let Some(learned) = &sizing.learned {
        let _ = writeln!(
            out,
            "failure rate learned from {} in {} node-years: {} per node and year, 95% between {} and {}{}\n",
            count(learned.failures, "disaster switchover"),
            three(learned.node_years),
            three(learned.rate),
            three(learned.low),
            three(learned.high),
            if learned.failures < 10 { " (few: size for the upper end as well)" } else { "" },
        );
    }
    for group in &sizing.groups {
        one(&mut out, group, width);
    }
    for left_out in &sizing.left_out {
        let _ = writeln!(out, "not counted: {}: {}", left_out.nodes.join(", "), left_out.why);
    }
    out
}

fn one(out: &mut String, group: &SizingGroup, width: usize) {
    let answer = &group.answer;
    if group.class.is_some() {
        let _ = writeln!(out, "class {}", group.name);
    }
    let _ = writeln!(out, "{}", premises(&answer.question));
    let _ = writeln!(out, "model: {}, because {}; {} nodes in repair on average\n", answer.model, answer.why, three(answer.load));
    table(out, answer);
    dots(out, answer, width);
    let target = answer.question.target;
    let _ = writeln!(out, "{target} of the time without shortage:    {}", chosen(&answer.without_shortage));
    let _ = writeln!(out, "{target} that the next failure finds one: {}", chosen(&answer.next_failure_finds_one));
    if let Some(point) = &answer.judged {
        let (rest, none) = (percent_of_rest(point.time_short.value), percent(point.next_failure_finds_none.value));
        let _ = writeln!(out, "{}: {rest} of the time without shortage, the next failure finds none: {none}", count(point.spares, "spare"));
    }
    if let Some(now) = group.spares_now {
        let _ = writeln!(out, "spares now: {now}{}", lacking(answer, now));
    }
    out.push('\n');
}

fn lacking(answer: &Answer, now: u32) -> String {
    let more = |choice: &Choice| choice.spares.map(|s| s.saturating_sub(now));
    match (more(&answer.without_shortage), more(&answer.next_failure_finds_one)) {
        (Some(0), Some(0)) => ", enough for both".into(),
        (Some(0), Some(n)) => format!(", enough for the first; {n} more for the second"),
        (Some(n), Some(m)) if n == m => format!(", {n} more for either"),
        (Some(n), Some(m)) => format!(", {n} more for the first, {m} more for the second"),
        _ => String::new(),
    }
}

fn chosen(choice: &Choice) -> String {
    match (choice.spares, &choice.why_not) {
        (Some(spares), _) => count(spares, "spare"),
        (None, why) => format!("not to be had: {}", why.as_deref().unwrap_or("unknown")),
    }
}

/// What was asked, in one sentence.
pub(super) fn premises(q: &Question) -> String {
    let mut text = format!("{}, {} failures per node and year", count(q.nodes, "node"), plain(q.failure_rate.0));
    let _ = match q.repair {
        Repair::Exponential { mean } => write!(text, ", repair {} on average", days(mean)),
        Repair::Lognormal { mean, sigma } => write!(text, ", repair {} on average (lognormal, sigma {})", days(mean), plain(sigma)),
    };
    let _ = match q.repairers {
        Some(n) => write!(text, ", {}", count(n, "repairer")),
        None => write!(text, ", as many repairers as needed"),
    };
    let _ = write!(text, ", {}", standby_words(q.standby));
    if let Some(d) = q.domain {
        let rate = plain(d.rate.0);
        let _ = write!(text, "; domains of {} machines, each lost {rate} times a year for {} on average", d.size, days(d.repair));
    }
    text
}

fn days(span: crate::model::Span) -> String {
    let days = span.0 as f64 / 86_400_000.0;
    if days >= 1.0 { format!("{}d", plain(days)) } else { span.to_string() }
}

const HEAD: [&str; 5] = ["spares", "time without shortage", "short in a year", "next failure finds none", "nodes that find none in a year"];

fn table(out: &mut String, answer: &Answer) {
    let between = |e: Estimate, say: fn(f64) -> String, turned: bool| match e.interval {
        None => say(e.value),
        Some(i) if turned => format!("{} ({} to {})", say(e.value), say(i.high), say(i.low)),
        Some(i) => format!("{} ({} to {})", say(e.value), say(i.low), say(i.high)),
    };
    let lines: Vec<[String; 5]> = answer
        .table
        .iter()
        .map(|p| {
            [
                p.spares.to_string(),
                between(p.time_short, percent_of_rest, true),
                of_a_year(p.time_short.value),
                between(p.next_failure_finds_none, percent, false),
                three(p.failures_per_year * p.next_failure_finds_none.value),
            ]
        })
        .collect();
    let widths: Vec<usize> = (0..5).map(|c| lines.iter().map(|l| l[c].len()).chain([HEAD[c].len()]).max().unwrap_or(0)).collect();
    let mut line = |cells: [&str; 5]| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
        let _ = writeln!(out, "{}", padded.join("  ").trim_end());
    };
    line(HEAD);
    lines.iter().for_each(|l| line([&l[0], &l[1], &l[2], &l[3], &l[4]]));
    out.push('\n');
}

/// The powers of ten down to which a plot reaches.
pub(super) fn decades(answer: &Answer) -> u32 {
    let values = answer.table.iter().flat_map(|p| [p.time_short.value, p.next_failure_finds_none.value]);
    let least = values.filter(|v| *v > 0.0).fold(1.0 - answer.question.target.0, f64::min);
    (-least.log10()).ceil().clamp(1.0, 12.0) as u32
}

/// How far along a logarithmic axis from 1 down to the last decade: 0 to 1.
pub(super) fn along(value: f64, decades: u32) -> f64 {
    if value <= 0.0 { 1.0 } else { (-value.log10() / f64::from(decades)).clamp(0.0, 1.0) }
}

/// One line for each number of spares; further right is rarer.
fn dots(out: &mut String, answer: &Answer, width: usize) {
    let decades = decades(answer);
    let span = width.saturating_sub(12).clamp(30, 72);
    let column = |value: f64| (along(value, decades) * (span - 1) as f64).round() as usize;
    let mut scale = vec![' '; span + 8];
    for decade in 0..=decades {
        let label = if decade == 0 { "1".to_owned() } else { format!("1e-{decade}") };
        let at = column(10f64.powi(-(decade as i32)));
        let free = scale[at.saturating_sub(1)..].iter().take(label.len() + 1).all(|c| *c == ' ');
        if free {
            scale.splice(at..at + label.len(), label.chars());
        }
    }
    let _ = writeln!(out, "spares  {}", scale.into_iter().collect::<String>().trim_end());
    for point in &answer.table {
        let mut row = vec![' '; span];
        row[column(1.0 - answer.question.target.0)] = '|';
        let (short, none) = (column(point.time_short.value), column(point.next_failure_finds_none.value));
        row[short] = 's';
        row[none] = if none == short { '*' } else { 'n' };
        let _ = writeln!(out, "{:>6}  {}", point.spares, row.into_iter().collect::<String>().trim_end());
    }
    let _ = writeln!(out, "        s: share of time with a shortage, n: next failure finds none, *: both, |: what the target allows\n");
}
