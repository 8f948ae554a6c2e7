//! Diagnostics for people: title, place, the line itself, a caret and the hint.

use super::lines::{line_end, line_start};
use super::{Diagnostic, Diagnostics, Severity, Source, Span, codes, line_column};
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

/// How it is to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Plain,
    Coloured,
}

/// No caret line gets wider than this: a file may be one line of megabytes.
const WIDTH: usize = 160;
/// How much of one line is handed to the renderer on either side of the place.
const CONTEXT: usize = 400;

/// All diagnostics, one after another with an empty line between. A file that is not in `sources` is named without
/// its line.
pub fn render(diagnostics: &Diagnostics, sources: &[&Source], look: Look) -> String {
    let renderer = match look {
        Look::Plain => Renderer::plain(),
        Look::Coloured => Renderer::styled(),
    };
    let renderer = renderer.term_width(WIDTH);
    let covered: Vec<Source> = sources.iter().map(|s| covered(diagnostics, s)).collect();
    let sources: Vec<&Source> = covered.iter().collect();
    let shown: Vec<String> = diagnostics.0.iter().map(|d| one(&renderer, d, &sources)).collect();
    let mut text = shown.join("\n\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// The source with what was found to be a secret in the open crossed out: a log must not repeat it.
fn covered(diagnostics: &Diagnostics, source: &Source) -> Source {
    let mut covered = source.clone();
    let secrets = diagnostics.0.iter().filter(|d| d.code == codes::PLAIN_SECRET).filter_map(|d| d.span.as_ref());
    for span in secrets.filter(|s| s.file == source.name) {
        let end = span.end.min(covered.text.len());
        let cross = |b: &mut u8| *b = if matches!(*b, b'\n' | b'\r') { *b } else { b'*' };
        covered.text[span.start.min(end)..end].iter_mut().for_each(cross);
    }
    covered
}

fn one(renderer: &Renderer, diagnostic: &Diagnostic, sources: &[&Source]) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level.primary_title(visible(&diagnostic.message)).id(diagnostic.code).elements(Vec::<Origin<'_>>::new());
    let hint = diagnostic.hint.as_deref().map(|h| format!("hint: {}", visible(h)));
    let found = diagnostic.span.as_ref().map(|span| (span, sources.iter().find(|s| s.name == span.file)));
    let group = match found {
        None => hint_below(group, hint),
        Some((span, None)) => {
            group = group.element(Origin::path(visible(&span.file)));
            hint_below(group, hint)
        }
        Some((span, Some(source))) => match excerpt(source, span) {
            Some(snippet) => group.element(snippet.0.annotation(AnnotationKind::Primary.span(snippet.1).label(hint.unwrap_or_default()))),
            None => {
                let place = line_column(&source.text, span.start);
                group = group.element(Origin::path(visible(&span.file)).line(place.line).char_column(place.column));
                hint_below(group, hint)
            }
        },
    };
    let report = [group];
    let text = renderer.render(&report);
    // An empty caret label leaves a blank behind it.
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn hint_below<'a>(group: Group<'a>, hint: Option<String>) -> Group<'a> {
    match hint {
        Some(hint) => group.element(Level::NOTE.no_name().message(hint)),
        None => group,
    }
}

/// The first line of the place, cut down to what a screen holds, and the place within it. `None` where the bytes are
/// no text that could be shown.
fn excerpt<'a>(source: &'a Source, span: &Span) -> Option<(Snippet<'a, annotate_snippets::Annotation<'a>>, std::ops::Range<usize>)> {
    let text = &source.text;
    let start = span.start.min(text.len());
    let first = line_start(text, start);
    let last = line_end(text, start);
    let from = if start - first > CONTEXT { boundary(text, start - CONTEXT) } else { first };
    let to = if last - start > CONTEXT { boundary(text, start + CONTEXT) } else { last.max(start) };
    let line = std::str::from_utf8(text.get(from..to)?).ok()?;
    if line.chars().any(|c| c.is_control() && c != '\t') {
        return None;
    }
    // The renderer panics between characters, so places that a check got wrong by a byte are widened.
    let start = (from..=start).rev().find(|i| line.is_char_boundary(i - from))?;
    let end = (span.end.clamp(start, to)..=to).find(|i| line.is_char_boundary(i - from))?;
    let snippet = Snippet::source(line).path(source.name.as_str()).line_start(line_column(text, start).line).fold(false);
    Some((snippet, start - from..end - from))
}

/// The next start of a character at or after `offset`.
fn boundary(text: &[u8], offset: usize) -> usize {
    (offset..text.len()).find(|i| text[*i] & 0b1100_0000 != 0b1000_0000).unwrap_or(text.len())
}

/// A file may hold anything, and a message may quote it: nothing in it may reach a terminal as a control sequence.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        Source::new("runbooks/rack-b.yaml", "sources:\n  selekt: node.failure_domain.rack == 'b'\n")
    }

    fn unknown_key() -> Diagnostic {
        Diagnostic::error("R003", "unknown key `selekt` in `sources`").at("runbooks/rack-b.yaml", 11..17).hint("did you mean `select`?")
    }

    #[test]
    fn an_error_reads_as_the_language_document_shows_it() {
        let text = render(&Diagnostics(vec![unknown_key()]), &[&source()], Look::Plain);
        let want = "\
error[R003]: unknown key `selekt` in `sources`
 --> runbooks/rack-b.yaml:2:3
  |
2 |   selekt: node.failure_domain.rack == 'b'
  |   ^^^^^^ hint: did you mean `select`?
";
        assert_eq!(text, want);
    }

    #[test]
    fn colour_is_only_added() {
        let coloured = render(&Diagnostics(vec![unknown_key()]), &[&source()], Look::Coloured);
        assert!(coloured.contains("\u{1b}["), "{coloured:?}");
        assert!(coloured.contains("selekt"));
    }

    #[test]
    fn a_place_without_text_is_still_named() {
        let nowhere = Diagnostic::warning("R114", "no node is named").hint("write `nodes`");
        let binary = Source::new("b.yaml", b"a: \xff\xfe".to_vec());
        let there = Diagnostic::error("R010", "byte 3 is not UTF-8").at("b.yaml", 3..4);
        let text = render(&Diagnostics(vec![nowhere, there]), &[&binary], Look::Plain);
        assert_eq!(
            text,
            "warning[R114]: no node is named\n |\n = hint: write `nodes`\n\nerror[R010]: byte 3 is not UTF-8\n--> b.yaml:1:4\n"
        );
    }

    #[test]
    fn a_secret_in_the_open_is_not_repeated() {
        let source = Source::new("i.yaml", "bmc: {password: hunter2, usrname: x}\n");
        let secret = Diagnostic::error(codes::PLAIN_SECRET, "a password in the open").at("i.yaml", 16..23);
        let other = Diagnostic::error(codes::UNKNOWN_KEY, "unknown key `usrname`").at("i.yaml", 25..32);
        let text = render(&Diagnostics(vec![secret, other]), &[&source], Look::Plain);
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(text.matches("bmc: {password: *******, usrname: x}").count(), 2, "{text}");
    }

    #[test]
    fn a_line_of_a_megabyte_is_cut_and_control_characters_are_not_passed_on() {
        let long = Source::new("l.yaml", format!("{}selekt{}", "x".repeat(500_000), "y".repeat(500_000)));
        let there = Diagnostic::error("R003", "unknown \u{1b}[2J key").at("l.yaml", 500_000..500_006).hint("did you mean `select`?");
        let text = render(&Diagnostics(vec![there]), &[&long], Look::Plain);
        assert!(text.len() < 2_000, "{}", text.len());
        assert!(text.contains("^^^^^^ hint"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
