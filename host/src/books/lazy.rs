//! A store that is opened with the first question.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use drumline::{Admission, Claim, ClaimRequest, Held, Surrender};
use drumline_store::{
    AttemptRecord, BoxFuture, JobRecord, Keep, Location, ProgressRecord, Store, StoreError, open,
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
            opened.map_err(|error| StoreError(error.to_string()))
        };
        self.opened.get_or_try_init(open).await
    }
}

impl Store for LazyStore {
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> BoxFuture<'a, Result<Admission, StoreError>> {
        Box::pin(async move { self.get().await?.claim(request).await })
    }

    fn renew<'a>(&'a self, claim: &'a Claim, length: Duration) -> BoxFuture<'a, Result<Held, StoreError>> {
        Box::pin(async move { self.get().await?.renew(claim, length).await })
    }

    fn finish<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
    ) -> BoxFuture<'a, Result<Held, StoreError>> {
        Box::pin(async move { self.get().await?.finish(claim, result).await })
    }

    fn surrender<'a>(
        &'a self,
        claim: &'a Claim,
        how: &'a Surrender,
    ) -> BoxFuture<'a, Result<Held, StoreError>> {
        Box::pin(async move { self.get().await?.surrender(claim, how).await })
    }

    fn checkpoint<'a>(
        &'a self,
        claim: &'a Claim,
        value: &'a RawValue,
    ) -> BoxFuture<'a, Result<Held, StoreError>> {
        Box::pin(async move { self.get().await?.checkpoint(claim, value).await })
    }

    fn progress<'a>(
        &'a self,
        job_id: &'a str,
        progress: &'a ProgressRecord,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.get().await?.progress(job_id, progress).await })
    }

    fn attempted<'a>(
        &'a self,
        job_id: &'a str,
        attempt: &'a AttemptRecord,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.get().await?.attempted(job_id, attempt).await })
    }

    fn job<'a>(&'a self, job_id: &'a str) -> BoxFuture<'a, Result<Option<JobRecord>, StoreError>> {
        Box::pin(async move { self.get().await?.job(job_id).await })
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.get().await?.ping().await })
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        match self.opened.get() {
            Some(store) => store.as_any(),
            None => self,
        }
    }
}
