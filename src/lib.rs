//! coldswap: N+1 redundancy for bare metal. A runbook and an inventory go in; switchovers come out, decided in advance as
//! plain data, shown, carried out on real machines, and reported. It can be killed at any instant and taken up again.
//!
//! # The map
//!
//! ```text
//! runbook.yaml -- runbook --> Runbook --\                                         effects
//!                                     plan --> Plan --> engine <== Ready / Input ==> executor --> ports --> adapter
//! inventory ---- snapshot --> Fleet ----/                 | Event
//!                                                         +------> journal (store) ------+--> live view, report
//! ------------------------- pure ------------------------------------|--------------- effects ---------------------
//! ```
//!
//! | layer | what it is |
//! |---|---|
//! | [`model`], [`diagnostic`] | nouns; what is wrong with a file. They use nothing |
//! | [`runbook`] | the language: text to a checked [`Runbook`](runbook::Runbook), and what "identical" means |
//! | [`step`] | the vocabulary: a step is a desired state that can be looked at, made so, and taken back |
//! | [`mod@plan`] | candidates, assignment, THE order of steps (`plan/recipe.rs`), audit, diff, explain |
//! | [`engine`] | a synchronous state machine over journalled events |
//! | [`report`] | a fold of plan and events |
//! | [`sim`] | a seeded world with virtual time in which the engine is killed anywhere |
//! | [`sizing`] | how many spares are enough: formulae, and a simulation where there is none |
//! | [`ports`], [`adapter`] | the edges as traits, and the world behind them |
//! | [`executor`] | the loop: ready, store, send, hear |
//! | [`bmcsim`] | a Redfish server for a whole fleet, with a witness of its own |
//! | [`cli`] | arguments, live display, exit codes |
//!
//! Start reading at [`step::Step`], then `plan/recipe.rs`, then [`engine`].
//!
//! # The seven safety rules
//!
//! The names that code, comments and tests use. Each is checked in two places at least.
//!
//! | | rule |
//! |---|---|
//! | S1 Fence | nothing that could let the destination write happens unless the same look saw source and destination Off, read back, of the right machine. Never a time-out |
//! | S2 Reservation | a node has one holder, taken by compare-and-set; every write carries it |
//! | S3 Intent first | no command leaves before its `Intended` is durable |
//! | S4 Once | a hook with `rerun: never` is not started twice; if nobody knows, the outcome is `InDoubt` |
//! | S5 Look, do not believe | an acknowledgement achieves nothing, an error fails nothing; only a look decides |
//! | S6 Stand still | before going back, and before a fence counts, every power command has landed or timed out |
//! | S7 One outcome | each switchover ends in exactly one outcome; what has not begun is parked, not ended |

pub mod adapter;
pub mod bmcsim;
pub mod cli;
pub mod diagnostic;
pub mod engine;
pub mod executor;
pub mod model;
pub mod plan;
pub mod ports;
pub mod report;
pub mod runbook;
pub mod sim;
pub mod sizing;
pub mod step;
