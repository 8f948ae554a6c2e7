//! The machine repair model (Palm 1947; Gross and Harris, Fundamentals of Queueing Theory, "finite-source queues with
//! spares"): a finite fleet whose failures get fewer as machines are missing, and repairers with a queue before them.
//!
//! The number of machines in repair is a birth-death chain. With n in repair, min(N, N+S-n) machines run and
//! min(n, R) are being repaired. Repair times are exponential; with a repairer for every machine any distribution of
//! the same mean gives the same answer (Sevastyanov 1957).

use super::Standby;
use super::answer::{Estimate, Point};
use super::distribution::Distribution;

/// `nodes` must run; `rate`: failures per node and year; `repair`: mean, in years; `repairers`: `None`, one for each
/// machine.
pub fn birth_death(nodes: u32, rate: f64, repair: f64, repairers: Option<u32>, standby: Standby, spares: u32) -> Point {
    let (n_nodes, n_spares) = (nodes as usize, spares as usize);
    let machines = n_nodes + n_spares;
    let running = |n: usize| n_nodes.min(machines - n) as f64;
    let failing = |n: usize| match standby {
        Standby::Cold => running(n),
        Standby::Warm => (machines - n) as f64,
    };
    let busy = |n: usize| repairers.map_or(n, |r| n.min(r as usize)) as f64;
    let in_repair = Distribution::from_ratio(Some(machines), |n| rate * repair * failing(n) / busy(n + 1));
    let all = in_repair.mean_of(0, running);
    Point::new(
        spares,
        Estimate::exact(in_repair.at_least(n_spares + 1)),
        // Weighted by the machines that run: it is a failure that is to find a spare, not a moment.
        Estimate::exact((in_repair.mean_of(n_spares, running) / all).min(1.0)),
        rate * all,
    )
}
