//! The distribution of the number of machines in repair, when each probability follows from its neighbour.
//!
//! The weights are built outwards from the mode, where the weight is 1: nothing overflows, what underflows is below
//! 10^-300 of the mode, and each weight is a product of at most as many factors as it is away from the mode. The far
//! tail keeps its relative precision, because it is added up itself and never taken as one less the rest.

pub(super) struct Distribution {
    /// The number in repair that the first share belongs to.
    first: usize,
    share: Vec<f64>,
}

impl Distribution {
    /// `ratio(n)` is p(n+1) / p(n) and must not grow with n. `last` is the highest number there is; without one the
    /// ratio must fall to zero.
    pub fn from_ratio(last: Option<usize>, ratio: impl Fn(usize) -> f64) -> Distribution {
        let mode = mode(last, &ratio);
        let mut share = Vec::new();
        let (mut n, mut weight) = (mode, 1.0);
        while n > 0 {
            n -= 1;
            weight /= ratio(n);
            if weight < f64::MIN_POSITIVE {
                n += 1;
                break;
            }
            share.push(weight);
        }
        let first = n;
        share.reverse();
        share.push(1.0);
        (n, weight) = (mode, 1.0);
        while last.is_none_or(|last| n < last) {
            weight *= ratio(n);
            if weight < f64::MIN_POSITIVE {
                break;
            }
            share.push(weight);
            n += 1;
        }
        let whole = sum(share.iter().copied());
        share.iter_mut().for_each(|w| *w /= whole);
        Distribution { first, share }
    }

    /// Number in repair and its probability, the highest number first.
    fn highest_first(&self) -> impl Iterator<Item = (usize, f64)> {
        let first = self.first;
        self.share.iter().enumerate().rev().map(move |(i, p)| (first + i, *p))
    }

    /// P(n >= `from`).
    pub fn at_least(&self, from: usize) -> f64 {
        sum(self.highest_first().take_while(|(n, _)| *n >= from).map(|(_, p)| p)).min(1.0)
    }

    /// The mean of `value(n)` over those n that are at least `from`.
    pub fn mean_of(&self, from: usize, value: impl Fn(usize) -> f64) -> f64 {
        sum(self.highest_first().take_while(|(n, _)| *n >= from).map(|(n, p)| p * value(n)))
    }
}

/// The smallest n after which the weights do not grow.
fn mode(last: Option<usize>, ratio: &impl Fn(usize) -> f64) -> usize {
    let falls = |n: usize| last.is_some_and(|last| n >= last) || ratio(n) <= 1.0;
    let mut high = 1;
    while !falls(high) {
        high *= 2;
    }
    let mut low = 0;
    while low < high {
        let middle = low + (high - low) / 2;
        if falls(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// Compensated (Neumaier 1974): a million terms lose no digit.
fn sum(terms: impl Iterator<Item = f64>) -> f64 {
    let (mut total, mut lost) = (0.0f64, 0.0f64);
    for term in terms {
        let next = total + term;
        lost += if total.abs() >= term.abs() { (total - next) + term } else { (term - next) + total };
        total = next;
    }
    total + lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_small_terms_are_not_lost_beside_a_large_one() {
        let total = sum(std::iter::once(1.0).chain(std::iter::repeat_n(1e-16, 1_000_000)));
        assert!((total - (1.0 + 1e-10)).abs() < 1e-15, "{total:e}");
    }

    #[test]
    fn the_weights_of_a_known_distribution_are_its_probabilities() {
        // Binomial, 4 tries, one half: 1 4 6 4 1 of 16.
        let d = Distribution::from_ratio(Some(4), |n| (4 - n) as f64 / (n as f64 + 1.0));
        let tails = [16.0, 15.0, 11.0, 5.0, 1.0, 0.0];
        for (from, want) in tails.into_iter().enumerate() {
            assert!((d.at_least(from) - want / 16.0).abs() < 1e-15, "{from}");
        }
        assert!((d.mean_of(0, |n| n as f64) - 2.0).abs() < 1e-15);
    }
}
