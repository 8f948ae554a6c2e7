//! The command line: arguments, one file a command family, the live display, exit codes.
//!
//! Results go to standard output, progress and logs to standard error. `--output json` gives every result as one JSON
//! document with a `format_version`.

mod agents;
mod apply;
mod args;
mod asking;
mod attest;
mod control;
mod coverage;
pub mod drill;
mod exit;
mod failback;
mod failure;
mod files;
pub mod gates;
mod history;
mod inventory;
mod lab;
pub mod live;
mod look;
mod output;
mod people;
mod plan;
mod reports;
mod runs;
mod site;
mod spares;
mod switchover;
mod validate;

pub use args::Cli;
pub use failure::Failure;

use args::Command;
use clap::Parser;
use std::process::ExitCode;

/// Parse, run, and turn whatever happened into an exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { crate::report::ExitCode::Usage } else { crate::report::ExitCode::Done };
            let printed = error.print();
            if error.use_stderr() && asks_for_json() {
                let text = error.to_string();
                let message = text.lines().next().unwrap_or_default();
                output::failed(&serde_json::json!({"code": code.word(), "message": message.trim_start_matches("error: "), "hint": null}));
            }
            if !error.use_stderr() {
                output::keep(printed);
            }
            return output::ending(code).into();
        }
    };
    start_logs(&cli);
    // One provider for every TLS connection of the process; a second installation is refused and of no consequence.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let json = output::is_json(&cli.global);
    // The runtime panics where it lacks descriptors, so it is built under guard as well.
    let result = guarded(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let result = guarded(|| runtime.block_on(dispatch(cli)));
        runtime.shutdown_background();
        Ok::<_, std::io::Error>(result)
    });
    let code = match result {
        Some(Ok(Some(Ok(code)))) => {
            if json && code != crate::report::ExitCode::Done {
                output::failed(&serde_json::json!({"code": code.word(), "message": code.meaning(), "hint": null}));
            }
            code
        }
        Some(Ok(Some(Err(failure)))) => failure.tell(json),
        Some(Err(error)) => {
            output::tell(format!("error: the runtime cannot be started: {error}"));
            crate::report::ExitCode::Bug
        }
        Some(Ok(None)) | None => {
            output::tell("error: a bug in coldswap, told above; nothing more is sent");
            output::tell("hint: `coldswap runs` shows what was going on, and `coldswap resume` looks again and goes on");
            let code = crate::report::ExitCode::Bug;
            if json {
                output::failed(&serde_json::json!({"code": code.word(), "message": code.meaning(), "hint": "`coldswap resume`"}));
            }
            code
        }
    };
    output::ending(code).into()
}

/// The command line could not be read, but this much of it can.
fn asks_for_json() -> bool {
    let words: Vec<_> = std::env::args_os().collect();
    words.iter().any(|w| w == "--output=json") || words.windows(2).any(|pair| pair[0] == "--output" && pair[1] == "json")
}

/// `None`: it panicked. The journal makes that safe; the exit code says so.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).ok()
}

async fn dispatch(cli: Cli) -> Result<crate::report::ExitCode, Failure> {
    let global = cli.global;
    match cli.command {
        Command::Validate(args) => validate::run(&global, &args).await,
        Command::Plan(args) => plan::plan(&global, &args).await,
        Command::Explain(args) => plan::explain(&global, &args).await,
        Command::Apply(args) => apply::apply(&global, &args).await,
        Command::Resume(args) => apply::resume(&global, &args).await,
        Command::Pause(args) => people::pause(&global, &args).await,
        Command::Stop(args) => people::stop(&global, &args).await,
        Command::Rollback(args) => people::rollback(&global, &args).await,
        Command::Decide(args) => people::decide(&global, &args).await,
        Command::Lab(args) => lab::serve(&global, &args).await,
        Command::Switchover(args) => switchover::positional(&global, args).await,
        Command::NodeSwitchover(args) => switchover::flagged(&global, args).await,
        Command::Attest(args) => attest::attest(&global, &args).await,
        Command::Drill(args) => drill::run(&global, &args).await,
        Command::Failback(args) => failback::run(&global, &args).await,
        Command::Runs => runs::list(&global),
        Command::Show(args) => runs::show(&global, &args),
        Command::Journal(args) => runs::journal(&global, &args),
        Command::Report(args) => runs::report(&global, &args),
        Command::Inventory(args) => inventory::run(&global, args).await,
        Command::Coverage(args) => coverage::run(&global, &args).await,
        Command::Spares(args) => spares::run(&global, args).await,
        Command::Completions(args) => Ok(output::completions(&args)),
        Command::Man => output::man(),
    }
}

fn start_logs(cli: &Cli) {
    use tracing_subscriber::EnvFilter;
    let default = match cli.global.verbose {
        0 => "warn",
        1 => "coldswap=info",
        2 => "coldswap=debug",
        _ => "coldswap=trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    // A line that cannot be written is told by a panic otherwise: a vanished terminal would end the run.
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    let done = match cli.global.log_format {
        args::LogFormat::Json => builder.json().try_init(),
        args::LogFormat::Text => builder.with_ansi(output::colour_on_stderr()).try_init(),
    };
    // Only a test that runs two commands in one process gets here twice.
    let _ = done;
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_panic_is_a_bug_and_has_the_exit_code_of_one() {
        assert_eq!(super::guarded(|| 7), Some(7));
        assert_eq!(super::guarded(|| panic!("a bug, on purpose")), None::<()>);
        assert_eq!(crate::report::ExitCode::Bug.code(), 1);
    }
}
