//! The table of gates: every declaration of the crate in one list, and the text of `docs/gates.md`.

use super::{apply, history, inventory, lab};
use crate::model::{Fails, Gate};
use std::fmt::Write;

/// Every gate, in the order of a run: planning, reserving, the steps, the engine, and what stands around them.
pub fn all() -> Vec<&'static Gate> {
    let around: &[&[Gate]] = &[apply::GATES, history::GATES, inventory::GATES, lab::GATES];
    let families = [crate::plan::GATES, crate::step::GATES, crate::engine::GATES, crate::executor::GATES, crate::adapter::GATES, around];
    families.into_iter().flatten().copied().flatten().collect()
}

/// The page.
pub fn page() -> String {
    let mut page = String::from(
        "# Gates\n\n\
         Every place where coldswap decides whether to go on, and what it does when it cannot know. **Closed**: it stops, and \
         nothing happens that might be wrong. **Open**: it lets through, because standing still would cost more than what it \
         guards. None waits for ever.\n\n\
         This page is written from the declarations beside the code; `cargo test` holds it to them, and holds that each test \
         is there.\n\n\
         | gate | what it guards | fails | why | code | test |\n|---|---|---|---|---|---|\n",
    );
    for gate in all() {
        let fails = match gate.fails {
            Fails::Closed => "closed",
            Fails::Open => "**open**",
        };
        let _ = writeln!(page, "| {} | {} | {fails} | {} | `{}` | `{}` |", gate.name, gate.guards, gate.why, gate.file, gate.test);
    }
    page
}
