//! The result of an invocation, as Lambda's caller sees it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

/// An invocation that has ended.
#[derive(Debug, Clone)]
pub struct Invoked {
    /// The invocation's request id.
    pub request_id: String,
    /// The function's response, or the reason why there is none.
    pub result: Result<Bytes, Failure>,
    /// The time from the delivery of the event to the end.
    pub duration: Duration,
    /// The time from the start of the process to its first request for an event, if this invocation started a process.
    pub init: Option<Duration>,
    /// The peak memory of the process so far, in megabytes, if the operating system reports it.
    pub max_memory_mb: Option<u64>,
}

/// The kind of a failed invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The function returned an error.
    Error,
    /// The invocation took longer than the function's timeout; the process was killed.
    Timeout,
    /// The process ended during the invocation.
    Crash,
    /// The process did not start.
    Init,
}

impl FailureKind {
    /// Returns the kind as one word, for JSON.
    pub fn label(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Crash => "crash",
            Self::Init => "init",
        }
    }
}

/// The reason of a failed invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its kind.
    pub kind: FailureKind,
    /// The type of the error: the function's own, or Lambda's, such as `Sandbox.Timedout`.
    pub error_type: String,
    /// The message of the error.
    pub message: String,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, error_type: &str, message: String) -> Self {
        Self { kind, error_type: error_type.to_owned(), message }
    }

    /// Parses the error that a process posted.
    pub(crate) fn posted(kind: FailureKind, header: Option<&str>, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body)
            .unwrap_or_else(|_| json!({ "errorMessage": String::from_utf8_lossy(body) }));
        let field = |name: &str| body[name].as_str().map(str::to_owned);
        Self {
            kind,
            error_type: field("errorType").or_else(|| header.map(str::to_owned)).unwrap_or_default(),
            message: field("errorMessage").unwrap_or_else(|| body.to_string()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            FailureKind::Error => "the function returned an error",
            FailureKind::Timeout => "the function timed out",
            FailureKind::Crash => "the function's process ended during the invocation",
            FailureKind::Init => "the function did not start",
        };
        write!(f, "{kind}: {}: {}", self.error_type, self.message)
    }
}

impl std::error::Error for Failure {}

impl Invoked {
    /// Returns the line that Lambda would log about the invocation.
    pub(crate) fn report(&self, memory_mb: u32) -> String {
        let millis = |duration: Duration| format!("{:.2} ms", duration.as_secs_f64() * 1000.0);
        let used = self.max_memory_mb.map(|used| format!("\tMax Memory Used: {used} MB")).unwrap_or_default();
        let init = self.init.map(|init| format!("\tInit Duration: {}", millis(init))).unwrap_or_default();
        let status = match &self.result {
            Ok(_) => "",
            Err(failure) if failure.kind == FailureKind::Timeout => "\tStatus: timeout",
            Err(_) => "\tStatus: error",
        };
        format!(
            "REPORT RequestId: {}\tDuration: {}\tMemory Size: {memory_mb} MB{used}{init}{status}",
            self.request_id,
            millis(self.duration)
        )
    }
}
