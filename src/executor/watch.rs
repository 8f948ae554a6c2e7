//! Who looks on.

use crate::engine::{Entry, Progress};

/// Hears of every entry after it is durable, those of earlier processes first. Must be quick: the loop waits for it.
pub trait Watch: Send {
    fn saw(&mut self, entry: &Entry, progress: &Progress);
    fn finished(&mut self);
}
