//! The wait for the outcomes of the first letters: the states of their jobs in the store, and which letters are in the DLQ
//! again.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use drumline_consumer::ExitError;
use drumline_consumer::job_view::{JobFilter, JobView, ShownState};
use drumline_dlq::canary::{Outcome, Step};
use drumline_dlq::journal::Record;
use drumline_dlq::letter_id::LetterId;
use drumline_producer::Outgoing;

use super::bounds::End;
use super::parts::{First, FirstMessage, Run};
use crate::dlq::done_jobs::{LetterJob, done_jobs};
use crate::dlq::hold::{Hold, HoldOptions};
use crate::dlq::replay::ask;
use crate::dlq::replay::decide::{Decision, known};
use crate::format::{count, note, now_ms, verb};
use crate::interrupt::interrupted;

/// The wait before the first check for outcomes. It doubles
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// up to this limit: each check receives every letter of the DLQ.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The hold of a search for returned messages, which ends within seconds.
const HOLD: Duration = Duration::from_secs(30);

impl Run<'_> {
    /// Returns the number of letters that may be sent by now.
    pub(super) fn limit(&self) -> usize {
        let first = self.first.as_ref().map_or(usize::MAX, |first| first.canary.size());
        self.bounds.limit.min(first)
    }

    /// Returns true if all first letters are sent and their outcomes are pending.
    pub(super) fn awaits_outcomes(&self) -> bool {
        self.first.is_some() && self.accepted >= self.limit() && self.accepted < self.bounds.limit
    }

    /// Records one of the first letters.
    pub(super) fn note_first(&mut self, message: &str, queue_url: &Arc<str>, outgoing: &Outgoing) {
        let now = self.started.elapsed();
        if let Some(First { canary, messages, .. }) = &mut self.first {
            let id = LetterId::of(message);
            canary.sent(id, now);
            let job_id = outgoing.job_id.clone().unwrap_or_else(|| Arc::from(message));
            let (job_type, queue_url) = (outgoing.job_type.clone(), Arc::clone(queue_url));
            messages.insert(id, FirstMessage { id: message.to_owned(), job_id, job_type, queue_url });
        }
    }

    /// Checks for outcomes, and takes the next step if all are known.
    pub(super) async fn check_first(&mut self) -> Result<(), ExitError> {
        let Some(mut first) = self.first.take() else { return Ok(()) };
        first.looks += 1;
        if first.looks == 1 {
            let size = first.canary.size();
            let (letters, are) = (count(size, "letter"), verb(size, "is", "are"));
            note(&format!("{letters} {are} sent; waiting for the outcome of each"));
        }
        self.ask_store(&mut first).await;
        if !self.look_for_returned(&mut first).await? {
            self.first = Some(first);
            return Ok(());
        }
        let outcomes = first.canary.outcomes();
        match first.canary.next(self.started.elapsed(), ask::may_ask()) {
            Step::Send | Step::Wait => self.first = Some(first),
            Step::Go => {
                note(&format!("{outcomes}: going on"));
                self.look_again();
            }
            Step::Ask => {
                self.end = tokio::select! {
                    goes_on = ask::go_on(&outcomes) => {
                        (!goes_on?).then(|| End::Stopped(outcomes.to_string()))
                    }
                    status = interrupted() => Some(End::Interrupted(status?)),
                    reason = self.log.until_stopped() => Some(End::Aborted(reason)),
                };
                if self.end.is_none() {
                    self.look_again();
                }
            }
            Step::Stop => self.end = Some(End::Stopped(outcomes.to_string())),
        }
        if self.first.is_none() {
            self.journal.log.add(&Record::Canary {
                at: now_ms(),
                done: outcomes.done,
                dead: outcomes.dead,
                unknown: outcomes.unknown,
            });
        }
        Ok(())
    }

    async fn ask_store(&mut self, first: &mut First) {
        let pending: Vec<LetterId> = first.canary.pending().collect();
        for id in pending {
            let Some(FirstMessage { id: message, job_id, job_type, queue_url }) = first.messages.get(&id)
            else {
                continue;
            };
            let filter = JobFilter { message: Some(message.clone()), ..JobFilter::default() };
            let view = self.decider.reasons.job(job_id, &filter).await;
            let mut known = view.as_ref().and_then(|view| outcome(view, message));
            if known.is_none()
                && let Some(histories) = self.decider.reasons.histories()
            {
                // A worker does not run a job that is already done, and keeps the record of the message for which it ran.
                let (source, scope) = (None, None);
                let job = LetterJob { id: job_id, job_type, source, scope, queue_url, message };
                let found = done_jobs(histories, job).await;
                let is_done = found.is_ok_and(|jobs| jobs.iter().any(|job| job.is_certain));
                known = is_done.then_some(Outcome::Done);
            }
            if let Some(known) = known {
                first.canary.outcome(id, known);
            }
        }
    }

    /// Searches the DLQ, and releases all letters again. Returns false if the action must end; the main loop then ends it.
    async fn look_for_returned(&mut self, first: &mut First) -> Result<bool, ExitError> {
        let options = HoldOptions { limit: usize::MAX, hold: Some(HOLD), spool: None };
        let mut look = Hold::begin(self.decider.queue, options).await?;
        let mut returned = Vec::new();
        let mut interrupt = pin!(interrupted());
        let result = loop {
            let letters = tokio::select! {
                letters = look.more() => letters,
                _ = interrupt.as_mut() => break Ok(false),
                _ = self.log.until_stopped() => break Ok(false),
            };
            match letters {
                Ok(letters) if letters.is_empty() => break Ok(true),
                Ok(letters) => {
                    let state = self.journal.log.state();
                    let known = letters.iter().filter_map(|held| known(&held.message, state));
                    returned.extend(known.filter_map(|decision| match decision {
                        Decision::Returned(message) => Some(message),
                        _ => None,
                    }));
                }
                Err(error) => break Err(error),
            }
        };
        look.end().await;
        for message in returned {
            first.canary.outcome(LetterId::of(&message), Outcome::Dead);
            self.journal.log.add(&Record::Returned { message });
        }
        result
    }
}

/// Returns the wait before the next check for outcomes.
pub(super) fn wait(first: &First) -> Duration {
    SHORTEST_WAIT.saturating_mul(2_u32.saturating_pow(first.looks)).min(LONGEST_WAIT)
}

/// Returns the outcome of a message according to the record of its job.
fn outcome(view: &JobView, message: &str) -> Option<Outcome> {
    let last = view.job.attempts.last();
    match view.state {
        ShownState::Done => Some(Outcome::Done),
        ShownState::Failed | ShownState::Dead if last.is_some_and(|last| last.message_id == message) => {
            Some(Outcome::Dead)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use drumline_dlq::canary::Canary;

    use super::*;

    #[test]
    fn looks_for_outcomes_become_rare() {
        let mut first = First::new(Canary::new(1, Duration::from_mins(10)));
        let waits = [0, 1, 4, 5, 100].map(|looks| {
            first.looks = looks;
            wait(&first).as_secs()
        });
        assert_eq!(waits, [1, 2, 16, 30, 30]);
    }
}
