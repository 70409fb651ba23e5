//! Releases and deletes letters, ten to a call, by the receipts under which they are held.

use std::time::Duration;

use drumline::core::{Action, CallError, DeliveryId, Entry, MAX_BATCH, Replies, VisibilityEntry};
use drumline_runtime::Queue;
use drumline_runtime::aws::AwsQueue;
use futures_util::{StreamExt, stream};

/// Calls at once.
const CALLS: usize = 4;

/// How often a call is made for entries that fail.
const TRIES: u32 = 3;

/// The wait in between, at first.
const RETRY_WAIT: Duration = Duration::from_millis(200);

/// A DLQ whose letters are released and deleted. Cheap to clone.
#[derive(Clone)]
pub(super) struct Settler {
    sqs: AwsQueue,
}

/// The end of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settling {
    Release,
    Delete,
}

impl Settler {
    pub(super) fn new(sqs: AwsQueue) -> Self {
        Self { sqs }
    }

    /// Makes letters receivable again. A letter that is no longer held is. The results are in the order of the receipts.
    pub(super) async fn release(&self, receipts: Vec<String>) -> Vec<Result<(), CallError>> {
        self.settle(Settling::Release, receipts).await
    }

    /// Deletes letters. The results are in the order of the receipts. [`CallError::Gone`] is the answer to a receipt that is no
    /// longer valid: another receiver may have the letter.
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

    /// One call, and further ones for those of its entries that failed.
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
    // No ledger knows of these deliveries.
    let delivery = DeliveryId::default();
    match what {
        Settling::Delete => Action::Delete(receipts.map(|receipt| Entry { delivery, receipt }).collect()),
        Settling::Release => Action::ChangeVisibility(
            receipts.map(|receipt| VisibilityEntry { delivery, receipt, visibility_secs: 0 }).collect(),
        ),
    }
}
