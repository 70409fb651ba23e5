//! The settings under which a tester decides: those of a worker, on a queue with a DLQ.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::api::job_type::JobType;
use crate::api::router::Router;
use crate::core::policy::{Claims, Policy};
use crate::core::retry::{Jitter, JitterMode, ReceiveLimit, RetryLimits, RetryPolicy};
use crate::message::intake::Intake;

/// The receives that the queue of a test allows: as many as the queue of `drumline dev` does.
const MAX_RECEIVES: NonZeroU32 = NonZeroU32::new(5).expect("5 is not 0");

/// The lease of a message: SQS's default.
const LEASE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
pub(super) struct TestSettings {
    pub(super) policy: Policy,
    /// The rules of the queue; an empty scope stands for the queue's ARN.
    pub(super) intake: Intake,
    /// The draw of every jitter; `None` for delays without any.
    pub(super) draw: Option<u32>,
}

impl Default for TestSettings {
    fn default() -> Self {
        let policy = Policy {
            retry: RetryPolicy::auto(),
            receives: ReceiveLimit::AtMost(MAX_RECEIVES),
            claims: Claims::Required,
            ..Policy::new(LEASE)
        };
        Self { policy, intake: Intake::new(""), draw: None }
    }
}

impl TestSettings {
    /// Returns the policy of a worker with this router under these settings.
    pub(super) fn policy_for(&self, router: &Router) -> Policy {
        let mut policy = self.policy.clone();
        for JobType { name, timeout, max_attempts, retry, .. } in router.job_types() {
            if let Some(timeout) = timeout {
                policy.handler_timeout_by_type.entry(name.to_string()).or_insert(*timeout);
            }
            if let Some(most) = max_attempts {
                policy.max_attempts_by_type.entry(name.to_string()).or_insert(*most);
            }
            let retry = retry.clone().unwrap_or_else(|| self.policy.retry.clone());
            policy.retry_by_type.entry(name.to_string()).or_insert(retry);
        }
        let fitted = |retry: &RetryPolicy, max_attempts| {
            let limits =
                RetryLimits { receives: self.policy.receives, max_attempts, ..RetryLimits::default() };
            let retry = retry.clone().fitted(&limits);
            if self.draw.is_some() { retry } else { retry.with_jitter(JitterMode::None) }
        };
        policy.retry = fitted(&policy.retry, policy.max_attempts);
        for (name, retry) in &mut policy.retry_by_type {
            let most = policy.max_attempts_by_type.get(name).copied().or(policy.max_attempts);
            *retry = fitted(retry, most);
        }
        policy
    }

    /// Returns the rules of a queue of this name.
    pub(super) fn intake_of(&self, queue: &str) -> Intake {
        let mut intake = self.intake.clone();
        if intake.scope.is_empty() {
            intake.scope = Arc::from(format!("arn:aws:sqs:eu-west-1:000000000000:{queue}"));
        }
        intake
    }

    pub(super) fn jitter(&self) -> Jitter {
        Jitter::new(self.draw.unwrap_or(0))
    }
}
