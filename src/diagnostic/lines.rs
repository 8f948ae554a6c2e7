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

/// The line starts of a text: many places are found without reading it again for each.
pub struct LineIndex<'a> {
    text: &'a [u8],
    starts: Vec<usize>,
}

impl<'a> LineIndex<'a> {
    pub fn new(text: &'a [u8]) -> LineIndex<'a> {
        let ends = text.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(n, _)| n + 1);
        LineIndex { text, starts: std::iter::once(0).chain(ends).collect() }
    }

    pub fn find(&self, offset: usize) -> LineColumn {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        LineColumn { line, column: String::from_utf8_lossy(&self.text[start..offset]).chars().count() + 1 }
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
        for offset in 0..text.len() + 2 {
            assert_eq!(LineIndex::new(text).find(offset), line_column(text, offset), "{offset}");
        }
        assert_eq!(&text[line_start(text, 8)..line_end(text, 8)], b"c: d");
        assert_eq!(line_end(text, 1), 5);
    }
}
