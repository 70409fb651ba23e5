//! The requests of the hot path, made by the lean client or by the SDK's.

use drumline_sqs::{BatchAnswer, SendEntry};
use futures_util::future::OptionFuture;

use super::client::Clients;
use super::lean::Failed;
use crate::sqs::SqsError;

impl Clients {
    /// Returns the result of the lean client's request. If there is no lean client, or its failure may be its own fault, makes the
    /// request with the SDK's.
    ///
    /// Takes a result and no future, and boxes the SDK's: a future is as large as all the futures in it, and is moved at each
    /// request.
    pub(super) async fn or_by_sdk<T, F: Future<Output = Result<T, SqsError>>>(
        &self,
        by_lean: Option<Result<T, Failed>>,
        by_sdk: impl FnOnce() -> F,
    ) -> Result<T, SqsError> {
        let error = match by_lean {
            Some(Ok(done)) => return Ok(done),
            Some(Err(Failed { error, may_be_own: false })) => return Err(error),
            Some(Err(Failed { error, may_be_own: true })) => Some(error),
            None => None,
        };
        let done = Box::pin(by_sdk()).await?;
        if let (Some(error), Some(lean)) = (error, self.lean()) {
            lean.turn_off(&error);
        }
        Ok(done)
    }

    /// Sends at most ten messages in one request: with the lean client if [it is chosen](Self::by), else with `by_sdk`. The
    /// answer refers to entries by their positions.
    ///
    /// # Errors
    /// If there is no answer, or SQS answers with an error about the whole batch. After an error that [is in
    /// doubt](SqsError::is_in_doubt), SQS may have accepted it.
    pub async fn send_batch(
        &self,
        queue_url: &str,
        entries: &[SendEntry<'_>],
        by_sdk: impl Future<Output = Result<BatchAnswer, SqsError>>,
    ) -> Result<BatchAnswer, SqsError> {
        let by_lean = OptionFuture::from(self.lean().map(|lean| lean.send(queue_url, entries))).await;
        self.or_by_sdk(by_lean, || by_sdk).await
    }
}

#[cfg(test)]
#[path = "hot_path_tests.rs"]
mod tests;
