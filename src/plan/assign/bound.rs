//! Branch and bound: the best answer that also keeps what does not fit into a flow.
//!
//! The flow without those conditions is at least as good as any answer that keeps them. Where its answer breaks one, each
//! answer that keeps it differs in at least one of the places that broke it, so those are tried one after the other;
//! what cannot become better than the best so far is not followed.

use super::flow::{Answer, Cuts, Problem, Worth};

/// How much of all that is looked at: an upper bound of edges times solutions, so that no fleet makes a plan take minutes.
const EFFORT: usize = 60_000_000;

struct Branches<'p> {
    problem: &'p Problem,
    /// What would mend the first broken condition, one of these; none broken, nothing.
    mend: &'p dyn Fn(&Answer, &Cuts) -> Vec<Cuts>,
    best: Option<(Worth, Answer)>,
    left: usize,
}

pub(super) struct Outcome {
    pub answer: Answer,
    /// No answer is better.
    pub proven: bool,
    /// How many sources of each group no answer can exceed.
    pub at_most: Worth,
}

/// `fallback` is an answer that keeps everything, for where the search is given up.
pub(super) fn best(problem: &Problem, mend: &dyn Fn(&Answer, &Cuts) -> Vec<Cuts>, fallback: impl FnOnce() -> Answer) -> Outcome {
    let first = problem.solve(&Cuts::default());
    let at_most = problem.worth(&first);
    if mend(&first, &Cuts::default()).is_empty() {
        return Outcome { answer: first, proven: true, at_most };
    }
    let edges: usize = problem.demands.iter().flat_map(|d| &d.lanes).map(|l| l.edges.len()).sum();
    let fallback = fallback();
    let worth = problem.worth(&fallback);
    let mut branches =
        Branches { problem, mend, best: Some((worth, fallback)), left: (EFFORT / (edges + problem.supplies.len() + 1)).clamp(4, 50_000) };
    branches.follow(&Cuts::default(), first);
    let (proven, best) = (branches.left > 0, branches.best);
    Outcome { answer: best.map(|(_, answer)| answer).unwrap_or_default(), proven, at_most }
}

impl Branches<'_> {
    fn follow(&mut self, cuts: &Cuts, answer: Answer) {
        let worth = self.problem.worth(&answer);
        if self.best.as_ref().is_some_and(|(best, _)| worth >= *best) {
            return;
        }
        let ways = (self.mend)(&answer, cuts);
        if ways.is_empty() {
            self.best = Some((worth, answer));
            return;
        }
        let mut tried: Vec<(Worth, usize, Answer)> = Vec::new();
        for (at, way) in ways.iter().enumerate() {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            let answer = self.problem.solve(way);
            tried.push((self.problem.worth(&answer), at, answer));
        }
        tried.sort();
        for (_, at, answer) in tried {
            self.follow(&ways[at], answer);
        }
    }
}
