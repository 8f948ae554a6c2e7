//! How many spares are enough? Two questions that are often taken for one, each with its answer:
//!
//! - for which share of the time does every node have a machine to run on (no shortage);
//! - how likely is it that the next failure finds no spare.
//!
//! The second is always the worse: a spare that replaces a node leaves nobody short, and yet the next failure finds the
//! shelf empty. Three models answer, from the roughest to the most general, and the answer says which one it is from:
//! [`poisson`], [`birth_death`], [`monte_carlo`]. `docs/sizing.md` says when each is right.

mod answer;
mod birth_death;
mod distribution;
mod figures;
mod learned;
mod model;
mod monte_carlo;
mod plot;

mod poisson;
mod rng;
mod text;

pub use answer::{Answer, Choice, Estimate, Interval, Point, Sizing, SizingGroup, SizingLeftOut, answer};
pub use birth_death::birth_death;
pub use learned::Learned;
pub use model::{DomainLoss, Model, Question, Repair, Share, Simulation, Standby, Wrong, YearlyRate};
pub use monte_carlo::monte_carlo;
pub use plot::svg;

pub use poisson::poisson;
pub use text::render;

/// Of the JSON document. Fields may be added within a format version; none is renamed, removed or given another meaning.
pub const SIZING_FORMAT: u32 = 1;

/// Every rate is per year of 365 days.
const YEAR_MS: f64 = 365.0 * 86_400_000.0;
