//! The requests of the hot path, made by the lean client or by the SDK's.

use drumline_sqs::{BatchAnswer, SendEntry};

use super::client::Clients;
use super::lean::Failed;
use crate::sqs::SqsError;

impl Clients {
    /// Makes a request with the lean client, or with the SDK's if there is no lean one or its failure may be its own fault.
    pub(super) async fn lean_or_sdk<T>(
        &self,
        by_lean: Option<impl Future<Output = Result<T, Failed>>>,
        by_sdk: impl Future<Output = Result<T, SqsError>>,
    ) -> Result<T, SqsError> {
        let Some(by_lean) = by_lean else { return by_sdk.await };
        let Failed { error, may_be_own } = match by_lean.await {
            Ok(done) => return Ok(done),
            Err(failed) => failed,
        };
        if !may_be_own {
            return Err(error);
        }
        let done = by_sdk.await?;
        if let Some(lean) = self.lean() {
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
        let by_lean = self.lean().map(|lean| lean.send(queue_url, entries));
        self.lean_or_sdk(by_lean, by_sdk).await
    }
}

#[cfg(test)]
#[path = "hot_path_tests.rs"]
mod tests;
