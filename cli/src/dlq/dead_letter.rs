//! A dead letter with the history of its job.

use drumline::message::{Intake, Message};
use drumline_consumer::dlq_watch::cause_in;
use drumline_consumer::job_view::{self, JobFilter, JobView, ShownState};
use drumline_dlq::{Cause, Letter};
use serde::Serialize;

use crate::format::rfc3339;
use crate::job_lookup::{Histories, LookupError};

/// A message of the DLQ.
pub(super) struct DeadLetter {
    letter: Letter,
    history: Option<JobView>,
}

/// The delivery in which the job of a dead letter was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// In this message, which SQS did not delete.
    Here,
    /// In another message, after this one failed.
    Later,
}

/// A letter as one line of JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary<'a> {
    message_id: &'a str,
    job_id: &'a str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    job_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<String>,
    /// The number of receives before this command's own.
    receives: u32,
    /// The state of its job, if a store or worker knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<ShownState>,
    why: Cause,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
}

impl DeadLetter {
    /// Creates a letter, decoded as the worker of its queue decodes it.
    pub(super) fn new(message: Message, intake: &Intake) -> Self {
        Self { letter: Letter::new(message, intake), history: None }
    }

    /// Creates a letter whose payload is outside its message. `payload` is the opened message, or the reason why it could not
    /// be opened.
    pub(super) fn with_payload(message: Message, payload: Result<Message, String>, intake: &Intake) -> Self {
        Self { letter: Letter::with_payload(message, payload, intake), history: None }
    }

    /// Looks up the letter's job, see [`history_of`].
    pub(super) async fn history_in(&self, histories: &Histories) -> Result<Option<JobView>, LookupError> {
        history_of(&self.letter, histories).await
    }

    /// Adds the known history of its job.
    pub(super) fn learn(&mut self, history: Option<JobView>) {
        let job = history.as_ref().map(|view| &view.job);
        let job_type = job.and_then(job_view::job_type).map(str::to_owned);
        let cause = job.and_then(|job| cause_in(&self.letter, job));
        self.letter.learn(cause, job_type);
        self.history = history;
    }

    /// Adds the information of an export about it.
    pub(super) fn learn_from_export(&mut self, cause: Option<Cause>, job_type: Option<String>) {
        self.letter.learn(cause, job_type);
    }

    /// Returns the letter without its history.
    pub(super) fn letter(&self) -> &Letter {
        &self.letter
    }

    pub(super) fn message(&self) -> &Message {
        self.letter.message()
    }

    pub(super) fn history(&self) -> Option<&JobView> {
        self.history.as_ref()
    }

    /// Returns how the job was done, if it is done. A message that failed after that belongs to other work under the same ID.
    pub(super) fn done_since(&self) -> Option<Done> {
        let view = self.history.as_ref().filter(|view| view.state == ShownState::Done)?;
        let claim = view.job.claim.as_ref()?;
        let own = view.job.attempts.iter().rev().find(|attempt| self.letter.was_message(&attempt.message_id));
        match (own, claim.finished_at_ms) {
            (Some(attempt), Some(finished)) if attempt.at_ms >= finished => None,
            (None, _) if self.letter.was_message(&claim.message_id) => Some(Done::Here),
            _ => Some(Done::Later),
        }
    }

    pub(super) fn summary(&self) -> Summary<'_> {
        let letter = &self.letter;
        Summary {
            message_id: &letter.message().id,
            job_id: letter.job_id(),
            job_type: letter.job_type(),
            sent_at: letter.sent_ms().map(rfc3339),
            receives: letter.receives(),
            state: self.history.as_ref().map(|view| view.state),
            why: letter.why(),
            group: letter.message().group.as_deref(),
        }
    }
}

/// Looks up the job of a letter: the job that came in this message, otherwise a job of its type.
pub(super) async fn history_of(
    letter: &Letter,
    histories: &Histories,
) -> Result<Option<JobView>, LookupError> {
    let by_message = JobFilter { message: Some(letter.original_id().to_owned()), ..JobFilter::default() };
    let by_type = JobFilter { job_type: letter.job_type().map(str::to_owned), ..JobFilter::default() };
    histories.first(letter.job_id(), &[by_message, by_type]).await
}

#[cfg(test)]
#[path = "dead_letter_tests.rs"]
mod tests;
