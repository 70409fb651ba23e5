//! A caller's claim to a result.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tracing::warn;

use crate::error::ProduceError;
use crate::receipt::Receipt;
use crate::send::{NotTaken, Taken, Why};
use crate::target_queue::TargetQueue;

/// A future for the result of an accepted message.
///
/// It always resolves. Dropping it does not withdraw the message: the message is sent anyway, and a failure is logged.
#[derive(Debug)]
#[must_use = "the message may fail: await its receipt"]
pub struct Pending {
    answer: oneshot::Receiver<Result<Receipt, ProduceError>>,
}

impl Future for Pending {
    type Output = Result<Receipt, ProduceError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        Poll::Ready(answer.expect("a ticket always answers"))
    }
}

/// The reason for a message that was held when the background task ended.
const ENDED: &str = "the sender's background task ended before the answer came";

/// The sender's side of a [`Pending`], with the message's permit.
///
/// If a ticket is dropped without a result, because its task panicked or its runtime shut down, the caller gets an error.
#[derive(Debug)]
pub(super) struct Ticket {
    answer: Option<oneshot::Sender<Result<Receipt, ProduceError>>>,
    queue: TargetQueue,
    job_id: Option<Arc<str>>,
    has_left: bool,
    _place: Place,
}

/// A permit for a message and its bytes.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) _message: OwnedSemaphorePermit,
    pub(super) _bytes: OwnedSemaphorePermit,
}

impl Ticket {
    pub(super) fn new(queue: TargetQueue, job_id: Option<Arc<str>>, place: Place) -> (Self, Pending) {
        let (sender, receiver) = oneshot::channel();
        let ticket = Self { answer: Some(sender), queue, job_id, has_left: false, _place: place };
        (ticket, Pending { answer: receiver })
    }

    /// Records that the message may be in the queue from now on.
    pub(super) fn leave(&mut self) {
        self.has_left = true;
    }

    /// Sends the result to the caller.
    pub(super) fn answer(mut self, result: Result<Taken, NotTaken>) {
        self.send(result);
    }

    /// Drops the ticket without a result: the message was not accepted.
    pub(super) fn void(mut self) {
        self.answer = None;
    }

    fn send(&mut self, result: Result<Taken, NotTaken>) {
        let Some(answer) = self.answer.take() else { return };
        let result = self.queue.receipt(self.job_id.as_deref(), result);
        if let Err(Err(error)) = answer.send(result) {
            // No caller waits for this message any more, so its failure is only logged.
            warn!(queue = self.queue.name(), job_id = self.job_id.as_deref(), %error, "message not sent");
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let why = if self.has_left { Why::InDoubt } else { Why::Unavailable };
        self.send(Err(NotTaken { why, text: ENDED.to_owned() }));
    }
}
