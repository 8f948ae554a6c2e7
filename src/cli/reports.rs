//! Where a run's report is wanted besides the store: `--report`, and what the runbook says. Tried before anything is
//! touched; afterwards a file that cannot be written is a warning, for the run is what it is and the store has it all.

use super::files::Kind;
use super::site::Site;
use super::{Failure, files, output};
use crate::model::RunId;
use crate::plan::Plan;
use crate::report::{ExitCode, Report};
use std::path::{Path, PathBuf};

/// Can the reports be written?
///
/// # Errors
/// Usage for `--report`, a refusal for the runbook's own path.
pub fn try_places(site: &Site, named: Option<&Path>, plan: &Plan) -> Result<(), Failure> {
    named.map_or(Ok(()), |path| site.try_to_write(path, Kind::Report))?;
    let Some(path) = planned(plan, &RunId("r-1".to_owned())) else { return Ok(()) };
    site.try_to_write(&path, Kind::Report).map_err(|failure| match failure {
        Failure::Said { message, .. } => {
            Failure::refused(format!("the report: {message}")).hint("correct `report.path` in the runbook; it is as seen from here")
        }
        other => other,
    })
}

/// Write it to every place. What cannot be written is told, and only a run that would have ended well says so by its exit
/// code.
pub fn write(report: &Report, run: &RunId, named: Option<&Path>, plan: &Plan, code: ExitCode) -> ExitCode {
    let json = serde_json::to_string_pretty(report).unwrap_or_default() + "\n";
    let mut unwritten = false;
    for path in named.map(Path::to_path_buf).into_iter().chain(planned(plan, run)) {
        if let Err(Failure::Said { message, .. }) = files::write_whole(&path, Kind::Report, json.as_bytes()) {
            output::tell(format!("warning: the report: {message}; `coldswap report {run}` tells it again"));
            unwritten = true;
        }
    }
    if unwritten && code == ExitCode::Done { ExitCode::Unwritten } else { code }
}

fn planned(plan: &Plan, run: &RunId) -> Option<PathBuf> {
    plan.report.as_ref().map(|path| PathBuf::from(path.replace("{{ run.id }}", &run.0)))
}
