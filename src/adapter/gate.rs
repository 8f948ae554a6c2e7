//! The last test before the bytes of a command leave: a request body that is not there when the deadline has passed.
//!
//! The HTTP library asks for the body when the connection stands and the head of the request waits in its buffer; both
//! leave together in the write that follows. A body that fails there takes the head with it, and nothing is sent. A test
//! before the request is handed over would be seconds early: a connection is looked up, its name is resolved, TLS is agreed.

use crate::model::Fault;
use crate::model::gate_table::gates;
use crate::ports::{Deadline, seam};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

#[derive(Debug, thiserror::Error)]
#[error("the lease of this executor has ended")]
pub(super) struct Held;

struct Gated {
    body: Option<Bytes>,
    method: String,
    deadline: Deadline,
    gate: Gate,
}

/// Says afterwards whether the request was held back.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<AtomicBool>);

impl Gate {
    /// Put this body into `request`, and the gate with it.
    pub(super) fn close(request: &mut reqwest::Request, body: Vec<u8>, deadline: &Deadline) -> Gate {
        let gate = Gate::default();
        let method = request.method().to_string();
        let gated = Gated { body: Some(body.into()), method, deadline: deadline.clone(), gate: gate.clone() };
        *request.body_mut() = Some(reqwest::Body::wrap(gated));
        gate
    }

    /// The fault for a request that was held back; `None` where it may have left.
    pub(super) fn held(&self, what: impl std::fmt::Display) -> Option<Fault> {
        self.0.load(Ordering::SeqCst).then(|| Deadline::fault(what))
    }
}

impl Body for Gated {
    type Data = Bytes;
    type Error = Held;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Held>>> {
        let Some(body) = self.body.take() else { return Poll::Ready(None) };
        seam::stop_at("before-write", &self.method);
        if self.deadline.passed() {
            self.gate.0.store(true, Ordering::SeqCst);
            return Poll::Ready(Some(Err(Held)));
        }
        Poll::Ready(Some(Ok(Frame::data(body))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }

    /// Exact, so that the request says how long it is: many BMCs do not take one in chunks.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.as_ref().map_or(0, |body| body.len() as u64))
    }
}

gates! {
    "deadline", "no byte of a command is written after the executor's lease has ended",
        Closed, "a process that was stopped wakes up in the middle of a request",
        a_lease_that_ends_while_the_connection_is_made_lets_no_byte_out;
}
