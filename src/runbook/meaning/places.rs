//! Where inside a value: an error in an expression is shown at its word, not at the whole line.

use crate::runbook::shape::{At, Reading};
use std::ops::Range;

/// The place of `offset` bytes into a text, up to the end of the word there. Where quotes hide escapes, or the text
/// spans lines, the place is the value's first line.
pub fn caret(reading: &Reading<'_>, written: &At<String>, offset: Option<usize>) -> Range<usize> {
    let raw = reading.source.get(written.at.clone()).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or("");
    let first_line = || written.at.start..written.at.start + raw.lines().next().map_or(0, str::len);
    let Some(offset) = offset.filter(|o| written.value.is_char_boundary(*o)) else { return first_line() };
    let inside = if raw == written.value {
        0
    } else if raw.get(1..raw.len().saturating_sub(1)) == Some(written.value.as_str()) {
        1
    } else {
        return block(raw, written, offset).unwrap_or_else(first_line);
    };
    let start = written.at.start + inside + offset;
    start..start + word(&written.value[offset..])
}

/// In a block (`|`) every line of the value stands as it is, behind its indentation.
fn block(raw: &str, written: &At<String>, offset: usize) -> Option<Range<usize>> {
    let line_start = written.value[..offset].rfind('\n').map_or(0, |n| n + 1);
    let line = written.value[line_start..].lines().next()?;
    let mut from = 0;
    let same = raw.split_inclusive('\n').find_map(|l| {
        let at = from;
        from += l.len();
        (l.trim() == line.trim() && !line.trim().is_empty()).then(|| at + l.len() - l.trim_start().len())
    })?;
    let indent = line.len() - line.trim_start().len();
    let start = written.at.start + same + (offset - line_start).checked_sub(indent)?;
    Some(start..start + word(&written.value[offset..]))
}

/// The length of the word that a text begins with; at least one character where there is one.
fn word(text: &str) -> usize {
    let length = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    if length > 0 { length } else { text.chars().next().map_or(0, char::len_utf8) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_finds_the_word_in_every_style() {
        for (file, value) in [
            ("k: node.nmae == 1", "node.nmae == 1"),
            ("k: \"node.nmae == 1\"", "node.nmae == 1"),
            ("k: |\n    true and\n    node.nmae == 1\n", "true and\nnode.nmae == 1\n"),
        ] {
            let start = 3;
            let reading = Reading::new("f", file.as_bytes());
            let written = At::new(value.to_owned(), start..file.trim_end().len());
            let range = caret(&reading, &written, value.find("nmae"));
            assert_eq!(&file[range], "nmae", "{file:?}");
        }
        let escaped = "k: \"a\\tnode.nmae\"";
        let reading = Reading::new("f", escaped.as_bytes());
        let range = caret(&reading, &At::new("a\tnode.nmae".to_owned(), 3..escaped.len()), Some(7));
        assert_eq!(range, 3..escaped.len());
    }
}
