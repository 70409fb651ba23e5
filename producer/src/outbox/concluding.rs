//! Conclusions that are being sent to the outbox.

use std::collections::VecDeque;
use std::sync::Arc;

use drumline_store::outbox::{Conclusion, TakenJob};

/// The conclusions of one call.
pub(super) type Concluded = Vec<(TakenJob, Conclusion)>;

/// Conclusions that are being sent to the outbox. Each is kept until the outbox has confirmed it.
#[derive(Default)]
pub(super) struct Concluding {
    /// The first element is in the call, or is being retried.
    calls: VecDeque<Arc<Concluded>>,
    /// True if a call with the first element has failed, and may have had effect.
    is_repeated: bool,
    /// True if the outbox refuses a single conclusion: no more jobs should be taken, because they could not be concluded
    /// either.
    is_refused: bool,
}

impl Concluding {
    pub(super) fn push(&mut self, concluded: Concluded) {
        self.calls.push_back(Arc::new(concluded));
    }

    /// Returns the conclusions of the next call.
    pub(super) fn next(&self) -> Option<Arc<Concluded>> {
        self.calls.front().cloned()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Returns true while the outbox refuses conclusions.
    pub(super) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// Records that the call was not answered.
    pub(super) fn unanswered(&mut self) {
        self.is_repeated = true;
    }

    /// Removes the conclusions that the outbox has confirmed. Returns them, and true if the outbox had not seen them before.
    pub(super) fn confirmed(&mut self) -> Option<(Arc<Concluded>, bool)> {
        self.is_refused = false;
        let is_first_time = !std::mem::take(&mut self.is_repeated);
        Some((self.calls.pop_front()?, is_first_time))
    }

    /// Splits the conclusions of a refused call, so that one does not block the others. Returns the conclusion if it was alone:
    /// it is retried after the others.
    pub(super) fn refused(&mut self) -> Option<Arc<Concluded>> {
        let refused = self.calls.pop_front()?;
        if refused.len() == 1 {
            self.is_refused = true;
            self.calls.push_back(Arc::clone(&refused));
            return Some(refused);
        }
        for one in refused.iter().rev() {
            self.calls.push_front(Arc::new(vec![one.clone()]));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use drumline_store::outbox::{Lease, OutboxJob};

    use super::*;

    fn sent(id: &str) -> (TakenJob, Conclusion) {
        let lease = Lease::new("relay", 1, Duration::from_secs(30));
        let taken = TakenJob::new(OutboxJob::new(id, "work", "{}"), lease, 0);
        (taken, Conclusion::Sent { message_id: id.to_owned() })
    }

    fn next(concluding: &Concluding) -> Vec<String> {
        concluding.next().unwrap().iter().map(|(taken, _)| taken.job.id.clone()).collect()
    }

    #[test]
    fn refused_conclusions_are_split_and_none_is_forgotten() {
        let mut concluding = Concluding::default();
        concluding.push(vec![sent("1"), sent("2")]);
        assert_eq!(concluding.refused(), None);
        assert_eq!((next(&concluding), concluding.is_refused()), (vec!["1".to_owned()], false));
        assert!(concluding.refused().is_some() && concluding.is_refused());
        assert_eq!(next(&concluding), ["2"]);
        assert!(concluding.confirmed().unwrap().1);
        assert_eq!((next(&concluding), concluding.is_refused()), (vec!["1".to_owned()], false));
        concluding.unanswered();
        assert!(!concluding.confirmed().unwrap().1, "it may have had effect before");
        assert!(concluding.is_empty());
    }
}
