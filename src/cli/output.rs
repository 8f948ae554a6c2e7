//! What is printed, and how.

use super::Failure;
use super::args::{Cli, CompletionsArgs, Global, Output};
use crate::report::ExitCode;
use crate::report::text::printable_lines;
use clap::CommandFactory;
use std::io::{IsTerminal, Write};

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
    let _ = write!(anstream::stdout(), "{out}{newline}");
}

/// Something for the person that is no result.
pub fn note(global: &Global, text: impl AsRef<str>) {
    if !global.quiet {
        anstream::eprintln!("{}", printable_lines(text.as_ref()));
    }
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
    clap_complete::generate(args.shell, &mut Cli::command(), "coldswap", &mut std::io::stdout());
    ExitCode::Done
}

pub fn man() -> Result<ExitCode, Failure> {
    let page = clap_mangen::Man::new(Cli::command());
    page.render(&mut std::io::stdout()).map_err(|e| Failure::usage(format!("the manual page cannot be written: {e}")))?;
    Ok(ExitCode::Done)
}
