//! What is wrong with a file, said so that a person can mend it.
//!
//! A [`Diagnostic`] is plain data: a stable code, a message, a place and a hint. [`render`] shows it the way rustc
//! would, [`Diagnostics::json`] hands it to machines, and [`codes::CODES`] explains every code at length.

pub mod codes;
mod json;
mod lines;
mod render;
mod suggest;

pub use lines::{LineColumn, LineIndex, line_column};
pub use render::{Look, render};
pub use suggest::did_you_mean;

/// A file as it was read, under the name that messages call it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as the user wrote it.
    pub name: String,
    pub text: Vec<u8>,
}

impl Source {
    pub fn new(name: impl Into<String>, text: impl Into<Vec<u8>>) -> Source {
        Source { name: name.into(), text: text.into() }
    }
}

/// One fault in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable: `R003` for the language, `P012` for planning.
    pub code: &'static str,
    /// `error` or `warning`.
    pub severity: Severity,
    /// A lower-case fragment with names and values in backticks.
    pub message: String,
    /// Where; `None` where no one place is to blame.
    pub span: Option<Span>,
    pub hint: Option<String>,
}

impl Diagnostic {
    pub fn error(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic { code, severity: Severity::Error, message: message.into(), span: None, hint: None }
    }

    pub fn warning(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, message) }
    }

    pub fn at(mut self, file: &str, range: std::ops::Range<usize>) -> Diagnostic {
        self.span = Some(Span { file: file.to_owned(), start: range.start, end: range.end });
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Diagnostic {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a hint where there is one to give.
    pub fn maybe_hint(mut self, hint: Option<String>) -> Diagnostic {
        self.hint = hint.or(self.hint);
        self
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub file: String,
    /// Byte offsets into the file's text.
    pub start: usize,
    pub end: usize,
}

/// All that is wrong, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Error)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    pub fn extend(&mut self, other: Diagnostics) {
        self.0.extend(other.0);
    }

    /// In the order of the file; what has no place comes last. Two checks that say the same of one place count once.
    pub fn sorted(mut self) -> Diagnostics {
        self.0.sort_by_key(|d| match &d.span {
            Some(span) => (false, span.file.clone(), span.start),
            None => (true, String::new(), 0),
        });
        self.0.dedup();
        self
    }

    /// `2 errors, 1 warning`; empty where there is neither.
    pub fn tally(&self) -> String {
        let errors = self.0.iter().filter(|d| d.severity == Severity::Error).count();
        let counted = [(errors, "error"), (self.0.len() - errors, "warning")];
        let parts: Vec<String> =
            counted.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}{}", if *n == 1 { "" } else { "s" })).collect();
        parts.join(", ")
    }
}
