//! The letters of a DLQ: their number, and a look at some of them.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName as Name;
use drumline::core::{Action, DeliveryId, MAX_BATCH, SqsAction, VisibilityEntry};
use drumline::message::Message;
use drumline::run::{Event, Observer};
use drumline_runtime::aws::{AwsQueue, Clients, explain};
use drumline_runtime::{BoxFuture, Queue, SqsError};

/// The wait of a receive. With any wait, SQS asks all of its servers instead of some.
const WAIT: Duration = Duration::from_secs(1);

/// The time for which the letters of a killed look stay hidden.
const HOLD: Duration = Duration::from_secs(30);

/// The states of letters, each of which has its own count.
const COUNTS: [Name; 3] = [
    Name::ApproximateNumberOfMessages,
    Name::ApproximateNumberOfMessagesNotVisible,
    Name::ApproximateNumberOfMessagesDelayed,
];

/// The number of letters in a DLQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// The approximate number of letters in all states.
    pub letters: u64,
    /// True if the DLQ has its own redrive policy, with which looks move letters to another queue.
    pub has_redrive_policy: bool,
}

/// Returns true if a look must continue after these letters.
pub type WantsMore = Box<dyn FnMut(&[Message]) -> bool + Send>;

/// The DLQ of a watch.
pub trait DeadLetters: Send + Sync {
    /// Requests the number of letters, with one request.
    fn depth(&self) -> BoxFuture<Result<Depth, SqsError>>;

    /// Receives at most `most` letters until `wants_more` returns false, and releases them. Each batch is passed to
    /// `wants_more`.
    fn look(&self, most: usize, wants_more: WantsMore) -> BoxFuture<Result<Vec<Message>, SqsError>>;
}

/// A DLQ in SQS.
#[derive(Clone)]
pub struct SqsLetters {
    clients: Clients,
    url: String,
    queue: AwsQueue,
    observer: Arc<dyn Observer>,
}

impl SqsLetters {
    /// Makes the DLQ at this URL. `observer` receives the requests.
    pub fn new(clients: Clients, url: String, observer: Arc<dyn Observer>) -> Self {
        let queue = AwsQueue::new(clients.clone(), url.clone(), Arc::clone(&observer));
        let queue = queue.receiving(WAIT, HOLD).with_dead_letter_sources();
        Self { clients, url, queue, observer }
    }

    async fn ask(self) -> Result<Depth, SqsError> {
        let names = COUNTS.into_iter().chain([Name::RedrivePolicy]).collect();
        let request = self.clients.calls.get_queue_attributes().queue_url(&self.url);
        let result = request.set_attribute_names(Some(names)).send().await;
        let result = result.map_err(|error| explain("GetQueueAttributes", &error));
        let action = SqsAction::GetQueueAttributes;
        self.observer.observe(&Event::SqsRequest { action, result: SqsError::result_of(&result) });
        let attributes = result?.attributes.unwrap_or_default();
        let count =
            |name: &Name| attributes.get(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
        Ok(Depth {
            letters: COUNTS.iter().map(count).sum(),
            has_redrive_policy: attributes.contains_key(&Name::RedrivePolicy),
        })
    }

    async fn receive(self, most: usize, mut wants_more: WantsMore) -> Result<Vec<Message>, SqsError> {
        let mut messages: Vec<Message> = Vec::new();
        let mut result = Ok(());
        while messages.len() < most {
            match self.queue.receive(MAX_BATCH.min(most - messages.len())).await {
                Ok(more) if more.is_empty() => break,
                Ok(more) => {
                    let is_enough = !wants_more(&more);
                    messages.extend(more);
                    if is_enough {
                        break;
                    }
                }
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        // A letter that cannot be released can be received again when its hold ends.
        for batch in messages.chunks(MAX_BATCH) {
            let entry = |message: &Message| VisibilityEntry {
                delivery: DeliveryId::default(),
                receipt: message.receipt.clone(),
                visibility_secs: 0,
            };
            self.queue.perform(Action::ChangeVisibility(batch.iter().map(entry).collect())).await;
        }
        result.map(|()| messages)
    }
}

impl DeadLetters for SqsLetters {
    fn depth(&self) -> BoxFuture<Result<Depth, SqsError>> {
        Box::pin(self.clone().ask())
    }

    fn look(&self, most: usize, wants_more: WantsMore) -> BoxFuture<Result<Vec<Message>, SqsError>> {
        let letters = self.clone();
        // In its own task, so that letters are released even if the watch ends.
        let look = tokio::spawn(letters.receive(most, wants_more));
        Box::pin(
            async move { look.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())) },
        )
    }
}
