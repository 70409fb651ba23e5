//! A caller's claim to an answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tracing::warn;

use super::failure::SendFailure;

/// A message that SQS has confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The job's own id.
    pub job_id: Option<Arc<str>>,
    /// The id that SQS has given the message.
    pub message_id: String,
    /// The queue's URL.
    pub queue: Arc<str>,
}

/// The answer that is still to come to an accepted message: a future.
///
/// It resolves in every case. Dropping it does not take the message back: the message is sent all the same, and a failure is logged.
#[derive(Debug)]
#[must_use = "the message may fail: await its receipt"]
pub struct Pending {
    answer: oneshot::Receiver<Result<Receipt, SendFailure>>,
}

impl Future for Pending {
    type Output = Result<Receipt, SendFailure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        Poll::Ready(answer.unwrap_or_else(|_| Err(SendFailure::InDoubt(ENDED.to_owned()))))
    }
}

/// The reason for a message that was held when the background task ended.
const ENDED: &str = "the sender's background task ended before the answer came";

/// The other end of a [`Pending`], with the message's place among those that the sender holds.
///
/// A ticket that goes away without an answer, since its task panicked or its runtime shut down, says so to the caller.
#[derive(Debug)]
pub(super) struct Ticket {
    answer: Option<oneshot::Sender<Result<Receipt, SendFailure>>>,
    queue: Arc<str>,
    has_left: bool,
    _place: Place,
}

/// A place for a message and its bytes.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) _message: OwnedSemaphorePermit,
    pub(super) _bytes: OwnedSemaphorePermit,
}

impl Ticket {
    pub(super) fn new(queue: Arc<str>, place: Place) -> (Self, Pending) {
        let (sender, receiver) = oneshot::channel();
        let ticket = Self { answer: Some(sender), queue, has_left: false, _place: place };
        (ticket, Pending { answer: receiver })
    }

    /// From now on the message may be in the queue.
    pub(super) fn leave(&mut self) {
        self.has_left = true;
    }

    /// Answers the caller.
    pub(super) fn answer(mut self, result: Result<Receipt, SendFailure>) {
        self.send(result);
    }

    /// Answers nothing: the message was not accepted.
    pub(super) fn void(mut self) {
        self.answer = None;
    }

    fn send(&mut self, result: Result<Receipt, SendFailure>) {
        let Some(answer) = self.answer.take() else { return };
        if let Err(Err(failure)) = answer.send(result) {
            // No caller waits for this message any more, so only the log can say that it failed.
            warn!(queue = &*self.queue, error = %failure, "message not sent");
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let reason = ENDED.to_owned();
        self.send(Err(if self.has_left {
            SendFailure::InDoubt(reason)
        } else {
            SendFailure::NotSent(reason)
        }));
    }
}
