//! Errors for the person at the terminal: what, why, what to do next.

use super::output;
use crate::diagnostic::{Diagnostics, Look, Severity, Source, codes, render};
use crate::executor::ExecuteError;
use crate::model::Fault;
use crate::ports::StoreError;
use crate::report::ExitCode;
use crate::report::text::printable_lines;
use serde_json::{Value, json};

/// Why a command did not do what was asked.
#[derive(Debug)]
pub enum Failure {
    /// Files or plans that are wrong: rendered with their places.
    Diagnostics(Diagnostics, Vec<Source>),
    /// Words, a hint, and the exit code.
    Said { message: String, hint: Option<String>, code: ExitCode },
    /// Another process has taken the run over: this one says nothing more to anybody but its own terminal.
    Superseded { message: String, hint: Option<String> },
}

impl Failure {
    /// Something that was asked for cannot be: exit code 3.
    pub fn refused(message: impl Into<String>) -> Failure {
        Failure::Said { message: message.into(), hint: None, code: ExitCode::Refused }
    }

    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::Said { message: message.into(), hint: None, code: ExitCode::Usage }
    }

    pub fn hint(self, text: impl Into<String>) -> Failure {
        match self {
            Failure::Said { message, code, .. } => Failure::Said { message, hint: Some(text.into()), code },
            other => other,
        }
    }

    /// On standard error for people; with `json`, on standard output for machines as well.
    pub fn tell(self, json: bool) -> ExitCode {
        if json {
            output::failed(&self.json());
        }
        match self {
            Failure::Diagnostics(mut diagnostics, sources) => {
                for said in &mut diagnostics.0 {
                    said.message = printable_lines(&said.message);
                    said.hint = said.hint.as_deref().map(printable_lines);
                }
                let sources: Vec<&Source> = sources.iter().collect();
                output::tell(render(&diagnostics, &sources, Look::Coloured));
                output::tell(diagnostics.tally());
                ExitCode::Refused
            }
            Failure::Said { message, hint, code } => say(&message, hint.as_deref(), code),
            Failure::Superseded { message, hint } => say(&message, hint.as_deref(), ExitCode::Resumable),
        }
    }

    /// `{"code": "usage", "message": ..., "hint": ...}`. The code is that of the first error where there is one (`R003`,
    /// `P024`), and what the exit code means elsewhere. Errors of files come one by one, as `validate` has them.
    fn json(&self) -> Value {
        match self {
            Failure::Diagnostics(diagnostics, sources) => {
                let sources: Vec<&Source> = sources.iter().collect();
                let first = diagnostics.0.iter().find(|d| d.severity == Severity::Error);
                json!({
                    "code": first.map_or(ExitCode::Refused.word(), |d| d.code),
                    "message": first.map(|d| d.message.as_str()),
                    "hint": first.and_then(|d| d.hint.as_deref()),
                    "diagnostics": diagnostics.json(&sources)["diagnostics"],
                })
            }
            Failure::Said { message, hint, code } => {
                let (named, message) = match message.split_once(": ") {
                    Some((named, rest)) if codes::explain(named).is_some() => (named, rest),
                    _ => (code.word(), message.as_str()),
                };
                json!({"code": named, "message": message, "hint": hint})
            }
            Failure::Superseded { message, hint } => json!({"code": ExitCode::Resumable.word(), "message": message, "hint": hint}),
        }
    }
}

fn say(message: &str, hint: Option<&str>, code: ExitCode) -> ExitCode {
    output::tell(format!("error: {}", printable_lines(message)));
    if let Some(hint) = hint {
        output::tell(format!("hint: {}", printable_lines(hint)));
    }
    code
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        // A disk that is full and a store that cannot be written are no bugs, and nothing was touched yet.
        let hint = match &error {
            StoreError::Locked { run, by: Some(_) } => Some(format!(
                "if it hangs or is stopped, `coldswap resume {run} --take-over` goes on in its place once its lease has ended"
            )),
            StoreError::Locked { by: None, .. } => Some("it is of an earlier version and cannot be taken over: end it first".to_owned()),
            StoreError::Alive { .. } => Some("let it go on, or end it first".to_owned()),
            StoreError::Superseded { run, .. } => {
                Some(format!("this process has sent and written nothing since; `coldswap show {run}` tells how the run goes on"))
            }
            _ => None,
        };
        match error {
            StoreError::Superseded { .. } => Failure::Superseded { message: error.to_string(), hint },
            _ => Failure::Said { message: error.to_string(), hint, code: ExitCode::Refused },
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        Failure::refused(fault.detail)
    }
}

impl From<ExecuteError> for Failure {
    fn from(error: ExecuteError) -> Failure {
        match error {
            ExecuteError::Store(
                error @ (StoreError::Locked { .. } | StoreError::Superseded { .. } | StoreError::Used { .. } | StoreError::Format { .. }),
            ) => error.into(),
            other => Failure::Said {
                message: other.to_string(),
                hint: Some("nothing more was sent; `coldswap resume` looks again and goes on".into()),
                code: ExitCode::Resumable,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Diagnostic;

    #[test]
    fn a_failure_has_a_code_a_message_and_a_hint_for_machines() {
        let said = Failure::usage("there is no `r-9`").hint("`coldswap runs`").json();
        assert_eq!(said, json!({"code": "usage", "message": "there is no `r-9`", "hint": "`coldswap runs`"}));
        assert_eq!(Failure::refused("P024: a storm: 3 of 4").json()["code"], "P024");
        assert_eq!(Failure::refused("web-1: off").json(), json!({"code": "refused", "message": "web-1: off", "hint": null}));
        let source = Source::new("a.yaml", "a: 1\nbb: 2\n");
        let found = vec![Diagnostic::warning("R117", "x"), Diagnostic::error("R003", "unknown key `bb`").at("a.yaml", 5..7)];
        let said = Failure::Diagnostics(Diagnostics(found), vec![source]).json();
        assert_eq!((&said["code"], &said["message"]), (&json!("R003"), &json!("unknown key `bb`")));
        assert_eq!(said["diagnostics"][1]["place"]["line"], 2);
    }
}
