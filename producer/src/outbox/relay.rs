//! The relay: from an outbox to SQS.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use drumline_store::StoreError;
use drumline_store::outbox::Outbox;

use super::observer::{NoObserver, RelayObserver, RelaySummary};
use super::run::{Parts, Run};
use crate::producer::Producer;
use crate::requests::ToSqs;

/// With 1,000 jobs a call costs the outbox little of each, and a relay that ends leaves few to wait for the end of its lease.
const BATCH: usize = 1_000;

/// Longer than a request to SQS may take, three times over; as long do jobs wait after a relay was killed.
const LEASE: Duration = Duration::from_secs(30);

/// The longest wait for a job whose notice was lost.
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
/// - **Delivery.** A job is removed from the outbox after SQS has confirmed it. It may be sent twice: after a lost answer, or if the relay
///   ends between the two. Its id and its deduplication id are the same then.
/// - **Order.** In a FIFO queue, jobs of a group arrive first in the order in which they were added. One of a group is in flight at a time,
///   and one that failed holds up those behind it. In a standard queue nothing is ordered.
/// - **Parked jobs.** A job that can never be sent stays in the outbox with the reason, for an operator: no JSON, refused by the checks or
///   by SQS, no queue, no group for a FIFO queue. It holds up no other.
/// - **Failures.** What an operator or time can end is tried again for as long as it takes: SQS is down or throttles, the queue is
///   missing, a permission or credentials are. It is logged once, and again when it ends.
/// - **Several relays** of one outbox share its jobs. A lease keeps each job with one of them, and no request begins under a lease that
///   has ended.
pub struct Relay(Parts);

impl Relay {
    /// A relay to the queues of a producer, by whose checks each job is checked.
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

    /// Sets the relay's name in the outbox. No other relay may have it, nor an earlier one whose leases have not ended. The default is a
    /// new ULID.
    pub fn named(self, name: impl Into<String>) -> Self {
        Self(Parts { name: name.into(), ..self.0 })
    }

    /// Sets the most jobs that are taken in one call: 1,000 by default, ten at least.
    pub fn batch(self, jobs: usize) -> Self {
        Self(Parts { batch: jobs.max(10), ..self.0 })
    }

    /// Sets for how long jobs are taken: 30 s by default, one at least. After a relay was killed, its jobs wait as long for another.
    pub fn lease(self, length: Duration) -> Self {
        Self(Parts { lease: length.max(Duration::from_secs(1)), ..self.0 })
    }

    /// Sets how often the outbox is asked for jobs although it has given no notice of one: every second by default.
    pub fn poll(self, every: Duration) -> Self {
        Self(Parts { poll: every, ..self.0 })
    }

    /// Sets the observer that counts what the relay does.
    pub fn observed(self, observer: Arc<dyn RelayObserver>) -> Self {
        Self(Parts { observer, ..self.0 })
    }

    /// Sends jobs until `shutdown` ends; then takes no more, waits for the requests in flight for at most 15 s, and gives the rest back.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> RelaySummary {
        Run::new(self.0).until(shutdown).await
    }

    /// Sends all jobs that are due, and returns. Jobs that failed are put back, to be sent later. What other relays have is not sent, and is
    /// counted as [left](RelaySummary::left).
    ///
    /// # Errors
    /// If the outbox does not answer, three times in a row.
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
