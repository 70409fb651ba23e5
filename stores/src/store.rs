//! What every store can do.

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

/// The reason why a store did not do what was asked.
///
/// Its text is whole: it contains those of the causes. Its [`source`](Error::source) is the error of the store's client, for code
/// that distinguishes errors.
///
/// A host must do one of two things, repeat the request or not, so this enum is matched without a wildcard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// The store did not answer as it should. Whether the write has happened all the same is not known.
    Unanswered(StoreErrorText),
    /// The store works, and refuses this one item: too large, or with characters that it cannot keep. It would refuse it
    /// again.
    Refused(StoreErrorText),
}

/// The text of a [`StoreError`], with the error of the store's client behind it.
#[derive(Clone)]
pub struct StoreErrorText {
    text: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl StoreErrorText {
    /// A text about this error, whose own text it contains.
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

/// Without the source, which may be long, and whose text may have secrets.
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
    /// Returns the text of either.
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

/// For how long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// That a job is done, and its result. Default: 7 days.
    pub done: Duration,
    /// Failed attempts, verdicts, progress and checkpoints. Default: 14 days.
    pub history: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self { done: Duration::from_secs(7 * DAY), history: Duration::from_secs(14 * DAY) }
    }
}

/// Keeps claims, and what people want to know of jobs. All of it is kept under the [key](Identity::key) of the job's
/// identity, and found by its [job id](Identity::job_id).
///
/// Every call is one round trip where the store allows it, atomic, and may be repeated: where an answer was lost, asking
/// again does no harm. Times are measured by the store's own clock where it has one.
pub trait Store: Send + Sync + 'static {
    /// Asks for a claim, and for the lock with it: both or neither.
    ///
    /// In this order, of the record of the identity (one that has expired counts as absent):
    /// - it is done or claimed, with another payload hash: [`ClaimResult::Mismatch`];
    /// - it is done: [`ClaimResult::Done`] with the run that did it. A request under another job id is then found by that
    ///   one, too;
    /// - it has a verdict about this very message: [`ClaimResult::FailedPermanently`];
    /// - it is claimed and not yet expired: [`ClaimResult::Busy`] for what remains, whoever asks;
    /// - its lock is held and not yet expired: [`ClaimResult::Locked`] for what remains, and nothing is written;
    /// - else [`ClaimResult::Granted`]. The counter grows, and never shrinks while the record exists. The attempts grow by
    ///   one, or begin with 1 where the message is another one (in memory: what SQS counts, see [`crate::memory`]). The
    ///   checkpoint stays where the payload hash is the same. If the record is of a claim that expired without being finished
    ///   or released, the grant has a [`Takeover`](drumline::core::Takeover): it names the owner, and counts such claims of this
    ///   very message in a row. A store in memory has none, since it dies with its workers.
    ///
    /// If there is no record, the one that version 0.1 kept under [`legacy_key`](ClaimRequest::legacy_key) decides in the
    /// same way, provided that its queue's name, type and payload hash are those of the request: it can be done, have a
    /// verdict, be held, or lend its counter, attempts and checkpoint to the new record. It is only read.
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, StoreError>>;

    /// Has a claim, and its lock, last for `length` from now. An expired claim that no other run has taken meanwhile is
    /// renewed all the same; one that is done or released is [`Ownership::Lost`], and so is one whose lock was taken.
    fn renew<'a>(
        &'a self,
        claim: &'a Claim,
        length: Duration,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>>;

    /// Marks the job as done with its result, and releases the lock. An expired claim that no other run has taken meanwhile
    /// is finished all the same. [`Ownership::Lost`] also where its lock was taken: two have worked on one thing. Finishing
    /// again what this very claim has finished is [`Ownership::Kept`].
    fn finish<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>>;

    /// As [`finish`](Self::finish), and adds jobs to the outbox of the same database: both or neither. Finishing again what this very
    /// claim has finished adds those that are not known there.
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

    /// Releases a claim, and its lock if that is still its own: the next one to ask gets them at once. Releasing again
    /// what this very claim has released changes nothing, and is [`Ownership::Kept`].
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

    /// Keeps how far a job is; the last report counts.
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

    /// Returns the jobs known by a job id, the one changed last first, at most [`MAX_MATCHES`](crate::MAX_MATCHES). Jobs of
    /// different identities may have one job id.
    fn jobs<'a>(&'a self, job_id: &'a str) -> MaybeReady<'a, Result<Vec<JobRecord>, StoreError>>;

    /// Returns the jobs that changed last, the newest first, at most `limit` of them, each under the job id that it has now. A running
    /// job changes until its claim ends. Jobs that only version 0.1 knew are left out.
    ///
    /// By default the store refuses, for stores that would have to read everything they keep.
    fn recent(&self, limit: usize) -> MaybeReady<'_, Result<Vec<JobRecord>, StoreError>> {
        let _ = limit;
        let refusal = "it keeps no list of its jobs, only each job by its id";
        MaybeReady::now(Err(StoreError::Refused(refusal.into())))
    }

    /// Returns the jobs that came in a message, the one changed last first.
    ///
    /// By default it looks at the [1,000](crate::MAX_RECENT) jobs that changed last.
    fn of_message<'a>(&'a self, message_id: &'a str) -> MaybeReady<'a, Result<Vec<JobRecord>, StoreError>> {
        MaybeReady::later(async move {
            let mut jobs = self.recent(MAX_RECENT).await?;
            jobs.retain(|job| job.had_message(message_id));
            jobs.truncate(MAX_MATCHES);
            Ok(jobs)
        })
    }

    /// Forgets that a job is done, so that its next message runs again: its result goes, its history stays. The fencing token stays
    /// too, so that a late worker of the old run cannot mark the job again. A running job is left as it is, and so is what
    /// version 0.1 kept.
    ///
    /// By default the store refuses.
    fn forget<'a>(&'a self, key: &'a str) -> MaybeReady<'a, Result<Forgotten, StoreError>> {
        let _ = key;
        MaybeReady::now(Err(StoreError::Refused("it cannot forget that a job is done".into())))
    }

    /// Returns the text of a document. One that has expired counts as absent.
    ///
    /// By default the store refuses, as it does for the other calls about documents.
    fn document<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
    ) -> MaybeReady<'a, Result<Option<String>, StoreError>> {
        let _ = (kind, name);
        MaybeReady::now(Err(no_documents()))
    }

    /// Returns the documents of a kind, the one changed last first.
    fn documents<'a>(&'a self, kind: &'a str) -> MaybeReady<'a, Result<Vec<Document>, StoreError>> {
        let _ = kind;
        MaybeReady::now(Err(no_documents()))
    }

    /// Gives a document the text `after` if its text is `before`, or is `after` already; `None` is no document. Returns true if the
    /// document has that text now, for `keep` from now and at most [`MAX_DOCUMENT_KEEP`](crate::MAX_DOCUMENT_KEEP).
    ///
    /// Of more than [`MAX_DOCUMENTS`](crate::MAX_DOCUMENTS) of a kind, one of those that changed longest ago is removed. Two
    /// processes that may write the same text at once both succeed: one of which only one may win names its writer.
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

    /// Leases tokens of a rate that processes share, at most as many as are asked for: together, they get what the rate gives in the time
    /// since the first request, and the burst. A bucket that is not known is full. Tokens of a request whose answer was lost are lost.
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

    /// Returns true if what it keeps outlives the process. Then its grants have to name
    /// [takeovers](drumline::core::Takeover), by which workers recognise messages that kill processes; otherwise workers go by the
    /// receive counts of SQS, and commands ask the worker for its histories instead of the store.
    fn outlives_its_process(&self) -> bool {
        true
    }

    /// The store as its own type, for handlers that want more of it: see the module `postgres` for an effect and its
    /// mark in one transaction.
    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync);
}

fn no_documents() -> StoreError {
    StoreError::Refused("it keeps no documents, only jobs".into())
}

/// The time of this machine's clock, in milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time of this machine's clock, in microseconds since the Unix epoch.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Of stores that count in milliseconds.
pub(crate) fn millis(duration: Duration) -> i64 {
    // A few thousand years: some of the stores compute with it.
    const FOR_EVER: i64 = 1 << 47;
    i64::try_from(duration.as_millis()).map_or(FOR_EVER, |millis| millis.min(FOR_EVER))
}

/// The claim that was taken over, if one was: `former_owner` is empty if it is not known.
pub(crate) fn takeover(former_owner: &str, unended: u32) -> Option<Takeover> {
    let former_owner = (!former_owner.is_empty()).then(|| former_owner.into());
    (former_owner.is_some() || unended > 0).then_some(Takeover { former_owner, unended })
}

/// What is shown to people, for stores that keep it as a text.
pub(crate) fn to_json(record: &impl serde::Serialize) -> String {
    serde_json::to_string(record).expect("records are made of texts and numbers")
}
