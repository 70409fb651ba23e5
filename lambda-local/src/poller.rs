//! The loop of an event source mapping: receive, invoke, delete.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use drumline_queue::api::{
    ChangeMessageVisibility, DeleteMessageBatch, DeleteMessageBatchEntry, ReceiveMessage, ReceivedMessage,
};
use drumline_queue::{Endpoint, SqsError};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::batching::{Batching, Bounds, RECEIVE};
use crate::environment::{ExecutionEnvironment, MAX_PAYLOAD};
use crate::function::Function;
use crate::invoked::Invoked;
use crate::mapping::Mapping;
use crate::response::{Verdict, judge};
use crate::sqs_event::sqs_record;

/// The longest wait of a receive, in seconds.
const LONG_POLL: i64 = 20;

/// A step of a mapping.
#[derive(Debug, Clone, Copy)]
pub enum MappingEvent<'a> {
    /// The function is about to be invoked with these messages.
    Invoking(&'a [ReceivedMessage]),
    /// An invocation has ended, and the messages that its verdict does not keep have been deleted.
    Invoked {
        /// The batch.
        messages: &'a [ReceivedMessage],
        /// The invocation.
        invoked: &'a Invoked,
        /// The effect of the result on the messages.
        verdict: &'a Verdict,
    },
    /// A message could not be deleted, and SQS will redeliver it.
    NotDeleted {
        /// The message's id.
        message_id: &'a str,
        /// The error of SQS.
        error: &'a str,
    },
}

/// A receiver of the steps of a mapping.
pub type MappingObserver = Arc<dyn Fn(MappingEvent<'_>) + Send + Sync>;

/// A queue mapped to a function.
///
/// Each slot of the mapping's concurrency has its own poller and execution environment. There is no scaling and no throttling:
/// a poller receives when its environment is free.
#[derive(Clone)]
pub struct MappedQueue {
    mapping: Mapping,
    endpoint: Endpoint,
    queue_url: String,
    queue_arn: String,
    function: Arc<Function>,
    observer: MappingObserver,
}

impl MappedQueue {
    /// Maps the queue with this name to the function.
    pub fn new(
        mapping: Mapping,
        endpoint: &Endpoint,
        queue_name: &str,
        function: Arc<Function>,
        observer: MappingObserver,
    ) -> Self {
        Self {
            mapping,
            endpoint: endpoint.clone(),
            queue_url: queue_name.to_owned(),
            queue_arn: endpoint.call(|sqs, _| sqs.queue_arn(queue_name)),
            function,
            observer,
        }
    }

    /// Invokes the function with the queue's messages until `stop` is ready, then stops the processes: SIGTERM, and SIGKILL two
    /// seconds later. The messages of an interrupted invocation stay hidden until their visibility timeout ends.
    ///
    /// # Errors
    /// If the queue refuses a receive, usually because it was deleted.
    ///
    /// # Panics
    /// If the observer panics.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), SqsError> {
        let (stopping, stopped) = watch::channel(false);
        let mut pollers = JoinSet::new();
        for _ in 0..self.mapping.concurrency {
            pollers.spawn(Poller::new(self.clone()).run(stopped.clone()));
        }
        let mut stop = std::pin::pin!(stop);
        let mut result = Ok(());
        loop {
            // Cancel-safe: `join_next` is documented as cancel-safe, and `stop` is kept. It is not polled again after it was
            // ready.
            tokio::select! {
                () = &mut stop, if !*stopping.borrow() => {
                    stopping.send_replace(true);
                }
                ended = pollers.join_next() => match ended {
                    Some(ended) => {
                        match ended {
                            Ok(Ok(())) => {}
                            Ok(Err(error)) => result = Err(error),
                            Err(ended) => {
                                if let Ok(panic) = ended.try_into_panic() {
                                    std::panic::resume_unwind(panic);
                                }
                            }
                        }
                        stopping.send_replace(true);
                    }
                    None => return result,
                },
            }
        }
    }

    async fn receive(&self, most: usize) -> Result<Vec<ReceivedMessage>, SqsError> {
        let request = ReceiveMessage {
            queue_url: self.queue_url.clone(),
            max_number_of_messages: i64::try_from(most).ok(),
            wait_time_seconds: Some(LONG_POLL),
            message_system_attribute_names: vec!["All".to_owned()],
            message_attribute_names: vec!["All".to_owned()],
            ..ReceiveMessage::default()
        };
        Ok(self.endpoint.receive(request).await?.messages)
    }

    /// Deletes the messages of a batch that are done.
    fn delete(&self, messages: &[&ReceivedMessage]) {
        for messages in messages.chunks(RECEIVE) {
            let entries = messages.iter().enumerate().map(|(at, message)| DeleteMessageBatchEntry {
                id: at.to_string(),
                receipt_handle: message.receipt_handle.clone(),
            });
            let request =
                DeleteMessageBatch { queue_url: self.queue_url.clone(), entries: entries.collect() };
            let not_deleted = |message: &ReceivedMessage, error: &str| {
                (self.observer)(MappingEvent::NotDeleted { message_id: &message.message_id, error });
            };
            match self.endpoint.call(|sqs, now| sqs.delete_message_batch(now, request)) {
                Ok(reply) => {
                    for entry in reply.failed {
                        if let Some(message) = entry.id.parse().ok().and_then(|at: usize| messages.get(at)) {
                            not_deleted(message, &entry.message);
                        }
                    }
                }
                Err(error) => messages.iter().for_each(|message| not_deleted(message, &error.to_string())),
            }
        }
    }

    /// Makes messages that no invocation got visible at once.
    fn release(&self, messages: &[Received]) {
        for Received { message, .. } in messages {
            let request = ChangeMessageVisibility {
                queue_url: self.queue_url.clone(),
                receipt_handle: message.receipt_handle.clone(),
                visibility_timeout: Some(0),
            };
            // If the call is refused, the visibility timeout has ended, or another client has deleted the message.
            let _ = self.endpoint.call(|sqs, now| sqs.change_message_visibility(now, &request));
        }
    }
}

/// A message with its record as JSON.
struct Received {
    message: ReceivedMessage,
    record: String,
}

impl Received {
    fn group(&self) -> Option<&str> {
        self.message.attributes.message_group_id.as_deref()
    }
}

/// One slot of the concurrency.
struct Poller {
    queue: MappedQueue,
    batching: Batching<Received>,
    environment: ExecutionEnvironment,
}

impl Poller {
    fn new(queue: MappedQueue) -> Self {
        let Mapping { batch_size, window, .. } = queue.mapping;
        let bounds = Bounds { count: batch_size, bytes: MAX_PAYLOAD - EVENT_FRAME, window };
        let environment = ExecutionEnvironment::new(Arc::clone(&queue.function));
        Self { queue, batching: Batching::new(bounds), environment }
    }

    async fn run(mut self, mut stopped: watch::Receiver<bool>) -> Result<(), SqsError> {
        let mut result = Ok(());
        loop {
            // Cancel-safe: a dropped receive leaves no message hidden, and earlier messages are in `batching`.
            let batch = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => break,
                batch = self.batch() => batch,
            };
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => {
                    result = Err(error);
                    break;
                }
            };
            // The messages of an interrupted invocation stay hidden, and its process is stopped below.
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => break,
                () = self.invoke(batch) => {}
            }
        }
        let waiting = self.batching.remove(|_| true);
        self.queue.release(&waiting);
        self.environment.stop().await;
        result
    }

    /// Receives until a batch is complete.
    async fn batch(&mut self) -> Result<Vec<Received>, SqsError> {
        loop {
            if let Some(batch) = self.batching.take(Instant::now()) {
                return Ok(batch);
            }
            let receive = self.queue.receive(self.batching.wanted());
            let messages = match self.batching.closes_at() {
                None => receive.await?,
                Some(at) => timeout_at(at, receive).await.unwrap_or_else(|_| Ok(Vec::new()))?,
            };
            let received = messages.into_iter().map(|message| {
                let record = Value::Object(sqs_record(&message, &self.queue.queue_arn)).to_string();
                let size = record.len() + 1;
                (Received { message, record }, size)
            });
            self.batching.received(Instant::now(), received);
        }
    }

    async fn invoke(&mut self, batch: Vec<Received>) {
        let event = event(batch.iter().map(|received| &*received.record));
        let messages: Vec<ReceivedMessage> = batch.into_iter().map(|received| received.message).collect();
        (self.queue.observer)(MappingEvent::Invoking(&messages));
        let invoked = self.environment.invoke(event).await;
        let ids: Vec<&str> = messages.iter().map(|message| &*message.message_id).collect();
        let verdict = judge(&invoked.result, &ids, self.queue.mapping.reports);
        let (kept, done): (Vec<_>, Vec<_>) =
            messages.iter().partition(|message| verdict.keeps(&message.message_id));
        (self.queue.observer)(MappingEvent::Invoked {
            messages: &messages,
            invoked: &invoked,
            verdict: &verdict,
        });
        self.queue.delete(&done);
        if self.queue.mapping.fifo {
            // Messages behind a failed message of their group must not be done before it.
            let groups: BTreeSet<&str> =
                kept.iter().filter_map(|message| message.attributes.message_group_id.as_deref()).collect();
            let behind =
                self.batching.remove(|received| received.group().is_some_and(|group| groups.contains(group)));
            self.queue.release(&behind);
        }
    }
}

/// The size of an event without its records, in bytes.
const EVENT_FRAME: usize = r#"{"Records":[]}"#.len();

fn event<'a>(records: impl Iterator<Item = &'a str>) -> Bytes {
    format!(r#"{{"Records":[{}]}}"#, records.collect::<Vec<_>>().join(",")).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use drumline_queue::InProcess;
    use std::time::Duration;

    #[tokio::test]
    #[should_panic(expected = "the observer fails")]
    async fn a_panic_of_a_poller_is_one_of_the_mapping() {
        let queues = InProcess::start();
        queues.endpoint().create_queue("jobs", &[]).unwrap();
        queues.endpoint().send("jobs", "{}").unwrap();
        let function = Arc::new(Function::new("/no/such/program"));
        let observer: MappingObserver = Arc::new(|_| panic!("the observer fails"));
        let mapping = Mapping::new(1, Duration::ZERO, false).unwrap();
        let mapped = MappedQueue::new(mapping, queues.endpoint(), "jobs", function, observer);
        let _ = mapped.run(std::future::pending()).await;
    }
}
