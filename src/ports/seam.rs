//! What a test of two real processes needs and no release has: a process that stops itself at a named point, and a lease
//! that is short. In a release build neither the names of the variables nor the code that reads them is there.

use crate::model::Span;

/// Stop this process (SIGSTOP) the first time that it comes here, if it was started with
/// `COLDSWAP_STOP_AT=<point>:<what>`.
#[cfg(debug_assertions)]
pub fn stop_at(point: &str, what: &str) {
    use std::sync::atomic::{AtomicBool, Ordering};
    static STOPPED: AtomicBool = AtomicBool::new(false);
    let here = || std::env::var("COLDSWAP_STOP_AT").is_ok_and(|at| at.split_once(':') == Some((point, what)));
    if !STOPPED.load(Ordering::SeqCst) && here() && !STOPPED.swap(true, Ordering::SeqCst) {
        let _nobody_writes = WRITES.lock();
        // A process that cannot stop itself fails the test that waits for it to stop.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
        // The signal stops one thread after the other: without this the calling one would be some instructions further.
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn stop_at(_: &str, _: &str) {}

#[cfg(debug_assertions)]
static WRITES: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// A process that stopped itself inside a transaction would keep everybody else from the store: what writes to it from a
/// thread of its own does so through this.
#[cfg(debug_assertions)]
pub fn undisturbed<T>(write: impl FnOnce() -> T) -> T {
    let _writes = WRITES.lock();
    write()
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn undisturbed<T>(write: impl FnOnce() -> T) -> T {
    write()
}

/// `COLDSWAP_TEST_TERMS=<lease>,<renewal>,<request time-out>`, such as `2s,500ms,1s`.
#[cfg(debug_assertions)]
pub fn terms() -> Option<[Span; 3]> {
    let text = std::env::var("COLDSWAP_TEST_TERMS").ok()?;
    let spans: Vec<Span> = text.split(',').filter_map(|t| t.parse().ok()).collect();
    spans.try_into().ok()
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn terms() -> Option<[Span; 3]> {
    None
}
