//! Questions about millions of pairs: what each side shows is worked out once for each node, and what two sides show is
//! asked about once.

use crate::model::NodeId;
use crate::runbook::{Ask, ExpressionError, Judge, Shown};
use std::collections::BTreeMap;

/// Small numbers for things that are equal, in the order in which they are first seen.
#[derive(Default)]
pub(super) struct Numbers<T> {
    pub seen: Vec<T>,
    by_text: BTreeMap<String, u32>,
}

impl<T: std::fmt::Debug> Numbers<T> {
    pub(super) fn new() -> Numbers<T> {
        Numbers { seen: Vec::new(), by_text: BTreeMap::new() }
    }

    pub(super) fn of(&mut self, thing: T) -> u32 {
        let next = self.seen.len() as u32;
        let number = *self.by_text.entry(format!("{thing:?}")).or_insert(next);
        if number == next {
            self.seen.push(thing);
        }
        number
    }
}

/// Answers of more pairs than this are asked for again instead of being kept (a byte each).
const KEPT_MAX: usize = 1 << 24;

/// One question.
pub(super) struct Facet<'a> {
    pub ask: Ask<'a>,
    sources: Numbers<Shown>,
    spares: Numbers<Shown>,
    kept: Vec<u8>,
}

impl<'a> Facet<'a> {
    pub(super) fn new(ask: Ask<'a>) -> Facet<'a> {
        Facet { ask, sources: Numbers::new(), spares: Numbers::new(), kept: Vec::new() }
    }

    pub(super) fn number(&mut self, judge: &Judge, as_source: bool, id: NodeId) -> u32 {
        let shown = judge.shows(self.ask, as_source, id);
        if as_source { self.sources.of(shown) } else { self.spares.of(shown) }
    }

    /// All nodes have their numbers: `pairs` of them will be asked about.
    pub(super) fn ready(&mut self, pairs: usize) {
        let size = self.sources.seen.len() * self.spares.seen.len();
        if size <= KEPT_MAX && size < pairs {
            self.kept = vec![0; size];
        }
    }

    /// The answer, for what a source and a spare show.
    ///
    /// # Errors
    /// The values do not fit the expression.
    pub(super) fn holds(&mut self, source: u32, spare: u32) -> Result<bool, ExpressionError> {
        let at = source as usize * self.spares.seen.len() + spare as usize;
        match self.kept.get(at) {
            Some(1) => Ok(false),
            Some(2) => Ok(true),
            _ => {
                let answer = self.answer(source, spare);
                if let (Ok(holds), Some(place)) = (&answer, self.kept.get_mut(at)) {
                    *place = 1 + u8::from(*holds);
                }
                answer
            }
        }
    }

    /// The answer where it is kept already.
    pub(super) fn known(&self, source: u32, spare: u32) -> Option<bool> {
        let at = source as usize * self.spares.seen.len() + spare as usize;
        self.kept.get(at).filter(|kept| **kept > 0).map(|kept| *kept == 2)
    }

    fn answer(&self, source: u32, spare: u32) -> Result<bool, ExpressionError> {
        self.ask.answer(&self.sources.seen[source as usize], &self.spares.seen[spare as usize])
    }

    pub(super) fn gap(&self, source: u32, spare: u32) -> u64 {
        self.ask.gap(&self.sources.seen[source as usize], &self.spares.seen[spare as usize])
    }
}
