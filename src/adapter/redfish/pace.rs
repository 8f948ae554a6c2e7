//! How long a BMC takes to answer, and so how long it is waited for: a request that got lost is noticed soon at a BMC that
//! answers in milliseconds, and one that takes seconds is not given up too early. The estimate is TCP's (RFC 6298).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The first attempt of a read at a BMC that has not answered anything yet.
const UNKNOWN: Duration = Duration::from_secs(2);
/// No first attempt is given less: we may be the slow ones ourselves.
const FIRST_MIN: Duration = Duration::from_millis(1500);
/// Nor more, and the second no more either: what was lost on the way is asked again soon.
const FIRST_MAX: Duration = Duration::from_secs(5);

#[derive(Clone, Copy)]
struct Estimate {
    mean: f64,
    deviation: f64,
}

/// One BMC's.
#[derive(Default)]
pub(super) struct Pace(Mutex<Option<Estimate>>);

impl Pace {
    /// An answer came after so long.
    pub(super) fn took(&self, time: Duration) {
        let time = time.as_secs_f64();
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = Some(match *now {
            None => Estimate { mean: time, deviation: time / 2.0 },
            Some(Estimate { mean, deviation }) => {
                Estimate { mean: 0.875 * mean + 0.125 * time, deviation: 0.75 * deviation + 0.25 * (mean - time).abs() }
            }
        });
    }

    /// An answer that takes longer is unusual. `None`: nothing was answered yet.
    pub(super) fn usual(&self) -> Option<Duration> {
        let now = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.and_then(|e| Duration::try_from_secs_f64(e.mean + 4.0 * e.deviation).ok())
    }

    /// For an attempt of a read after `late` others that were not answered in time: two hasty ones, then as long as any
    /// request may take.
    pub(super) fn read_limit(&self, late: u32) -> Duration {
        let first = self.usual().map_or(UNKNOWN, |usual| usual.clamp(FIRST_MIN, FIRST_MAX));
        match late {
            0 => first,
            1 => (first * 2).min(FIRST_MAX),
            _ => Duration::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(millis: &[u64]) -> Pace {
        let pace = Pace::default();
        millis.iter().for_each(|ms| pace.took(Duration::from_millis(*ms)));
        pace
    }

    #[test]
    fn a_quick_bmc_is_asked_again_soon_and_a_slow_one_is_waited_for() {
        assert_eq!(seen(&[]).read_limit(0), UNKNOWN);
        assert_eq!(seen(&[20; 20]).read_limit(0), FIRST_MIN);
        assert_eq!(seen(&[20; 20]).read_limit(1), FIRST_MIN * 2);
        let slow = seen(&[2_000, 3_000, 2_500]);
        assert!(slow.read_limit(0) > Duration::from_secs(3) && slow.read_limit(0) <= FIRST_MAX, "{:?}", slow.read_limit(0));
        assert_eq!(seen(&[20; 20]).read_limit(2), Duration::MAX, "the last attempts get what any request gets");
    }

    #[test]
    fn it_grows_with_one_slow_answer_and_shrinks_again() {
        let pace = seen(&[20; 20]);
        pace.took(Duration::from_secs(4));
        assert!(pace.read_limit(0) > Duration::from_secs(3));
        (0..40).for_each(|_| pace.took(Duration::from_millis(20)));
        assert_eq!(pace.read_limit(0), FIRST_MIN);
    }
}
