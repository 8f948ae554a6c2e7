//! An explanation for a terminal of 80 columns.

use super::{Explanation, NodeView, Standing};
use std::fmt;

const WIDTH: usize = 80;

/// Two columns, the second wrapped beside the first.
pub(super) fn table(rows: &[(&str, &str)]) -> String {
    let width = rows.iter().map(|(a, _)| a.chars().count()).max().unwrap_or(0);
    rows.iter().map(|(a, b)| wrap(&format!("  {a:width$}  "), width + 4, b)).collect()
}

/// `text` after `lead`, broken between words; what follows is indented. A word that is too long stands alone.
fn wrap(lead: &str, indent: usize, text: &str) -> String {
    let mut out = String::new();
    let mut line = lead.to_owned();
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(indent);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
    out
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.node;
        let head = match (&self.destination, &self.left_out) {
            (Some(to), _) => format!("{name} -> {to}"),
            (None, Some(why)) => format!("{name}: {why}"),
            (None, None) => format!("{name} is not one of the sources; this is how it would stand"),
        };
        f.write_str(&wrap("", 2, &head))?;
        for obstacle in &self.obstacles {
            f.write_str(&wrap("  NO  ", 6, &obstacle.text))?;
        }
        for pool in &self.pools {
            let keep = if pool.keep > 0 { format!(" (keeps {})", pool.keep) } else { String::new() };
            write!(f, "\n{}", wrap("", 2, &format!("pool {}{keep}: {}", pool.name, pool.select)))?;
            for node in pool.nodes.iter().filter(|n| n.standing != Standing::NotSelected) {
                f.write_str(&considered(node))?;
            }
            let rest: Vec<&str> = pool.nodes.iter().filter(|n| n.standing == Standing::NotSelected).map(|n| n.node.as_str()).collect();
            if !rest.is_empty() {
                f.write_str(&wrap("  not in this pool: ", 4, &rest.join(", ")))?;
            }
        }
        Ok(())
    }
}

fn considered(node: &NodeView) -> String {
    let missed = node.findings.iter().filter(|f| !f.passed).count();
    let standing = match node.standing {
        Standing::Chosen => "is taken".to_owned(),
        Standing::CouldServe => "could serve".to_owned(),
        Standing::Misses => format!("misses {missed} of {} rules", node.findings.len()),
        Standing::NotFree | Standing::NotSelected => "is not free".to_owned(),
    };
    let preferred = if node.preferred.is_empty() { String::new() } else { format!("; preferred: {}", node.preferred.join(", ")) };
    let mut text = wrap("  ", 4, &format!("{} {standing}{preferred}", node.node));
    for obstacle in &node.obstacles {
        text.push_str(&wrap("    NO  ", 8, &obstacle.text));
    }
    // One column for the rules' names, as wide as the longest but never so wide that nothing is left for the values.
    let width = node.findings.iter().map(|f| f.rule.chars().count()).max().unwrap_or(0).min(30);
    for finding in &node.findings {
        let mark = if finding.passed { "ok" } else { "NO" };
        text.push_str(&wrap(&format!("    {mark}  {:width$}  ", finding.rule), width + 10, &finding.text));
    }
    if !node.changes.is_empty() {
        text.push_str(&wrap("    to serve: ", 6, &node.changes.join("; ")));
    }
    text
}
