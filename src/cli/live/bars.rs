//! Lines that are redrawn: one a switchover in flight, and one for the run.

use crate::engine::{Outcome, Phase, Progress, Whom};
use crate::model::Span;
use crate::plan::Plan;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use owo_colors::OwoColorize;
use std::collections::BTreeMap;
use std::time::Duration;

/// With the run's own line and the count of the rest, they fit on a terminal of 24 lines with room for messages.
const LINES_MAX: usize = 16;
/// Elapsed times count on between events.
const TICK: Duration = Duration::from_millis(500);
/// A run that was taken up after years must not reach back before the machine's clock began, where indicatif panics.
const ELAPSED_MAX: Duration = Duration::from_secs(99 * 3600);

pub(super) struct Bars {
    multi: MultiProgress,
    run: ProgressBar,
    /// How many more are in flight than there are lines for.
    more: ProgressBar,
    shown: BTreeMap<usize, ProgressBar>,
    hidden: BTreeMap<usize, Hidden>,
    colour: bool,
}

/// A switchover without a line of its own yet.
struct Hidden {
    message: String,
    since: std::time::Instant,
    before: Span,
}

fn style(template: &str) -> ProgressStyle {
    // Our own constant; a template that does not parse would only cost the layout.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()).progress_chars("=> ")
}

impl Bars {
    pub fn new(target: ProgressDrawTarget, colour: bool, planned: usize) -> Bars {
        let multi = MultiProgress::with_draw_target(target);
        let run = multi.add(ProgressBar::new(planned as u64).with_style(style("{elapsed_precise} [{bar:16}] {pos}/{len} {wide_msg}")));
        let more = ProgressBar::new_spinner().with_style(style("         {wide_msg}"));
        run.enable_steady_tick(TICK);
        Bars { multi, run, more, shown: BTreeMap::new(), hidden: BTreeMap::new(), colour }
    }

    pub fn multi(&self) -> &MultiProgress {
        &self.multi
    }

    pub fn colour(&self) -> bool {
        self.colour
    }

    /// A line that stays.
    pub fn above(&self, line: &str) {
        // A terminal that is gone must not end a run.
        let _ = self.multi.println(line);
    }

    /// The switchover is in flight, at this.
    pub fn fly(&mut self, index: usize, message: &str, elapsed: Span, detour: bool) {
        let message = if detour && self.colour { message.yellow().to_string() } else { message.to_owned() };
        if let Some(bar) = self.shown.get(&index) {
            bar.set_message(message);
        } else if self.shown.len() < LINES_MAX {
            self.show(index, message, elapsed);
        } else {
            self.hidden.insert(index, Hidden { message, since: std::time::Instant::now(), before: elapsed });
        }
        self.count_hidden();
    }

    fn show(&mut self, index: usize, message: String, elapsed: Span) {
        let elapsed = elapsed.duration().min(ELAPSED_MAX);
        let bar = ProgressBar::new_spinner().with_style(style("{elapsed_precise} {wide_msg}")).with_elapsed(elapsed);
        // In the order of the plan, the run's own line last.
        let bar = match self.shown.range(index..).next() {
            Some((_, after)) => self.multi.insert_before(after, bar),
            None if self.more_shown() => self.multi.insert_before(&self.more, bar),
            None => self.multi.insert_before(&self.run, bar),
        };
        bar.set_message(message);
        bar.enable_steady_tick(TICK);
        self.shown.insert(index, bar);
    }

    /// The switchover is not in flight any more.
    pub fn land(&mut self, index: usize) {
        self.hidden.remove(&index);
        if let Some(bar) = self.shown.remove(&index) {
            bar.finish_and_clear();
            self.multi.remove(&bar);
            if let Some((next, hidden)) = self.hidden.pop_first() {
                let elapsed = hidden.before.duration() + hidden.since.elapsed();
                self.show(next, hidden.message, Span(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)));
            }
        }
        self.count_hidden();
    }

    fn more_shown(&self) -> bool {
        !self.more.message().is_empty()
    }

    fn count_hidden(&mut self) {
        match (self.hidden.len(), self.more_shown()) {
            (0, false) => {}
            (0, true) => {
                self.more.set_message("");
                self.multi.remove(&self.more);
            }
            (n, shown) => {
                if !shown {
                    self.more = self.multi.insert_before(&self.run, ProgressBar::new_spinner().with_style(style("         {wide_msg}")));
                }
                self.more.set_message(format!("and {n} more in flight"));
            }
        }
    }

    /// How far the run is.
    pub fn tally(&self, plan: &Plan, progress: &Progress) {
        let mut outcomes: BTreeMap<Outcome, u32> = BTreeMap::new();
        let mut flying = 0;
        let mut waiting = 0;
        for track in &progress.tracks {
            match track.phase {
                Phase::Finished(outcome) => *outcomes.entry(outcome).or_insert(0) += 1,
                Phase::Waiting => waiting += 1,
                _ => flying += 1,
            }
        }
        let over: u32 = outcomes.values().sum();
        let mut told: Vec<String> = outcomes.iter().map(|(o, n)| format!("{n} {}", crate::report::text::outcome_words(*o))).collect();
        if flying > 0 {
            told.push(format!("{flying} in flight"));
        }
        told.extend(held(plan, progress, waiting));
        if progress.paused.is_some() {
            told.push("paused".to_owned());
        }
        self.run.set_position(u64::from(over));
        self.run.set_message(told.join(", "));
    }

    /// Switchovers with a line of their own, and without.
    #[cfg(test)]
    pub fn lines(&self) -> (usize, usize) {
        (self.shown.len(), self.hidden.len())
    }

    pub fn clear(&mut self) {
        // At once: bar by bar, the rest would be drawn again each time.
        let _ = self.multi.clear();
        self.multi.set_draw_target(ProgressDrawTarget::hidden());
        for bar in std::mem::take(&mut self.shown).into_values() {
            bar.finish_and_clear();
        }
        self.more.finish_and_clear();
        self.run.finish_and_clear();
    }
}

/// How many wait for what. With thousands that wait for the same thing none is looked at by itself.
fn held(plan: &Plan, progress: &Progress, waiting: u32) -> Vec<String> {
    let narrow = progress.held.keys().any(|whom| *whom != Whom::All);
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    if narrow {
        let each = progress.tracks.iter().enumerate().filter(|(_, t)| t.phase == Phase::Waiting);
        each.filter_map(|(index, _)| progress.held(plan, index)).for_each(|limit| *counts.entry(limit.as_str()).or_insert(0) += 1);
    } else if let (None, Some(limit)) = (&progress.paused, progress.held.get(&Whom::All).filter(|_| waiting > 0)) {
        counts.insert(limit.as_str(), waiting);
    }
    counts.iter().map(|(limit, n)| format!("{n} wait for {limit}")).collect()
}
