//! The time limits of requests to SQS, for both clients.

use std::time::Duration;

/// The time that a receive may take in addition to its wait time. Without a limit, the SDK's calls can hang forever.
pub(super) const RECEIVE_SLACK: Duration = Duration::from_secs(10);

/// The time limit of any other call: SQS answers in milliseconds, and a lease may end soon.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(10);
