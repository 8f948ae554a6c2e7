//! The worst that any K failures can do, without trying them all.
//!
//! Nodes and spares fail alike. D nodes are left without a spare if and only if there is a set of nodes, D at least, all of
//! whose spares together are M, and D + M have failed (König and Hall: the deficiency of a bipartite graph): M spares and
//! D nodes, or more nodes and fewer spares. So what is wanted is, for each D, the smallest M: the fewest spares that
//! stand behind some classes with D nodes in all.

use std::collections::{BTreeMap, BTreeSet};

/// Nodes that the same spares could stand in for.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub nodes: usize,
    /// Positions of the kinds of spares.
    pub spares: BTreeSet<usize>,
}

/// How many are left without a spare: at least `known` in the worst case, at most `bound`. Equal where it is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Uncovered {
    pub known: usize,
    pub bound: usize,
}

/// The fewest spares behind D nodes, for D from 0: what is surely no more, and what was found. `usize::MAX`: so many nodes
/// there are not.
#[derive(Clone, Debug)]
struct Curve {
    bound: Vec<usize>,
    found: Vec<usize>,
}

/// Subsets of so many groups are tried one by one.
const TRIED_MAX: usize = 14;

/// For K from 0 to `failures`. `sizes`: spares of each kind.
pub(super) fn uncovered(groups: &[Group], sizes: &[usize], failures: usize) -> Vec<Uncovered> {
    let mut whole = Curve { bound: nothing(failures), found: nothing(failures) };
    for part in parts(groups) {
        let part: Vec<&Group> = part.into_iter().map(|g| &groups[g]).collect();
        let curve = curve(&part, sizes, failures);
        whole = Curve { bound: both(&whole.bound, &curve.bound), found: both(&whole.found, &curve.found) };
    }
    let most = |curve: &[usize], k: usize| (0..=k).rev().find(|d| curve[*d] <= k - d).unwrap_or(0);
    (0..=failures).map(|k| Uncovered { known: most(&whole.found, k), bound: most(&whole.bound, k) }).collect()
}

fn nothing(failures: usize) -> Vec<usize> {
    std::iter::once(0).chain(std::iter::repeat_n(usize::MAX, failures)).collect()
}

/// The cheapest split of each D over two parts that share no spare.
fn both(a: &[usize], b: &[usize]) -> Vec<usize> {
    let cheapest = |d: usize| (0..=d).map(|x| a[x].saturating_add(b[d - x])).min().unwrap_or(usize::MAX);
    let mut joined: Vec<usize> = (0..a.len()).map(cheapest).collect();
    // Who can leave more without can leave fewer.
    for d in (1..joined.len()).rev() {
        joined[d - 1] = joined[d - 1].min(joined[d]);
    }
    joined
}

/// Groups that share spares, directly or by others.
fn parts(groups: &[Group]) -> Vec<Vec<usize>> {
    let mut part: Vec<usize> = (0..groups.len()).collect();
    let mut owner: BTreeMap<usize, usize> = BTreeMap::new();
    fn root(part: &mut [usize], mut at: usize) -> usize {
        while part[at] != at {
            part[at] = part[part[at]];
            at = part[at];
        }
        at
    }
    for (at, group) in groups.iter().enumerate() {
        for spare in &group.spares {
            let other = *owner.entry(*spare).or_insert(at);
            let (a, b) = (root(&mut part, at), root(&mut part, other));
            part[a.max(b)] = a.min(b);
        }
    }
    let mut found: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for at in 0..groups.len() {
        found.entry(root(&mut part, at)).or_default().push(at);
    }
    found.into_values().collect()
}

fn count(spares: &BTreeSet<usize>, sizes: &[usize]) -> usize {
    spares.iter().map(|s| sizes[*s]).sum()
}

fn curve(groups: &[&Group], sizes: &[usize], failures: usize) -> Curve {
    let mut found = nothing(failures);
    let put = |curve: &mut Vec<usize>, nodes: usize, spares: usize| {
        for least in curve.iter_mut().take(nodes.min(failures) + 1) {
            *least = (*least).min(spares);
        }
    };
    let nested = groups.iter().enumerate().all(|(at, a)| {
        groups[..at].iter().all(|b| a.spares.is_subset(&b.spares) || b.spares.is_subset(&a.spares) || a.spares.is_disjoint(&b.spares))
    });
    if nested {
        found = tree(groups, sizes, failures);
        return Curve { bound: found.clone(), found };
    }
    if groups.len() <= TRIED_MAX {
        for set in 1u32..1 << groups.len() {
            let chosen: Vec<&&Group> = groups.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1).map(|(_, g)| g).collect();
            let spares = chosen.iter().flat_map(|g| g.spares.iter().copied()).collect();
            put(&mut found, chosen.iter().map(|g| g.nodes).sum(), count(&spares, sizes));
        }
        return Curve { bound: found.clone(), found };
    }
    // Too many to try: the spares of one group at least (the bound), and what is found by adding whoever needs fewest more.
    let mut bound = nothing(failures);
    let fewest = groups.iter().map(|g| count(&g.spares, sizes)).min().unwrap_or(0);
    put(&mut bound, groups.iter().map(|g| g.nodes).sum(), fewest);
    for first in groups {
        let mut spares = first.spares.clone();
        let mut left: Vec<&&Group> = groups.iter().collect();
        loop {
            let inside = |g: &&Group| g.spares.is_subset(&spares);
            put(&mut found, groups.iter().filter(|g| inside(g)).map(|g| g.nodes).sum(), count(&spares, sizes));
            left.retain(|g| !inside(g));
            let more = |g: &&Group| g.spares.difference(&spares).map(|s| sizes[*s]).sum::<usize>();
            let Some(next) = left.iter().min_by_key(|g| more(g)) else { break };
            spares.extend(next.spares.iter().copied());
            if count(&spares, sizes) > failures {
                break;
            }
        }
    }
    Curve { bound, found }
}

/// Sets that lie within each other or apart: each is taken whole, with all that lies in it, or left to what lies in it.
fn tree(groups: &[&Group], sizes: &[usize], failures: usize) -> Vec<usize> {
    let mut sets: BTreeMap<(usize, &BTreeSet<usize>), usize> = BTreeMap::new();
    for group in groups {
        *sets.entry((group.spares.len(), &group.spares)).or_default() += group.nodes;
    }
    // The smaller first, so that a set is met after all that lie within it.
    let mut done: Vec<(&BTreeSet<usize>, usize, Vec<usize>)> = Vec::new();
    for ((_, set), nodes) in sets {
        let (inner, outer): (Vec<_>, Vec<_>) = done.into_iter().partition(|(other, _, _)| other.is_subset(set));
        let all = nodes + inner.iter().map(|(_, n, _)| n).sum::<usize>();
        let mut curve = inner.iter().fold(nothing(failures), |curve, (_, _, other)| both(&curve, other));
        for place in curve.iter_mut().take(all.min(failures) + 1).skip(1) {
            *place = (*place).min(count(set, sizes));
        }
        done = outer;
        done.push((set, all, curve));
    }
    done.iter().fold(nothing(failures), |curve, (_, _, other)| both(&curve, other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The most that `left` spares can serve of `nodes`: by trying.
    fn matched(nodes: &[usize], groups: &[Group], left: &mut [usize]) -> usize {
        let Some((first, rest)) = nodes.split_first() else { return 0 };
        let mut best = matched(rest, groups, left);
        for spare in &groups[*first].spares {
            if left[*spare] > 0 {
                left[*spare] -= 1;
                best = best.max(1 + matched(rest, groups, left));
                left[*spare] += 1;
            }
        }
        best
    }

    /// Every set of failed nodes and spares, by their numbers.
    fn brute(groups: &[Group], sizes: &[usize], failures: usize) -> usize {
        fn go(at: usize, left: usize, groups: &[Group], sizes: &mut [usize], failed: &mut Vec<usize>) -> usize {
            if left == 0 || at == groups.len() + sizes.len() {
                return failed.len() - matched(failed, groups, sizes);
            }
            let mut worst = 0;
            if at < groups.len() {
                for n in 0..=groups[at].nodes.min(left) {
                    failed.extend(std::iter::repeat_n(at, n));
                    worst = worst.max(go(at + 1, left - n, groups, sizes, failed));
                    failed.truncate(failed.len() - n);
                }
            } else {
                let spare = at - groups.len();
                for n in 0..=sizes[spare].min(left) {
                    sizes[spare] -= n;
                    worst = worst.max(go(at + 1, left - n, groups, sizes, failed));
                    sizes[spare] += n;
                }
            }
            worst
        }
        go(0, failures, groups, &mut sizes.to_vec(), &mut Vec::new())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn no_failures_are_worse_and_some_are_as_bad(
            groups in prop::collection::vec((1usize..3, prop::collection::btree_set(0usize..3, 0..3)), 1..4),
            sizes in prop::collection::vec(0usize..3, 3),
            failures in 0usize..5,
        ) {
            let groups: Vec<Group> = groups.into_iter().map(|(nodes, spares)| Group { nodes, spares }).collect();
            let told = uncovered(&groups, &sizes, failures);
            prop_assert_eq!(told[failures].known, brute(&groups, &sizes, failures));
            prop_assert_eq!(told[failures].bound, told[failures].known, "exact for so few");
        }

    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(6))]
        /// Many groups across each other: the bound holds, and what is found can be done.
        #[test]
        fn what_is_not_exact_says_between_what_it_lies(sets in prop::collection::vec(prop::collection::btree_set(0usize..6, 1..4), 15..18), failures in 1usize..4) {
            let groups: Vec<Group> = sets.into_iter().map(|spares| Group { nodes: 1, spares }).collect();
            let told = uncovered(&groups, &[1; 6], failures)[failures];
            let truth = (0u32..1 << groups.len()).map(|set| {
                let chosen = groups.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
                let (mut nodes, mut spares) = (0, BTreeSet::new());
                chosen.for_each(|(_, g)| { nodes += 1; spares.extend(g.spares.iter().copied()); });
                nodes.min(failures.saturating_sub(spares.len()))
            }).max().unwrap_or(0);
            prop_assert!(told.known <= truth && truth <= told.bound, "{told:?} {truth}");
        }
    }
}
