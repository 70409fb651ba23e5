//! What the ledger asks of the store for claims: each request once, and its answer as it is. The ledger decides what follows.

use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Admission, Answer, Claim, ClaimRequest, Held, JobResult, MarkError, Surrender};
use drumline_store::StoreError;

use super::{Books, StoreOperation};

impl Books {
    /// Asks for a claim.
    pub(crate) fn claim<'a>(&'a self, request: &'a ClaimRequest) -> Answer<'a, Result<Admission, String>> {
        match self.0.store.claim(request).at_once() {
            Some(Ok(admission)) => {
                self.0.heard(StoreOperation::Claim, &Ok(()));
                Answer::now(Ok(admission))
            }
            // A failure is asked about once more, there where it may be waited for.
            Some(Err(_)) | None => Answer::later(async move {
                let answer = self.0.store.claim(request).await;
                self.0.heard(StoreOperation::Claim, &answer);
                answer.map_err(StoreError::into_text)
            }),
        }
    }

    /// Renews a claim.
    pub(crate) async fn renew(&self, claim: &Claim, length: Duration) -> Result<Held, String> {
        let answer = self.0.store.renew(claim, length).await;
        self.0.heard(StoreOperation::Renew, &answer);
        answer.map_err(StoreError::into_text)
    }

    /// Marks a job as done.
    pub(crate) fn mark<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a JobResult>,
    ) -> Answer<'a, Result<Held, MarkError>> {
        let result = result.map(|result| &*result.0);
        match self.0.store.finish(claim, result).at_once() {
            Some(Ok(held)) => {
                self.0.heard(StoreOperation::Finish, &Ok(()));
                Answer::now(Ok(held))
            }
            Some(Err(_)) | None => Answer::later(async move {
                let answer = self.0.store.finish(claim, result).await;
                self.0.heard(StoreOperation::Finish, &answer);
                answer.map_err(|error| match error {
                    StoreError::Unanswered(why) => MarkError::Unanswered(why.to_string()),
                    StoreError::Refused(why) => MarkError::Refused(why.to_string()),
                })
            }),
        }
    }

    /// Releases a claim, with what was still to be written under it.
    pub(crate) async fn release(&self, claim: &Arc<Claim>, how: &Surrender) -> Result<Held, String> {
        self.0.journal.write_now(&claim.identity).await;
        self.0.journal.forget(&claim.identity);
        let answer = self.0.store.surrender(claim, how).await;
        self.0.heard(StoreOperation::Surrender, &answer);
        answer.map_err(StoreError::into_text)
    }
}
