//! The decision about a message that does not run now.

use crate::core::outcome::Outcome;
use crate::core::recollection::Past;

/// The reason why a message leaves without a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unrun {
    /// It goes back to the queue: a drain, its message group, a pause, or no place for it.
    GivenBack,
    /// Its lease has ended while it waited.
    LeaseLost,
}

/// Returns the outcome of a message whose run would be the next; `None` if it must run. It needs no run once its job is
/// done, and must not run once no attempt can succeed.
pub(crate) fn decide_start(past: Option<&Past>) -> Option<Outcome> {
    match past {
        Some(Past::Done { .. }) => Some(Outcome::Ack),
        Some(Past::Condemned(reason)) => Some(Outcome::DeadLetter(reason.clone())),
        Some(Past::Survived) | None => None,
    }
}

/// Returns the outcome of a message that leaves without having had its turn. A message whose job is done is deleted and not
/// given back: another process, which does not remember that, would run it again.
pub(crate) fn decide_unrun(why: Unrun, past: Option<&Past>) -> Outcome {
    match (why, past) {
        (Unrun::GivenBack, Some(Past::Done { .. })) => Outcome::Ack,
        (Unrun::GivenBack, Some(Past::Condemned(_) | Past::Survived) | None) => Outcome::Release,
        (Unrun::LeaseLost, Some(Past::Done { .. } | Past::Condemned(_) | Past::Survived) | None) => {
            Outcome::LeaseLost
        }
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
        let done = Past::Done { at: Instant::now() };
        let table = [
            (None, None, Outcome::Release),
            (Some(Past::Survived), None, Outcome::Release),
            (Some(Past::Condemned(why())), Some(Outcome::DeadLetter(why())), Outcome::Release),
            (Some(done), Some(Outcome::Ack), Outcome::Ack),
        ];
        for (past, starts, given_back) in table {
            assert_eq!(decide_start(past.as_ref()), starts, "{past:?}");
            assert_eq!(decide_unrun(Unrun::GivenBack, past.as_ref()), given_back, "{past:?}");
            assert_eq!(decide_unrun(Unrun::LeaseLost, past.as_ref()), Outcome::LeaseLost, "{past:?}");
        }
    }
}
