//! The time of day at the start, and from then on the boot-time clock: it counts through suspend and is moved by nobody,
//! so that limits hold when the time of day is set.

use crate::model::Time;
use crate::ports::Clock;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    /// What must be added to the boot-time clock, in microseconds.
    offset: i64,
}

impl SystemClock {
    pub fn new() -> SystemClock {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX));
        SystemClock { offset: wall.saturating_sub(since_boot()) }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Time {
        Time(self.offset.saturating_add(since_boot()))
    }
}

/// Microseconds since the machine started.
#[cfg(target_os = "linux")]
pub(super) fn since_boot() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000)
}

/// Where there is no such clock: since this process first asked.
#[cfg(not(target_os = "linux"))]
pub(super) fn since_boot() -> i64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    i64::try_from(START.get_or_init(std::time::Instant::now).elapsed().as_micros()).unwrap_or(i64::MAX)
}

/// Between which starts of the machine that clock counts: two values of [`since_boot`] can be compared only under one.
#[cfg(target_os = "linux")]
pub(super) fn boot_id() -> &'static str {
    static ID: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    // Without it no clock is taken for ours, and a lease is watched instead of read.
    ID.get_or_init(|| match std::fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(id) => id.trim().to_owned(),
        Err(_) => uuid::Uuid::new_v4().to_string(),
    })
}

/// Where the clock is the process's own, nobody else's can be compared with it.
#[cfg(not(target_os = "linux"))]
pub(super) fn boot_id() -> &'static str {
    static ID: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    ID.get_or_init(|| uuid::Uuid::new_v4().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_at_the_time_of_day_and_only_goes_forward() {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros() as i64;
        let clock = SystemClock::new();
        let first = clock.now();
        assert!((first.0 - wall).abs() < 60_000_000, "{first} is not now");
        let mut last = first;
        for _ in 0..1000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(clock.now().0 - last.0 >= 5000);
    }
}
