//! The fewest spares that would have to come, moved from where there are enough or bought.
//!
//! Any K failures leave nobody without a spare if and only if K spares stand behind each class: then K failures cannot
//! take all of them and a node as well.

use super::{ClassCoverage, Merged};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Mend {
    pub failures: usize,
    /// First these: each leaves enough behind where it is.
    pub moves: Vec<Move>,
    /// Then these.
    pub buy: Vec<Buy>,
    /// With fewer in all it cannot be done.
    pub fewest: usize,
}

/// A spare of the right hardware that does not count where it is: another place or label, and it would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Move {
    pub spare: String,
    /// The class that it is to stand behind.
    pub to: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Buy {
    pub count: usize,
    /// The name of a spare that it must equal in hardware, place and labels; where the class has none, of one of its nodes,
    /// whose hardware it must have.
    pub like: String,
    /// The classes that it would stand behind.
    pub serves: Vec<String>,
}

impl Mend {
    pub fn count(&self) -> usize {
        self.moves.len() + self.buy.iter().map(|b| b.count).sum::<usize>()
    }
}

pub(super) fn mend(sources: &[Merged], spares: &[Merged], failures: usize, classes: &[ClassCoverage]) -> Mend {
    let mut behind: Vec<usize> = classes.iter().map(|c| c.spares).collect();
    let lacks = |behind: &[usize], class: usize| failures.saturating_sub(behind[class]);
    let fewest = fewest(sources, &behind, failures);
    let mut left: Vec<usize> = spares.iter().map(|s| s.nodes.len()).collect();
    let mut moves = Vec::new();
    for class in 0..sources.len() {
        while lacks(&behind, class) > 0 {
            let could = |at: &usize| {
                let spare = &spares[*at];
                let rich = spare.fits.iter().all(|c| behind[*c] > failures);
                left[*at] > 0 && spare.key == sources[class].key && !spare.fits.contains(&class) && rich
            };
            let Some(from) = (0..spares.len()).find(could) else { break };
            left[from] -= 1;
            spares[from].fits.iter().for_each(|c| behind[*c] -= 1);
            behind[class] += 1;
            moves.push(Move { spare: spares[from].nodes[left[from]].name.clone(), to: classes[class].name.clone() });
        }
    }
    Mend { failures, moves, buy: buy(sources, spares, failures, classes, behind), fewest }
}

/// What serves most of the classes that still lack some, until none does.
fn buy(sources: &[Merged], spares: &[Merged], failures: usize, classes: &[ClassCoverage], mut behind: Vec<usize>) -> Vec<Buy> {
    let mut bought: Vec<Buy> = Vec::new();
    // Like a spare that there is; where there is none, like a node of the class itself, to be made its spare.
    let kinds = spares.iter().map(|s| (s.nodes[0].name.clone(), s.fits.clone()));
    let bare = sources.iter().enumerate().filter(|(_, s)| s.fits.is_empty());
    let own = bare.map(|(at, s)| (s.nodes[0].name.clone(), BTreeSet::from([at])));
    let kinds: Vec<(String, BTreeSet<usize>)> = kinds.chain(own).filter(|(_, fits)| !fits.is_empty()).collect();
    loop {
        let lacking: Vec<usize> = (0..sources.len()).filter(|c| behind[*c] < failures).collect();
        let serves = |fits: &BTreeSet<usize>| lacking.iter().filter(|c| fits.contains(c)).count();
        let Some((like, fits)) = kinds.iter().rev().max_by_key(|(_, fits)| serves(fits)).filter(|(_, fits)| serves(fits) > 0) else {
            break;
        };
        let count = lacking.iter().filter(|c| fits.contains(c)).map(|c| failures - behind[*c]).min().unwrap_or(1).max(1);
        fits.iter().for_each(|c| behind[*c] += count);
        bought.push(Buy { count, like: like.clone(), serves: fits.iter().map(|c| classes[*c].name.clone()).collect() });
    }
    bought
}

/// Classes that no one machine can stand behind together each need their own.
fn fewest(sources: &[Merged], behind: &[usize], failures: usize) -> usize {
    let mut lacking: Vec<(usize, usize)> =
        (0..sources.len()).map(|c| (failures.saturating_sub(behind[c]), c)).filter(|(n, _)| *n > 0).collect();
    lacking.sort_by_key(|(n, c)| (std::cmp::Reverse(*n), *c));
    let mut apart: Vec<usize> = Vec::new();
    let mut sum = 0;
    for (n, class) in lacking {
        if apart.iter().all(|other| sources[*other].key != sources[class].key) {
            apart.push(class);
            sum += n;
        }
    }
    sum
}
