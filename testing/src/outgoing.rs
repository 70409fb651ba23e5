//! A message to send to the local queue.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drumline::message::Attribute;
use drumline_producer::NewJob;
use drumline_queue::Endpoint;
use drumline_queue::api::SendMessage;
use drumline_runtime::aws::is_fifo;
use serde_json::value::RawValue;

use crate::translate;

/// A message that is not sent until [`send`](Self::send).
///
/// ```
/// use std::time::Duration;
/// use drumline_testing::LocalQueue;
/// # use drumline::{Context, Failure, Job, Router};
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Welcome { user_id: u64 }
/// # impl Job for Welcome { const TYPE: &'static str = "mail.welcome"; }
/// # async fn welcome(_: Context, _: Welcome) -> Result<(), Failure> { Ok(()) }
/// # fn router() -> Router { Router::new().handle(welcome) }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let local = LocalQueue::start(router()).await;
/// let later = local.job(&Welcome { user_id: 7 }).job_id("j-1").delay(Duration::from_secs(600)).send();
/// let duplicate = local.job(&Welcome { user_id: 7 }).job_id("j-1").delay(Duration::from_secs(900)).send();
/// local.until_idle().await;
/// assert!(local.runs_of(&later)[0].ran() && !local.runs_of(&duplicate)[0].ran());
/// # }
/// ```
#[must_use = "a message is in the queue once it is sent"]
pub struct Outgoing<'a> {
    endpoint: &'a Endpoint,
    queue_url: &'a str,
    content: Content,
    group: Option<String>,
    deduplication_id: Option<String>,
    delay: Duration,
    attributes: BTreeMap<String, Attribute>,
}

enum Content {
    Body(String),
    Job {
        job_type: Cow<'static, str>,
        version: u32,
        payload: Box<RawValue>,
        job_id: Option<String>,
        idempotency_key: Option<String>,
    },
}

impl<'a> Outgoing<'a> {
    pub(crate) fn body(endpoint: &'a Endpoint, queue_url: &'a str, body: String) -> Self {
        Self::new(endpoint, queue_url, Content::Body(body))
    }

    pub(crate) fn job(
        endpoint: &'a Endpoint,
        queue_url: &'a str,
        job_type: Cow<'static, str>,
        version: u32,
        payload: Box<RawValue>,
    ) -> Self {
        let content = Content::Job { job_type, version, payload, job_id: None, idempotency_key: None };
        Self::new(endpoint, queue_url, content)
    }

    fn new(endpoint: &'a Endpoint, queue_url: &'a str, content: Content) -> Self {
        let (group, deduplication_id, delay) = (None, None, Duration::ZERO);
        let attributes = BTreeMap::new();
        Self { endpoint, queue_url, content, group, deduplication_id, delay, attributes }
    }

    /// Sets the job's id. The default is a new id.
    ///
    /// # Panics
    /// If the message is a [`body`](crate::LocalQueue::body), which contains its own id.
    #[track_caller]
    pub fn job_id(mut self, id: &str) -> Self {
        match &mut self.content {
            Content::Job { job_id, .. } => *job_id = Some(id.to_owned()),
            Content::Body(_) => panic!("a body is sent as it is: write its jobId into it"),
        }
        self
    }

    /// Sets the job's idempotency key.
    ///
    /// # Panics
    /// If the message is a [`body`](crate::LocalQueue::body), which contains its own key.
    #[track_caller]
    pub fn idempotency_key(mut self, key: &str) -> Self {
        match &mut self.content {
            Content::Job { idempotency_key, .. } => *idempotency_key = Some(key.to_owned()),
            Content::Body(_) => panic!("a body is sent as it is: write its idempotencyKey into it"),
        }
        self
    }

    /// Sets the message group. On a FIFO queue, a message without a group gets the group `test`.
    pub fn group(self, group: &str) -> Self {
        Self { group: Some(group.to_owned()), ..self }
    }

    /// Sets the deduplication id for a FIFO queue. The default is a new id.
    pub fn deduplication_id(self, id: &str) -> Self {
        Self { deduplication_id: Some(id.to_owned()), ..self }
    }

    /// Delays the message by whole seconds, at most 900.
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Adds a message attribute: a text, or an [`Attribute`] of another type.
    pub fn attribute(mut self, name: &str, value: impl Into<Attribute>) -> Self {
        self.attributes.insert(name.to_owned(), value.into());
        self
    }

    /// Sends the message, and returns its id.
    ///
    /// # Panics
    /// If SQS would refuse it.
    #[track_caller]
    pub fn send(self) -> Arc<str> {
        let fifo = is_fifo(self.queue_url);
        let new_id = || format!("{:032x}", fastrand::u128(..));
        let request = SendMessage {
            queue_url: self.queue_url.to_owned(),
            message_body: self.content.into_body(),
            delay_seconds: i64::try_from(self.delay.as_secs()).ok().filter(|secs| *secs > 0),
            message_attributes: translate::queue_attributes(&self.attributes),
            message_group_id: self.group.or_else(|| fifo.then(|| "test".to_owned())),
            message_deduplication_id: self.deduplication_id.or_else(|| fifo.then(new_id)),
            ..SendMessage::default()
        };
        match self.endpoint.call(|sqs, now| sqs.send_message(now, request)) {
            Ok(reply) => reply.message_id,
            Err(error) => panic!("SQS would refuse this message: {error}"),
        }
    }
}

impl Content {
    fn into_body(self) -> String {
        match self {
            Self::Body(body) => body,
            Self::Job { job_type, version, payload, job_id, idempotency_key } => {
                let new = NewJob::new(&job_type, &payload);
                let job_id = job_id.unwrap_or_else(|| new.job_id.clone());
                let idempotency_key = idempotency_key.as_deref();
                NewJob { job_id, schema_version: version, idempotency_key, ..new }.to_body()
            }
        }
    }
}
