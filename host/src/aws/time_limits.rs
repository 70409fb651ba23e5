//! The time limits of requests to SQS, for both clients.

use std::time::Duration;

/// The time that a receive may take beyond its wait time. Without a limit, the SDK's calls can hang forever.
pub(super) const RECEIVE_SLACK: Duration = Duration::from_secs(10);

/// The time limit of any other call: SQS answers in milliseconds, and a lease may be running out meanwhile.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(10);
