//! The handle with which callers send jobs.

use std::sync::Arc;

use drumline::Job;
use serde::Serialize;
use tokio::sync::{Semaphore, TryAcquireError, mpsc, oneshot};

use super::failure::TrySendError;
use super::options::SenderOptions;
use super::task::{Command, Places, Task};
use super::ticket::{Pending, Place, Ticket};
use crate::error::{ProduceError, Refusal, Unsent};
use crate::pack::MAX_BATCH_BYTES;
use crate::prepared::Prepared;
use crate::producer::Producer;
use crate::receipt::Receipt;
use crate::requests::{Requests, ToSqs};

/// Sends jobs in the background, in batches that many callers share. Cheap to clone; all clones are the same sender.
///
/// ```
/// use std::time::Duration;
/// use drumline_producer::{Producer, Sender, SenderOptions};
/// # use drumline::Job;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Welcome { user_id: u64 }
/// # impl Job for Welcome {
/// #     const TYPE: &'static str = "email.welcome";
/// # }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let producer = Producer::connect().await?;
/// let sender = Sender::new(producer.clone(), SenderOptions::default().linger(Duration::from_millis(10)));
///
/// // In each of many request handlers:
/// let receipt = sender.send(&Welcome { user_id: 7 }).await?;
/// println!("SQS has job {}", receipt.job_id);
///
/// // With options:
/// let job = producer.send(&Welcome { user_id: 8 }).delay(Duration::from_secs(60)).prepare()?;
/// let receipt = sender.send_prepared(job).await?;
///
/// // At the end of the program:
/// sender.shutdown().await;
/// # Ok(()) }
/// ```
///
/// - **Receipts.** Each caller awaits the result of its own job. `Ok` means that SQS has confirmed this entry.
/// - **Back-pressure.** The sender holds a bounded number of messages and bytes. When it is full, callers wait in order.
/// - **Retries.** An entry with a transient failure is tried five times in total, over some seconds. Other messages do not wait
///   for it.
/// - **Order.** In a FIFO queue, the jobs of a group stay in the order of acceptance. Therefore at most one message of a group
///   is in flight; groups are sent concurrently. After a job that failed, later ones of its group are sent.
/// - **Lost responses.** If a response is lost, SQS may have accepted the message. It is sent again: a FIFO queue drops the
///   duplicate, a standard queue may contain it twice, with one job id. If no response comes, the caller gets
///   [`ProduceError::InDoubt`]. [`Producer::in_doubt`] changes that for standard queues.
/// - **Dropped futures.** An accepted job is sent even if its caller no longer awaits the receipt. Its failure is then logged.
/// - **Shutdown.** [`shutdown`](Self::shutdown) sends all accepted jobs. Dropping the last handle does so in the background, if
///   the runtime lives long enough. When the runtime shuts down, callers that still wait get [`ProduceError::Unavailable`] or,
///   if a request had been made, [`ProduceError::InDoubt`].
#[derive(Debug, Clone)]
pub struct Sender {
    producer: Producer,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    commands: mpsc::UnboundedSender<Command>,
    places: Places,
    capacity_bytes: usize,
}

impl Shared {
    /// Returns the bytes that count towards the capacity. A job larger than the capacity, whose payload goes to S3, uses the
    /// whole capacity.
    fn bytes_held(&self, job: &Prepared) -> u32 {
        u32::try_from(job.outgoing.bytes().min(self.capacity_bytes)).unwrap_or(u32::MAX)
    }
}

impl Sender {
    /// Starts a sender on the current tokio runtime.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub fn new(producer: Producer, options: SenderOptions) -> Self {
        Self::over(producer, Arc::new(ToSqs), options)
    }

    pub(super) fn over(producer: Producer, requests: Arc<dyn Requests>, options: SenderOptions) -> Self {
        let places = Places {
            messages: Arc::new(Semaphore::new(options.capacity)),
            bytes: Arc::new(Semaphore::new(options.capacity_bytes)),
        };
        // The permits limit the channel: each message in it has one.
        let (commands, receiver) = mpsc::unbounded_channel();
        tokio::spawn(Task::new(requests, options, receiver, places.clone()).run());
        let capacity_bytes = options.capacity_bytes;
        Self { producer, shared: Arc::new(Shared { commands, places, capacity_bytes }) }
    }

    /// Sends a job, and waits until SQS has confirmed it.
    ///
    /// # Errors
    ///
    /// Returns an error if the job is refused, if no attempt succeeds, or if the sender is shut down.
    pub async fn send<J: Job + Serialize>(&self, job: &J) -> Result<Receipt, ProduceError> {
        let job = self.producer.prepare(job)?;
        self.send_prepared(job).await
    }

    /// Sends a prepared job with its options, and waits until SQS has confirmed it.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`send`](Self::send).
    pub async fn send_prepared(&self, job: Prepared) -> Result<Receipt, ProduceError> {
        self.enqueue(job).await?.await
    }

    /// Passes a job to the sender, and waits only until the sender has room for it. The receipt is a separate future, so one
    /// caller can have many jobs in flight.
    ///
    /// # Errors
    ///
    /// Returns an error if no queue would accept the message, if it must wait (for a time or a key), or if the sender is shut
    /// down.
    pub async fn enqueue(&self, job: Prepared) -> Result<Pending, ProduceError> {
        check(&job)?;
        let bytes = self.shared.bytes_held(&job);
        let Places { messages, bytes: of_bytes } = &self.shared.places;
        let message = Arc::clone(messages).acquire_owned().await;
        let bytes = Arc::clone(of_bytes).acquire_many_owned(bytes).await;
        let (Ok(message), Ok(bytes)) = (message, bytes) else { return Err(closed(&job)) };
        self.hand_over(job, Place { _message: message, _bytes: bytes }).map_err(|job| closed(&job))
    }

    /// Passes a job to the sender if it has room for it now.
    ///
    /// # Errors
    ///
    /// Returns the job if there is no room, if no queue would accept the message, or if the sender is shut down.
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
        let job = match place {
            Ok(place) => match self.hand_over(job, place) {
                Ok(pending) => return Ok(pending),
                Err(job) => *job,
            },
            Err(TryAcquireError::NoPermits) => return Err(TrySendError::Full(Box::new(job))),
            Err(TryAcquireError::Closed) => job,
        };
        let error = closed(&job);
        Err(failed(job, error))
    }

    /// Ends the linger of all accepted messages, and waits until each of them is confirmed or has failed.
    pub async fn flush(&self) {
        self.finish(Command::Flush).await;
    }

    /// Accepts no more jobs, not even those of callers that wait for room, and waits until each accepted one is confirmed or
    /// has failed.
    ///
    /// This takes as long as the retries. A timeout around the call ends only the wait; the sender continues in the background.
    pub async fn shutdown(&self) {
        self.shared.places.close();
        self.finish(Command::ShutDown).await;
    }

    /// Waits until the task has executed a command, or has ended: then it holds nothing any more.
    async fn finish(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) {
        let (done, is_done) = oneshot::channel();
        if self.shared.commands.send(command(done)).is_ok() {
            // An error means that the task has ended.
            let _: Result<(), _> = is_done.await;
        }
    }

    /// Passes a job to the task. Returns the job if the task no longer accepts any.
    fn hand_over(&self, job: Prepared, place: Place) -> Result<Pending, Box<Prepared>> {
        let (ticket, pending) = Ticket::new(job.queue.clone(), job.outgoing.job_id.clone(), place);
        match self.shared.commands.send(Command::Send(job, ticket)) {
            Ok(()) => Ok(pending),
            Err(mpsc::error::SendError(Command::Send(job, ticket))) => {
                ticket.void();
                Err(Box::new(job))
            }
            Err(_) => unreachable!("the channel returns the command"),
        }
    }
}

/// Refuses a message that would fail a whole request.
fn check(job: &Prepared) -> Result<(), Refusal> {
    let Prepared { queue, outgoing, wait } = job;
    let refused = |field, reason| Err(Refusal::new(&outgoing.job_type, field, reason));
    if wait.is_some() {
        let reason = "a job that waits goes into the outbox, and not through a Sender: await the job itself, or Producer::send_prepared";
        return refused("outbox", reason.to_owned());
    }
    let bytes = outgoing.bytes();
    if bytes > MAX_BATCH_BYTES && !queue.offloads() {
        return refused("payload", format!("{bytes} bytes are more than SQS's {MAX_BATCH_BYTES}"));
    }
    if queue.is_fifo() && (outgoing.group.is_none() || outgoing.deduplication_id.is_empty()) {
        let reason = format!("{} is a FIFO queue, which needs a group and a deduplication id", queue.name());
        return refused("group", reason);
    }
    Ok(())
}

fn closed(job: &Prepared) -> ProduceError {
    ProduceError::Unavailable(Unsent {
        job_id: job.job_id().to_owned(),
        queue: job.queue.name().to_owned(),
        reason: "the sender is shut down".to_owned(),
    })
}
