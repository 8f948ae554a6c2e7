//! The fewest machines that stand behind every class that lacks some: each kind of machine stands behind several, and of each
//! as many may be bought as one likes. Exact by branch and bound; where that takes too long, the best that was found.

use std::collections::BTreeSet;

/// Partial answers that are looked at. Fleets have some dozens of classes, and those that lack something are few.
const TRIES_MAX: usize = 200_000;

struct Search<'k> {
    kinds: &'k [BTreeSet<usize>],
    /// By class, the kinds that stand behind it.
    behind: Vec<Vec<usize>>,
    best: Vec<usize>,
    best_count: usize,
    tries: usize,
}

/// How many of each kind: `lacks` by class, `kinds` the classes that each stands behind. Classes that no kind stands behind are
/// left as they are. And whether there is certainly no smaller answer.
pub(super) fn cover(lacks: &[usize], kinds: &[BTreeSet<usize>]) -> (Vec<usize>, bool) {
    let mut lacks = lacks.to_vec();
    let behind: Vec<Vec<usize>> =
        (0..lacks.len()).map(|class| (0..kinds.len()).filter(|kind| kinds[*kind].contains(&class)).collect()).collect();
    lacks.iter_mut().zip(&behind).filter(|(_, kinds)| kinds.is_empty()).for_each(|(lacks, _)| *lacks = 0);
    let best = greedy(&lacks, kinds);
    let best_count = best.iter().sum();
    let mut search = Search { kinds: &useful(&lacks, kinds), behind, best, best_count, tries: 0 };
    search.descend(&mut lacks, &mut vec![0; kinds.len()], 0, 0);
    (search.best, search.tries < TRIES_MAX)
}

/// A kind that stands behind nothing more than another does is no use beside it; of equals the first stays.
fn useful(lacks: &[usize], kinds: &[BTreeSet<usize>]) -> Vec<BTreeSet<usize>> {
    let needed: Vec<BTreeSet<usize>> = kinds.iter().map(|k| k.iter().copied().filter(|c| lacks[*c] > 0).collect()).collect();
    let beaten = |at: usize| {
        let by = |other: usize| needed[at].is_subset(&needed[other]) && (needed[at] != needed[other] || other < at);
        (0..needed.len()).any(|other| other != at && by(other))
    };
    (0..needed.len()).map(|at| if beaten(at) { BTreeSet::new() } else { needed[at].clone() }).collect()
}

fn greedy(lacks: &[usize], kinds: &[BTreeSet<usize>]) -> Vec<usize> {
    let (mut left, mut bought) = (lacks.to_vec(), vec![0; kinds.len()]);
    loop {
        let serves = |kind: usize| kinds[kind].iter().filter(|class| left[**class] > 0).count();
        let Some(kind) = (0..kinds.len()).rev().max_by_key(|kind| serves(*kind)).filter(|kind| serves(*kind) > 0) else { return bought };
        bought[kind] += 1;
        kinds[kind].iter().for_each(|class| left[*class] = left[*class].saturating_sub(1));
    }
}

impl Search<'_> {
    /// `first`: kinds before it are not bought any more for the class that is being served, so that no answer is met twice.
    fn descend(&mut self, left: &mut [usize], bought: &mut [usize], count: usize, first: usize) {
        self.tries += 1;
        if self.tries >= TRIES_MAX {
            return;
        }
        let lacking: Vec<usize> = (0..left.len()).filter(|class| left[*class] > 0).collect();
        if lacking.is_empty() {
            if count < self.best_count {
                (self.best, self.best_count) = (bought.to_vec(), count);
            }
            return;
        }
        if count + self.least(left, &lacking) >= self.best_count {
            return;
        }
        // The class with the fewest ways decides most.
        let ways = |class: &usize| self.behind[*class].iter().filter(|kind| self.kinds[**kind].contains(class)).count();
        let Some(class) = lacking.iter().copied().min_by_key(|class| (ways(class), *class)) else { return };
        let kinds: Vec<usize> = self.behind[class].iter().copied().filter(|k| *k >= first && self.kinds[*k].contains(&class)).collect();
        for kind in kinds {
            let served: Vec<usize> = self.kinds[kind].iter().copied().filter(|c| left[*c] > 0).collect();
            served.iter().for_each(|c| left[*c] -= 1);
            bought[kind] += 1;
            let next = if left[class] > 0 { kind } else { 0 };
            self.descend(left, bought, count + 1, next);
            bought[kind] -= 1;
            served.iter().for_each(|c| left[*c] += 1);
        }
    }

    /// No answer needs fewer: what lacks most, and classes that no one kind stands behind together.
    fn least(&self, left: &[usize], lacking: &[usize]) -> usize {
        let mut by_need = lacking.to_vec();
        by_need.sort_by_key(|class| std::cmp::Reverse(left[*class]));
        let mut apart: Vec<usize> = Vec::new();
        for class in by_need {
            let together = |other: &usize| self.kinds.iter().any(|kind| kind.contains(&class) && kind.contains(other));
            if !apart.iter().any(together) {
                apart.push(class);
            }
        }
        apart.iter().map(|class| left[*class]).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fewest_by_trying(lacks: &[usize], kinds: &[BTreeSet<usize>]) -> usize {
        (0..12).find(|total| tries(lacks, kinds, *total, 0)).expect("an answer")
    }

    fn tries(lacks: &[usize], kinds: &[BTreeSet<usize>], total: usize, from: usize) -> bool {
        if lacks.iter().all(|n| *n == 0) {
            return true;
        }
        total > 0
            && (from..kinds.len()).any(|kind| {
                let left: Vec<usize> =
                    lacks.iter().enumerate().map(|(c, n)| n.saturating_sub(usize::from(kinds[kind].contains(&c)))).collect();
                tries(&left, kinds, total - 1, kind)
            })
    }

    #[test]
    fn it_equals_trying_everything_and_greed_does_not() {
        let mut state = 11u64;
        let mut below = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        let mut greed_was_wrong = 0;
        for _ in 0..400 {
            let classes = 2 + below(3) as usize;
            let lacks: Vec<usize> = (0..classes).map(|_| below(4) as usize).collect();
            let mut kinds: Vec<BTreeSet<usize>> = (0..1 + below(4)).map(|_| (0..classes).filter(|_| below(2) == 0).collect()).collect();
            kinds.extend((0..classes).map(|class| BTreeSet::from([class])));
            let (bought, proven) = cover(&lacks, &kinds);
            for class in 0..classes {
                let stand: usize = kinds.iter().zip(&bought).filter(|(kind, _)| kind.contains(&class)).map(|(_, n)| n).sum();
                assert!(stand >= lacks[class], "{lacks:?} {kinds:?} {bought:?}");
            }
            let fewest = fewest_by_trying(&lacks, &kinds);
            assert!(proven && bought.iter().sum::<usize>() == fewest, "{lacks:?} {kinds:?}: {bought:?}, and {fewest} do");
            greed_was_wrong += usize::from(greedy(&lacks, &kinds).iter().sum::<usize>() > fewest);
        }
        assert!(greed_was_wrong > 0, "these cases do not tell the two apart");
    }
}
