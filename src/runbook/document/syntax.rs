//! Syntax errors in words that help: the parser says what it stumbled over, the text around it says why.

use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use granit_parser::{ErrorKind, ScanError};

/// What a scan error really is. Unquoted templates and tabs are the usual reasons and have codes of their own.
pub(super) fn explain(file: &str, text: &str, error: &ScanError) -> Diagnostics {
    let at = error.marker().byte_offset().unwrap_or(0).min(text.len());
    let templates = unquoted_templates(file, text);
    if !templates.0.is_empty() {
        return templates;
    }
    let at = place(text, at);
    let one = |code, message: String, hint: &str| {
        let end = if code == codes::ALIAS { word_end(text, at) } else { next(text, at) };
        let found = Diagnostic::error(code, message).at(file, at..end);
        Diagnostics(vec![if hint.is_empty() { found } else { found.hint(hint) }])
    };
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => one(codes::TOO_DEEP, "nested too deeply".to_owned(), "64 levels are allowed"),
        ErrorKind::UnknownAnchor => one(codes::ALIAS, "the alias has no anchor before it".to_owned(), "write the value out"),
        ErrorKind::UndeclaredTagHandle => one(codes::TAG, "tags are not part of the language".to_owned(), "remove the tag"),
        _ => match tab(file, text, at).or_else(|| bracket(file, text, at)) {
            Some(found) => Diagnostics(vec![found]),
            None => one(codes::SYNTAX, format!("this is not YAML: {}", error.info()), hint(error.kind())),
        },
    }
}

fn hint(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::UnclosedQuotedScalar => "the quote is not closed",
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator
        | ErrorKind::MismatchedFlowCollectionEnd { .. } => "is a bracket, a comma or a quote missing?",
        ErrorKind::InvalidColonPlacement | ErrorKind::MappingValueNotAllowed => "text with `: ` in it belongs in quotes",
        ErrorKind::UnexpectedCharacter { .. } => "text that begins with this character belongs in quotes",
        ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::SimpleKeyExpected
        | ErrorKind::MappingKeyNotAllowed => "is the indentation that of the lines around it, and is there a `:` after the key?",
        ErrorKind::UnknownQuotedScalarEscape | ErrorKind::InvalidQuotedScalarHexEscape | ErrorKind::InvalidUnicodeEscape => {
            "in double quotes a backslash is written twice; or use single quotes"
        }
        _ => "",
    }
}

/// The parser notices some errors at the end of the file or line; the last character before says more than nothing.
fn place(text: &str, at: usize) -> usize {
    let rest = &text[floor(text, at)..];
    if rest.trim().is_empty() {
        let kept = text.trim_end();
        return kept.char_indices().next_back().map_or(0, |(i, _)| i);
    }
    floor(text, at)
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

fn next(text: &str, at: usize) -> usize {
    at + text[at..].chars().next().map_or(0, char::len_utf8)
}

fn word_end(text: &str, at: usize) -> usize {
    text[at..].find(|c: char| c.is_whitespace() || ",[]{}".contains(c)).map_or(text.len(), |n| at + n).max(next(text, at))
}

/// A bracket of an earlier line that is still open: the parser stumbles over what comes after it.
fn bracket(file: &str, text: &str, at: usize) -> Option<Diagnostic> {
    let (mut open, mut quote, mut before) = (Vec::new(), None, '\n');
    let mut comment = false;
    for (n, c) in text[..at].char_indices() {
        match (quote, c) {
            _ if comment => comment = c != '\n',
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
            (None, '#') if before.is_whitespace() => comment = true,
            (None, '[' | '{') if !open.is_empty() || " \n[{,-".contains(before) => open.push(n),
            (None, ']' | '}') => drop(open.pop()),
            _ => {}
        }
        before = c;
    }
    let first = *open.first().filter(|n| text[**n..at].contains('\n'))?;
    let message = format!("this is not YAML: the `{}` is not closed", &text[first..next(text, first)]);
    Some(Diagnostic::error(codes::SYNTAX, message).at(file, first..next(text, first)).hint("is a bracket or a quote missing in this line?"))
}

/// A tab in the indentation of this line, one before it, or the next: the parser may stumble where a value begins
/// that the tab continues.
fn tab(file: &str, text: &str, at: usize) -> Option<Diagnostic> {
    let until = text[at..].find('\n').map_or(text.len(), |n| at + n + 1);
    let mut from = 0;
    for line in text.split_inclusive('\n') {
        if from > until {
            return None;
        }
        let blank = line.len() - line.trim_start_matches([' ', '\t', '-']).len();
        if let Some(tab) = line[..blank].find('\t') {
            return Some(
                Diagnostic::error(codes::TAB, "a tab in the indentation").at(file, from + tab..from + tab + 1).hint("indent with blanks"),
            );
        }
        from += line.len();
    }
    None
}

/// Every value of the file that begins with `{{` and stands without quotes, as far as lines can tell.
fn unquoted_templates(file: &str, text: &str) -> Diagnostics {
    let mut found = Diagnostics::default();
    let mut from = 0;
    for line in text.split_inclusive('\n') {
        if !line.trim_start().starts_with('#') {
            found.0.extend(line.match_indices("{{").filter(|(i, _)| begins_a_value(&line[..*i])).map(|(i, _)| {
                let length = line[i..].find("}}").map_or(2, |n| n + 2);
                unquoted(file, from + i..from + i + length)
            }));
        }
        from += line.len();
    }
    found
}

/// Does a value begin here, to the right of `before`?
fn begins_a_value(before: &str) -> bool {
    let stripped = before.trim_end_matches(' ');
    let quotes = |q: char| before.matches(q).count().is_multiple_of(2);
    let gap = stripped.len() < before.len();
    let opens = stripped.ends_with(['[', ',']) || gap && (stripped.ends_with(':') || stripped.trim_start() == "-");
    opens && quotes('"') && quotes('\'')
}

pub(super) fn unquoted(file: &str, range: std::ops::Range<usize>) -> Diagnostic {
    Diagnostic::error(codes::UNQUOTED_TEMPLATE, "a template needs quotes").at(file, range).hint("put the whole value in double quotes")
}
