//! Questions about millions of pairs: what each side shows is worked out once for each node, and what two sides show is
//! asked about once.

use crate::model::NodeId;
use crate::runbook::{Ask, Columns, ExpressionError, Judge, Shown};
use std::collections::BTreeMap;

/// Small numbers for things that are equal, in the order in which they are first seen.
#[derive(Default)]
pub(super) struct Numbers<T> {
    pub seen: Vec<T>,
    known: BTreeMap<T, u32>,
}

impl<T: Ord + Clone> Numbers<T> {
    pub(super) fn new() -> Numbers<T> {
        Numbers { seen: Vec::new(), known: BTreeMap::new() }
    }

    pub(super) fn of(&mut self, thing: T) -> u32 {
        if let Some(number) = self.known.get(&thing) {
            return *number;
        }
        let next = self.seen.len() as u32;
        self.seen.push(thing.clone());
        self.known.insert(thing, next);
        next
    }
}

/// Answers of more pairs than this are asked for again instead of being kept (a byte each).
const KEPT_MAX: usize = 1 << 24;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    No,
    Yes,
    Failed,
}

/// One question.
pub(super) struct Facet<'a> {
    pub ask: Ask<'a>,
    sources: Numbers<Shown>,
    spares: Numbers<Shown>,
    kept: Vec<u8>,
    columns: Option<Columns>,
}

impl<'a> Facet<'a> {
    pub(super) fn new(ask: Ask<'a>) -> Facet<'a> {
        Facet { ask, sources: Numbers::new(), spares: Numbers::new(), kept: Vec::new(), columns: None }
    }

    pub(super) fn number(&mut self, judge: &Judge, as_source: bool, id: NodeId) -> u32 {
        let shown = judge.shows(self.ask, as_source, id);
        if as_source { self.sources.of(shown) } else { self.spares.of(shown) }
    }

    /// All nodes have their numbers: `pairs` of them will be asked about.
    pub(super) fn ready(&mut self, pairs: usize) {
        let size = self.sources.seen.len() * self.spares.seen.len();
        // What is asked about hardly twice is not worth keeping.
        if size <= KEPT_MAX && size < pairs / 4 {
            self.kept = vec![0; size];
        } else {
            self.columns = self.ask.columns(&self.spares.seen);
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

    /// The answers for one source and many spares, in their order; `errors` takes what could not be answered, and where.
    pub(super) fn answers(&mut self, source: u32, spares: &[u32], answers: &mut Vec<Answer>, errors: &mut Vec<(usize, ExpressionError)>) {
        answers.clear();
        errors.clear();
        let width = self.spares.seen.len();
        let (ask, from) = (self.ask, &self.sources.seen[source as usize]);
        if let Some(truths) = self.columns.as_ref().and_then(|columns| ask.answers(from, columns)) {
            answers.extend(spares.iter().map(|spare| if truths[*spare as usize] { Answer::Yes } else { Answer::No }));
            return;
        }
        let mut kept = self.kept.get_mut(source as usize * width..(source as usize + 1) * width);
        for (at, spare) in spares.iter().enumerate() {
            let spare = *spare as usize;
            let known = match kept.as_ref().map(|kept| kept[spare]) {
                Some(1) => Answer::No,
                Some(2) => Answer::Yes,
                _ => match ask.answer(from, &self.spares.seen[spare]) {
                    Ok(holds) => {
                        if let Some(kept) = &mut kept {
                            kept[spare] = 1 + u8::from(holds);
                        }
                        if holds { Answer::Yes } else { Answer::No }
                    }
                    Err(error) => {
                        errors.push((at, error));
                        Answer::Failed
                    }
                },
            };
            answers.push(known);
        }
    }

    fn answer(&self, source: u32, spare: u32) -> Result<bool, ExpressionError> {
        self.ask.answer(&self.sources.seen[source as usize], &self.spares.seen[spare as usize])
    }

    pub(super) fn gap(&self, source: u32, spare: u32) -> u64 {
        self.ask.gap(&self.sources.seen[source as usize], &self.spares.seen[spare as usize])
    }
}
