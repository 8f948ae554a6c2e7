//! What is printed, and how.

use super::Failure;
use super::args::{Cli, CompletionsArgs, Global, Output};
use crate::report::ExitCode;
use crate::report::text::printable_lines;
use clap::CommandFactory;
use std::io::{IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Of every JSON document on standard output that has no version of its own.
pub const FORMAT_VERSION: u32 = 1;

pub fn is_json(global: &Global) -> bool {
    global.output == Output::Json
}

/// Print text or JSON, whichever was asked for. A closed pipe ends the printing and is no error. None of these texts has
/// colours of ours, so that whatever steers a terminal came from outside and is taken out.
pub fn print(global: &Global, text: impl FnOnce() -> String, json: impl FnOnce() -> serde_json::Value) {
    let out = match global.output {
        Output::Text => printable_lines(&text()),
        Output::Json => {
            let mut value = json();
            if let Some(map) = value.as_object_mut() {
                map.entry("format_version").or_insert_with(|| FORMAT_VERSION.into());
            }
            serde_json::to_string_pretty(&value).unwrap_or_default()
        }
    };
    raw(&out);
}

/// Print a file as it would be written.
pub fn raw(out: &str) {
    let newline = if out.ends_with('\n') || out.is_empty() { "" } else { "\n" };
    PRINTED.store(true, Ordering::Relaxed);
    let mut stdout = anstream::stdout();
    keep(write!(stdout, "{out}{newline}").and_then(|()| stdout.flush()));
}

/// Has a result been printed? Then a failure after it is told on standard error alone: one document, not two.
static PRINTED: AtomicBool = AtomicBool::new(false);

/// What went wrong, as the one document of a command that has no other.
pub fn failed(error: &serde_json::Value) {
    if !PRINTED.load(Ordering::Relaxed) {
        let document = serde_json::json!({"format_version": FORMAT_VERSION, "error": error});
        raw(&serde_json::to_string_pretty(&document).unwrap_or_default());
    }
}

static LOST: OnceLock<String> = OnceLock::new();

/// Remember why standard output could not be written. A closed pipe is the reader's choice.
pub fn keep(written: std::io::Result<()>) {
    if let Err(error) = written
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        // The first error is the one that counts.
        let _ = LOST.set(error.to_string());
    }
}

/// The exit code of the process. Where a result was lost on its way out, that is told, and nothing ends as if all were
/// well.
pub fn ending(code: ExitCode) -> ExitCode {
    let Some(why) = LOST.get() else { return code };
    tell(format!("error: standard output cannot be written: {why}"));
    if matches!(code, ExitCode::Done | ExitCode::Changes) { ExitCode::Unwritten } else { code }
}

/// Something for the person that is no result.
pub fn note(global: &Global, text: impl AsRef<str>) {
    if !global.quiet {
        tell(printable_lines(text.as_ref()));
    }
}

/// A line to standard error. A terminal that is gone (EIO) or a reader that has left must not end a run, and there is
/// nobody else to tell.
pub fn tell(text: impl std::fmt::Display) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Ask at the terminal. Line by line, so that Ctrl-C and Ctrl-D do what they always do and leave the terminal as it was;
/// whatever is not a clear yes is a no.
///
/// # Errors
/// There is no terminal to ask at.
pub fn confirmed(question: &str, instead: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::usage("there is no terminal to ask at").hint(instead));
    }
    let _ = write!(anstream::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer).map_err(|e| Failure::usage(format!("no answer: {e}")))?;
    if read == 0 {
        tell("");
    }
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

/// The text that a fieldless enum has on the wire.
pub fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}

pub fn colour_on_stderr() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) && std::io::stderr().is_terminal()
}

/// Columns of the terminal, or the 80 that fit everywhere.
pub fn width() -> usize {
    rustix::termios::tcgetwinsize(std::io::stdout()).map_or(80, |size| usize::from(size.ws_col)).max(60)
}

pub fn completions(args: &CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "coldswap", &mut script);
    raw(&String::from_utf8_lossy(&script));
    ExitCode::Done
}

pub fn man() -> Result<ExitCode, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut page)
        .map_err(|e| Failure::usage(format!("the manual page cannot be written: {e}")))?;
    raw(&String::from_utf8_lossy(&page));
    Ok(ExitCode::Done)
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_a_clear_yes_is_one() {
        assert!(["y\n", "Y\n", " yes \n", "YES"].iter().all(|a| super::is_yes(a)));
        assert!(["", "\n", "n\n", "yo\n", "yes please\n"].iter().all(|a| !super::is_yes(a)), "the end of the input among them");
    }
}
