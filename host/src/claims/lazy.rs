//! A store that is opened with the first request.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Claim, ClaimRequest, ClaimResult, MaybeReady, Ownership, ReleaseClaim};
use drumline::message::Identity;
use drumline_store::outbox::OutboxJob;
use drumline_store::{
    AttemptRecord, Document, Forgotten, JobRecord, Location, ProgressRecord, Retention, Store, StoreError,
    StoreErrorText, TokenLease, TokenRequest, open,
};
use serde_json::value::RawValue;
use tokio::sync::OnceCell;

pub(super) struct LazyStore {
    location: Location,
    owner: Arc<str>,
    keep: Retention,
    opened: OnceCell<Arc<dyn Store>>,
}

impl LazyStore {
    pub(super) fn new(location: Location, owner: Arc<str>, keep: Retention) -> Self {
        Self { location, owner, keep, opened: OnceCell::new() }
    }

    async fn get(&self) -> Result<&Arc<dyn Store>, StoreError> {
        let open = async || {
            let opened = open(&self.location, Arc::clone(&self.owner), self.keep).await;
            opened.map_err(|error| {
                let text = error.to_string();
                StoreError::Unanswered(StoreErrorText::about(error, text))
            })
        };
        self.opened.get_or_try_init(open).await
    }

    fn ask<'a, T: Send + 'a>(
        &'a self,
        question: impl FnOnce(&'a dyn Store) -> MaybeReady<'a, Result<T, StoreError>> + Send + 'a,
    ) -> MaybeReady<'a, Result<T, StoreError>> {
        match self.opened.get() {
            Some(store) => question(&**store),
            None => MaybeReady::later(async move { question(&**self.get().await?).await }),
        }
    }
}

impl Store for LazyStore {
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, StoreError>> {
        self.ask(move |store| store.claim(request))
    }

    fn renew<'a>(
        &'a self,
        claim: &'a Claim,
        length: Duration,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.ask(move |store| store.renew(claim, length))
    }

    fn finish<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.ask(move |store| store.finish(claim, result))
    }

    fn finish_with<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
        next: &'a [OutboxJob],
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.ask(move |store| store.finish_with(claim, result, next))
    }

    /// Only for an open store: each job has requested a claim from it before.
    fn adds_next_jobs(&self) -> bool {
        self.opened.get().is_some_and(|store| store.adds_next_jobs())
    }

    fn release_claim<'a>(
        &'a self,
        claim: &'a Claim,
        how: &'a ReleaseClaim,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.ask(move |store| store.release_claim(claim, how))
    }

    fn checkpoint<'a>(
        &'a self,
        claim: &'a Claim,
        value: &'a RawValue,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.ask(move |store| store.checkpoint(claim, value))
    }

    fn progress<'a>(
        &'a self,
        identity: &'a Identity,
        progress: &'a ProgressRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        self.ask(move |store| store.progress(identity, progress))
    }

    fn attempted<'a>(
        &'a self,
        identity: &'a Identity,
        attempt: &'a AttemptRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        self.ask(move |store| store.attempted(identity, attempt))
    }

    fn jobs<'a>(&'a self, job_id: &'a str) -> MaybeReady<'a, Result<Vec<JobRecord>, StoreError>> {
        self.ask(move |store| store.jobs(job_id))
    }

    fn recent(&self, limit: usize) -> MaybeReady<'_, Result<Vec<JobRecord>, StoreError>> {
        self.ask(move |store| store.recent(limit))
    }

    fn of_message<'a>(&'a self, message_id: &'a str) -> MaybeReady<'a, Result<Vec<JobRecord>, StoreError>> {
        self.ask(move |store| store.of_message(message_id))
    }

    fn forget<'a>(&'a self, key: &'a str) -> MaybeReady<'a, Result<Forgotten, StoreError>> {
        self.ask(move |store| store.forget(key))
    }

    fn document<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
    ) -> MaybeReady<'a, Result<Option<String>, StoreError>> {
        self.ask(move |store| store.document(kind, name))
    }

    fn documents<'a>(&'a self, kind: &'a str) -> MaybeReady<'a, Result<Vec<Document>, StoreError>> {
        self.ask(move |store| store.documents(kind))
    }

    fn put_document<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
        before: Option<&'a str>,
        after: &'a str,
        keep: Duration,
    ) -> MaybeReady<'a, Result<bool, StoreError>> {
        self.ask(move |store| store.put_document(kind, name, before, after, keep))
    }

    fn lease_tokens<'a>(
        &'a self,
        request: &'a TokenRequest,
    ) -> MaybeReady<'a, Result<TokenLease, StoreError>> {
        self.ask(move |store| store.lease_tokens(request))
    }

    fn ping(&self) -> MaybeReady<'_, Result<(), StoreError>> {
        self.ask(move |store| store.ping())
    }

    fn outlives_its_process(&self) -> bool {
        self.location.outlives_its_process()
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        match self.opened.get() {
            Some(store) => store.as_any(),
            None => self,
        }
    }
}
