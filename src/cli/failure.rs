//! Errors for the person at the terminal: what, why, what to do next.

use crate::diagnostic::{Diagnostics, Look, Source, render};
use crate::executor::ExecuteError;
use crate::model::Fault;
use crate::ports::StoreError;
use crate::report::ExitCode;
use crate::report::text::printable_lines;

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

    pub fn tell(self) -> std::process::ExitCode {
        match self {
            Failure::Diagnostics(mut diagnostics, sources) => {
                for said in &mut diagnostics.0 {
                    said.message = printable_lines(&said.message);
                    said.hint = said.hint.as_deref().map(printable_lines);
                }
                let sources: Vec<&Source> = sources.iter().collect();
                anstream::eprintln!("{}", render(&diagnostics, &sources, Look::Coloured));
                anstream::eprintln!("{}", diagnostics.tally());
                ExitCode::Refused.into()
            }
            Failure::Said { message, hint, code } => say(&message, hint.as_deref(), code),
            Failure::Superseded { message, hint } => say(&message, hint.as_deref(), ExitCode::Resumable),
        }
    }
}

fn say(message: &str, hint: Option<&str>, code: ExitCode) -> std::process::ExitCode {
    anstream::eprintln!("error: {}", printable_lines(message));
    if let Some(hint) = hint {
        anstream::eprintln!("hint: {}", printable_lines(hint));
    }
    code.into()
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
