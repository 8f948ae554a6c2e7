//! A seeded world with virtual time: same seed, same run. The engine that carries out real switchovers is run against
//! it, with faults, late and lost effects, buttons that people press, and a process that dies at chosen points.
//!
//! The world keeps its own record of which machine has which volume open, from what each machine's boot configuration
//! names when it comes On. It asks neither the inventory nor the engine.

mod case;
pub mod drill;
mod gates;
mod harness;
mod planted;
mod queue;
mod rng;
mod takeover;
mod volumes;
mod world;

pub use case::*;
pub use gates::*;
pub use harness::*;
pub use planted::Bugs;
pub use rng::*;
pub use takeover::*;
pub use world::*;
