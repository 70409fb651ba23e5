//! A queue to which jobs are sent.

use std::fmt;
use std::sync::Arc;

use aws_sdk_sqs::Client;
use drumline_runtime::SqsError;
use drumline_runtime::aws::{Clients, is_fifo, queue_name};

use crate::delivery::{TryOnce as _, deliver};
use crate::error::{ProduceError, Unsent};
use crate::offloaded::Offloaded;
use crate::pack::Outgoing;
use crate::payload::PayloadStore;
use crate::receipt::Receipt;
use crate::send::{InDoubt, NotTaken, Reply, SendOptions, SentBy, Taken, Why};
use crate::send_batch::Target;
use crate::send_span::{answer_of, end_span};

/// A queue to which jobs are sent. Cheap to clone; two values are equal if their URLs are.
#[derive(Clone)]
pub struct TargetQueue {
    address: Arc<Address>,
    in_doubt: InDoubt,
    /// The store for the bodies of large messages.
    payloads: Option<PayloadStore>,
}

struct Address {
    client: Client,
    url: String,
    fifo: bool,
    /// The clients of the settings, which replace `client`.
    clients: Option<Clients>,
}

impl TargetQueue {
    pub(crate) fn new(client: Client, url: String) -> Self {
        let fifo = is_fifo(queue_name(&url));
        Self::of(Address { client, url, fifo, clients: None })
    }

    pub(crate) fn connected(clients: Clients, url: String) -> Self {
        let fifo = is_fifo(queue_name(&url));
        let client = clients.calls.clone();
        Self::of(Address { client, url, fifo, clients: Some(clients) })
    }

    fn of(address: Address) -> Self {
        Self { address: Arc::new(address), in_doubt: InDoubt::default(), payloads: None }
    }

    pub(crate) fn with(self, in_doubt: InDoubt, payloads: Option<PayloadStore>) -> Self {
        Self { in_doubt, payloads, ..self }
    }

    /// Returns the queue's URL.
    pub fn url(&self) -> &str {
        &self.address.url
    }

    /// Returns the queue's name.
    pub fn name(&self) -> &str {
        queue_name(&self.address.url)
    }

    /// Returns true if it is a FIFO queue, according to the suffix of its name.
    pub fn is_fifo(&self) -> bool {
        self.address.fifo
    }

    /// Sends messages in one request: at most ten, and no more bytes than [`Packer`](crate::Packer) puts into a batch. Entries
    /// with a transient failure are sent again, except one in a FIFO queue that later ones of its group have overtaken. Returns
    /// each message with its result, in the given order; a large message as it was sent, with its payload [in
    /// S3](PayloadStore).
    ///
    /// Most programs use [`Producer`](crate::Producer); this method is for programs that build their own batches.
    pub async fn send_batch(
        &self,
        mut batch: Vec<Outgoing>,
    ) -> Vec<(Outgoing, Result<Receipt, ProduceError>)> {
        let lines: Vec<usize> = batch.iter().map(|message| message.line).collect();
        for (place, message) in batch.iter_mut().enumerate() {
            message.line = place;
        }
        let Offloaded { ready: batch, refused } = self.offload(batch).await;
        let mut results = match deliver(&self.target(), self.options(), batch).await {
            Ok(done) => done,
            Err(stopped) => {
                let why = if stopped.error.is_in_doubt { Why::InDoubt } else { Why::Unavailable };
                let text = self.in_context(stopped.error).await.text;
                let left = stopped.left.into_iter();
                let left = left.map(|message| (message, Err(NotTaken { why, text: text.clone() })));
                stopped.done.into_iter().chain(left).collect()
            }
        };
        results.extend(refused.into_iter().map(|(_, message, not_taken)| (message, Err(not_taken))));
        results.sort_by_key(|(message, _)| message.line);
        results
            .into_iter()
            .map(|(message, result)| {
                end_span(self.url(), &message, answer_of(&result));
                let result = self.receipt(message.job_id.as_deref(), result);
                (Outgoing { line: lines[message.line], ..message }, result)
            })
            .collect()
    }

    /// Makes one request without retries. Returns the result of each entry.
    pub(crate) async fn try_once(&self, batch: &[Outgoing]) -> Reply {
        match self.target().try_once(batch).await {
            Ok(results) => Ok(results),
            Err(error) => Err(self.in_context(error).await),
        }
    }

    /// Offloads or compresses the large messages of a batch.
    pub(crate) async fn offload(&self, batch: Vec<Outgoing>) -> Offloaded {
        match &self.payloads {
            Some(store) => Offloaded::by(store, batch, self.is_fifo()).await,
            None => Offloaded::unchanged(batch),
        }
    }

    /// Returns true if large messages are offloaded or compressed.
    pub(crate) fn offloads(&self) -> bool {
        self.payloads.is_some()
    }

    /// Returns true if a message is sent again after a lost response. A FIFO queue drops the duplicate.
    pub(crate) fn sends_again(&self) -> bool {
        self.options().sends_again()
    }

    fn options(&self) -> SendOptions {
        SendOptions { fifo: self.is_fifo(), in_doubt: self.in_doubt }
    }

    fn target(&self) -> Target<'_> {
        let Address { client, clients, .. } = &*self.address;
        let sent_by = clients.as_ref().map_or(SentBy::Own(client), SentBy::Chosen);
        Target { sent_by, queue_url: self.url(), options: self.options() }
    }

    /// Returns the result for a message with this job.
    pub(crate) fn receipt(
        &self,
        job_id: Option<&str>,
        result: Result<Taken, NotTaken>,
    ) -> Result<Receipt, ProduceError> {
        let queue = self.name().to_owned();
        let job_id = job_id.unwrap_or_default().to_owned();
        match result {
            Ok(Taken { message_id, sequence_number }) => {
                let job_id = if job_id.is_empty() { message_id.clone() } else { job_id };
                let message_id = Some(message_id);
                Ok(Receipt { job_id, message_id, queue, sequence_number, due: None, existing: None })
            }
            Err(NotTaken { why, text: reason }) => {
                let unsent = Unsent { job_id, queue, reason };
                Err(match why {
                    Why::Refused => ProduceError::RefusedBySqs(unsent),
                    Why::InDoubt => ProduceError::InDoubt(unsent),
                    Why::Unavailable | Why::Overtaken => ProduceError::Unavailable(unsent),
                })
            }
        }
    }

    /// Returns the error of a message that is not sent because an earlier one of its group was not.
    pub(crate) fn out_of_order(&self, message: &Outgoing) -> ProduceError {
        let group = message.group.as_deref().unwrap_or_default();
        let reason = format!("an earlier job of its group {group} was not sent, and would come after it");
        let job_id = message.job_id.as_deref().unwrap_or_default().to_owned();
        ProduceError::Unavailable(Unsent { job_id, queue: self.name().to_owned(), reason })
    }

    async fn in_context(&self, error: SqsError) -> SqsError {
        match &self.address.clients {
            Some(clients) => clients.in_context(error).await,
            None => error,
        }
    }
}

impl PartialEq for TargetQueue {
    fn eq(&self, other: &Self) -> bool {
        self.url() == other.url()
    }
}

impl Eq for TargetQueue {}

impl fmt::Debug for TargetQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TargetQueue").field(&self.url()).finish()
    }
}
