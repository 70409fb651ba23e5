//! The one place where an ending becomes an outcome.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::ending::Ending;
use crate::outcome::Outcome;
use crate::policy::{Policy, UnknownType};
use crate::retry::Jitter;

/// What a decision depends on besides the policy and the ending.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Which attempt has ended.
    pub attempt: NonZeroU32,
    /// The job's type, where it is known.
    pub job_type: Option<&'a str>,
    /// The longest delay that can still be expressed: what remains of SQS's twelve hours.
    pub longest_delay: Duration,
}

/// What follows from `ending`. Pure and total: it has no error, and nothing in it means success by default.
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use drumline::{Ending, Facts, Jitter, Outcome, Policy, decide};
///
/// let policy = Policy::new(Duration::from_secs(30));
/// let facts = Facts { attempt: NonZeroU32::MIN, job_type: None, longest_delay: Duration::from_secs(43_000) };
/// assert_eq!(decide(&policy, &facts, &Ending::Done, Jitter::new(0)), Outcome::Ack);
/// assert_eq!(decide(&policy, &facts, &Ending::Interrupted, Jitter::new(0)), Outcome::Release);
/// ```
pub fn decide(policy: &Policy, facts: &Facts<'_>, ending: &Ending, jitter: Jitter) -> Outcome {
    let backoff = || {
        let delay = policy.retry_for(facts.job_type).delay(facts.attempt, jitter);
        Outcome::RetryAfter(delay.min(facts.longest_delay))
    };
    match ending {
        Ending::Done => Outcome::Ack,
        Ending::RetryAsked { after: Some(delay), .. } => {
            Outcome::RetryAfter((*delay).min(facts.longest_delay))
        }
        Ending::RetryAsked { after: None, .. } | Ending::Panicked { .. } | Ending::TimedOut => backoff(),
        Ending::NoHandler { reason } => match policy.unknown_type {
            UnknownType::Retry => backoff(),
            UnknownType::Reject => Outcome::DeadLetter(reason.clone()),
        },
        Ending::Rejected { reason } | Ending::Undecodable { reason } => Outcome::DeadLetter(reason.clone()),
        Ending::Interrupted => Outcome::Release,
        Ending::LeaseLost => Outcome::LeaseLost,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::retry::JitterMode;

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
            (1, None, Ending::Undecodable { reason: why() }, Outcome::DeadLetter(why())),
            (1, None, Ending::Interrupted, Outcome::Release),
            (1, None, Ending::LeaseLost, Outcome::LeaseLost),
        ];
        let facts = |attempt, job_type| Facts {
            attempt: NonZeroU32::new(attempt).unwrap(),
            job_type,
            longest_delay: Duration::from_secs(200),
        };
        for (attempt, job_type, ending, outcome) in table {
            assert_eq!(
                decide(&policy, &facts(attempt, job_type), &ending, Jitter::new(7)),
                outcome,
                "{ending:?}"
            );
        }
        policy.unknown_type = UnknownType::Reject;
        assert_eq!(decide(&policy, &facts(1, None), &unknown, Jitter::new(7)), Outcome::DeadLetter(why()));
    }
}
