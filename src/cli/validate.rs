//! `validate`: every error of every file. Fence agents that are installed here are asked for their metadata, which asks no
//! device; a plan runs no agent at all.

use super::args::{Global, ValidateArgs};
use super::files::{self, Disk};
use super::{Failure, agents, output};
use crate::diagnostic::{Diagnostics, Look, Source, render};
use crate::report::ExitCode;
use crate::runbook::{Kind, check_document, read_runbook};

pub async fn run(global: &Global, args: &ValidateArgs) -> Result<ExitCode, Failure> {
    let vars = files::vars(&args.vars)?;
    let sources: Vec<Source> = args.files.iter().map(|f| files::source(f)).collect::<Result<_, _>>()?;
    let mut found = Diagnostics::default();
    for source in &sources {
        found.extend(match check_document(source, &vars, &Disk) {
            Ok((Kind::Runbook, warnings)) => {
                let mut found = warnings;
                if let Ok((runbook, _)) = read_runbook(source, &vars, &Disk) {
                    found.extend(agents::of_runbook(source, &runbook).await);
                }
                found
            }
            Ok((_, warnings)) => warnings,
            Err(wrong) => wrong,
        });
    }
    let borrowed: Vec<&Source> = sources.iter().collect();
    let wrong = found.has_errors();
    if !found.is_empty() && !output::is_json(global) {
        output::tell(render(&found, &borrowed, Look::Coloured));
    }
    let text = || match (wrong, sources.len()) {
        (true, _) => String::new(),
        (false, 1) => format!("{}: valid", sources[0].name),
        (false, n) => format!("{n} files: valid"),
    };
    output::print(global, text, || serde_json::json!({ "valid": !wrong, "diagnostics": found.json(&borrowed) }));
    Ok(if wrong { ExitCode::Refused } else { ExitCode::Done })
}
