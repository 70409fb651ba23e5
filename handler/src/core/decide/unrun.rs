//! The decision about a message that does not run now.

use crate::core::outcome::Outcome;
use crate::core::outcome_cache::PriorOutcome;

/// The reason why a message leaves without a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unrun {
    /// It is released to the queue: a drain, its message group, a pause, or no slot for it.
    GivenBack,
    /// Its lease has ended while it waited.
    LeaseLost,
}

/// Returns the outcome of a message that would run next; `None` if it must run. It needs no run if its job is done, and must
/// not run if no attempt can succeed.
pub(crate) fn decide_start(prior: Option<&PriorOutcome>) -> Option<Outcome> {
    match prior {
        Some(PriorOutcome::Done { .. }) => Some(Outcome::Ack),
        Some(PriorOutcome::FailedPermanently(reason)) => Some(Outcome::DeadLetter(reason.clone())),
        Some(PriorOutcome::Returned) | None => None,
    }
}

/// Returns the outcome of a message that leaves without a run. If its job is done, it is deleted and not released: another
/// process, which does not remember it, would run it again.
pub(crate) fn decide_unrun(why: Unrun, prior: Option<&PriorOutcome>) -> Outcome {
    match (why, prior) {
        (Unrun::GivenBack, Some(PriorOutcome::Done { .. })) => Outcome::Ack,
        (Unrun::GivenBack, Some(PriorOutcome::FailedPermanently(_) | PriorOutcome::Returned) | None) => {
            Outcome::Requeue
        }
        (
            Unrun::LeaseLost,
            Some(PriorOutcome::Done { .. } | PriorOutcome::FailedPermanently(_) | PriorOutcome::Returned)
            | None,
        ) => Outcome::LeaseLost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test's own clock")]
    fn every_state_has_its_outcome() {
        let why = || "why".to_owned();
        let done = PriorOutcome::Done { at: Instant::now() };
        let table = [
            (None, None, Outcome::Requeue),
            (Some(PriorOutcome::Returned), None, Outcome::Requeue),
            (
                Some(PriorOutcome::FailedPermanently(why())),
                Some(Outcome::DeadLetter(why())),
                Outcome::Requeue,
            ),
            (Some(done), Some(Outcome::Ack), Outcome::Ack),
        ];
        for (prior, starts, given_back) in table {
            assert_eq!(decide_start(prior.as_ref()), starts, "{prior:?}");
            assert_eq!(decide_unrun(Unrun::GivenBack, prior.as_ref()), given_back, "{prior:?}");
            assert_eq!(decide_unrun(Unrun::LeaseLost, prior.as_ref()), Outcome::LeaseLost, "{prior:?}");
        }
    }
}
