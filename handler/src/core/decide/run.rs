//! The decision about a run: the ending that counts if it was stopped, and its consequences.

use std::time::Instant;

use super::ending::{DecisionInput, decide};
use crate::core::claim::ReleaseClaim;
use crate::core::control::CancelReason;
use crate::core::ending::Ending;
use crate::core::outcome::Outcome;
use crate::core::outcome_cache::PriorOutcome;
use crate::core::policy::Policy;
use crate::core::retry::Jitter;

/// All consequences of the ending of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunDecision {
    /// The ending that counts.
    pub(crate) ending: Ending,
    /// The outcome of the message.
    pub(crate) outcome: Outcome,
    /// The state of the message to remember.
    pub(crate) prior: PriorOutcome,
    /// The way to release the claim, if the run still has it.
    pub(crate) release_claim: ReleaseClaim,
    /// No other attempt follows: SQS moves the message to the DLQ instead of delivering it again.
    pub(crate) last_attempt: bool,
}

/// Decides about a run that reported this ending, and was asked to stop for this reason, if it was. The loss of the lease or
/// the claim outweighs every other reason.
pub(crate) fn decide_run(
    policy: &Policy,
    facts: &DecisionInput<'_>,
    stopped: Option<CancelReason>,
    reported: Ending,
    now: Instant,
    jitter: Jitter,
) -> RunDecision {
    let succeeded = has_succeeded(&reported);
    let ending = counted(stopped, reported);
    let outcome = decide(policy, facts, &ending, jitter);
    let prior = remembered(succeeded, &outcome, now);
    let last_attempt = leaves_alive(&outcome) && is_last_receive(policy, facts);
    let release_claim = ReleaseClaim { dead: last_attempt, ..release_claim(&ending, &outcome) };
    RunDecision { ending, outcome, prior, release_claim, last_attempt }
}

/// Returns true if the queue will not deliver the message again. Unknown as long as the redrive policy is.
fn is_last_receive(policy: &Policy, facts: &DecisionInput<'_>) -> bool {
    policy.receives.at_most().is_some_and(|most| facts.receives >= most)
}

/// Returns true if the message stays in the queue for another attempt.
fn leaves_alive(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::RetryAfter(_) | Outcome::Requeue | Outcome::LeaseLost => true,
        Outcome::Ack | Outcome::DeadLetter(_) => false,
    }
}

/// Returns the ending that counts. A stopped run mostly reports only the effect of its cancellation; success and a firm failure
/// are not such effects. Without its lease or its claim a run's report decides nothing about the message.
fn counted(stopped: Option<CancelReason>, reported: Ending) -> Ending {
    match stopped {
        // The ledger has replaced the effect of the cancellation with the operator's reason.
        None | Some(CancelReason::Operator) => reported,
        Some(CancelReason::LeaseLost) => Ending::LeaseLost,
        Some(CancelReason::TimedOut | CancelReason::Shutdown) if is_firm(&reported) => reported,
        // The target used up the time, and would have let other messages wait as well.
        Some(CancelReason::TimedOut) if matches!(reported, Ending::TargetUnhealthy { .. }) => reported,
        // No handler ran: the run waited all the time, for example for the store or for S3.
        Some(CancelReason::TimedOut) if !reported.ran() => reported,
        Some(CancelReason::TimedOut) => Ending::TimedOut,
        Some(CancelReason::Shutdown) => Ending::Interrupted,
    }
}

/// Returns true if the ending cannot be the effect of a cancellation.
fn is_firm(ending: &Ending) -> bool {
    match ending {
        Ending::Done
        | Ending::DoneBefore(_)
        | Ending::Rejected { .. }
        | Ending::FailedPermanently { .. }
        | Ending::Throttled { .. }
        | Ending::Panicked { .. } => true,
        Ending::RetryAsked { .. }
        | Ending::InvalidPayload { .. }
        | Ending::NoHandler { .. }
        | Ending::TimedOut
        | Ending::Interrupted
        | Ending::LeaseLost
        | Ending::OutOfResources { .. }
        | Ending::TargetUnhealthy { .. }
        | Ending::Busy { .. }
        | Ending::Limited { .. }
        | Ending::StoreUnavailable { .. }
        | Ending::PayloadUnavailable { .. } => false,
    }
}

/// Returns true if the job is done, regardless of the message's outcome.
fn has_succeeded(ending: &Ending) -> bool {
    match ending {
        Ending::Done | Ending::DoneBefore(_) => true,
        Ending::RetryAsked { .. }
        | Ending::Rejected { .. }
        | Ending::InvalidPayload { .. }
        | Ending::NoHandler { .. }
        | Ending::Panicked { .. }
        | Ending::TimedOut
        | Ending::Interrupted
        | Ending::LeaseLost
        | Ending::FailedPermanently { .. }
        | Ending::OutOfResources { .. }
        | Ending::TargetUnhealthy { .. }
        | Ending::Throttled { .. }
        | Ending::Busy { .. }
        | Ending::Limited { .. }
        | Ending::StoreUnavailable { .. }
        | Ending::PayloadUnavailable { .. } => false,
    }
}

/// Returns the state to remember. A job that is done needs no other run, even if its lease was lost before.
fn remembered(succeeded: bool, outcome: &Outcome, now: Instant) -> PriorOutcome {
    match outcome {
        _ if succeeded => PriorOutcome::Done { at: now },
        Outcome::DeadLetter(reason) => PriorOutcome::FailedPermanently(reason.clone()),
        Outcome::Ack | Outcome::RetryAfter(_) | Outcome::Requeue | Outcome::LeaseLost => {
            PriorOutcome::Returned
        }
    }
}

/// Returns the way to release the claim: an attempt that was stopped, or that failed for reasons outside its job, is not
/// counted, and a permanent failure is recorded.
fn release_claim(ending: &Ending, outcome: &Outcome) -> ReleaseClaim {
    ReleaseClaim {
        count_attempt: !matches!(
            ending,
            Ending::Interrupted
                | Ending::LeaseLost
                | Ending::OutOfResources { .. }
                | Ending::TargetUnhealthy { .. }
                | Ending::Throttled { .. }
                | Ending::StoreUnavailable { .. }
                | Ending::PayloadUnavailable { .. }
                | Ending::Limited { .. }
        ),
        failure_reason: match outcome {
            Outcome::DeadLetter(reason) => Some(reason.clone()),
            Outcome::Ack | Outcome::RetryAfter(_) | Outcome::Requeue | Outcome::LeaseLost => None,
        },
        dead: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::limits::LimitReason;
    use crate::core::retry::ReceiveLimit;
    use std::num::NonZeroU32;
    use std::time::Duration;

    fn why() -> String {
        "why".to_owned()
    }

    fn firm() -> Vec<Ending> {
        vec![
            Ending::Done,
            Ending::DoneBefore(Box::default()),
            Ending::Rejected { reason: why() },
            Ending::FailedPermanently { reason: why() },
            Ending::Throttled { after: None, reason: why() },
            Ending::Panicked { reason: why() },
        ]
    }

    fn others() -> Vec<Ending> {
        vec![
            Ending::RetryAsked { after: None, reason: why() },
            Ending::InvalidPayload { reason: why() },
            Ending::NoHandler { reason: why() },
            Ending::TimedOut,
            Ending::Interrupted,
            Ending::LeaseLost,
            Ending::OutOfResources { reason: why() },
            Ending::TargetUnhealthy { reason: why() },
            Ending::Busy { remaining: Duration::ZERO, reason: why() },
            Ending::Limited { remaining: Duration::ZERO, limit: LimitReason::Rate, reason: why() },
            Ending::StoreUnavailable { reason: why() },
            Ending::PayloadUnavailable { reason: why() },
        ]
    }

    #[test]
    fn a_stopped_runs_ending_counts_unless_it_is_an_echo() {
        for ending in firm() {
            let table = [
                (None, ending.clone()),
                (Some(CancelReason::TimedOut), ending.clone()),
                (Some(CancelReason::Shutdown), ending.clone()),
                (Some(CancelReason::LeaseLost), Ending::LeaseLost),
            ];
            for (stopped, counts) in table {
                assert_eq!(counted(stopped, ending.clone()), counts, "{stopped:?} {ending:?}");
            }
        }
        for ending in others() {
            let waited = matches!(ending, Ending::TargetUnhealthy { .. });
            let has_failed = ending.ran() && !waited;
            let table = [
                (None, ending.clone()),
                // A run that only waited, for example for the store or S3, has not failed; nor one that waited for an unhealthy
                // target.
                (Some(CancelReason::TimedOut), if has_failed { Ending::TimedOut } else { ending.clone() }),
                (Some(CancelReason::Shutdown), Ending::Interrupted),
                (Some(CancelReason::LeaseLost), Ending::LeaseLost),
            ];
            for (stopped, counts) in table {
                assert_eq!(counted(stopped, ending.clone()), counts, "{stopped:?} {ending:?}");
            }
        }
    }

    #[allow(clippy::disallowed_methods, reason = "a test's own clock")]
    fn decided(stopped: Option<CancelReason>, reported: Ending) -> (Outcome, &'static str, ReleaseClaim) {
        let policy = Policy::new(Duration::from_secs(30));
        let facts = DecisionInput {
            attempt: NonZeroU32::MIN,
            receives: NonZeroU32::MIN,
            job_type: None,
            longest_delay: Duration::from_secs(600),
        };
        let decision = decide_run(&policy, &facts, stopped, reported, Instant::now(), Jitter::new(0));
        let prior = match decision.prior {
            PriorOutcome::Done { .. } => "done",
            PriorOutcome::FailedPermanently(reason) => {
                assert_eq!(reason, why());
                "condemned"
            }
            PriorOutcome::Returned => "survived",
        };
        (decision.outcome, prior, decision.release_claim)
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test's own clock")]
    fn an_attempt_that_no_other_follows_is_the_last_one() {
        let receives = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let failed = || Ending::RetryAsked { after: None, reason: why() };
        let rejected = || Ending::Rejected { reason: why() };
        let at_most = ReceiveLimit::AtMost(receives(3));
        let table = [
            (at_most, 2, failed(), false),
            (at_most, 3, failed(), true),
            (at_most, 4, failed(), true),
            (at_most, 3, Ending::Interrupted, true),
            (at_most, 3, Ending::LeaseLost, true),
            (at_most, 3, Ending::Busy { remaining: Duration::ZERO, reason: why() }, true),
            (at_most, 3, Ending::Done, false),
            (at_most, 3, rejected(), false),
            (ReceiveLimit::Unknown, 3, failed(), false),
            (ReceiveLimit::Unlimited, 1000, failed(), false),
        ];
        for (limit, count, ending, is_last) in table {
            let policy = Policy { receives: limit, ..Policy::new(Duration::from_secs(30)) };
            let facts = DecisionInput {
                attempt: NonZeroU32::MIN,
                receives: receives(count),
                job_type: None,
                longest_delay: Duration::from_secs(600),
            };
            let decision = decide_run(&policy, &facts, None, ending, Instant::now(), Jitter::new(0));
            assert_eq!(decision.last_attempt, is_last, "{limit:?} {count} {:?}", decision.ending);
            assert_eq!(decision.release_claim.dead, is_last);
        }
    }

    #[test]
    fn what_is_remembered_and_how_the_claim_is_given_up() {
        let counts = ReleaseClaim { count_attempt: true, failure_reason: None, dead: false };
        let spared = ReleaseClaim { count_attempt: false, failure_reason: None, dead: false };
        let fails = ReleaseClaim { count_attempt: true, failure_reason: Some(why()), dead: false };
        let rejected = Ending::Rejected { reason: why() };
        let timed_out = |(outcome, prior, release_claim)| {
            assert!(matches!(outcome, Outcome::RetryAfter(_)), "{outcome:?}");
            (prior, release_claim)
        };
        assert_eq!(decided(None, Ending::Done), (Outcome::Ack, "done", counts.clone()));
        assert_eq!(decided(None, rejected.clone()), (Outcome::DeadLetter(why()), "condemned", fails.clone()));
        let stopped = Some(CancelReason::Shutdown);
        assert_eq!(decided(stopped, Ending::Done), (Outcome::Ack, "done", counts.clone()));
        assert_eq!(decided(stopped, rejected.clone()), (Outcome::DeadLetter(why()), "condemned", fails));
        assert_eq!(decided(stopped, Ending::TimedOut), (Outcome::Requeue, "survived", spared.clone()));
        let timed = timed_out(decided(Some(CancelReason::TimedOut), Ending::Interrupted));
        assert_eq!(timed, ("survived", counts));
        let lacked = timed_out(decided(None, Ending::OutOfResources { reason: why() }));
        assert_eq!(lacked, ("survived", spared.clone()));
        for stopped in [None, Some(CancelReason::TimedOut), Some(CancelReason::Shutdown)] {
            let throttled = timed_out(decided(stopped, Ending::Throttled { after: None, reason: why() }));
            assert_eq!(throttled, ("survived", spared.clone()), "{stopped:?}");
        }
        let lost = Some(CancelReason::LeaseLost);
        assert_eq!(
            decided(lost, Ending::Done),
            (Outcome::LeaseLost, "done", spared.clone()),
            "done all the same"
        );
        assert_eq!(decided(lost, rejected), (Outcome::LeaseLost, "survived", spared));
    }
}
