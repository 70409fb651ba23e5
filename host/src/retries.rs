//! The limits of a queue that its retries have to fit.

use std::collections::HashMap;

use drumline::RetryPolicy;
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

/// Returns the retry policies of the job types that have their own, or an own number of attempts, fitted to a queue with these
/// limits.
pub(crate) fn retries_by_type(
    settings: &QueueSettings,
    limits: &RetryLimits,
) -> HashMap<String, RetryPolicy> {
    let names = settings.retry_by_type.keys().chain(settings.max_attempts_by_type.keys());
    let fitted = |name: &String| {
        let retry = settings.retry_by_type.get(name).unwrap_or(&settings.retry);
        let max_attempts = settings.max_attempts_by_type.get(name).copied().or(limits.max_attempts);
        retry.clone().fitted(&RetryLimits { max_attempts, ..*limits })
    };
    names.map(|name| (name.clone(), fitted(name))).collect()
}
