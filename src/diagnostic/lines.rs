//! Byte offsets as people count: lines and columns from 1.

/// A place as an editor shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineColumn {
    pub line: usize,
    /// In characters.
    pub column: usize,
}

/// Where `offset` stands in `text`. An offset behind the end is the end.
pub fn line_column(text: &[u8], offset: usize) -> LineColumn {
    let before = &text[..offset.min(text.len())];
    let start = line_start(text, offset);
    LineColumn {
        line: before.iter().filter(|b| **b == b'\n').count() + 1,
        column: String::from_utf8_lossy(&before[start..]).chars().count() + 1,
    }
}

/// Where the line that `offset` is in begins.
pub(super) fn line_start(text: &[u8], offset: usize) -> usize {
    text[..offset.min(text.len())].iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1)
}

/// Where the line that `offset` is in ends, without its line end.
pub(super) fn line_end(text: &[u8], offset: usize) -> usize {
    let from = offset.min(text.len());
    let end = text[from..].iter().position(|b| *b == b'\n').map_or(text.len(), |n| from + n);
    if end > from && text[end - 1] == b'\r' { end - 1 } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let text = "ä: b\r\nc: d".as_bytes();
        assert_eq!(line_column(text, 0), LineColumn { line: 1, column: 1 });
        assert_eq!(line_column(text, 4), LineColumn { line: 1, column: 4 });
        assert_eq!(line_column(text, 7), LineColumn { line: 2, column: 1 });
        assert_eq!(line_column(text, 99), LineColumn { line: 2, column: 5 });
        assert_eq!(&text[line_start(text, 8)..line_end(text, 8)], b"c: d");
        assert_eq!(line_end(text, 1), 5);
    }
}
