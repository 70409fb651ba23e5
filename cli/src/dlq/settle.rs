//! Releases and deletes letters by their receipts, ten to a call.

use std::time::Duration;

use drumline::core::{Action, CallError, DeliveryId, Entry, MAX_BATCH, Replies, VisibilityEntry};
use drumline_runtime::Queue;
use drumline_runtime::aws::AwsQueue;
use futures_util::{StreamExt, stream};

/// The number of concurrent calls.
const CALLS: usize = 4;

/// The number of attempts for entries that fail.
const TRIES: u32 = 3;

/// The wait between attempts, at first.
const RETRY_WAIT: Duration = Duration::from_millis(200);

/// Releases and deletes letters of one DLQ. Cheap to clone.
#[derive(Clone)]
pub(super) struct Settler {
    sqs: AwsQueue,
}

/// The operation that ends a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settling {
    Release,
    Delete,
}

impl Settler {
    pub(super) fn new(sqs: AwsQueue) -> Self {
        Self { sqs }
    }

    /// Makes letters receivable again. Succeeds for a letter that is no longer held. The results are in the order of the
    /// receipts.
    pub(super) async fn release(&self, receipts: Vec<String>) -> Vec<Result<(), CallError>> {
        self.settle(Settling::Release, receipts).await
    }

    /// Deletes letters. The results are in the order of the receipts. A receipt that is no longer valid results in
    /// [`CallError::Gone`]: another receiver may have the letter.
    pub(super) async fn delete(&self, receipts: Vec<String>) -> Vec<Result<(), CallError>> {
        self.settle(Settling::Delete, receipts).await
    }

    /// Releases or deletes letters. The results are in the order of the receipts.
    pub(super) async fn settle(&self, what: Settling, receipts: Vec<String>) -> Vec<Result<(), CallError>> {
        let batches: Vec<Vec<String>> = receipts.chunks(MAX_BATCH).map(<[String]>::to_vec).collect();
        let calls = stream::iter(batches).map(|batch| self.settle_batch(what, batch));
        let mut results = calls.buffered(CALLS).concat().await;
        for result in &mut results {
            if what == Settling::Release && matches!(result, Err(CallError::Gone(_))) {
                *result = Ok(());
            }
        }
        results
    }

    /// Makes one call, and further calls for the entries that failed.
    async fn settle_batch(&self, what: Settling, receipts: Vec<String>) -> Replies {
        let mut results: Replies = vec![Err(CallError::Failed(String::new())); receipts.len()];
        let mut left: Vec<usize> = (0..receipts.len()).collect();
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(RETRY_WAIT * 2_u32.pow(attempt - 1)).await;
            }
            let batch = left.iter().map(|index| receipts[*index].clone());
            let replies = self.sqs.perform(action(what, batch)).await;
            let answered = left.iter().zip(replies);
            answered.for_each(|(index, reply)| results[*index] = reply);
            left.retain(|index| matches!(results[*index], Err(CallError::Failed(_))));
            if left.is_empty() {
                break;
            }
        }
        results
    }
}

fn action(what: Settling, receipts: impl Iterator<Item = String>) -> Action {
    // These deliveries are unknown to any ledger.
    let delivery = DeliveryId::default();
    match what {
        Settling::Delete => Action::Delete(receipts.map(|receipt| Entry { delivery, receipt }).collect()),
        Settling::Release => Action::ChangeVisibility(
            receipts.map(|receipt| VisibilityEntry { delivery, receipt, visibility_secs: 0 }).collect(),
        ),
    }
}
