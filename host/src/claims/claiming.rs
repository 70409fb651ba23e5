//! The ledger's requests to the store about claims: each request is sent once, and its answer is passed on. The ledger decides
//! what follows.

use std::sync::Arc;
use std::time::Duration;

use drumline::core::{
    Claim, ClaimRequest, ClaimResult, JobResult, MarkError, MaybeReady, NextJobs, Ownership, ReleaseClaim,
};
use drumline_store::{StoreError, TokenLease, TokenRequest};

use super::{ClaimStoreClient, StoreOperation};
use crate::next_jobs::rows;

impl ClaimStoreClient {
    /// Requests a claim.
    pub(crate) fn claim<'a>(
        &'a self,
        request: &'a ClaimRequest,
    ) -> MaybeReady<'a, Result<ClaimResult, String>> {
        match self.0.store.claim(request).at_once() {
            Some(Ok(admission)) => {
                self.0.record(StoreOperation::Claim, &Ok(()));
                MaybeReady::now(Ok(admission))
            }
            // A failed request is repeated once, in a future that may wait for it.
            Some(Err(_)) | None => MaybeReady::later(async move {
                let answer = self.0.store.claim(request).await;
                self.0.record(StoreOperation::Claim, &answer);
                answer.map_err(StoreError::into_text)
            }),
        }
    }

    /// Renews a claim.
    pub(crate) async fn renew(&self, claim: &Claim, length: Duration) -> Result<Ownership, String> {
        let answer = self.0.store.renew(claim, length).await;
        self.0.record(StoreOperation::Renew, &answer);
        answer.map_err(StoreError::into_text)
    }

    /// Marks a job as done.
    pub(crate) fn mark<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a JobResult>,
    ) -> MaybeReady<'a, Result<Ownership, MarkError>> {
        let result = result.map(|result| &*result.0);
        match self.0.store.finish(claim, result).at_once() {
            Some(Ok(held)) => {
                self.0.record(StoreOperation::Finish, &Ok(()));
                MaybeReady::now(Ok(held))
            }
            Some(Err(_)) | None => MaybeReady::later(async move {
                let answer = self.0.store.finish(claim, result).await;
                self.0.record(StoreOperation::Finish, &answer);
                answer.map_err(mark_error)
            }),
        }
    }

    /// Marks a job as done, and adds its next jobs.
    pub(crate) async fn mark_with(
        &self,
        claim: &Claim,
        result: Option<&JobResult>,
        next: &NextJobs,
    ) -> Result<Ownership, MarkError> {
        let answer = self.0.store.finish_with(claim, result.map(|result| &*result.0), &rows(next)).await;
        self.0.record(StoreOperation::Finish, &answer);
        answer.map_err(mark_error)
    }

    /// Leases tokens of a rate that workers share.
    pub(crate) async fn lease_tokens(&self, request: &TokenRequest) -> Result<TokenLease, StoreError> {
        let answer = self.0.store.lease_tokens(request).await;
        self.0.record(StoreOperation::LeaseTokens, &answer);
        answer
    }

    /// Releases a claim, with the pending writes under it.
    pub(crate) async fn release(&self, claim: &Arc<Claim>, how: &ReleaseClaim) -> Result<Ownership, String> {
        self.0.history_writer.write_now(&claim.identity).await;
        self.0.history_writer.forget(&claim.identity);
        let answer = self.0.store.release_claim(claim, how).await;
        self.0.record(StoreOperation::ReleaseClaim, &answer);
        answer.map_err(StoreError::into_text)
    }
}

fn mark_error(error: StoreError) -> MarkError {
    match error {
        StoreError::Unanswered(why) => MarkError::Unanswered(why.to_string()),
        StoreError::Refused(why) => MarkError::Refused(why.to_string()),
    }
}
