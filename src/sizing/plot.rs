//! The answer as a picture: one file without fonts, scripts or links, for light and dark pages. The two curves differ in
//! colour (Okabe and Ito 2008: told apart by everybody), in their marks and in their lines.

use super::answer::{Answer, Estimate, Point, Sizing, SizingGroup};
use super::figures::{percent, percent_of_rest};
use super::text::{along, decades, premises};
use std::fmt::Write;

const WIDTH: f64 = 760.0;
const PANEL: f64 = 356.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 90.0;
const BOTTOM: f64 = 52.0;

/// Numbers on the axis of spares that are closer would run into each other.
const NUMBERS_APART: f64 = 26.0;

const STYLE: &str = "
svg{background:#fff;color:#1a1a1a;font:13px system-ui,sans-serif}
text{fill:currentColor}.small{font-size:11px}.bold{font-weight:600}
.grid{stroke:currentColor;stroke-opacity:.15}.axis{stroke:currentColor;stroke-opacity:.6}
.target{stroke:currentColor;stroke-dasharray:2 4;stroke-width:1.5}
.short{stroke:#0072b2;fill:#0072b2}.none{stroke:#d55e00;fill:#d55e00}
.line{fill:none;stroke-width:2}.line.none{stroke-dasharray:7 4}.span{stroke-width:1.5}
@media (prefers-color-scheme:dark){svg{background:#14171a;color:#e8e8e8}.short{stroke:#56b4e9;fill:#56b4e9}.none{stroke:#e69f00;fill:#e69f00}.line{fill:none}}
";

/// A panel for each group, below each other.
pub fn svg(sizing: &Sizing) -> String {
    let height = PANEL * sizing.groups.len() as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
         <title>How many spares are enough</title>\n<style>{STYLE}</style>\n"
    );
    for (n, group) in sizing.groups.iter().enumerate() {
        panel(&mut out, group, PANEL * n as f64);
    }
    out.push_str("</svg>\n");
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

struct Axes {
    decades: u32,
    last: f64,
}

impl Axes {
    fn x(&self, spares: u32) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * f64::from(spares) / self.last
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (PANEL - TOP - BOTTOM) * along(value, self.decades)
    }
}

fn panel(out: &mut String, group: &SizingGroup, top: f64) {
    let answer = &group.answer;
    let axes = Axes { decades: decades(answer), last: f64::from(answer.table.last().map_or(1, |p| p.spares).max(1)) };
    let _ = writeln!(out, "<g transform=\"translate(0 {top})\">");
    let _ = writeln!(out, "<desc>{}</desc>", escaped(&described(answer)));
    let _ = writeln!(out, "<text class=\"bold\" x=\"16\" y=\"22\">{}</text>", escaped(&heading(group)));
    for (n, line) in wrapped(&premises(&answer.question)).iter().enumerate() {
        let _ = writeln!(out, "<text class=\"small\" x=\"16\" y=\"{}\">{}</text>", 40 + 15 * n, escaped(line));
    }
    key(out);
    grid(out, &axes, answer);
    curve(out, &axes, answer, "short", |p| p.time_short);
    curve(out, &axes, answer, "none", |p| p.next_failure_finds_none);
    out.push_str("</g>\n");
}

/// Characters of a small line that fit the picture in any usual font.
const LINE: usize = 118;

/// At spaces, into lines that fit; what was asked never needs a third.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + word.chars().count() < LINE => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn heading(group: &SizingGroup) -> String {
    let who = if group.class.is_some() { format!("class {}", group.name) } else { format!("{} nodes", group.answer.question.nodes) };
    let who = if who.chars().count() > 80 { who.chars().take(77).chain("...".chars()).collect() } else { who };
    format!("{who}; model: {}", group.answer.model)
}

fn described(answer: &Answer) -> String {
    answer.table.iter().fold(String::new(), |mut text, p| {
        let (short, none) = (percent_of_rest(p.time_short.value), percent(p.next_failure_finds_none.value));
        let _ = write!(text, "{} spares: {short} of the time without shortage, next failure finds none {none}. ", p.spares);
        text
    })
}

fn key(out: &mut String) {
    let entries = [("short", "share of time with a shortage", 0.0), ("none", "the next failure finds no spare", 230.0)];
    for (class, text, at) in entries {
        let x = LEFT + at;
        let _ = writeln!(out, "<line class=\"line {class}\" x1=\"{x}\" y1=\"73\" x2=\"{}\" y2=\"73\"/>", x + 30.0);
        mark(out, class, x + 15.0, 73.0);
        let _ = writeln!(out, "<text class=\"small\" x=\"{}\" y=\"77\">{text}</text>", x + 36.0);
    }
    let x = LEFT + 480.0;
    let _ = writeln!(out, "<line class=\"target\" x1=\"{x}\" y1=\"73\" x2=\"{}\" y2=\"73\"/>", x + 30.0);
    let _ = writeln!(out, "<text class=\"small\" x=\"{}\" y=\"77\">what the target allows</text>", x + 36.0);
}

fn mark(out: &mut String, class: &str, x: f64, y: f64) {
    let _ = match class {
        "short" => writeln!(out, "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>"),
        _ => writeln!(out, "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"8\" height=\"8\"/>", x - 4.0, y - 4.0),
    };
}

fn grid(out: &mut String, axes: &Axes, answer: &Answer) {
    let (right, floor) = (WIDTH - RIGHT, PANEL - BOTTOM);
    for decade in 0..=axes.decades {
        let value = 10f64.powi(-(decade as i32));
        let y = axes.y(value);
        let _ = writeln!(out, "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>");
        let _ =
            writeln!(out, "<text class=\"small\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", LEFT - 8.0, y + 4.0, label(value));
    }
    let mut taken = f64::NEG_INFINITY;
    for point in &answer.table {
        let x = axes.x(point.spares);
        if x - taken < NUMBERS_APART {
            continue;
        }
        taken = x;
        let _ = writeln!(out, "<text class=\"small\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>", floor + 18.0, point.spares);
    }
    let _ = writeln!(out, "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{floor}\" x2=\"{right}\" y2=\"{floor}\"/>");
    let middle = (LEFT + right) / 2.0;
    let _ = writeln!(out, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">spares</text>", floor + 38.0);
    let y = axes.y(1.0 - answer.question.target.0);
    let _ = writeln!(out, "<line class=\"target\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>");
}

fn label(value: f64) -> String {
    let percent = value * 100.0;
    if percent >= 0.0099 { format!("{}%", (percent * 100.0).round() / 100.0) } else { format!("1e{:.0}", value.log10()) }
}

fn curve(out: &mut String, axes: &Axes, answer: &Answer, class: &str, of: fn(&Point) -> Estimate) {
    let seen: Vec<(f64, Estimate)> = answer.table.iter().map(|p| (axes.x(p.spares), of(p))).filter(|(_, e)| e.value > 0.0).collect();
    let points: Vec<String> = seen.iter().map(|(x, e)| format!("{x:.1},{:.1}", axes.y(e.value))).collect();
    let _ = writeln!(out, "<polyline class=\"line {class}\" points=\"{}\"/>", points.join(" "));
    for (x, estimate) in seen {
        if let Some(i) = estimate.interval {
            let (low, high) = (axes.y(i.low), axes.y(i.high));
            let _ = writeln!(out, "<line class=\"span {class}\" x1=\"{x:.1}\" y1=\"{low:.1}\" x2=\"{x:.1}\" y2=\"{high:.1}\"/>");
        }
        mark(out, class, x, axes.y(estimate.value));
    }
}
