//! Coverage as a heat map: one file without fonts, scripts or links, for light and dark pages. Every cell has its number, so
//! that nothing is told by colour alone; the colours go from blue to vermilion (Okabe and Ito 2008: told apart by everybody).

use super::{ClassCoverage, Coverage};
use crate::model::FailureDomain;
use std::fmt::Write;

const WIDTH: f64 = 960.0;
const NAME: f64 = 330.0;
const ROW: f64 = 26.0;
const TOP: f64 = 118.0;
const ROWS: usize = 60;
const COLUMNS: usize = 8;

const STYLE: &str = "
svg{background:#fff;color:#1a1a1a;font:13px system-ui,sans-serif}
text{fill:currentColor}.small{font-size:11px}.bold{font-weight:600}.mid{text-anchor:middle}.end{text-anchor:end}
.none{fill:#cfe4f3}.few{fill:#fbdfa6}.some{fill:#f0a860}.most{fill:#d55e00}.void{fill:none;stroke:currentColor;stroke-opacity:.2}
.on{fill:#1a1a1a}.on.white{fill:#fff}
@media (prefers-color-scheme:dark){svg{background:#14171a;color:#e8e8e8}.none{fill:#1d4e70}.few{fill:#6e5417}.some{fill:#a8601c}.most{fill:#ff8a3d}.on,.on.white{fill:#fff}.most+.on{fill:#1a1a1a}}
";

/// One cell: how many of how many are without, and what it is about.
struct Cell {
    without: usize,
    nodes: usize,
    about: String,
}

pub fn svg(coverage: &Coverage) -> String {
    let levels: Vec<&str> =
        FailureDomain::LEVELS.into_iter().filter(|l| coverage.classes.iter().any(|c| c.domains.contains_key(*l))).collect();
    let failures = coverage.failures.len();
    let columns: Vec<usize> = if failures <= COLUMNS { (1..=failures).collect() } else { (1..COLUMNS).chain([failures]).collect() };
    let shown = coverage.classes.len().min(ROWS);
    let height = TOP + ROW * shown as f64 + 44.0;
    let cell = (WIDTH - NAME - 116.0) / (columns.len() + levels.len()).max(1) as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title desc\">\n\
         <title id=\"title\">Which nodes have no spare</title>\n<desc id=\"desc\">{}</desc>\n<style>{STYLE}</style>\n",
        escaped(&described(coverage))
    );
    let _ = writeln!(out, "<text class=\"bold\" x=\"16\" y=\"26\">Nodes without a spare, by class</text>");
    let _ = writeln!(out, "<text class=\"small\" x=\"16\" y=\"45\">{}</text>", escaped(&heading(coverage)));
    key(&mut out);
    let at = |column: usize| NAME + 116.0 + cell * column as f64;
    let y = TOP - 10.0;
    let _ = writeln!(out, "<text class=\"small end\" x=\"{}\" y=\"{y}\">nodes</text>", NAME + 50.0);
    let _ = writeln!(out, "<text class=\"small end\" x=\"{}\" y=\"{y}\">spares</text>", NAME + 104.0);
    let heads = columns.iter().map(|k| format!("+{k} failed")).chain(levels.iter().map(|l| format!("a {l} lost")));
    for (n, head) in heads.enumerate() {
        let _ = writeln!(out, "<text class=\"small mid\" x=\"{:.1}\" y=\"{y}\">{head}</text>", at(n) + cell / 2.0);
    }
    for (n, class) in coverage.classes.iter().take(ROWS).enumerate() {
        let y = TOP + ROW * n as f64;
        let _ = writeln!(out, "<g><title>{}</title>", escaped(&class.name));
        let _ = writeln!(out, "<text x=\"16\" y=\"{:.1}\">{}</text>", y + 17.0, escaped(&cut(&class.name)));
        let _ = writeln!(out, "<text class=\"end\" x=\"{}\" y=\"{:.1}\">{}</text>", NAME + 50.0, y + 17.0, class.nodes);
        let _ = writeln!(out, "<text class=\"end\" x=\"{}\" y=\"{:.1}\">{}</text></g>", NAME + 104.0, y + 17.0, class.spares);
        for (column, one) in cells(class, &columns, &levels).into_iter().enumerate() {
            draw(&mut out, at(column), y, cell, one);
        }
    }
    let rest = coverage.classes.len() - shown;
    if rest > 0 {
        let _ =
            writeln!(out, "<text class=\"small\" x=\"16\" y=\"{:.1}\">and {rest} more, with fewer gaps than these</text>", height - 16.0);
    }
    out.push_str("</svg>\n");
    out
}

fn cells(class: &ClassCoverage, columns: &[usize], levels: &[&str]) -> Vec<Option<Cell>> {
    let nodes = class.nodes;
    let failed = columns.iter().map(|k| {
        let without = class.after[k - 1];
        Some(Cell { without, nodes: nodes.min(*k), about: format!("{}: {k} failures leave {without} without a spare", class.name) })
    });
    let lost = levels.iter().map(|level| {
        let domain = class.domains.get(*level)?;
        let about = format!("{}: the loss of {level} {} leaves {} without a spare", class.name, domain.name, domain.uncovered);
        Some(Cell { without: domain.uncovered, nodes, about })
    });
    failed.chain(lost).collect()
}

/// By the share that is without.
fn shade(cell: &Cell) -> (&'static str, &'static str) {
    match cell.without * 100 / cell.nodes.max(1) {
        _ if cell.without == 0 => ("none", "on"),
        0..20 => ("few", "on"),
        20..60 => ("some", "on"),
        _ => ("most", "on white"),
    }
}

fn draw(out: &mut String, x: f64, y: f64, width: f64, cell: Option<Cell>) {
    let place = format!("x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{}\" rx=\"3\"", x + 1.0, y + 1.0, width - 2.0, ROW - 2.0);
    let Some(cell) = cell else {
        let _ = writeln!(out, "<rect class=\"void\" {place}/>");
        return;
    };
    let (fill, text) = shade(&cell);
    let _ = writeln!(
        out,
        "<g><title>{}</title><rect class=\"{fill}\" {place}/><text class=\"{text} mid\" x=\"{:.1}\" y=\"{:.1}\">{}</text></g>",
        escaped(&cell.about),
        x + width / 2.0,
        y + 17.0,
        cell.without
    );
}

fn key(out: &mut String) {
    let entries = [("none", "nobody"), ("few", "under 20%"), ("some", "20 to 60%"), ("most", "more, of those that fail or of the class")];
    let mut x = 16.0;
    for (class, text) in entries {
        let _ = writeln!(out, "<rect class=\"{class}\" x=\"{x}\" y=\"58\" width=\"16\" height=\"16\" rx=\"3\"/>");
        let _ = writeln!(out, "<text class=\"small\" x=\"{}\" y=\"70\">{text}</text>", x + 22.0);
        x += 40.0 + 6.4 * text.len() as f64;
    }
}

fn heading(coverage: &Coverage) -> String {
    let worst: Vec<String> = coverage.failures.iter().map(|f| format!("+{}: {}", f.failures, f.at_most)).take(COLUMNS).collect();
    format!(
        "{} nodes, {} spares; without a spare in the worst case over all classes, by failures: {}",
        coverage.nodes,
        coverage.spares,
        worst.join(", ")
    )
}

fn described(coverage: &Coverage) -> String {
    let class = |c: &ClassCoverage| {
        let domains: Vec<String> = c.domains.iter().map(|(l, d)| format!("loss of {l} {} {}", d.name, d.uncovered)).collect();
        let after: Vec<String> = c.after.iter().enumerate().map(|(k, n)| format!("{} failed {n}", k + 1)).take(COLUMNS).collect();
        format!(
            "{}: {} nodes, {} spares, without a spare: {}",
            c.name,
            c.nodes,
            c.spares,
            after.into_iter().chain(domains).collect::<Vec<_>>().join(", ")
        )
    };
    let classes: Vec<String> = coverage.classes.iter().take(ROWS).map(class).collect();
    format!("{}. {}.", heading(coverage), classes.join(". "))
}

fn cut(name: &str) -> String {
    const LETTERS: usize = 46;
    if name.chars().count() <= LETTERS { name.to_owned() } else { name.chars().take(LETTERS - 2).chain("..".chars()).collect() }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
