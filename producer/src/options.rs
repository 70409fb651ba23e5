//! The options of one job, and their values for its queue. The time when it is due is in [`later`](crate::later).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use drumline::core::MAX_KEY_BYTES;
use drumline::message::Attribute;

use crate::error::Refused;
use crate::target_queue::TargetQueue;
use crate::unique::Unique;

/// SQS delays a message by whole seconds, up to 15 minutes. See
/// [SendMessage](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html).
pub(crate) const MAX_DELAY_SECS: u64 = 900;

/// Group and deduplication ids have 1 to 128 characters. See the same page.
const MAX_ID: usize = 128;

/// The options of a job.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) at: Option<SystemTime>,
    pub(crate) delay: Option<Duration>,
    pub(crate) spread: Option<Spread>,
    pub(crate) group: Option<String>,
    pub(crate) deduplication_id: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) correlation_id: Option<String>,
    pub(crate) traceparent: Option<String>,
    pub(crate) attributes: Vec<(String, Attribute)>,
    pub(crate) unique: Option<Unique>,
}

/// A random or even delay within a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) within: Duration,
    pub(crate) place: Place,
}

/// The position of a job's delay in the time over which jobs are spread.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    Random,
    /// The index of the job, and the number of jobs.
    Nth(usize, usize),
}

impl Options {
    /// Returns the message group for a queue that may not be known yet.
    pub(crate) fn group(&self, queue: Option<&TargetQueue>) -> Result<Option<Arc<str>>, Refused> {
        match (&self.group, queue) {
            (Some(group), _) => id("group", group).map(Some),
            (None, Some(queue)) if queue.is_fifo() => Err((
                "group",
                format!(
                    "{} is a FIFO queue, which needs one: jobs of one group are done one after the other",
                    queue.name()
                ),
            )),
            (None, _) => Ok(None),
        }
    }

    /// Returns the id by which a FIFO queue drops duplicates: by default the job's own.
    pub(crate) fn deduplication_id(&self, queue: &TargetQueue, job_id: &str) -> Result<String, Refused> {
        match &self.deduplication_id {
            Some(given) if queue.is_fifo() => id("dedup", given).map(|id| id.to_string()),
            Some(_) => Err((
                "dedup",
                format!(
                    "{} is a standard queue, which drops no second sending: use idempotency_key, by which workers run a job once, \
                     or a FIFO queue",
                    queue.name()
                ),
            )),
            None => Ok(job_id.to_owned()),
        }
    }

    /// Returns the idempotency key. `own` is the key that the job computes.
    pub(crate) fn idempotency_key(&self, own: Option<String>) -> Result<Option<String>, Refused> {
        let filled = |key: Option<String>| key.filter(|key| !key.is_empty());
        let key = match (filled(self.idempotency_key.clone()), filled(own)) {
            (Some(given), Some(own)) if given != own => {
                let reason = format!(
                    "workers use the key that the job's own code computes ({own}), and not {given}: leave it out, or change \
                     Job::idempotency_key"
                );
                return Err(("idempotency_key", reason));
            }
            (given, own) => given.or(own),
        };
        match &key {
            Some(key) if key.len() > MAX_KEY_BYTES => Err((
                "idempotency_key",
                format!(
                    "{} bytes are more than the {MAX_KEY_BYTES} that workers keep: use a hash of it",
                    key.len()
                ),
            )),
            _ => Ok(key),
        }
    }
}

impl Spread {
    /// Returns the job's delay in whole units of the time: seconds for SQS, milliseconds elsewhere.
    pub(crate) fn offset(self, units: u64) -> u64 {
        match self.place {
            Place::Random => fastrand::u64(0..=units),
            // If there are more jobs than units, some jobs share a unit.
            Place::Nth(index, count) => {
                let (index, count) = (index as u128, (count as u128).max(1));
                u64::try_from(u128::from(units) * index / count).unwrap_or(units)
            }
        }
    }
}

fn id(option: &'static str, text: &str) -> Result<Arc<str>, Refused> {
    check_id(text).map(|()| text.into()).map_err(|reason| (option, reason))
}

/// Accepts a group id or a deduplication id.
pub(crate) fn check_id(text: &str) -> Result<(), String> {
    let is_id = (1..=MAX_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_id {
        Ok(())
    } else {
        Err(format!("{text:?} is not of 1 to {MAX_ID} ASCII letters, digits and punctuation marks"))
    }
}
