//! The suspects of a ledger, for people: messages that may have killed a process, and keep other messages waiting.

use std::sync::Arc;
use std::time::Instant;

use super::state::Ledger;
use crate::core::claim_lease::RunClaim;
use crate::core::delivery::{Delivery, Run, Stage};

/// The messages of one queue that may have killed a process. While there are some, the queue starts and receives no other message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspects {
    /// The ID of one of them: of one that runs, if any does.
    pub message_id: Arc<str>,
    /// The ID of its job, if a run has read it.
    pub job_id: Option<Arc<str>>,
    /// The number of those that run now, with nothing beside them.
    pub running: usize,
    /// The number of those that wait for their turn.
    pub waiting: usize,
    /// The time at which this ends at the latest: the time that the running ones have alone, or the wait of the others for the end
    /// of running jobs. `None` if the next ones start now.
    pub until: Option<Instant>,
}

impl Ledger {
    /// Returns the suspects; `None` if there are none.
    pub fn suspects(&self) -> Option<Suspects> {
        let first = self.quarantine.first()?;
        let delivery = self.deliveries.get(first)?;
        Some(Suspects {
            message_id: Arc::clone(&delivery.message.id),
            job_id: job_id(delivery),
            running: self.quarantine.running(),
            waiting: self.quarantine.waiting(),
            until: self.quarantine.timeout(),
        })
    }
}

fn job_id(delivery: &Delivery) -> Option<Arc<str>> {
    let identity = match &delivery.stage {
        Stage::Running(Run { claim: RunClaim::Kept(lease), .. }) => Some(&lease.claim.identity),
        _ => delivery.identity.as_ref(),
    };
    identity.map(|identity| Arc::clone(identity.job_id()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use super::*;
    use crate::core::ending::Ending;
    use crate::core::ledger::{Effect, InHandCounts};
    use crate::core::policy::Policy;
    use crate::core::retry::Jitter;
    use crate::core::run_report::RunReport;
    use crate::message::sqs_message::Message;

    fn message(id: &str, receive_count: u32) -> Message {
        Message { id: id.into(), receipt: "r".into(), receive_count, ..Message::default() }
    }

    #[test]
    fn suspects_are_named_while_they_wait_and_while_they_run() {
        #[allow(clippy::disallowed_methods, reason = "a test's own clock")]
        let begun = Instant::now();
        let minute = Duration::from_secs(60);
        let concurrency = NonZeroUsize::new(8).unwrap();
        let mut ledger = Ledger::new(Policy { concurrency, ..Policy::new(Duration::from_secs(30)) }).unwrap();
        ledger.deliver(begun, vec![message("a", 1), message("killer", 6), message("accomplice", 6)]);
        let started = |ledger: &mut Ledger, at| {
            ledger.tick(at);
            let effects = std::iter::from_fn(|| ledger.next_effect());
            let starts = effects.filter_map(|effect| match effect {
                Effect::Start(start) => Some(start.delivery),
                _ => None,
            });
            starts.collect::<Vec<_>>()
        };
        let of_others = started(&mut ledger, begun);
        let waiting = Suspects {
            message_id: "killer".into(),
            job_id: None,
            running: 0,
            waiting: 2,
            until: Some(begun + minute),
        };
        assert_eq!(ledger.suspects(), Some(waiting.clone()));
        let later = begun + Duration::from_secs(10);
        ledger.ended(later, of_others[0], RunReport::new(Ending::Done, None), Jitter::new(0));
        let alone = started(&mut ledger, later);
        let running = Suspects { running: 1, waiting: 1, until: Some(later + minute), ..waiting };
        assert_eq!(ledger.suspects(), Some(running));
        assert_eq!(
            ledger.in_hand_counts(),
            InHandCounts { running: 1, slots: 8, alone: 1, settling: 1, ..InHandCounts::default() }
        );
        for delivery in alone {
            ledger.ended(later, delivery, RunReport::new(Ending::Done, None), Jitter::new(0));
        }
        for delivery in started(&mut ledger, later) {
            ledger.ended(later, delivery, RunReport::new(Ending::Done, None), Jitter::new(0));
        }
        assert_eq!(ledger.suspects(), None);
    }
}
