//! How far the asking of many BMCs has come: a bar on a terminal, now and then a line elsewhere.

use super::args::Global;
use super::output;
use crate::model::Depth;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// BMCs that are read in full at the same time. Each gets one request at a time, and `bmc.total_at_once` bounds them all.
pub const SURVEYED_AT_ONCE: usize = 256;
/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

pub struct Asking<'a> {
    global: &'a Global,
    /// None: no terminal.
    bar: Option<ProgressBar>,
    /// Lines are for what takes long.
    lines: bool,
    said: Instant,
}

impl<'a> Asking<'a> {
    pub fn new(global: &'a Global, depth: Depth) -> Asking<'a> {
        let terminal = std::io::stderr().is_terminal() && !global.quiet;
        let style = ProgressStyle::with_template("asking BMCs {pos}/{len} {wide_bar} {elapsed}");
        let bar = || style.map_or_else(|_| ProgressBar::new(0), |style| ProgressBar::new(0).with_style(style));
        Asking { global, bar: terminal.then(bar), lines: depth == Depth::Full, said: Instant::now() }
    }

    pub fn tell(&mut self, count: usize, total: usize) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(total as u64);
                bar.set_position(count as u64);
            }
            None if self.lines && count < total && self.said.elapsed() >= LINE_EVERY => {
                self.said = Instant::now();
                output::note(self.global, format!("{count} of {total} BMCs asked"));
            }
            None => {}
        }
    }

    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
