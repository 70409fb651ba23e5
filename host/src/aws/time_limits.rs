//! How long requests to SQS may take, by either client.

use std::time::Duration;

/// How much longer than its wait time a receive may take. The SDK's calls can hang for ever without a limit.
pub(super) const RECEIVE_SLACK: Duration = Duration::from_secs(10);

/// How long any other call may take: SQS answers in milliseconds, and a lease may be running out meanwhile.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(10);
