//! The limits of a queue that its retries have to fit.

use drumline::core::{ReceiveLimit, RetryLimits};

use crate::aws::QueueFacts;
use crate::settings::QueueSettings;
use crate::waits::receives;

/// Returns the limits of a queue that its retries have to fit; without `facts`, as of a queue that has not been asked.
pub fn retry_limits(settings: &QueueSettings, facts: Option<&QueueFacts>) -> RetryLimits {
    let receives = facts.map(|facts| match &facts.redrive {
        Some(redrive) => receives(redrive.max_receive_count),
        None if facts.is_unbounded() => ReceiveLimit::Unlimited,
        None => ReceiveLimit::Unknown,
    });
    RetryLimits {
        receives: receives.unwrap_or_default(),
        max_attempts: settings.max_attempts,
        retention: facts.map(|facts| facts.retention),
    }
}
