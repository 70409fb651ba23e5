//! A dead letter: a message of the DLQ, which job it holds, and why it is there.

use std::fmt;
use std::time::Duration;

use drumline::message::{Envelope, Intake, Message, TYPE_ATTRIBUTE};
use drumline_consumer::job_view::{self, JobFilter, JobView, ShownState};
use drumline_store::JobRecord;
use serde::Serialize;

use crate::format::rfc3339;
use crate::job_lookup::{Histories, LookupError};

/// What a copy says of itself: see `drumline_runtime`'s `copy_attributes`.
const REASON_ATTRIBUTE: &str = "DrumlineReason";
const ORIGINAL_ATTRIBUTE: &str = "DrumlineMessageId";

/// A message of the DLQ.
pub(super) struct DeadLetter {
    message: Message,
    envelope: Result<Envelope, String>,
    job_id: String,
    history: Option<JobView>,
}

/// Why a message is in the DLQ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Cause {
    /// In words.
    pub(super) reason: String,
    /// The kind of the last failure, where there is a history of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) class: Option<String>,
    /// Who told.
    pub(super) from: Source,
}

/// From where it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Source {
    /// The store.
    History,
    /// The attributes of a copy.
    Attribute,
    /// Nobody.
    Nothing,
}

/// How the job of a dead letter was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// In this very message, which SQS did not delete.
    Here,
    /// In another message, after this one failed.
    Later,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(class) = &self.class {
            write!(f, "{class}: ")?;
        }
        f.write_str(&self.reason)
    }
}

/// A letter on one line of JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary<'a> {
    message_id: &'a str,
    job_id: &'a str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    job_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<String>,
    /// Before this look.
    receives: u32,
    /// Of its job, where somebody knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<ShownState>,
    why: Cause,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
}

impl DeadLetter {
    /// A letter that is decoded as the worker of its queue decodes it.
    pub(super) fn new(message: Message, intake: &Intake) -> Self {
        let envelope = intake.decode(&message).map_err(|error| error.to_string());
        // A copy is a new message; its history goes under the old one's id.
        let original = message.attribute(ORIGINAL_ATTRIBUTE).unwrap_or(&message.id);
        let given = envelope.as_ref().ok().and_then(|envelope| envelope.job_id.as_deref());
        let job_id = given.unwrap_or(original).to_owned();
        Self { message, envelope, job_id, history: None }
    }

    /// Looks its job up: the one that came in this message, else one of its type.
    pub(super) async fn history_in(&self, histories: &Histories) -> Result<Option<JobView>, LookupError> {
        let original = self.message.attribute(ORIGINAL_ATTRIBUTE).unwrap_or(&self.message.id);
        let by_message = JobFilter { message: Some(original.to_owned()), ..JobFilter::default() };
        let by_type = JobFilter { job_type: self.job_type().map(str::to_owned), ..JobFilter::default() };
        histories.first(&self.job_id, &[by_message, by_type]).await
    }

    /// Adds what is known of its job.
    pub(super) fn learn(&mut self, history: Option<JobView>) {
        self.history = history;
    }

    pub(super) fn message(&self) -> &Message {
        &self.message
    }

    pub(super) fn job_id(&self) -> &str {
        &self.job_id
    }

    pub(super) fn history(&self) -> Option<&JobView> {
        self.history.as_ref()
    }

    /// Why the body is no job, where it is none.
    pub(super) fn undecodable(&self) -> Option<&str> {
        self.envelope.as_ref().err().map(String::as_str)
    }

    pub(super) fn job_type(&self) -> Option<&str> {
        let told = self.envelope.as_ref().ok().map(|envelope| envelope.job_type.as_str());
        let attribute = || self.message.attribute(TYPE_ATTRIBUTE);
        let history = || job_view::job_type(&self.history.as_ref()?.job);
        told.or_else(attribute).or_else(history)
    }

    /// Whether `id` is its message's or its job's.
    pub(super) fn is_called(&self, id: &str) -> bool {
        self.job_id == id || self.was_message(id)
    }

    /// When it was sent; for a copy, when it was copied.
    pub(super) fn sent_ms(&self) -> Option<u64> {
        self.message.sent_at.map(millis)
    }

    /// How often it was received before this look.
    pub(super) fn receives(&self) -> u32 {
        self.message.receive_count.saturating_sub(1)
    }

    pub(super) fn why(&self) -> Cause {
        let job = self.history.as_ref().map(|view| &view.job);
        let known = job.and_then(|job| self.by_history(job));
        known.or_else(|| self.by_attribute()).unwrap_or_else(|| {
            let times = if self.receives() == 1 { "time" } else { "times" };
            let begun = job.and_then(|job| job.claim.as_ref()).map(|claim| {
                format!(
                    ", begun {} by {}, and no ending is known: it may crash its worker",
                    claim.attempts, claim.owner
                )
            });
            let begun = begun.unwrap_or_default();
            let reason = format!("no history: received {} {times}{begun}", self.receives());
            Cause { reason, class: None, from: Source::Nothing }
        })
    }

    /// Returns how the job was done, if it is: a message that failed after that is about other work under the same id.
    pub(super) fn done_since(&self) -> Option<Done> {
        let view = self.history.as_ref().filter(|view| view.state == ShownState::Done)?;
        let claim = view.job.claim.as_ref()?;
        let own = view.job.attempts.iter().rev().find(|attempt| self.was_message(&attempt.message_id));
        match (own, claim.finished_at_ms) {
            (Some(attempt), Some(finished)) if attempt.at_ms >= finished => None,
            (None, _) if self.was_message(&claim.message_id) => Some(Done::Here),
            _ => Some(Done::Later),
        }
    }

    /// The last failure of this very message, else of its job; or the verdict where failures are forgotten.
    fn by_history(&self, job: &JobRecord) -> Option<Cause> {
        let own = job.attempts.iter().rev().find(|attempt| self.was_message(&attempt.message_id));
        if let Some(attempt) = own.or(job.attempts.last()) {
            let class = Some(attempt.class.clone()).filter(|class| !class.is_empty());
            return Some(Cause { reason: attempt.reason.clone(), class, from: Source::History });
        }
        let failure_reason = job.claim.as_ref()?.failure_reason.clone()?;
        Some(Cause { reason: failure_reason, class: None, from: Source::History })
    }

    /// Whether that is its message, or the one it is a copy of.
    fn was_message(&self, id: &str) -> bool {
        *self.message.id == *id || self.message.attribute(ORIGINAL_ATTRIBUTE) == Some(id)
    }

    fn by_attribute(&self) -> Option<Cause> {
        let reason = self.message.attribute(REASON_ATTRIBUTE)?.to_owned();
        Some(Cause { reason, class: None, from: Source::Attribute })
    }

    pub(super) fn summary(&self) -> Summary<'_> {
        Summary {
            message_id: &self.message.id,
            job_id: &self.job_id,
            job_type: self.job_type(),
            sent_at: self.sent_ms().map(rfc3339),
            receives: self.receives(),
            state: self.history.as_ref().map(|view| view.state),
            why: self.why(),
            group: self.message.group.as_deref(),
        }
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "dead_letter_tests.rs"]
mod tests;
