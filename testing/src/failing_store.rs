//! A store with failures that the test plans.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drumline::core::{Claim, ClaimRequest, ClaimResult, MaybeReady, Ownership, ReleaseClaim};
use drumline::message::Identity;
use drumline_store::outbox::OutboxJob;
use drumline_store::{
    AttemptRecord, Document, Forgotten, JobRecord, MemoryStore, ProgressRecord, Retention, Store, StoreError,
    TokenLease, TokenRequest,
};
use serde_json::value::RawValue;

/// A store that forwards calls to another store and fails the calls that a test chooses. A test plans failures before or during
/// the worker's use of the store.
///
/// ```
/// use std::sync::Arc;
/// use drumline_testing::{Call, FailingStore, LocalQueue};
/// # use drumline::{Context, Failure, Job, Router};
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Welcome { user_id: u64 }
/// # impl Job for Welcome { const TYPE: &'static str = "mail.welcome"; }
/// # async fn welcome(_: Context, _: Welcome) -> Result<(), Failure> { Ok(()) }
/// # fn router() -> Router { Router::new().handle(welcome) }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let store = Arc::new(FailingStore::in_memory());
/// store.fail_next(Call::Finish, 2);
/// let local = LocalQueue::start(router()).store(store.clone()).await;
/// local.send(&Welcome { user_id: 7 });
/// local.until_idle().await;
/// assert_eq!(local.runs().len(), 1, "the job is marked as done by the third try, and its mail sent once");
/// # }
/// ```
///
/// For a whole worker, pass it to `Consumer::store` or `App::store`.
pub struct FailingStore {
    store: Arc<dyn Store>,
    plan: Mutex<Plan>,
}

/// A call of [`Store`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// Takes the claim for a run.
    Claim,
    /// Renews a claim.
    Renew,
    /// Marks a job as done.
    Finish,
    /// Releases a claim.
    Release,
    /// Saves a checkpoint.
    Checkpoint,
    /// Saves progress.
    Progress,
    /// Records a failed attempt.
    Attempted,
    /// Reads the records of a job.
    Jobs,
    /// Deletes the record of a done job.
    Forget,
    /// Reads documents, or writes one.
    Documents,
    /// Leases tokens of a rate.
    LeaseTokens,
    /// Checks if the store responds again.
    Ping,
}

#[derive(Debug, Default)]
struct Plan {
    is_down: bool,
    next: VecDeque<(Call, Trouble)>,
}

#[derive(Debug, Clone, Copy)]
enum Trouble {
    Fail,
    Refuse,
    LoseAnswer,
    Delay(Duration),
}

impl FailingStore {
    /// Returns a store that forwards all calls that do not fail to this one.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, plan: Mutex::default() }
    }

    /// Returns a store that forwards to a new store in memory.
    pub fn in_memory() -> Self {
        Self::new(Arc::new(MemoryStore::new("local".into(), Retention::default())))
    }

    /// Makes the next `count` of these calls fail without any effect, as if the store could not be reached.
    pub fn fail_next(&self, call: Call, count: usize) -> &Self {
        self.plan_next(call, Trouble::Fail, count)
    }

    /// Makes the store reject the next `count` of these calls, as it rejects a value that is too large.
    pub fn refuse_next(&self, call: Call, count: usize) -> &Self {
        self.plan_next(call, Trouble::Refuse, count)
    }

    /// Makes the next `count` of these calls take effect and lose their responses.
    pub fn lose_next_answers(&self, call: Call, count: usize) -> &Self {
        self.plan_next(call, Trouble::LoseAnswer, count)
    }

    /// Delays the next `count` of these calls by this time on tokio's clock, which a test can pause. They take effect after the
    /// delay.
    pub fn delay_next(&self, call: Call, count: usize, by: Duration) -> &Self {
        self.plan_next(call, Trouble::Delay(by), count)
    }

    /// Makes all calls fail until [`start`](Self::start).
    pub fn stop(&self) -> &Self {
        self.plan().is_down = true;
        self
    }

    /// Ends an outage.
    pub fn start(&self) -> &Self {
        self.plan().is_down = false;
        self
    }

    /// Returns true if every planned failure has happened. A test asserts this to know that it exercised the failures.
    pub fn is_through(&self) -> bool {
        self.plan().next.is_empty()
    }

    fn plan_next(&self, call: Call, trouble: Trouble, count: usize) -> &Self {
        self.plan().next.extend(std::iter::repeat_n((call, trouble), count));
        self
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_trouble(&self, call: Call) -> bool {
        let plan = self.plan();
        plan.is_down || plan.next.iter().any(|(planned, _)| *planned == call)
    }

    fn take_trouble(&self, call: Call) -> Option<Trouble> {
        let mut plan = self.plan();
        if plan.is_down {
            return Some(Trouble::Fail);
        }
        let index = plan.next.iter().position(|(planned, _)| *planned == call)?;
        plan.next.remove(index).map(|(_, trouble)| trouble)
    }

    /// Forwards the call to the inner store, or produces the planned failure. A failure is never immediate, because callers may
    /// repeat a call that returns immediately.
    fn ask<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        question: impl FnOnce(&'a dyn Store) -> MaybeReady<'a, Result<T, StoreError>> + Send + 'a,
    ) -> MaybeReady<'a, Result<T, StoreError>> {
        if !self.has_trouble(call) {
            return question(&*self.store);
        }
        MaybeReady::later(async move {
            let unanswered = || Err(StoreError::Unanswered(format!("the test made {call:?} fail").into()));
            match self.take_trouble(call) {
                None => question(&*self.store).await,
                Some(Trouble::Fail) => unanswered(),
                Some(Trouble::Refuse) => {
                    Err(StoreError::Refused(format!("the test made {call:?} be refused").into()))
                }
                Some(Trouble::LoseAnswer) => {
                    drop(question(&*self.store).await);
                    unanswered()
                }
                Some(Trouble::Delay(by)) => {
                    tokio::time::sleep(by).await;
                    question(&*self.store).await
                }
            }
        })
    }
}

impl Store for FailingStore {
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, StoreError>> {
        self.ask(Call::Claim, move |store| store.claim(request))
    }

    fn renew<'a>(
        &'a self,
        claim: &'a Claim,
        length: Duration,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.ask(Call::Renew, move |store| store.renew(claim, length))
    }

    fn finish<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.ask(Call::Finish, move |store| store.finish(claim, result))
    }

    fn finish_with<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
        next: &'a [OutboxJob],
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.ask(Call::Finish, move |store| store.finish_with(claim, result, next))
    }

    fn adds_next_jobs(&self) -> bool {
        self.store.adds_next_jobs()
    }

    fn release_claim<'a>(
        &'a self,
        claim: &'a Claim,
        how: &'a ReleaseClaim,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.ask(Call::Release, move |store| store.release_claim(claim, how))
    }

    fn checkpoint<'a>(
        &'a self,
        claim: &'a Claim,
        value: &'a RawValue,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.ask(Call::Checkpoint, move |store| store.checkpoint(claim, value))
    }

    fn progress<'a>(
        &'a self,
        identity: &'a Identity,
        progress: &'a ProgressRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        self.ask(Call::Progress, move |store| store.progress(identity, progress))
    }

    fn attempted<'a>(
        &'a self,
        identity: &'a Identity,
        attempt: &'a AttemptRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        self.ask(Call::Attempted, move |store| store.attempted(identity, attempt))
    }

    fn jobs<'a>(&'a self, job_id: &'a str) -> MaybeReady<'a, Result<Vec<JobRecord>, StoreError>> {
        self.ask(Call::Jobs, move |store| store.jobs(job_id))
    }

    fn recent(&self, limit: usize) -> MaybeReady<'_, Result<Vec<JobRecord>, StoreError>> {
        self.ask(Call::Jobs, move |store| store.recent(limit))
    }

    fn of_message<'a>(&'a self, message_id: &'a str) -> MaybeReady<'a, Result<Vec<JobRecord>, StoreError>> {
        self.ask(Call::Jobs, move |store| store.of_message(message_id))
    }

    fn forget<'a>(&'a self, key: &'a str) -> MaybeReady<'a, Result<Forgotten, StoreError>> {
        self.ask(Call::Forget, move |store| store.forget(key))
    }

    fn document<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
    ) -> MaybeReady<'a, Result<Option<String>, StoreError>> {
        self.ask(Call::Documents, move |store| store.document(kind, name))
    }

    fn documents<'a>(&'a self, kind: &'a str) -> MaybeReady<'a, Result<Vec<Document>, StoreError>> {
        self.ask(Call::Documents, move |store| store.documents(kind))
    }

    fn put_document<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
        before: Option<&'a str>,
        after: &'a str,
        keep: Duration,
    ) -> MaybeReady<'a, Result<bool, StoreError>> {
        self.ask(Call::Documents, move |store| store.put_document(kind, name, before, after, keep))
    }

    fn lease_tokens<'a>(
        &'a self,
        request: &'a TokenRequest,
    ) -> MaybeReady<'a, Result<TokenLease, StoreError>> {
        self.ask(Call::LeaseTokens, move |store| store.lease_tokens(request))
    }

    fn ping(&self) -> MaybeReady<'_, Result<(), StoreError>> {
        self.ask(Call::Ping, |store| store.ping())
    }

    fn outlives_its_process(&self) -> bool {
        self.store.outlives_its_process()
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self.store.as_any()
    }
}
