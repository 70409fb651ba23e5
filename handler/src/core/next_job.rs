//! Jobs that follow on another one, if it succeeds. Their ids depend only on the job that they follow, so that every attempt at
//! it, and every replay of it, gives them the same ids: if they are sent twice, they are one job by effect.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::message::identity::Identity;

/// The maximum number of jobs that follow on one: ten batches of SQS, or rows of one transaction. A longer list should be sent
/// by a separate job.
pub const MAX_NEXT_JOBS: usize = 100;

/// The prefix of an id, by which people and workers recognise it.
const PREFIX: &str = "next-";

/// The bytes of the hash in an id: no two jobs share 160 bits of SHA-256.
const HASH_BYTES: usize = 20;

/// A job that follows on another one: the parts of its message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NextJob {
    /// Its id, which is the `jobId` of its message: see [`next_job_id`].
    pub id: String,
    /// Its type.
    pub job_type: String,
    /// The version of the payload's schema.
    pub schema_version: u32,
    /// The payload, as JSON.
    pub payload: String,
    /// The key on which its id depends. Without a key, the id depends on its place among those of its type without one.
    pub key: Option<String>,
    /// The queue: a URL, an ARN or a name; `None` for that of its type, else that of the job that it follows.
    pub queue: Option<String>,
    /// The message group; `None` for that of the job that it follows.
    pub group: Option<String>,
    /// The time after which it is received.
    pub delay: Duration,
    /// The key under which its effect happens once.
    pub idempotency_key: Option<String>,
    /// The correlation id of the job that it follows.
    pub correlation_id: String,
    /// The trace of the job that it follows, as the W3C header `traceparent`.
    pub traceparent: Option<String>,
}

impl NextJob {
    /// Makes a job of this type with a JSON payload, and no other parts yet.
    pub fn new(id: impl Into<String>, job_type: impl Into<String>, payload: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            job_type: job_type.into(),
            schema_version: 1,
            key: None,
            payload: payload.into(),
            queue: None,
            group: None,
            delay: Duration::ZERO,
            idempotency_key: None,
            correlation_id: String::new(),
            traceparent: None,
        }
    }
}

/// The jobs that follow on a job and are added with its mark. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextJobs(pub Arc<Vec<NextJob>>);

/// Returns the id of the job of this type that follows on a job, as the `index`th of those of its type that have no key.
///
/// ```
/// use drumline::core::next_job_id;
/// use drumline::message::Identity;
///
/// let order = Identity::new("jobs", "order.place", None, "order-7");
/// assert_eq!(next_job_id(&order, "invoice.send", 0), next_job_id(&order, "invoice.send", 0));
/// assert_ne!(next_job_id(&order, "invoice.send", 0), next_job_id(&order, "invoice.send", 1));
/// ```
pub fn next_job_id(of: &Identity, job_type: &str, index: usize) -> String {
    id_of(of, job_type, format_args!("{index}"))
}

/// Returns the id of the job of this type that follows on a job with a key: the same at any place.
pub(crate) fn next_job_id_by_key(of: &Identity, job_type: &str, key: &str) -> String {
    // No index starts so.
    id_of(of, job_type, format_args!("key:{key}"))
}

fn id_of(of: &Identity, job_type: &str, which: std::fmt::Arguments<'_>) -> String {
    let key = of.key();
    let mut hash = Sha256::new();
    // Each text except the last follows its length, so that none can extend into the next.
    hash.update(format!("{}:{key},{}:{job_type},{which}", key.len(), job_type.len()));
    let mut id = String::with_capacity(PREFIX.len() + 2 * HASH_BYTES);
    id.push_str(PREFIX);
    for byte in &hash.finalize()[..HASH_BYTES] {
        // Writing into a text cannot fail.
        let _ = write!(id, "{byte:02x}");
    }
    id
}

/// Returns true for the ids that [`next_job_id`] makes. Another attempt at the same job may give the same id another payload,
/// because it may have read other data, but it is still the same job.
pub(crate) fn is_next_job_id(id: &str) -> bool {
    id.strip_prefix(PREFIX).is_some_and(|digits| {
        digits.len() == 2 * HASH_BYTES && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_never_change() {
        let order = Identity::new("arn:aws:sqs:eu-west-1:123456789012:jobs", "order.place", None, "order-7");
        assert_eq!(next_job_id(&order, "invoice.send", 0), "next-b99e7302129a4009f855224044098371f97c222e");
        assert_eq!(next_job_id(&order, "invoice.send", 1), "next-98c2d39aa470ad8e5e74a9aa0dac68cf49cdce19");
        let by_key = next_job_id_by_key(&order, "invoice.send", "customer-1");
        assert_eq!(by_key, "next-0487e14b811deef87ed87a3c3968ee5dd91be78a");
    }

    #[test]
    fn no_text_reaches_into_another() {
        let id = |scope: &str, job_type: &str, index| {
            next_job_id(&Identity::new(scope, "a", None, "1"), job_type, index)
        };
        let by_key = |job_type, key| next_job_id_by_key(&Identity::new("s", "a", None, "1"), job_type, key);
        let ids = [id("s", "b", 1), id("s", "b,1", 1), id("s", "b", 11), id("s", "b1", 1), id("s1", "b", 1)];
        let ids = [&ids[..], &[by_key("b", "1"), by_key("b", "11"), by_key("b1", "1")]].concat();
        let distinct: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert!(ids.iter().all(|id| is_next_job_id(id)));
        // An id that a producer gives is not the message's own.
        let message = Identity::of_message("s", "a", None, "1");
        assert_ne!(next_job_id(&message, "b", 1), ids[0]);
    }

    #[test]
    fn other_ids_are_not_taken_for_one() {
        let id = next_job_id(&Identity::new("s", "a", None, "1"), "b", 0);
        for other in ["", "next-", "next-7", &id[5..], &id.to_uppercase(), &id.replace("next-", "NEXT-")] {
            assert!(!is_next_job_id(other), "{other}");
        }
        assert!(!is_next_job_id(&format!("{id}0")));
    }
}
