//! The fewest spares that would have to come, moved from where there are enough or bought.
//!
//! Any K failures leave nobody without a spare if and only if K spares stand behind each class: then K failures cannot
//! take all of them and a node as well.

use super::cover::cover;
use super::{ClassCoverage, Merged};
use crate::model::Node;
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
    /// The node whose place in the failure domains it needs.
    pub place_of: String,
    /// The spare whose labels it needs; absent: its own will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels_of: Option<String>,
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

/// What would have to be different of this spare for it to serve that class: whose place and whose labels it needs.
pub(super) type Serves<'f> = dyn Fn(&Node, usize) -> Option<(String, Option<String>)> + 'f;

pub(super) fn mend(sources: &[Merged], spares: &[Merged], failures: usize, classes: &[ClassCoverage], serves: &Serves) -> Mend {
    let mut behind: Vec<usize> = classes.iter().map(|c| c.spares).collect();
    let lacks = |behind: &[usize], class: usize| failures.saturating_sub(behind[class]);
    let fewest = fewest(sources, &behind, failures);
    let mut left: Vec<usize> = spares.iter().map(|s| s.nodes.len()).collect();
    let mut moves = Vec::new();
    for class in 0..sources.len() {
        while lacks(&behind, class) > 0 {
            let could = |at: usize| {
                let spare = &spares[at];
                let rich = spare.fits.iter().all(|c| behind[*c] > failures);
                let free = left[at] > 0 && !spare.fits.contains(&class) && rich;
                free.then(|| serves(spare.nodes[left[at] - 1], class)).flatten().map(|like| (at, like))
            };
            let Some((from, (place_of, labels_of))) = (0..spares.len()).find_map(could) else { break };
            left[from] -= 1;
            spares[from].fits.iter().for_each(|c| behind[*c] -= 1);
            behind[class] += 1;
            let spare = spares[from].nodes[left[from]].name.clone();
            moves.push(Move { spare, to: classes[class].name.clone(), place_of, labels_of });
        }
    }
    let (buy, proven) = buy(sources, spares, failures, classes, &behind);
    let bought = buy.iter().map(|b| b.count).sum::<usize>();
    // Who moves stands behind one class, where a new machine may stand behind several.
    let fewest = if proven && moves.is_empty() { bought } else { fewest };
    Mend { failures, moves, buy, fewest }
}

/// The fewest machines that serve all classes that still lack some, and whether that is certain.
fn buy(sources: &[Merged], spares: &[Merged], failures: usize, classes: &[ClassCoverage], behind: &[usize]) -> (Vec<Buy>, bool) {
    // Like a spare that there is; where there is none, like a node of the class itself, to be made its spare.
    let kinds = spares.iter().map(|s| (s.nodes[0].name.clone(), s.fits.clone()));
    let bare = sources.iter().enumerate().filter(|(_, s)| s.fits.is_empty());
    let own = bare.map(|(at, s)| (s.nodes[0].name.clone(), BTreeSet::from([at])));
    let (names, fits): (Vec<String>, Vec<BTreeSet<usize>>) = kinds.chain(own).filter(|(_, fits)| !fits.is_empty()).unzip();
    let lacks: Vec<usize> = behind.iter().map(|n| failures.saturating_sub(*n)).collect();
    let (counts, proven) = cover(&lacks, &fits);
    let bought = names.into_iter().zip(fits).zip(counts).filter(|(_, count)| *count > 0);
    let told = bought.map(|((like, fits), count)| Buy { count, like, serves: fits.iter().map(|c| classes[*c].name.clone()).collect() });
    (told.collect(), proven)
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
