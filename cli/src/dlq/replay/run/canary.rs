//! The wait for the outcomes of the first letters: what the store says of their jobs, and which of them are in the DLQ again.

use std::sync::Arc;
use std::time::Duration;

use drumline_consumer::ExitError;
use drumline_consumer::job_view::{JobFilter, JobView, ShownState};
use drumline_dlq::canary::{Outcome, Step};
use drumline_dlq::journal::Record;
use drumline_dlq::letter_id::LetterId;

use super::bounds::End;
use super::parts::{First, Run};
use crate::dlq::hold::{Hold, HoldOptions};
use crate::dlq::interrupt::interrupted;
use crate::dlq::replay::ask;
use crate::dlq::replay::decide::{Decision, known};
use crate::format::{note, now_ms};

/// The wait between two looks for outcomes.
pub(super) const POLL: Duration = Duration::from_secs(1);

/// The hold of a look for returned messages: it is over in seconds.
const HOLD: Duration = Duration::from_secs(30);

impl Run<'_> {
    /// The letters that may be sent by now.
    pub(super) fn limit(&self) -> usize {
        let first = self.first.as_ref().map_or(usize::MAX, |first| first.canary.size());
        self.bounds.limit.min(first)
    }

    /// Returns true if all first letters are sent, and their outcomes are waited for.
    pub(super) fn awaits_outcomes(&self) -> bool {
        self.first.is_some() && self.accepted >= self.limit() && self.accepted < self.bounds.limit
    }

    /// Records one of the first letters.
    pub(super) fn note_first(&mut self, message: &str, job_id: Option<&Arc<str>>) {
        let now = self.started.elapsed();
        if let Some(First { canary, messages, .. }) = &mut self.first {
            let id = LetterId::of(message);
            canary.sent(id, now);
            let job_id = job_id.cloned().unwrap_or_else(|| Arc::from(message));
            messages.insert(id, (message.to_owned(), job_id));
        }
    }

    /// Looks for outcomes, and takes the next step if they are known.
    pub(super) async fn check_first(&mut self) -> Result<(), ExitError> {
        let Some(mut first) = self.first.take() else { return Ok(()) };
        if !first.was_announced {
            first.was_announced = true;
            note(&format!("{} letters are sent; waiting for their outcomes", first.canary.size()));
        }
        self.ask_store(&mut first).await;
        self.look_for_returned(&mut first).await?;
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
            let Some((message, job_id)) = first.messages.get(&id) else { continue };
            let filter = JobFilter { message: Some(message.clone()), ..JobFilter::default() };
            let view = self.decider.reasons.job(job_id, &filter).await;
            if let Some(outcome) = view.as_ref().and_then(|view| outcome(view, message)) {
                first.canary.outcome(id, outcome);
            }
        }
    }

    /// Looks through the DLQ, and releases everything again.
    async fn look_for_returned(&mut self, first: &mut First) -> Result<(), ExitError> {
        let options = HoldOptions { limit: usize::MAX, hold: Some(HOLD), spool: None };
        let mut look = Hold::begin(self.decider.queue, options).await?;
        let mut returned = Vec::new();
        let result = loop {
            match look.more().await {
                Ok(letters) if letters.is_empty() => break Ok(()),
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

/// The outcome of a message by the record of its job.
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
