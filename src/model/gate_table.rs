//! Gates: every place where coldswap decides whether to go on, and what it does when it cannot know.
//!
//! Each is declared beside the code that it describes, with [`gates!`](crate::model::gate_table::gates); `docs/gates.md` is
//! written from the declarations, and a test holds that the test which each of them names is there.

/// What a gate does when it cannot tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fails {
    /// It stops: nothing happens that might be wrong.
    Closed,
    /// It lets through: what it guards costs less than standing still.
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    pub name: &'static str,
    /// What must hold, and what is let through then.
    pub guards: &'static str,
    pub fails: Fails,
    pub why: &'static str,
    /// The test that shows it.
    pub test: &'static str,
    /// The file that it stands in.
    pub file: &'static str,
}

/// `"name", "what it guards", Closed | Open, "why", test_that_shows_it;`
macro_rules! gates {
    ($($name:literal, $guards:literal, $fails:ident, $why:literal, $test:ident;)*) => {
        /// The gates of this file, for `docs/gates.md`.
        pub const GATES: &[$crate::model::Gate] = &[$($crate::model::Gate {
            name: $name,
            guards: $guards,
            fails: $crate::model::Fails::$fails,
            why: $why,
            test: stringify!($test),
            file: file!(),
        }),*];
    };
}

pub(crate) use gates;
