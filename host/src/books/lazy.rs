//! A store that is opened with the first question.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Admission, Answer, Claim, ClaimRequest, Held, Surrender};
use drumline::message::Identity;
use drumline_store::{
    AttemptRecord, JobRecord, Keep, Location, ProgressRecord, Store, StoreError, StoreErrorText, open,
};
use serde_json::value::RawValue;
use tokio::sync::OnceCell;

pub(super) struct LazyStore {
    location: Location,
    owner: Arc<str>,
    keep: Keep,
    opened: OnceCell<Arc<dyn Store>>,
}

impl LazyStore {
    pub(super) fn new(location: Location, owner: Arc<str>, keep: Keep) -> Self {
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
        question: impl FnOnce(&'a dyn Store) -> Answer<'a, Result<T, StoreError>> + Send + 'a,
    ) -> Answer<'a, Result<T, StoreError>> {
        match self.opened.get() {
            Some(store) => question(&**store),
            None => Answer::later(async move { question(&**self.get().await?).await }),
        }
    }
}

impl Store for LazyStore {
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> Answer<'a, Result<Admission, StoreError>> {
        self.ask(move |store| store.claim(request))
    }

    fn renew<'a>(&'a self, claim: &'a Claim, length: Duration) -> Answer<'a, Result<Held, StoreError>> {
        self.ask(move |store| store.renew(claim, length))
    }

    fn finish<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
    ) -> Answer<'a, Result<Held, StoreError>> {
        self.ask(move |store| store.finish(claim, result))
    }

    fn surrender<'a>(&'a self, claim: &'a Claim, how: &'a Surrender) -> Answer<'a, Result<Held, StoreError>> {
        self.ask(move |store| store.surrender(claim, how))
    }

    fn checkpoint<'a>(
        &'a self,
        claim: &'a Claim,
        value: &'a RawValue,
    ) -> Answer<'a, Result<Held, StoreError>> {
        self.ask(move |store| store.checkpoint(claim, value))
    }

    fn progress<'a>(
        &'a self,
        identity: &'a Identity,
        progress: &'a ProgressRecord,
    ) -> Answer<'a, Result<(), StoreError>> {
        self.ask(move |store| store.progress(identity, progress))
    }

    fn attempted<'a>(
        &'a self,
        identity: &'a Identity,
        attempt: &'a AttemptRecord,
    ) -> Answer<'a, Result<(), StoreError>> {
        self.ask(move |store| store.attempted(identity, attempt))
    }

    fn jobs<'a>(&'a self, job_id: &'a str) -> Answer<'a, Result<Vec<JobRecord>, StoreError>> {
        self.ask(move |store| store.jobs(job_id))
    }

    fn ping(&self) -> Answer<'_, Result<(), StoreError>> {
        self.ask(move |store| store.ping())
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        match self.opened.get() {
            Some(store) => store.as_any(),
            None => self,
        }
    }
}
