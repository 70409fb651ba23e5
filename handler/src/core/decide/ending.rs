//! The outcome that follows from the ending of a run.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::core::ending::Ending;
use crate::core::outcome::Outcome;
use crate::core::policy::{Policy, UnknownType};
use crate::core::reason::bounded;
use crate::core::retry::{Jitter, MAX_VISIBILITY};

/// The facts that a decision depends on besides the policy and the ending.
#[derive(Debug, Clone, Copy)]
pub struct DecisionInput<'a> {
    /// The number of the attempt that has ended.
    pub attempt: NonZeroU32,
    /// The number of receives of the message.
    pub receives: NonZeroU32,
    /// The job's type, if it is known.
    pub job_type: Option<&'a str>,
    /// The longest delay that is still possible: the rest of SQS's twelve hours.
    pub longest_delay: Duration,
}

/// The shortest wait for a claim or a lock, and the shortest time over which waiting jobs are spread.
const HELD_WAIT: Duration = Duration::from_secs(1);

/// The shortest first time for which a permanent failure without a DLQ stays hidden.
const UNDELIVERABLE_WAIT: Duration = Duration::from_secs(60);

/// The maximum time that a message is hidden while the store of claims does not answer: every receive counts towards the DLQ,
/// and an outage is not a failure of the job.
const STORE_WAIT: Duration = Duration::from_secs(60);

/// The maximum time that a message is hidden if its run lacked resources and it cannot be kept in hand: another process may
/// have them, and in this one their user may have ended.
const RESOURCES_WAIT: Duration = Duration::from_secs(60);

/// The minimum time that a message is hidden if its target is unhealthy and it cannot be kept in hand: most restarts are over
/// by then.
const TARGET_WAIT: Duration = Duration::from_secs(30);

/// The minimum time that a message is hidden if its payload could not be read: every receive counts towards the DLQ, and four
/// tries within the attempt have failed, so S3 or the worker's setup needs more than seconds.
const PAYLOAD_WAIT: Duration = Duration::from_secs(60);

/// Decides the outcome of `ending`. Pure and total: it has no error, and no case means success by default.
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use drumline::core::{Ending, DecisionInput, Jitter, Outcome, Policy, decide};
///
/// let policy = Policy::new(Duration::from_secs(30));
/// let facts = DecisionInput {
///     attempt: NonZeroU32::MIN,
///     receives: NonZeroU32::MIN,
///     job_type: None,
///     longest_delay: Duration::from_secs(43_000),
/// };
/// assert_eq!(decide(&policy, &facts, &Ending::Done, Jitter::new(0)), Outcome::Ack);
/// assert_eq!(decide(&policy, &facts, &Ending::Interrupted, Jitter::new(0)), Outcome::Requeue);
/// ```
pub fn decide(policy: &Policy, facts: &DecisionInput<'_>, ending: &Ending, jitter: Jitter) -> Outcome {
    let backoff = || {
        let retry = policy.retry_for(facts.job_type);
        // A schedule that fits the redrive policy has to count as the redrive policy does.
        let number = if retry.is_auto() { facts.receives } else { facts.attempt };
        let delay = retry.delay(number, jitter);
        Outcome::RetryAfter(delay.min(facts.longest_delay))
    };
    let later = |delay: Duration| Outcome::RetryAfter(delay.min(facts.longest_delay));
    let max_attempts = policy.max_attempts_for(facts.job_type);
    let is_last_attempt = max_attempts.is_some_and(|most| facts.attempt >= most);
    match ending {
        Ending::Done | Ending::DoneBefore(_) => Outcome::Ack,
        Ending::RetryAsked { .. } | Ending::Panicked { .. } | Ending::TimedOut if is_last_attempt => {
            let reason = ending.reason().unwrap_or_default();
            let most = max_attempts.unwrap_or(facts.attempt);
            Outcome::DeadLetter(bounded(format!("attempt {} of {most}: {reason}", facts.attempt)))
        }
        Ending::RetryAsked { after: Some(delay), .. } => later(*delay),
        Ending::RetryAsked { after: None, .. } | Ending::Panicked { .. } | Ending::TimedOut => backoff(),
        Ending::NoHandler { reason } => match policy.unknown_type {
            UnknownType::Retry => backoff(),
            UnknownType::Reject => Outcome::DeadLetter(reason.clone()),
        },
        Ending::Rejected { reason }
        | Ending::InvalidPayload { reason }
        | Ending::FailedPermanently { reason } => Outcome::DeadLetter(reason.clone()),
        Ending::Busy { remaining, .. } => later(held(policy, facts, *remaining, jitter)),
        Ending::Limited { remaining, .. } => later(*remaining),
        Ending::StoreUnavailable { .. } => later(STORE_WAIT / 2 + jitter.of(STORE_WAIT / 2)),
        Ending::OutOfResources { .. } => later(RESOURCES_WAIT / 2 + jitter.of(RESOURCES_WAIT / 2)),
        // Every receive counts towards the DLQ, so the waits also grow according to the policy.
        Ending::TargetUnhealthy { .. } => {
            let delay = policy.retry_for(facts.job_type).delay(facts.receives, jitter);
            later(delay.max(TARGET_WAIT))
        }
        // Not before the type opens, and spread, because a probe comes first.
        Ending::Throttled { after, .. } => {
            let closed = after.unwrap_or_default();
            let spread = jitter.of((closed / 4).max(HELD_WAIT));
            let delay = policy.retry_for(facts.job_type).delay(facts.receives, jitter);
            later(delay.max(closed.saturating_add(spread)))
        }
        Ending::PayloadUnavailable { .. } => {
            let delay = policy.retry_for(facts.job_type).delay(facts.receives, jitter);
            later(delay.max(PAYLOAD_WAIT))
        }
        Ending::Interrupted => Outcome::Requeue,
        Ending::LeaseLost => Outcome::LeaseLost,
    }
}

/// The time that a permanent failure stays hidden in a queue without a DLQ: its handler does not run again, so each receive is worth
/// less than the one before.
pub(crate) fn hidden_without_dlq(policy: &Policy, job_type: Option<&str>, receives: u32) -> Duration {
    let doublings = receives.saturating_sub(1).min(16);
    let first = policy.retry_for(job_type).longest().max(UNDELIVERABLE_WAIT);
    first.saturating_mul(1 << doublings).min(MAX_VISIBILITY)
}

/// The delay before a busy claim or lock is requested again: until it is free, unless it is renewed. Then the waits double,
/// because every receive counts towards the DLQ, and a job that waits for another has not failed. Spread by a quarter, so that
/// the jobs that wait for the same one are not all redelivered at once.
fn held(policy: &Policy, facts: &DecisionInput<'_>, remaining: Duration, jitter: Jitter) -> Duration {
    let doublings = (facts.receives.get() - 1).min(16);
    let longest = policy.retry_for(facts.job_type).longest().max(remaining);
    let wait = remaining.max(HELD_WAIT).saturating_mul(1 << doublings).min(longest);
    wait.saturating_add(jitter.of((wait / 4).max(HELD_WAIT)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::retry::JitterMode;

    fn why() -> String {
        "why".to_owned()
    }

    #[test]
    fn every_ending_has_its_outcome() {
        let mut policy = Policy::new(Duration::from_secs(30));
        policy.retry = policy.retry.with_jitter(JitterMode::None);
        let slow: crate::RetryPolicy = "schedule(1m)".parse().unwrap();
        policy.retry_by_type.insert("slow".into(), slow.with_jitter(JitterMode::None));
        let secs = |s| Outcome::RetryAfter(Duration::from_secs(s));
        let retry = Ending::RetryAsked { after: None, reason: why() };
        let after = |s| Ending::RetryAsked { after: Some(Duration::from_secs(s)), reason: why() };
        let unknown = Ending::NoHandler { reason: why() };
        let throttled =
            |s: Option<u64>| Ending::Throttled { after: s.map(Duration::from_secs), reason: why() };
        let held = |s| Ending::Busy { remaining: Duration::from_secs(s), reason: why() };
        let table = [
            (1, None, Ending::Done, Outcome::Ack),
            (1, None, retry.clone(), secs(1)),
            (4, None, retry.clone(), secs(8)),
            (4, Some("slow"), retry.clone(), secs(60)),
            (4, Some("other"), retry.clone(), secs(8)),
            (30, None, retry, secs(200)),
            (1, None, after(90), secs(90)),
            (1, None, after(90_000), secs(200)),
            (2, None, Ending::Panicked { reason: why() }, secs(2)),
            (2, None, Ending::TimedOut, secs(2)),
            (2, None, unknown.clone(), secs(2)),
            (1, None, Ending::Rejected { reason: why() }, Outcome::DeadLetter(why())),
            (1, None, Ending::InvalidPayload { reason: why() }, Outcome::DeadLetter(why())),
            (1, None, Ending::Interrupted, Outcome::Requeue),
            (1, None, Ending::LeaseLost, Outcome::LeaseLost),
            (1, None, Ending::DoneBefore(Box::default()), Outcome::Ack),
            (1, None, Ending::FailedPermanently { reason: why() }, Outcome::DeadLetter(why())),
            // Without jitter: exactly the rest, then twice that, up to the longest delay of the policy.
            (1, None, held(40), secs(40)),
            (2, None, held(40), secs(80)),
            (9, None, held(40), secs(200)),
            (1, None, held(0), secs(1)),
            (5, Some("slow"), held(40), secs(60)),
            (1, None, Ending::StoreUnavailable { reason: why() }, secs(30)),
            // Also in an attempt after which other failures would be permanent.
            (9, None, Ending::OutOfResources { reason: why() }, secs(30)),
            (1, None, Ending::PayloadUnavailable { reason: why() }, secs(60)),
            (4, None, Ending::PayloadUnavailable { reason: why() }, secs(60)),
            (8, None, Ending::PayloadUnavailable { reason: why() }, secs(128)),
            (30, None, Ending::PayloadUnavailable { reason: why() }, secs(200)),
            (1, None, Ending::TargetUnhealthy { reason: why() }, secs(30)),
            (1, Some("slow"), Ending::TargetUnhealthy { reason: why() }, secs(60)),
            // Not before the type opens.
            (1, None, throttled(Some(30)), secs(30)),
            (7, None, throttled(Some(30)), secs(64)),
            (4, None, throttled(None), secs(8)),
            (1, None, throttled(Some(90_000)), secs(200)),
        ];
        let facts = |attempt, job_type| DecisionInput {
            attempt: NonZeroU32::new(attempt).unwrap(),
            receives: NonZeroU32::new(attempt).unwrap(),
            job_type,
            longest_delay: Duration::from_secs(200),
        };
        for (attempt, job_type, ending, outcome) in table {
            assert_eq!(
                decide(&policy, &facts(attempt, job_type), &ending, Jitter::new(0)),
                outcome,
                "{ending:?}"
            );
        }
        assert_eq!(
            decide(&policy, &facts(1, None), &held(40), Jitter::new(u32::MAX)),
            secs(50),
            "spread by a quarter"
        );
        let spread = decide(&policy, &facts(1, None), &throttled(Some(40)), Jitter::new(u32::MAX));
        assert_eq!(spread, secs(50), "spread by a quarter");
        policy.unknown_type = UnknownType::Reject;
        assert_eq!(decide(&policy, &facts(1, None), &unknown, Jitter::new(0)), Outcome::DeadLetter(why()));
    }

    #[test]
    fn the_last_attempt_that_is_allowed_is_the_last() {
        let mut policy = Policy::new(Duration::from_secs(30));
        policy.max_attempts = NonZeroU32::new(3);
        let facts = |attempt| DecisionInput {
            attempt: NonZeroU32::new(attempt).unwrap(),
            receives: NonZeroU32::new(20).unwrap(),
            job_type: None,
            longest_delay: Duration::from_secs(200),
        };
        let failures = [
            Ending::RetryAsked { after: None, reason: why() },
            Ending::RetryAsked { after: Some(Duration::ZERO), reason: why() },
            Ending::Panicked { reason: why() },
            Ending::TimedOut,
        ];
        for ending in failures {
            let outcome = |attempt| decide(&policy, &facts(attempt), &ending, Jitter::new(0));
            assert!(matches!(outcome(2), Outcome::RetryAfter(_)), "{ending:?}");
            let Outcome::DeadLetter(reason) = outcome(3) else { panic!("{ending:?}") };
            assert_eq!(reason, format!("attempt 3 of 3: {}", ending.reason().unwrap()));
            // A limit that was lowered since.
            let Outcome::DeadLetter(reason) = outcome(5) else { panic!("{ending:?}") };
            assert_eq!(reason, format!("attempt 5 of 3: {}", ending.reason().unwrap()));
        }
        let no_failures = [
            Ending::OutOfResources { reason: why() },
            Ending::TargetUnhealthy { reason: why() },
            Ending::Throttled { after: None, reason: why() },
            Ending::Interrupted,
            Ending::LeaseLost,
            Ending::NoHandler { reason: why() },
            Ending::Busy { remaining: Duration::ZERO, reason: why() },
            Ending::StoreUnavailable { reason: why() },
            Ending::PayloadUnavailable { reason: why() },
        ];
        for ending in no_failures {
            let outcome = decide(&policy, &facts(3), &ending, Jitter::new(0));
            assert!(!matches!(outcome, Outcome::DeadLetter(_)), "{ending:?}");
        }
    }

    #[test]
    fn a_type_may_have_a_limit_of_its_own() {
        let failed = Ending::RetryAsked { after: None, reason: why() };
        let is_last = |of_queue, job_type, attempt| {
            let mut policy = Policy::new(Duration::from_secs(30));
            policy.max_attempts = NonZeroU32::new(of_queue);
            policy.max_attempts_by_type.insert("quick".to_owned(), NonZeroU32::new(2).unwrap());
            policy.max_attempts_by_type.insert("patient".to_owned(), NonZeroU32::new(9).unwrap());
            let facts = DecisionInput {
                attempt: NonZeroU32::new(attempt).unwrap(),
                receives: NonZeroU32::new(20).unwrap(),
                job_type,
                longest_delay: Duration::from_secs(200),
            };
            matches!(decide(&policy, &facts, &failed, Jitter::new(0)), Outcome::DeadLetter(_))
        };
        // The queue's limit, 0 for none; the type; and the number of the last attempt.
        let table = [
            (0, Some("quick"), Some(2)),
            (5, Some("quick"), Some(2)),
            (5, Some("patient"), Some(9)),
            (5, Some("other"), Some(5)),
            (5, None, Some(5)),
            (0, Some("other"), None),
        ];
        for (of_queue, job_type, last) in table {
            let first = (1..20).find(|attempt| is_last(of_queue, job_type, *attempt));
            assert_eq!(first, last, "{of_queue} {job_type:?}");
        }
    }
}
