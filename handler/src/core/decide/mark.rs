//! The decision about a done job whose mark was answered, and about one that gets no answer in time.

use crate::core::claim::{MarkError, Ownership};
use crate::core::policy::Claims;

/// The consequence of the response to a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MarkDecision {
    /// The job is marked as done: its message is deleted.
    Marked,
    /// Another run has taken the expired claim: the message is left to its lease.
    Lost,
    /// The request for the mark is repeated, and the message is kept until then.
    Again,
    /// The mark is written without the result.
    WithoutResult,
    /// The message is deleted without a mark.
    Unmarked,
    /// The store refuses the jobs that follow: no attempt can succeed.
    NextRefused,
}

/// Decides about an answer to the mark of a done job.
pub(crate) fn decide_mark(
    claims: Claims,
    answer: &Result<Ownership, MarkError>,
    has_result: bool,
    has_next: bool,
) -> MarkDecision {
    match (answer, claims) {
        (Ok(Ownership::Kept), _) => MarkDecision::Marked,
        (Ok(Ownership::Lost), _) => MarkDecision::Lost,
        (Err(MarkError::Refused(_)), _) if has_result => MarkDecision::WithoutResult,
        (Err(MarkError::Refused(_)), _) if has_next => MarkDecision::NextRefused,
        (Err(MarkError::Unanswered(_)), Claims::Required) => MarkDecision::Again,
        // The next jobs are added with the mark, or not at all.
        (Err(MarkError::Unanswered(_)), _) if has_next => MarkDecision::Again,
        // A later request would get the same answer, or is not needed.
        (Err(MarkError::Refused(_) | MarkError::Unanswered(_)), _) => MarkDecision::Unmarked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_its_decision() {
        let refused = || Err(MarkError::Refused("too large".to_owned()));
        let unanswered = || Err(MarkError::Unanswered("no route".to_owned()));
        let table = [
            (Claims::Required, Ok(Ownership::Kept), true, MarkDecision::Marked),
            (Claims::Required, Ok(Ownership::Lost), true, MarkDecision::Lost),
            (Claims::Required, unanswered(), true, MarkDecision::Again),
            (Claims::Required, refused(), true, MarkDecision::WithoutResult),
            (Claims::Required, refused(), false, MarkDecision::Unmarked),
            (Claims::BestEffort, Ok(Ownership::Kept), true, MarkDecision::Marked),
            (Claims::BestEffort, Ok(Ownership::Lost), true, MarkDecision::Lost),
            (Claims::BestEffort, unanswered(), true, MarkDecision::Unmarked),
            (Claims::BestEffort, refused(), true, MarkDecision::WithoutResult),
            (Claims::BestEffort, refused(), false, MarkDecision::Unmarked),
        ];
        for (claims, answer, has_result, decision) in table {
            assert_eq!(decide_mark(claims, &answer, has_result, false), decision, "{claims:?} {answer:?}");
        }
    }

    #[test]
    fn no_job_is_done_without_those_that_follow() {
        let refused = || Err(MarkError::Refused("too large".to_owned()));
        let unanswered = || Err(MarkError::Unanswered("no route".to_owned()));
        for claims in [Claims::Required, Claims::BestEffort] {
            let decide = |answer, has_result| decide_mark(claims, &answer, has_result, true);
            assert_eq!(decide(Ok(Ownership::Kept), false), MarkDecision::Marked);
            assert_eq!(decide(Ok(Ownership::Lost), false), MarkDecision::Lost);
            assert_eq!(decide(unanswered(), true), MarkDecision::Again);
            assert_eq!(decide(refused(), true), MarkDecision::WithoutResult);
            assert_eq!(decide(refused(), false), MarkDecision::NextRefused);
        }
    }
}
