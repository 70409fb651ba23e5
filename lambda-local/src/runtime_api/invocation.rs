//! The payload of an invocation, and the results that a process posts.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

/// The longest timeout of a function.
pub(crate) const LONGEST_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// The payload of one invocation.
#[derive(Debug, Clone)]
pub struct Invocation {
    pub(super) event: Bytes,
    pub(super) timeout: Duration,
    pub(super) deadline: Option<String>,
}

impl Invocation {
    /// Returns an invocation with this event and Lambda's longest timeout, 15 minutes.
    pub fn new(event: impl Into<Bytes>) -> Self {
        Self { event: event.into(), timeout: LONGEST_TIMEOUT, deadline: None }
    }

    /// Sets the function's timeout. The deadline is this long after the delivery of the event.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the text of the header `Lambda-Runtime-Deadline-Ms`, independent of the timeout.
    pub fn deadline_header(mut self, text: &str) -> Self {
        self.deadline = Some(text.to_owned());
        self
    }
}

/// The kind of a result that a process posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A response.
    Response,
    /// An error.
    Error,
}

/// The result of an invocation, as the process posted it.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The invocation's request id.
    pub request_id: String,
    /// Response or error.
    pub end: End,
    /// The posted body, unchanged.
    pub body: Bytes,
    /// The header `Lambda-Runtime-Function-Error-Type`.
    pub error_type: Option<String>,
    /// The time from the delivery of the event to the result.
    pub after: Duration,
}

/// An error that a process reported about its start.
#[derive(Debug, Clone)]
pub struct InitError {
    /// The header `Lambda-Runtime-Function-Error-Type`.
    pub error_type: Option<String>,
    /// The posted body with `errorType`, `errorMessage`, and so on. Null if it is not JSON.
    pub body: Value,
}
