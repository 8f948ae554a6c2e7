//! Diagnostics for machines. Stable: `format_version` counts up when a field changes its meaning or goes.

use super::{Diagnostics, Source, line_column};
use serde_json::{Value, json};

impl Diagnostics {
    /// `{"format_version": 1, "diagnostics": [...]}`; lines and columns count from 1, `start` and `end` are bytes.
    pub fn json(&self, sources: &[&Source]) -> Value {
        let list: Vec<Value> = self
            .0
            .iter()
            .map(|d| {
                let place = d.span.as_ref().map(|span| {
                    let mut place = json!({"file": span.file, "start": span.start, "end": span.end});
                    if let Some(source) = sources.iter().find(|s| s.name == span.file) {
                        let (from, to) = (line_column(&source.text, span.start), line_column(&source.text, span.end));
                        place["line"] = from.line.into();
                        place["column"] = from.column.into();
                        place["end_line"] = to.line.into();
                        place["end_column"] = to.column.into();
                    }
                    place
                });
                json!({"code": d.code, "severity": d.severity.as_str(), "message": d.message, "place": place, "hint": d.hint})
            })
            .collect();
        json!({"format_version": 1, "diagnostics": list})
    }
}

#[cfg(test)]
mod tests {
    use super::super::Diagnostic;
    use super::*;

    #[test]
    fn places_count_from_one() {
        let source = Source::new("a.yaml", "a: 1\nbb: 2\n");
        let found = Diagnostics(vec![Diagnostic::error("R003", "unknown key `bb`").at("a.yaml", 5..7), Diagnostic::warning("R114", "x")]);
        let want = json!({"format_version": 1, "diagnostics": [
            {"code": "R003", "severity": "error", "message": "unknown key `bb`", "hint": null,
             "place": {"file": "a.yaml", "start": 5, "end": 7, "line": 2, "column": 1, "end_line": 2, "end_column": 3}},
            {"code": "R114", "severity": "warning", "message": "x", "hint": null, "place": null}
        ]});
        assert_eq!(found.json(&[&source]), want);
    }
}
