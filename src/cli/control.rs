//! Signals: once, start nothing new; twice, leave at once. A terminal that goes away (SIGHUP) parks the run as SIGTERM
//! does and never counts as the second time: the kernel and the shell each send one, and nobody is there to mean it.

use super::output;
use crate::executor::Control;
use crate::model::{Reason, ReasonCode};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Listens until the process ends; `first` is asked before anything else. From its return on no signal of these ends the
/// process by itself.
pub fn listen(first: Option<Control>) -> mpsc::UnboundedReceiver<Control> {
    let (send, receive) = mpsc::unbounded_channel();
    if let Some(control) = first {
        // The receiver is right here.
        let _ = send.send(control);
    }
    let mut interrupt = signal(SignalKind::interrupt()).ok();
    let mut terminate = signal(SignalKind::terminate()).ok();
    // Under `nohup` the terminal's end is of no concern, and to listen would undo that.
    let mut hangup = if ignores_hangup() { None } else { signal(SignalKind::hangup()).ok() };
    tokio::spawn(async move {
        let mut paused = false;
        loop {
            let hung_up = tokio::select! {
                () = next(&mut interrupt) => false,
                () = next(&mut terminate) => false,
                () = next(&mut hangup) => true,
            };
            let control = match (hung_up, paused) {
                (true, true) => continue,
                (true, false) => Control::Pause(Reason::new(ReasonCode::Asked, "the terminal went away")),
                (false, false) => {
                    output::tell("nothing new is started; what is in flight goes on to its end. Once more: leave at once");
                    paused = true;
                    Control::Pause(Reason::new(ReasonCode::Asked, "interrupted at the terminal"))
                }
                (false, true) => Control::Leave,
            };
            if send.send(control).is_err() {
                return;
            }
        }
    });
    receive
}

async fn next(signal: &mut Option<Signal>) {
    // Each stream ends with the runtime only.
    let heard = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if heard.is_none() {
        std::future::pending::<()>().await;
    }
}

/// proc_pid_status(5): `SigIgn` is a mask of the ignored signals, SIGHUP (1) its lowest bit.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|m| u64::from_str_radix(m.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
