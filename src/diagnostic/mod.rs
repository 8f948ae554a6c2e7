//! What is wrong with a file, said so that a person can mend it.

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
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
}
