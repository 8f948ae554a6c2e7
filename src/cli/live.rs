//! Progress of a run on standard error: lines that are redrawn on a terminal, plain lines elsewhere.
//!
//! The view keeps its own fold of the entries that it is shown, because the engine's may already be further: several
//! entries become durable at once, and those of earlier processes are shown when the engine knows them all.

mod bars;
mod words;

use crate::engine::{Entry, Event, Phase, Progress};
use crate::executor::Watch;
use crate::model::*;
use crate::plan::Plan;
use crate::report::{Stamp, text};
use bars::Bars;
use indicatif::{MultiProgress, ProgressDrawTarget};
use owo_colors::{OwoColorize, Style};
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};
use words::{Line, Weight};

/// The executor's clock and ours may have been set apart by so much.
const CLOCKS_APART: Span = Span::secs(1);
/// History is shown at once when a run is taken up. What comes later is not history, whatever the clocks say.
const HISTORY_MAX: Duration = Duration::from_secs(5);

pub struct Live {
    plan: Arc<Plan>,
    progress: Progress,
    /// When each switchover began.
    started: Vec<Option<Time>>,
    /// Entries from before are history: they are folded and not shown.
    since: Time,
    made: Instant,
    current: bool,
    screen: Screen,
}

enum Screen {
    Lines { out: Box<dyn Write + Send>, colour: bool, least: Weight },
    Bars(Bars),
}

impl Live {
    /// On standard error, as it is: redrawn on a terminal, plain lines elsewhere, and with `quiet` only what a person
    /// must know. Colour only on a terminal, and not where `NO_COLOR` is set.
    pub fn new(plan: Arc<Plan>, quiet: bool) -> Live {
        let now = Time(jiff::Timestamp::now().as_microsecond()) - CLOCKS_APART;
        let stderr = std::io::stderr();
        let colour = stderr.is_terminal() && anstream::AutoStream::choice(&stderr) != anstream::ColorChoice::Never;
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        if stderr.is_terminal() && !dumb && !quiet {
            return Live::bars(plan, now, ProgressDrawTarget::stderr(), colour);
        }
        Live::lines(plan, now, Box::new(stderr), colour, quiet)
    }

    /// Plain lines to `out`. Entries from before `now` are history.
    pub fn lines(plan: Arc<Plan>, now: Time, out: Box<dyn Write + Send>, colour: bool, quiet: bool) -> Live {
        let least = if quiet { Weight::Odd } else { Weight::Step };
        Live::with(plan, now, Screen::Lines { out, colour, least })
    }

    /// Redrawn lines on `target`. Entries from before `now` are history.
    pub fn bars(plan: Arc<Plan>, now: Time, target: ProgressDrawTarget, colour: bool) -> Live {
        let bars = Bars::new(target, colour, plan.switchovers.len());
        Live::with(plan, now, Screen::Bars(bars))
    }

    fn with(plan: Arc<Plan>, since: Time, screen: Screen) -> Live {
        let progress = Progress::new(&plan);
        Live { started: vec![None; plan.switchovers.len()], progress, since, made: Instant::now(), current: false, plan, screen }
    }

    /// Where lines are redrawn, whatever else is written to the terminal must go through this (`suspend`, `println`).
    pub fn redrawn(&self) -> Option<&MultiProgress> {
        match &self.screen {
            Screen::Bars(bars) => Some(bars.multi()),
            Screen::Lines { .. } => None,
        }
    }

    fn show(&mut self, line: &Line) {
        match &mut self.screen {
            // A terminal that is gone must not end a run.
            Screen::Lines { out, colour, least } if line.weight >= *least => {
                let _ = writeln!(out, "{}", written(line, *colour));
            }
            Screen::Bars(bars) if line.weight >= Weight::Good => bars.above(&written(line, bars.colour())),
            _ => {}
        }
    }

    /// From here on the entries are this process's own.
    fn become_current(&mut self, now: Time) {
        self.current = true;
        let flying = self.progress.tracks.iter().enumerate().filter(|(_, t)| t.in_flight());
        let flying: Vec<usize> = flying.map(|(index, _)| index).collect();
        flying.into_iter().for_each(|index| self.redraw(index, now));
    }

    fn redraw(&mut self, index: usize, now: Time) {
        let Screen::Bars(bars) = &mut self.screen else { return };
        let track = &self.progress.tracks[index];
        if track.in_flight() {
            let elapsed = self.started[index].map_or(Span::ZERO, |from| now.since(from));
            bars.fly(index, &words::in_hand(&self.plan, track, index), elapsed, track.phase != Phase::Forward);
        } else {
            bars.land(index);
        }
        bars.tally(&self.plan, &self.progress);
    }
}

impl Watch for Live {
    fn saw(&mut self, entry: &Entry, progress: &Progress) {
        let index = entry.event.switchover().and_then(|id| self.plan.index(id));
        if let (Some(index), Event::Started { .. }) = (index, &entry.event) {
            self.started[index] = Some(entry.at);
        }
        let line = words::line(&self.plan, &self.progress, &self.started, entry);
        if self.progress.apply(&self.plan, entry).is_err() {
            self.progress = progress.clone();
        }
        if !self.current && (entry.at >= self.since || self.made.elapsed() > HISTORY_MAX) {
            self.become_current(entry.at);
        }
        if !self.current {
            return;
        }
        if let Some(line) = line {
            self.show(&line);
        }
        match (index, &mut self.screen) {
            (Some(index), _) => self.redraw(index, entry.at),
            (None, Screen::Bars(bars)) => bars.tally(&self.plan, &self.progress),
            (None, Screen::Lines { .. }) => {}
        }
    }

    fn finished(&mut self) {
        match &mut self.screen {
            Screen::Bars(bars) => bars.clear(),
            Screen::Lines { out, .. } => {
                let _ = out.flush();
            }
        }
    }
}

/// A run that ends by an error leaves no half-drawn lines.
impl Drop for Live {
    fn drop(&mut self) {
        self.finished();
    }
}

/// `12:03:04Z s-001 web-01 -> spare-03  fence  ForceOff, 3 reads Off`.
fn written(line: &Line, colour: bool) -> String {
    let style = match line.weight {
        Weight::Step => Style::new(),
        Weight::Retry => Style::new().dimmed(),
        Weight::Good => Style::new().green(),
        Weight::Odd => Style::new().yellow(),
        Weight::Bad => Style::new().red().bold(),
    };
    let what = text::printable(&line.what);
    let what = if colour { what.style(style).to_string() } else { what };
    format!("{} {}{what}", Stamp::new(line.at).clock(), text::printable(&line.who))
}

#[cfg(test)]
mod tests;
