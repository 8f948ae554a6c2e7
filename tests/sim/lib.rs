//! The pure layers of coldswap, from the same files: `tests/it/crash.rs` and `tests/it/seeds.rs` run them by the
//! thousand, and the debug profile compiles this package with optimisation (`[profile.dev.package]`).

#[path = "../../src/diagnostic/mod.rs"]
pub mod diagnostic;
#[path = "../../src/engine/mod.rs"]
pub mod engine;
#[path = "../../src/model/mod.rs"]
pub mod model;
#[path = "../../src/plan/mod.rs"]
pub mod plan;
#[path = "../../src/report/mod.rs"]
pub mod report;
#[path = "../../src/runbook/mod.rs"]
pub mod runbook;
#[path = "../../src/sim/mod.rs"]
pub mod sim;
#[path = "../../src/step/mod.rs"]
pub mod step;
