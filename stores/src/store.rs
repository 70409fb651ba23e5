//! The interface of all stores.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drumline::core::Takeover;
use drumline::core::{Claim, ClaimRequest, ClaimResult, MaybeReady, Ownership, ReleaseClaim};
use drumline::message::Identity;
use serde_json::value::RawValue;

use crate::document::Document;
use crate::forgotten::Forgotten;
use crate::outbox::OutboxJob;
use crate::record::{AttemptRecord, JobRecord, MAX_MATCHES, MAX_RECENT, ProgressRecord};
use crate::tokens::{TokenLease, TokenRequest};

/// The reason why a store did not perform a request.
///
/// Its text is complete: it contains the texts of the causes. Its [`source`](Error::source) is the error of the store's client,
/// for code that distinguishes errors.
///
/// A host must do one of two things, repeat the request or not, so this enum is matched without a wildcard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// The store did not answer correctly. It is unknown if the write has happened.
    Unanswered(StoreErrorText),
    /// The store works, but refuses this item: it is too large, or contains characters that the store does not support. A
    /// repeated request would be refused, too.
    Refused(StoreErrorText),
}

/// The text of a [`StoreError`], with the error of the store's client as its source.
#[derive(Clone)]
pub struct StoreErrorText {
    text: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl StoreErrorText {
    /// Creates a text about this error. The text contains the error's own text.
    pub fn about(source: impl Into<Box<dyn Error + Send + Sync>>, text: impl Into<String>) -> Self {
        Self { text: text.into(), source: Some(source.into().into()) }
    }
}

impl<T: Into<String>> From<T> for StoreErrorText {
    fn from(text: T) -> Self {
        Self { text: text.into(), source: None }
    }
}

impl fmt::Display for StoreErrorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Omits the source, which may be long and may contain secrets.
impl fmt::Debug for StoreErrorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// Compares the texts.
impl PartialEq for StoreErrorText {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for StoreErrorText {}

impl StoreError {
    /// Returns the text of either variant.
    pub fn into_text(self) -> String {
        match self {
            Self::Unanswered(error) | Self::Refused(error) => error.text,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered(error) | Self::Refused(error) => error.fmt(f),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let (Self::Unanswered(error) | Self::Refused(error)) = self;
        error.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// The times for which a store keeps data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The retention of the record that a job is done, and of its result. Default: 7 days.
    pub done: Duration,
    /// The retention of failed attempts, permanent failures, progress and checkpoints. Default: 14 days.
    pub history: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self { done: Duration::from_secs(7 * DAY), history: Duration::from_secs(14 * DAY) }
    }
}

/// Keeps claims and the histories of jobs. All data is kept under the [key](Identity::key) of the job's identity, and can be
/// found by its [job id](Identity::job_id).
///
/// Every call is atomic, is one round trip if the store allows it, and can be repeated: if an answer was lost, repeating the
/// call does no harm. Times are measured by the store's own clock if it has one.
pub trait Store: Send + Sync + 'static {
    /// Requests a claim, and the lock with it: both or neither.
    ///
    /// The store checks the record of the identity in this order (an expired record counts as absent):
    /// - the job is done or claimed with another payload hash: [`ClaimResult::Mismatch`];
    /// - the job is done: [`ClaimResult::Done`] with the run that did it. If the request has another job id, the job can be
    ///   found by that id, too;
    /// - this message has failed permanently: [`ClaimResult::FailedPermanently`];
    /// - the job is claimed and the claim has not expired: [`ClaimResult::Busy`] with the remaining time, for every owner;
    /// - the lock is held and has not expired: [`ClaimResult::Locked`] with the remaining time, and nothing is written;
    /// - otherwise: [`ClaimResult::Granted`]. The counter grows, and never shrinks while the record exists. The attempts grow
    ///   by one, or restart at 1 for another message (in memory: SQS's count, see [`crate::memory`]). The checkpoint stays if
    ///   the payload hash is the same. If the record contains a claim that expired without being finished or released, the
    ///   grant has a [`Takeover`](drumline::core::Takeover): it names the owner, and counts such consecutive claims of this
    ///   message. A store in memory has no takeovers, because its data is lost with its worker.
    ///
    /// If there is no record, the store applies the same checks to the record that version 0.1 kept under
    /// [`legacy_key`](ClaimRequest::legacy_key), if its queue's name, type and payload hash match the request: that record can
    /// be done, failed or claimed, or its counter, attempts and checkpoint continue in the new record. It is only read.
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, StoreError>>;

    /// Extends a claim, and its lock, to `length` from now. An expired claim that no other run has taken meanwhile is renewed
    /// anyway; a claim that is done or released is [`Ownership::Lost`], and so is one whose lock was taken.
    fn renew<'a>(
        &'a self,
        claim: &'a Claim,
        length: Duration,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>>;

    /// Marks the job as done with its result, and releases the lock. An expired claim that no other run has taken meanwhile is
    /// finished anyway. If its lock was taken, the result is [`Ownership::Lost`], because two jobs have held the lock.
    /// Repeating the call with the same claim returns [`Ownership::Kept`].
    fn finish<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>>;

    /// Marks the job as done like [`finish`](Self::finish), and adds jobs to the outbox of the same database: both or neither.
    /// Repeating the call with the same claim adds the jobs that the outbox does not know.
    ///
    /// By default the store refuses to add jobs: see [`adds_next_jobs`](Self::adds_next_jobs).
    fn finish_with<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
        next: &'a [OutboxJob],
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        if next.is_empty() {
            return self.finish(claim, result);
        }
        MaybeReady::now(Err(StoreError::Refused("it adds no jobs together with a mark".into())))
    }

    /// Returns true if [`finish_with`](Self::finish_with) adds jobs: in PostgreSQL, if the database has an outbox.
    fn adds_next_jobs(&self) -> bool {
        false
    }

    /// Releases a claim, and its lock if the claim still owns it: the next request gets them at once. Repeating the call with
    /// the same claim changes nothing, and returns [`Ownership::Kept`].
    fn release_claim<'a>(
        &'a self,
        claim: &'a Claim,
        how: &'a ReleaseClaim,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>>;

    /// Keeps a value for the next attempt.
    fn checkpoint<'a>(
        &'a self,
        claim: &'a Claim,
        value: &'a RawValue,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>>;

    /// Keeps the progress of a job; each report replaces the earlier one.
    fn progress<'a>(
        &'a self,
        identity: &'a Identity,
        progress: &'a ProgressRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>>;

    /// Adds a failed attempt to a job's history, of which [`MAX_ATTEMPTS_KEPT`](crate::MAX_ATTEMPTS_KEPT) are kept.
    fn attempted<'a>(
        &'a self,
        identity: &'a Identity,
        attempt: &'a AttemptRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>>;

    /// Returns the jobs with a job id, most recently changed first, at most [`MAX_MATCHES`](crate::MAX_MATCHES). Jobs of
    /// different identities may have the same job id.
    fn jobs<'a>(&'a self, job_id: &'a str) -> MaybeReady<'a, Result<Vec<JobRecord>, StoreError>>;

    /// Returns the most recently changed jobs, newest first, at most `limit`, each under its current job id. A running job
    /// changes until its claim ends. Jobs that only version 0.1 knew are left out.
    ///
    /// By default the store refuses, because some stores would have to read all their data.
    fn recent(&self, limit: usize) -> MaybeReady<'_, Result<Vec<JobRecord>, StoreError>> {
        let _ = limit;
        let refusal = "it keeps no list of its jobs, only each job by its id";
        MaybeReady::now(Err(StoreError::Refused(refusal.into())))
    }

    /// Returns the jobs that came in a message, most recently changed first.
    ///
    /// By default it searches the [1,000](crate::MAX_RECENT) most recently changed jobs.
    fn of_message<'a>(&'a self, message_id: &'a str) -> MaybeReady<'a, Result<Vec<JobRecord>, StoreError>> {
        MaybeReady::later(async move {
            let mut jobs = self.recent(MAX_RECENT).await?;
            jobs.retain(|job| job.had_message(message_id));
            jobs.truncate(MAX_MATCHES);
            Ok(jobs)
        })
    }

    /// Deletes the record that a job is done, so that its next message runs again: its result is removed, its history stays.
    /// The fencing token stays, too, so that a late worker of the old run cannot mark the job again. A running job is not
    /// changed, and neither are records of version 0.1.
    ///
    /// By default the store refuses.
    fn forget<'a>(&'a self, key: &'a str) -> MaybeReady<'a, Result<Forgotten, StoreError>> {
        let _ = key;
        MaybeReady::now(Err(StoreError::Refused("it cannot forget that a job is done".into())))
    }

    /// Returns the text of a document. An expired document counts as absent.
    ///
    /// By default the store refuses, like for the other calls about documents.
    fn document<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
    ) -> MaybeReady<'a, Result<Option<String>, StoreError>> {
        let _ = (kind, name);
        MaybeReady::now(Err(no_documents()))
    }

    /// Returns the documents of a kind, most recently changed first.
    fn documents<'a>(&'a self, kind: &'a str) -> MaybeReady<'a, Result<Vec<Document>, StoreError>> {
        let _ = kind;
        MaybeReady::now(Err(no_documents()))
    }

    /// Sets a document to the text `after` if its text is `before` or already `after`; `None` means no document. Returns true
    /// if the document has that text now, for `keep` from now and at most [`MAX_DOCUMENT_KEEP`](crate::MAX_DOCUMENT_KEEP).
    ///
    /// If a kind has more than [`MAX_DOCUMENTS`](crate::MAX_DOCUMENTS) documents, one of those that changed longest ago is
    /// removed. If two processes write the same text at once, both succeed: if only one of them may win, the text must contain
    /// its writer.
    fn put_document<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
        before: Option<&'a str>,
        after: &'a str,
        keep: Duration,
    ) -> MaybeReady<'a, Result<bool, StoreError>> {
        let _ = (kind, name, before, after, keep);
        MaybeReady::now(Err(no_documents()))
    }

    /// Leases tokens of a rate that processes share, at most as many as requested: together, the processes get the tokens that
    /// the rate gives in the time since the first request, plus the burst. An unknown bucket is full. If the answer to a
    /// request is lost, its tokens are lost.
    ///
    /// By default the store refuses.
    fn lease_tokens<'a>(
        &'a self,
        request: &'a TokenRequest,
    ) -> MaybeReady<'a, Result<TokenLease, StoreError>> {
        let _ = request;
        MaybeReady::now(Err(StoreError::Refused("it keeps no tokens of rates that workers share".into())))
    }

    /// Checks that the store answers.
    fn ping(&self) -> MaybeReady<'_, Result<(), StoreError>>;

    /// Returns true if the store's data outlives the process. Then its grants must contain
    /// [takeovers](drumline::core::Takeover), by which workers recognize messages that kill processes. Otherwise workers use
    /// SQS's receive counts, and commands ask the worker for its histories instead of the store.
    fn outlives_its_process(&self) -> bool {
        true
    }

    /// Returns the store as its concrete type, for handlers that need more of its features: see the module `postgres` for an
    /// effect and its mark in one transaction.
    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync);
}

fn no_documents() -> StoreError {
    StoreError::Refused("it keeps no documents, only jobs".into())
}

/// Returns the time of this machine's clock, in milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the time of this machine's clock, in microseconds since the Unix epoch.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Converts a duration for stores that count in milliseconds.
pub(crate) fn millis(duration: Duration) -> i64 {
    // A few thousand years: some of the stores calculate with it.
    const FOR_EVER: i64 = 1 << 47;
    i64::try_from(duration.as_millis()).map_or(FOR_EVER, |millis| millis.min(FOR_EVER))
}

/// Returns the claim that was taken over, if there was one: `former_owner` is empty if it is not known.
pub(crate) fn takeover(former_owner: &str, unended: u32) -> Option<Takeover> {
    let former_owner = (!former_owner.is_empty()).then(|| former_owner.into());
    (former_owner.is_some() || unended > 0).then_some(Takeover { former_owner, unended })
}

/// Returns the JSON of a record for people, for stores that keep it as a text.
pub(crate) fn to_json(record: &impl serde::Serialize) -> String {
    serde_json::to_string(record).expect("records are made of texts and numbers")
}
