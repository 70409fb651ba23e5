//! The handle that callers send by.

use std::sync::Arc;

use aws_sdk_sqs::Client;
use tokio::sync::{Semaphore, TryAcquireError, mpsc, oneshot};

use super::failure::{SendFailure, TrySendError};
use super::options::SenderOptions;
use super::requests::{Requests, is_fifo_url};
use super::task::{Command, Places, Task};
use super::ticket::{Pending, Place, Receipt, Ticket};
use crate::pack::{MAX_BATCH_BYTES, Outgoing};

/// Sends messages in the background, in batches that many callers share. Clones are handles to the same sender.
///
/// - **Receipts.** Each caller awaits the answer to its own message. `Ok` means that SQS has confirmed that very entry.
/// - **Back-pressure.** The sender holds a bounded number of messages and bytes. Then callers wait, in order.
/// - **Retries.** What fails in passing is tried again, entry by entry, five times in all over some seconds; others do not wait for it.
/// - **Order.** On a FIFO queue, messages of a group arrive in the order in which they were accepted, each once. Therefore one message of
///   a group at most is in flight; groups are sent beside each other.
/// - **Lost answers.** Without an answer SQS may have the message. It is sent again: a FIFO queue drops the second one, a standard
///   queue may have it twice, and a worker recognises the job by its id. If no try is answered, the caller gets
///   [`SendFailure::InDoubt`].
/// - **Dropped futures.** A message that was accepted is sent, also if its caller does not wait for the answer.
/// - **The end.** [`shutdown`](Self::shutdown) sends what was accepted. If the last handle is dropped, the same happens in the background:
///   a program that ends meanwhile loses messages whose callers have no receipt. If the runtime goes down, callers that still wait
///   get [`SendFailure::NotSent`] or [`SendFailure::InDoubt`].
#[derive(Debug, Clone)]
pub struct Sender {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    commands: mpsc::UnboundedSender<Command>,
    places: Places,
    capacity_bytes: usize,
}

impl Shared {
    /// Returns the bytes that count for the capacity. A job larger than that, whose payload goes into S3, has it for itself.
    fn bytes_held(&self, job: &Prepared) -> u32 {
        u32::try_from(job.outgoing.bytes().min(self.capacity_bytes)).unwrap_or(u32::MAX)
    }
}

impl Sender {
    /// Starts a sender. The client should make no retries of its own, as the clients of `drumline-runtime` do not: the sender makes them.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(client: Client, options: SenderOptions) -> Self {
        Self::over(Arc::new(client), options)
    }

    pub(super) fn over(requests: Arc<dyn Requests>, options: SenderOptions) -> Self {
        let places = Places {
            messages: Arc::new(Semaphore::new(options.capacity)),
            bytes: Arc::new(Semaphore::new(options.capacity_bytes)),
        };
        // Bounded by the places: each message in it has one.
        let (commands, receiver) = mpsc::unbounded_channel();
        tokio::spawn(Task::new(requests, options, receiver, places.clone()).run());
        let capacity_bytes = options.capacity_bytes;
        Self { producer, shared: Arc::new(Shared { commands, places, capacity_bytes }) }
    }

    /// Sends a message to a queue, and waits until SQS has confirmed it.
    ///
    /// # Errors
    /// If SQS refuses the message, if no try succeeds, or if the sender is shut down.
    pub async fn send_outgoing(
        &self,
        queue_url: &Arc<str>,
        message: Outgoing,
    ) -> Result<Receipt, SendFailure> {
        self.enqueue_outgoing(queue_url, message).await?.await
    }

    /// Hands a message over, and waits only until there is a place for it. The answer is a future of its own.
    ///
    /// # Errors
    /// If no queue would take the message, or if the sender is shut down.
    pub async fn enqueue(&self, job: Prepared) -> Result<Pending, ProduceError> {
        check(&job)?;
        let bytes = self.shared.bytes_held(&job);
        let Places { messages, bytes: of_bytes } = &self.shared.places;
        let closed = |_| SendFailure::Closed;
        let place = Place {
            _message: Arc::clone(messages).acquire_owned().await.map_err(closed)?,
            _bytes: Arc::clone(of_bytes).acquire_many_owned(bytes).await.map_err(closed)?,
        };
        self.hand_over(queue_url, message, place).map_err(|_| SendFailure::Closed)
    }

    /// Hands a message over if there is a place for it now.
    ///
    /// # Errors
    /// The job, if there is no place, if no queue would take the message, or if the sender is shut down.
    pub fn try_send(&self, job: Prepared) -> Result<Pending, TrySendError> {
        let failed = |job: Prepared, error| TrySendError::Failed(Box::new(job), error);
        if let Err(refusal) = check(&job) {
            return Err(failed(job, refusal.into()));
        }
        let bytes = self.shared.bytes_held(&job);
        let Places { messages, bytes: of_bytes } = &self.shared.places;
        let place = Arc::clone(messages).try_acquire_owned().and_then(|message| {
            let bytes = Arc::clone(of_bytes).try_acquire_many_owned(bytes)?;
            Ok(Place { _message: message, _bytes: bytes })
        });
        match place {
            Ok(place) => self
                .hand_over(queue_url, message, place)
                .map_err(|message| TrySendError::Failed(message, SendFailure::Closed)),
            Err(TryAcquireError::NoPermits) => Err(TrySendError::Full(Box::new(message))),
            Err(TryAcquireError::Closed) => Err(TrySendError::Failed(Box::new(message), SendFailure::Closed)),
        }
    }

    /// Sends everything accepted so far without further linger, and waits until each message is confirmed or has failed.
    pub async fn flush(&self) {
        self.finish(Command::Flush).await;
    }

    /// Accepts no more messages, also of callers that wait for a place, and waits until each accepted message is confirmed or has failed.
    ///
    /// That takes as long as the retries: put a time-out around it where the time is short. It goes on in the background then.
    pub async fn shutdown(&self) {
        self.shared.places.close();
        self.finish(Command::ShutDown).await;
    }

    /// Waits until the task has done something, or has ended.
    async fn finish(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) {
        let (done, is_done) = oneshot::channel();
        // Where the task has ended already, nothing is held any more; the same if it ends before it answers.
        drop(self.shared.commands.send(command(done)));
        drop(is_done.await);
    }

    /// Gives the message to the task; returns it if the task accepts none any more.
    fn hand_over(
        &self,
        queue_url: &Arc<str>,
        message: Outgoing,
        place: Place,
    ) -> Result<Pending, Box<Outgoing>> {
        let queue = Arc::clone(queue_url);
        let (ticket, pending) = Ticket::new(Arc::clone(&queue), place);
        match self.shared.commands.send(Command::Send { queue, message, ticket }) {
            Ok(()) => Ok(pending),
            Err(mpsc::error::SendError(Command::Send { message, ticket, .. })) => {
                ticket.void();
                Err(Box::new(message))
            }
            Err(_) => unreachable!("the channel returns the command"),
        }
    }
}

/// Refuses a message that would fail a whole request.
fn check(job: &Prepared) -> Result<(), Refusal> {
    let Prepared { queue, outgoing } = job;
    let refused = |field, reason| Err(Refusal::new(&outgoing.job_type, field, reason));
    let bytes = outgoing.bytes();
    if bytes > MAX_BATCH_BYTES && !queue.offloads() {
        return refused("payload", format!("{bytes} bytes are more than SQS's {MAX_BATCH_BYTES}"));
    }
    if is_fifo_url(queue_url) && (message.group.is_none() || message.deduplication_id.is_empty()) {
        let reason = format!("a message to {queue_url}, a FIFO queue, needs a group and a deduplication id");
        return Err(SendFailure::Refused(reason));
    }
    Ok(())
}
