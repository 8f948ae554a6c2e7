//! Lines of a given width.

use owo_colors::{OwoColorize, Style};

/// Narrower than this, every other word would be broken.
const WIDTH_MIN: usize = 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Good,
    Odd,
    Bad,
    Bold,
}

impl Ink {
    fn style(self) -> Style {
        match self {
            Ink::Plain => Style::new(),
            Ink::Good => Style::new().green(),
            Ink::Odd => Style::new().yellow(),
            Ink::Bad => Style::new().red().bold(),
            Ink::Bold => Style::new().bold(),
        }
    }
}

pub(super) struct Page {
    width: usize,
    colour: bool,
    out: String,
}

impl Page {
    pub fn new(width: usize, colour: bool) -> Page {
        Page { width: width.max(WIDTH_MIN), colour, out: String::new() }
    }

    pub fn done(self) -> String {
        self.out
    }

    pub fn gap(&mut self) {
        self.out.push('\n');
    }

    pub fn heading(&mut self, text: &str) {
        self.gap();
        self.inked(0, text, text, Ink::Bold);
    }

    /// A paragraph; what does not fit goes on two columns further in.
    pub fn text(&mut self, indent: usize, text: &str) {
        self.inked(indent, text, "", Ink::Plain);
    }

    /// The same, with the first `word` of its first line in colour.
    pub fn inked(&mut self, indent: usize, text: &str, word: &str, ink: Ink) {
        let mut lines = wrap(&printable(text), self.width, indent, indent + 2).into_iter();
        let Some(first) = lines.next() else { return };
        let styled = self.colour && ink != Ink::Plain && !word.is_empty();
        let first = if styled { first.replacen(word, &word.style(ink.style()).to_string(), 1) } else { first };
        self.push(first);
        lines.for_each(|line| self.push(line));
    }

    /// A name in a column of its own, and a paragraph beside it.
    pub fn field(&mut self, indent: usize, name: &str, text: &str) {
        let name = printable(name);
        let column = indent + name.chars().count().max(NAME_WIDTH) + 2;
        if column > self.width / 2 {
            self.text(indent, &name);
            return self.text(indent + 2, text);
        }
        for (n, line) in wrap(&printable(text), self.width, column, column).into_iter().enumerate() {
            let line = if n == 0 { format!("{:indent$}{name}{}", "", &line[indent + name.len()..]) } else { line };
            self.push(line);
        }
    }

    /// Somebody else's text as it stands, marked as such; only its last `lines_max` lines.
    pub fn quote(&mut self, indent: usize, text: &str, lines_max: usize) {
        let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
        for line in &lines[lines.len().saturating_sub(lines_max)..] {
            for (n, piece) in wrap(&printable(line), self.width, indent + 2, indent + 4).into_iter().enumerate() {
                let mark = if n == 0 { "|" } else { ":" };
                self.push(format!("{:indent$}{mark}{}", "", &piece[indent + 1..]));
            }
        }
    }

    fn push(&mut self, line: String) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }
}

/// Names of fields are padded to this, so that their texts stand in one column.
const NAME_WIDTH: usize = 8;

/// Nothing in it moves a cursor, sets a colour or ends a line: hooks and BMCs write what they like.
pub fn printable(text: &str) -> String {
    let turned = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        // Bidirectional overrides make a name read as another one.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(turned).collect()
}

/// The same for a text of several lines, which stay lines.
pub fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Break at spaces; a word that fits no line is broken where the line ends.
fn wrap(text: &str, width: usize, first_indent: usize, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = " ".repeat(first_indent);
    let mut used = first_indent;
    let mut fresh = true;
    for word in text.split(' ') {
        let mut word = word;
        let mut long = word.chars().count();
        if !fresh && used + 1 + long > width {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
            (used, fresh) = (indent, true);
        }
        if !fresh {
            line.push(' ');
            used += 1;
        } else if word.is_empty() && !lines.is_empty() {
            continue;
        }
        while used + long > width {
            let cut = word.char_indices().nth(width - used).map_or(word.len(), |(at, _)| at);
            line.push_str(&word[..cut]);
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
            word = &word[cut..];
            long = word.chars().count();
            used = indent;
        }
        line.push_str(word);
        used += long;
        fresh = false;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_page() {
        let text = format!("a few words {} and {} more", "x".repeat(170), "é".repeat(45));
        for width in 40..100 {
            let mut page = Page::new(width, false);
            page.text(3, &text);
            page.field(2, "name", &text);
            page.field(2, &"n".repeat(60), &text);
            page.quote(9, &text, 4);
            for line in page.done().lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn nothing_is_lost_by_breaking() {
        let text = "one two  three ".to_owned() + &"long".repeat(40);
        let squeezed = |t: &str| t.split_whitespace().collect::<String>();
        assert_eq!(squeezed(&wrap(&text, 40, 2, 4).join("\n")), squeezed(&text));
    }

    #[test]
    fn what_came_from_outside_steers_no_terminal() {
        assert_eq!(printable_lines("a\u{9b}\n\rb\n"), "a\u{fffd}\n b\n");
        assert_eq!(printable("a\u{1b}[31mb\r\nc\u{202e}d\u{9b}"), "a\u{fffd}[31mb  c\u{fffd}d\u{fffd}");
    }

    #[test]
    fn only_the_word_is_coloured_and_only_when_asked() {
        let mut page = Page::new(80, true);
        page.inked(0, "s-001 in doubt", "in doubt", Ink::Bad);
        let text = page.done();
        assert!(text.starts_with("s-001 \u{1b}[") && text.contains("in doubt"), "{text:?}");
        let mut page = Page::new(80, false);
        page.inked(0, "s-001 in doubt", "in doubt", Ink::Bad);
        assert_eq!(page.done(), "s-001 in doubt\n");
    }
}
