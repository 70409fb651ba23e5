//! The failures of this process's own jobs after which their messages move to the DLQ: the cheapest way to know why.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use drumline::core::{LedgerEvent, Outcome, RunFacts};
use drumline::message::Message;
use drumline::run::{Event, Observer};
use drumline_dlq::letter_id::LetterId;
use drumline_dlq::watch::Death;
use drumline_runtime::redacted;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// The most failures between two turns of the watch. The letters of others are looked at.
const MAX_WAITING: usize = 10_000;

/// The most jobs whose hook has failed and whose decision is to follow.
const MAX_UNCALLED: usize = 1_000;

/// The failures since the last turn.
pub(crate) struct Failures(Receiver<Death>);

impl Failures {
    /// Returns the failures since the last call.
    pub(crate) fn take(&mut self) -> Vec<Death> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}

/// An observer of queues with one DLQ, and the failures that it sees.
///
/// If a hook is called for dead jobs, the letters of failures for which a worker does not call it are looked at.
pub(crate) fn failures(has_hook: bool) -> (Arc<dyn Observer>, Failures) {
    let (sender, receiver) = channel(MAX_WAITING);
    (Arc::new(FailureObserver { sender, has_hook, uncalled: Mutex::default() }), Failures(receiver))
}

/// Failures that a test sends.
#[cfg(test)]
pub(super) fn failures_of_a_test() -> (Sender<Death>, Failures) {
    let (sender, receiver) = channel(MAX_WAITING);
    (sender, Failures(receiver))
}

struct FailureObserver {
    sender: Sender<Death>,
    has_hook: bool,
    /// The messages of jobs whose hook has failed: the watch calls it for their letters.
    uncalled: Mutex<HashSet<LetterId>>,
}

impl FailureObserver {
    /// Returns true if the hook has failed for the job of a message that is decided now.
    fn is_uncalled(&self, message_id: &str) -> bool {
        let mut uncalled = self.uncalled.lock().unwrap_or_else(PoisonError::into_inner);
        !uncalled.is_empty() && uncalled.remove(&LetterId::of(message_id))
    }
}

impl Observer for FailureObserver {
    fn observe(&self, event: &Event<'_>) {
        if let Event::DeadJobHook { message_id, succeeded: false, .. } = *event {
            let mut uncalled = self.uncalled.lock().unwrap_or_else(PoisonError::into_inner);
            if uncalled.len() < MAX_UNCALLED {
                uncalled.insert(LetterId::of(message_id));
            }
        }
        if let Event::Ledger { queue, note: note @ LedgerEvent::Decided { message, outcome, .. } } = *event {
            // At every decision: a message that does not move after all would stay here, and finally leave no room for others.
            let is_uncalled = self.has_hook && self.is_uncalled(&message.id);
            if let Some(run) = note.finished_run()
                && is_last(outcome, run)
                && (!self.has_hook || (run.ending.is_own_failure() && !is_uncalled))
            {
                // Where there is no room, the letter is looked at.
                let _ = self.sender.try_send(death(queue, message, run));
            }
        }
    }
}

/// Returns true if the message moves to the DLQ.
fn is_last(outcome: &Outcome, run: &RunFacts) -> bool {
    match outcome {
        Outcome::DeadLetter(_) => true,
        Outcome::RetryAfter(_) | Outcome::Requeue => run.last_attempt,
        Outcome::Ack | Outcome::LeaseLost => false,
    }
}

fn death(queue: &str, message: &Message, run: &RunFacts) -> Death {
    Death {
        message: LetterId::of(&message.id),
        // Behind the region or account that distinguishes queues of one name in logs.
        origin: queue.rsplit('/').next().map(str::to_owned),
        job_type: run.job_type().map(str::to_owned),
        class: run.ending.class().map(|class| class.label().to_owned()),
        reason: redacted(run.ending.reason().unwrap_or_default()).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::num::NonZeroU32;
    use std::time::Duration;

    use drumline::core::{DeliveryId, Ending};

    use super::*;

    #[test]
    fn a_failure_counts_if_its_message_moves_to_the_dlq() {
        let reason = || "no user 17, token=abc".to_owned();
        let run = |ending, last_attempt| RunFacts {
            job_type: Some("email.send".into()),
            identity: None,
            correlation_id: None,
            attempt: NonZeroU32::MIN,
            ending,
            took: Duration::ZERO,
            last_attempt,
        };
        let retry = || Ending::RetryAsked { after: None, reason: reason() };
        let later = || Outcome::RetryAfter(Duration::from_secs(1));
        let table = [
            (
                Outcome::DeadLetter(reason()),
                Some(run(Ending::Rejected { reason: reason() }, false)),
                Some("rejected"),
            ),
            (later(), Some(run(retry(), false)), None),
            (later(), Some(run(retry(), true)), Some("retry_asked")),
            (Outcome::Requeue, Some(run(Ending::Interrupted, true)), Some("interrupted")),
            (Outcome::Ack, Some(run(Ending::Done, true)), None),
            // It was counted when it failed, and is on its way.
            (
                Outcome::DeadLetter(reason()),
                Some(run(Ending::FailedPermanently { reason: reason() }, false)),
                None,
            ),
            (Outcome::DeadLetter(reason()), None, None),
        ];
        for (outcome, run, expected) in table {
            let (observer, mut failures) = failures(false);
            let message = Arc::new(Message { id: "m-1".into(), ..Message::default() });
            let note = LedgerEvent::Decided { delivery: DeliveryId::default(), message, outcome, run };
            observer.observe(&Event::Ledger { queue: "eu-west-1/jobs", note: &note });
            let found = failures.take();
            assert_eq!(found.first().and_then(|death| death.class.as_deref()), expected, "{note:?}");
            if let Some(death) = found.first() {
                assert_eq!((death.message, death.origin.as_deref()), (LetterId::of("m-1"), Some("jobs")));
                assert!(!death.reason.contains("abc"), "{death:?}");
            }
        }
    }

    #[test]
    fn a_failure_of_the_hook_leaves_the_letter_to_the_watch() {
        let (observer, mut failures) = failures(true);
        let run = || RunFacts {
            job_type: None,
            identity: None,
            correlation_id: None,
            attempt: NonZeroU32::MIN,
            ending: Ending::Rejected { reason: "no user".to_owned() },
            took: Duration::ZERO,
            last_attempt: true,
        };
        for (id, succeeded) in [("m-1", true), ("m-2", false), ("m-3", true)] {
            observer.observe(&Event::DeadJobHook { queue: "jobs", message_id: &id.into(), succeeded });
            let message = Arc::new(Message { id: id.into(), ..Message::default() });
            let (delivery, outcome) = (DeliveryId::default(), Outcome::DeadLetter("no user".to_owned()));
            let note = LedgerEvent::Decided { delivery, message, outcome, run: Some(run()) };
            observer.observe(&Event::Ledger { queue: "jobs", note: &note });
        }
        let found: Vec<LetterId> = failures.take().into_iter().map(|death| death.message).collect();
        assert_eq!(found, [LetterId::of("m-1"), LetterId::of("m-3")]);
    }

    #[test]
    fn a_failure_of_the_hook_is_forgotten_at_the_decision() {
        let (sender, _receiver) = channel(MAX_WAITING);
        let observer = FailureObserver { sender, has_hook: true, uncalled: Mutex::default() };
        observer.observe(&Event::DeadJobHook { queue: "jobs", message_id: &"m-1".into(), succeeded: false });
        assert_eq!(observer.uncalled.lock().unwrap().len(), 1);
        let message = Arc::new(Message { id: "m-1".into(), ..Message::default() });
        let (delivery, outcome) = (DeliveryId::default(), Outcome::LeaseLost);
        let note = LedgerEvent::Decided { delivery, message, outcome, run: None };
        observer.observe(&Event::Ledger { queue: "jobs", note: &note });
        assert!(observer.uncalled.lock().unwrap().is_empty());
    }
}
