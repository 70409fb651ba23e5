//! The registered properties of a job type.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::api::job::Job;
use crate::core::retry::{MAX_VISIBILITY, RetryPolicy};

/// A job type that a router has a handler for, with the values that its code sets.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct JobType {
    /// [`Job::TYPE`].
    pub name: Arc<str>,
    /// [`Job::VERSION`].
    pub version: u32,
    /// [`Job::TIMEOUT`].
    pub timeout: Option<Duration>,
    /// [`Job::MAX_ATTEMPTS`].
    pub max_attempts: Option<NonZeroU32>,
    /// [`Job::retry`].
    pub retry: Option<RetryPolicy>,
}

impl JobType {
    pub(crate) fn of<J: Job>() -> Self {
        Self {
            name: Arc::from(J::TYPE),
            version: J::VERSION,
            timeout: J::TIMEOUT,
            max_attempts: J::MAX_ATTEMPTS.and_then(NonZeroU32::new),
            retry: J::retry(),
        }
    }

    /// Adds the values that its code sets to tables of values by type, unless a table has one for it: a setting for the type
    /// overrides its code.
    pub fn fill(
        &self,
        handler_timeouts: &mut HashMap<String, Duration>,
        max_attempts: &mut HashMap<String, NonZeroU32>,
        retries: &mut HashMap<String, RetryPolicy>,
    ) {
        if let Some(timeout) = self.timeout {
            handler_timeouts.entry(self.name.to_string()).or_insert(timeout);
        }
        if let Some(most) = self.max_attempts {
            max_attempts.entry(self.name.to_string()).or_insert(most);
        }
        if let Some(retry) = &self.retry {
            retries.entry(self.name.to_string()).or_insert_with(|| retry.clone());
        }
    }

    /// A type whose messages are handed on as they are.
    pub(crate) fn passthrough(name: &str) -> Self {
        Self { name: Arc::from(name), version: u32::MAX, timeout: None, max_attempts: None, retry: None }
    }
}

/// Returns the reasons why no worker can run this job type.
pub(crate) fn problems_of<J: Job>() -> Vec<String> {
    let of_type = |problem: &str| format!("job type {}: {problem}", J::TYPE);
    let is_out_of_bounds = |timeout: Duration| timeout.is_zero() || timeout > MAX_VISIBILITY;
    let checks = [
        (J::VERSION == 0, "VERSION starts at 1"),
        (J::TIMEOUT.is_some_and(is_out_of_bounds), "TIMEOUT must be more than nothing, and at most 12h"),
        (J::MAX_ATTEMPTS == Some(0), "MAX_ATTEMPTS starts at 1"),
    ];
    checks.into_iter().filter(|(is_wrong, _)| *is_wrong).map(|(_, problem)| of_type(problem)).collect()
}
