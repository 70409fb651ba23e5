//! The relay, which sends jobs from an outbox to SQS.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use drumline_store::StoreError;
use drumline_store::outbox::Outbox;

use super::observer::{NoObserver, RelayObserver, RelaySummary};
use super::run::{Parts, Run};
use crate::producer::Producer;
use crate::requests::ToSqs;

/// The size of a take. With 1,000 jobs the cost of a call per job is small, and if a relay is killed, only few jobs wait for
/// the end of its lease.
const BATCH: usize = 1_000;

/// The length of a lease: three times the limit of a request to SQS; after a relay was killed, its jobs wait for this time.
const LEASE: Duration = Duration::from_secs(30);

/// The longest wait for a job if its notification was lost.
const POLL: Duration = Duration::from_secs(1);

/// Sends the jobs of an [outbox](drumline_store::outbox) to SQS.
///
/// ```no_run
/// use std::time::Duration;
/// use drumline_producer::{Producer, outbox::Relay};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let outbox = drumline_store::outbox::open("postgres://localhost/shop", Duration::ZERO).await?;
/// let relay = Relay::new(outbox, Producer::connect().await?);
/// # let stop = std::future::pending::<()>();
/// let summary = relay.run(stop).await;
/// println!("{} jobs sent", summary.sent);
/// # Ok(()) }
/// ```
///
/// - **Delivery.** A job is removed from the outbox after SQS has confirmed it. It may be sent twice: after a lost response, or
///   if the relay ends between these steps. Its id and its deduplication id are then the same.
/// - **Order.** In a FIFO queue, the jobs of a group first arrive in the order in which they were added. At most one job of a
///   group is in flight, and a failed one blocks those behind it. A standard queue has no order.
/// - **Parked jobs.** A job that can never be sent stays in the outbox with the reason, for an operator: invalid JSON, refused
///   by the checks or by SQS, no queue, no group for a FIFO queue. It blocks no other job.
/// - **Failures.** Problems that an operator or time can resolve are retried without limit: SQS is down or throttles, the queue
///   is missing, a permission or credentials are missing. Each is logged once, and again when it ends.
/// - **Several relays** share the jobs of one outbox. A lease assigns each job to one of them, and no request begins under a
///   lease that has ended.
pub struct Relay(Parts);

impl Relay {
    /// Creates a relay to the queues of a producer. Each job passes the producer's checks.
    pub fn new(outbox: Arc<dyn Outbox>, producer: Producer) -> Self {
        Self(Parts {
            outbox,
            producer,
            requests: Arc::new(ToSqs),
            observer: Arc::new(NoObserver),
            name: ulid::Ulid::generate().to_string(),
            batch: BATCH,
            lease: LEASE,
            poll: POLL,
        })
    }

    /// Sets the relay's name in the outbox. It must be unique, also among earlier relays whose leases have not ended. The
    /// default is a new ULID.
    pub fn named(self, name: impl Into<String>) -> Self {
        Self(Parts { name: name.into(), ..self.0 })
    }

    /// Sets the largest number of jobs that are taken in one call: 1,000 by default, at least ten.
    pub fn batch(self, jobs: usize) -> Self {
        Self(Parts { batch: jobs.max(10), ..self.0 })
    }

    /// Sets the length of the lease of taken jobs: 30 s by default, at least one second. After a relay was killed, its jobs
    /// wait for this time.
    pub fn lease(self, length: Duration) -> Self {
        Self(Parts { lease: length.max(Duration::from_secs(1)), ..self.0 })
    }

    /// Sets the interval at which the outbox is asked for jobs without a notification: every second by default.
    pub fn poll(self, every: Duration) -> Self {
        Self(Parts { poll: every, ..self.0 })
    }

    /// Sets the observer that counts what the relay does.
    pub fn observed(self, observer: Arc<dyn RelayObserver>) -> Self {
        Self(Parts { observer, ..self.0 })
    }

    /// Sends jobs until `shutdown` ends. Then it takes no more jobs, waits at most 15 s for the requests in flight, and returns
    /// the remaining jobs to the outbox.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> RelaySummary {
        Run::new(self.0).until(shutdown).await
    }

    /// Sends all due jobs, and returns. Failed jobs are put back to be sent later. Jobs that other relays hold are not sent,
    /// and are counted as [left](RelaySummary::left).
    ///
    /// # Errors
    ///
    /// Returns an error if the outbox does not answer three times in a row.
    pub async fn drain(self) -> Result<RelaySummary, StoreError> {
        Run::new(self.0).until_empty().await
    }

    #[cfg(test)]
    pub(super) fn over(self, requests: Arc<dyn crate::requests::Requests>) -> Self {
        Self(Parts { requests, ..self.0 })
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { name, producer, .. } = &self.0;
        f.debug_struct("Relay").field("name", name).field("producer", producer).finish_non_exhaustive()
    }
}
