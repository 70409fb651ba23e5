//! A job that waits to be sent.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A job that waits to be sent: the parts of its message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OutboxJob {
    /// The id, which becomes the `jobId` of its message: if it is sent twice, it is one job. 1 to 128 characters.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub job_type: String,
    /// The version of the payload's schema. Default: 1.
    #[serde(default = "first_version")]
    pub schema_version: u32,
    /// The payload, as JSON.
    pub payload: String,
    /// The URL of its queue; `None` for the queue that the relay's settings assign to its type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The message group. Jobs of a group are sent in the order in which they were added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The idempotency key of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// An id that related jobs share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The W3C header `traceparent` of the code that added it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Message attributes, only texts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// The earliest time at which it is sent. Default: at once.
    #[serde(default)]
    pub due: Due,
}

/// The earliest time at which a job is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Due {
    /// At once.
    #[default]
    Now,
    /// This time after the job is added, by the clock of the outbox.
    After(Duration),
    /// At this time, in milliseconds since the Unix epoch.
    AtMs(i64),
}

const fn first_version() -> u32 {
    1
}

impl OutboxJob {
    /// Creates a job of this type with a JSON payload, due at once.
    pub fn new(id: impl Into<String>, job_type: impl Into<String>, payload: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            job_type: job_type.into(),
            schema_version: first_version(),
            payload: payload.into(),
            queue: None,
            group: None,
            idempotency_key: None,
            correlation_id: None,
            traceparent: None,
            attributes: BTreeMap::new(),
            due: Due::Now,
        }
    }
}
