//! Many switchovers composed and audited on all processors, with the very result of one after the other.

use super::assign::Pair;
use super::holdings::Holdings;
use super::{Request, Switchover, audit, gates, recipe};
use crate::model::*;
use crate::runbook::Runbook;
use rayon::prelude::*;

/// So many are made at a stretch: enough to be worth handing out, few enough to keep every processor busy to the end.
const SHARE: usize = 256;

type Composed = Result<Switchover, recipe::Unfit>;

/// A share, with the number of its first switchover that was taken for granted.
struct Share {
    first: usize,
    made: Vec<Composed>,
}

/// In the order of `pairs`. A switchover's number counts those that came before it and were fit; the shares are made
/// as if all were, and made again where one was not.
pub(super) fn compose(runbook: &Runbook, fleet: &Fleet, request: &Request, holdings: &Holdings, pairs: &[Pair]) -> Vec<Composed> {
    let sources: Vec<NodeId> = pairs.iter().map(|p| p.source).collect();
    let plugs = recipe::Plugs::of(runbook, fleet, holdings, &sources);
    let share = |first: usize, pairs: &[Pair]| {
        let (mut shelf, mut next) = (recipe::Shelf::default(), first);
        let mut one = |pair: &Pair| {
            let id = SwitchoverId(u32::try_from(next).unwrap_or(u32::MAX));
            // No node is in two switchovers, so what the others do to the fleet does not show here.
            let part = holdings.around(fleet, pair.source, pair.destination);
            let composed = recipe::compose(runbook, &part, request, pair, (&plugs, &mut shelf), id);
            let audited = composed.and_then(|s| audit::check(part, s)).map(|s| gates::limited(runbook, fleet, s));
            next += usize::from(audited.is_ok());
            audited
        };
        Share { first, made: pairs.iter().map(&mut one).collect() }
    };
    let mut shares: Vec<Share> = pairs.par_chunks(SHARE).enumerate().map(|(n, pairs)| share(n * SHARE + 1, pairs)).collect();
    loop {
        let mut next = 1;
        let starts = shares.iter().map(|share| {
            let first = next;
            next += share.made.iter().filter(|made| made.is_ok()).count();
            first
        });
        let starts: Vec<usize> = starts.collect();
        if shares.iter().zip(&starts).all(|(share, first)| share.first == *first) {
            return shares.into_iter().flat_map(|share| share.made).collect();
        }
        // What is before the first wrong number is right, so that each round settles one share at least.
        let again = shares.par_iter_mut().zip(pairs.par_chunks(SHARE)).zip(&starts).filter(|((made, _), first)| made.first != **first);
        again.for_each(|((made, pairs), first)| *made = share(*first, pairs));
    }
}
