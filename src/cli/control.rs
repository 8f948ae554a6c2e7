//! Ctrl-C: once, start nothing new; twice, leave at once.

use crate::executor::Control;
use crate::model::{Reason, ReasonCode};
use tokio::sync::mpsc;

/// Listens until the process ends.
pub fn listen() -> mpsc::UnboundedReceiver<Control> {
    let (send, receive) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
        for count in 0.. {
            let asked = async {
                match &mut terminate {
                    Some(terminate) => tokio::select! { _ = tokio::signal::ctrl_c() => {}, _ = terminate.recv() => {} },
                    None => drop(tokio::signal::ctrl_c().await),
                }
            };
            asked.await;
            let control = if count == 0 {
                anstream::eprintln!("nothing new is started; what is in flight goes on to its end. Once more: leave at once");
                Control::Pause(Reason::new(ReasonCode::Asked, "interrupted at the terminal"))
            } else {
                Control::Leave
            };
            if send.send(control).is_err() {
                return;
            }
        }
    });
    receive
}
