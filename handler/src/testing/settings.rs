//! The settings of a tester's decisions: those of a worker, on a queue with a DLQ.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::api::router::Router;
use crate::core::policy::{Claims, Policy};
use crate::core::retry::{Jitter, JitterMode, ReceiveLimit, RetryLimits, RetryPolicy};
use crate::message::intake::Intake;

/// The receives that the queue of a test allows: the same number as the queue of `drumline dev`.
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
    /// Returns the policy of a worker with this router and these settings.
    pub(super) fn policy_for(&self, router: &Router) -> Policy {
        let mut policy = self.policy.clone();
        for job_type in router.job_types() {
            job_type.fill(
                &mut policy.handler_timeout_by_type,
                &mut policy.max_attempts_by_type,
                &mut policy.retry_by_type,
            );
        }
        let Policy { receives, max_attempts, .. } = policy;
        let limits = RetryLimits { receives, max_attempts, ..RetryLimits::default() };
        policy.retry_by_type =
            policy.retry.fitted_by_type(&limits, &policy.retry_by_type, &policy.max_attempts_by_type);
        policy.retry = policy.retry.fitted(&limits);
        if self.draw.is_none() {
            policy.retry = policy.retry.with_jitter(JitterMode::None);
            for retry in policy.retry_by_type.values_mut() {
                *retry = retry.clone().with_jitter(JitterMode::None);
            }
        }
        policy
    }

    /// Returns the rules of a queue with this name.
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
