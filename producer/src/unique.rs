//! Unique jobs, of which there is one at a time.

use std::time::Duration;

use drumline::message::payload_hash;
use drumline_store::outbox::{self, OnConflict};

use crate::error::Refused;

/// The longest key of an outbox, including the type.
const MAX_KEY_BYTES: usize = 1024;

/// The longest time for which a [`Unique`] key is held: 366 days. A job that holds a key stays in its outbox for this time.
pub const MAX_UNIQUE_WINDOW: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The time by which a debounced job holds its key longer than it waits: the relay may be late by as much.
const RELAY_LATE: Duration = Duration::from_secs(60 * 60);

/// A key that one job holds at a time, with its duration, for [`SendJob::unique`](crate::SendJob::unique).
///
/// While a job holds the key, another one is not added: its caller gets the [id of the first](crate::Receipt::job_id).
///
/// ```
/// use std::time::Duration;
/// use drumline_producer::{Existing, Producer, Unique};
/// # use drumline::Job;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Reindex { shop: u64 }
/// # impl Job for Reindex {
/// #     const TYPE: &'static str = "search.reindex";
/// # }
///
/// # async fn example(producer: Producer) -> Result<(), Box<dyn std::error::Error>> {
/// const HOUR: Duration = Duration::from_secs(3600);
/// // One job until it is done, however often it is requested; after six hours another one anyway.
/// let receipt = producer.send(&Reindex { shop: 7 }).unique(Unique::until_done(6 * HOUR)).await?;
/// if receipt.existing == Some(Existing::Sent) {
///     println!("job {} is at it", receipt.job_id);
/// }
/// // One an hour.
/// producer.send(&Reindex { shop: 7 }).unique(Unique::within(HOUR)).await?;
/// // One job after ten seconds without a call, with the payload of the last call, or after five minutes at the latest.
/// let debounce = Unique::debounce(Duration::from_secs(10), Duration::from_secs(300));
/// producer.send(&Reindex { shop: 7 }).unique(debounce.key("shop-7")).await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unique {
    key: Option<String>,
    until: Until,
    replaces: bool,
}

/// The event until which a job holds its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Until the store of its workers records that it is done or a dead letter.
    Done { at_most: Duration },
    /// For this time after it was added.
    Window(Duration),
    /// While it waits. Each further call restarts its wait.
    Sent { quiet: Duration, at_most: Duration },
}

impl Unique {
    /// Lets the job hold the key until it is done or has failed permanently, and at most for `at_most` after it was added.
    ///
    /// This needs the store of its workers ([`Producer::store`](crate::Producer::store)): a job that the store does not record
    /// as done is pending.
    pub fn until_done(at_most: Duration) -> Self {
        Self::new(Until::Done { at_most })
    }

    /// Lets the job hold the key for this time after it was added, whether it is done or not.
    pub fn within(window: Duration) -> Self {
        Self::new(Until::Window(window))
    }

    /// Lets the job hold the key while it waits: it is sent after the time `quiet` without another call, and at the latest at
    /// `at_most` after the first call. It has the payload and the options of the last call.
    pub fn debounce(quiet: Duration, at_most: Duration) -> Self {
        Self::new(Until::Sent { quiet, at_most })
    }

    fn new(until: Until) -> Self {
        Self { key: None, until, replaces: false }
    }

    /// Sets the key within the job's type. The default is the job's [idempotency key](crate::SendJob::idempotency_key) if it
    /// has one, otherwise a hash of its payload.
    #[must_use]
    pub fn key(self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    /// Gives the job that holds the key the payload, the options and the due time of the job that is not added, if no relay has
    /// taken it yet. By default it stays unchanged.
    #[must_use]
    pub fn replace(self) -> Self {
        Self { replaces: true, ..self }
    }

    /// Returns the time that a debounced job waits after each call.
    pub(crate) fn quiet(&self) -> Option<Duration> {
        match self.until {
            Until::Sent { quiet, .. } => Some(quiet),
            Until::Done { .. } | Until::Window(_) => None,
        }
    }

    pub(crate) fn until(&self) -> Until {
        self.until
    }

    /// Returns the key in the outbox's form, with its duration.
    pub(crate) fn of_job(
        &self,
        job_type: &str,
        idempotency_key: Option<&str>,
        payload: &str,
    ) -> Result<outbox::Unique, Refused> {
        let refused = |reason: String| Err(("unique", reason));
        let (window, on_conflict) = match self.until {
            Until::Sent { quiet, at_most } if quiet.is_zero() || quiet > at_most => {
                return refused(format!(
                    "a debounced job waits for some time, and not for longer than at most: {quiet:?} and {at_most:?} are no such times"
                ));
            }
            Until::Sent { at_most, .. } => {
                (at_most.saturating_add(RELAY_LATE), OnConflict::Debounce { at_most })
            }
            Until::Done { at_most } | Until::Window(at_most) => {
                (at_most, if self.replaces { OnConflict::Replace } else { OnConflict::Keep })
            }
        };
        if window.is_zero() || window > MAX_UNIQUE_WINDOW {
            return refused(format!(
                "a key is held for some time, and for 366 days at most, not for {window:?}: its job is a row of the outbox that long"
            ));
        }
        let hashed = || format!("#{:032x}", payload_hash(job_type, payload));
        let key = match (&self.key, idempotency_key) {
            (Some(given), _) => given.clone(),
            (None, Some(key)) => key.to_owned(),
            (None, None) => hashed(),
        };
        if key.is_empty() {
            return refused("the key is empty".to_owned());
        }
        let key = format!("{job_type}:{key}");
        if key.len() > MAX_KEY_BYTES {
            return refused(format!(
                "{} bytes of type and key are more than the {MAX_KEY_BYTES} that an outbox keeps: use a hash of the key",
                key.len()
            ));
        }
        Ok(outbox::Unique::new(key, window, on_conflict))
    }
}
