//! A queue in the test's process, with access to its inner state, such as hidden messages.

use std::collections::BTreeMap;
use std::time::Duration;

use drumline_queue::api::{DeleteMessage, ReceiveMessage, SendMessage};
use drumline_queue::{Endpoint, MessageState, PeekedMessage, Server};

use crate::queues::Setup;
use crate::runtime_api::{Answered, End};
use crate::sqs_event::Record;

/// The maximum number of messages of one receive.
const RECEIVE: usize = 10;

/// The longest wait of one receive.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// A queue of the embedded endpoint, and its DLQ if it has one. Both end when dropped.
pub struct LocalQueue {
    server: Server,
    /// The queue's name.
    pub name: String,
    /// The queue's URL.
    pub url: String,
    /// The queue's ARN.
    pub arn: String,
    dead_letter_url: Option<String>,
    fifo: bool,
}

impl LocalQueue {
    /// Creates an endpoint with one queue.
    pub async fn create(setup: Setup) -> Self {
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let endpoint = server.endpoint();
        let (name, dead_letter_name) =
            if setup.fifo { ("jobs.fifo", "jobs-dlq.fifo") } else { ("jobs", "jobs-dlq") };
        let fifo: &[_] = if setup.fifo { &[("FifoQueue", "true")] } else { &[] };
        let visibility = setup.visibility_secs.to_string();
        let mut attributes = [fifo, &[("VisibilityTimeout", &*visibility)]].concat();
        let dead_letter_url =
            setup.max_receive_count.map(|_| endpoint.create_queue(dead_letter_name, fifo).unwrap());
        let policy = setup.max_receive_count.map(|count| {
            let arn = endpoint.call(|sqs, _| sqs.queue_arn(dead_letter_name));
            format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{count}}}"#)
        });
        attributes.extend(policy.as_deref().map(|policy| ("RedrivePolicy", policy)));
        let url = endpoint.create_queue(name, &attributes).unwrap();
        let arn = endpoint.call(|sqs, _| sqs.queue_arn(name));
        Self { name: name.to_owned(), url, arn, dead_letter_url, fifo: setup.fifo, server }
    }

    /// Returns the URL of its endpoint.
    pub fn endpoint_url(&self) -> String {
        self.server.endpoint_url()
    }

    /// Returns its endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        self.server.endpoint()
    }

    /// Sends a message and returns its id.
    pub fn send(&self, body: &str) -> String {
        self.send_with(body, SendMessage::default())
    }

    /// Sends a message of a group and returns its id.
    pub fn send_grouped(&self, body: &str, group: &str) -> String {
        // Bodies can repeat, and standard queues have no such ID.
        let deduplication_id = self.fifo.then(|| fastrand::u64(..).to_string());
        let request = SendMessage {
            message_group_id: Some(group.to_owned()),
            message_deduplication_id: deduplication_id,
            ..SendMessage::default()
        };
        self.send_with(body, request)
    }

    /// Sends a message with the other parts of this request, and returns its ID.
    pub fn send_with(&self, body: &str, request: SendMessage) -> String {
        let request = SendMessage { queue_url: self.url.clone(), message_body: body.to_owned(), ..request };
        self.server.endpoint().call(|sqs, now| sqs.send_message(now, request)).unwrap().message_id.to_string()
    }

    /// Returns the URL of its DLQ.
    pub fn dead_letter_url(&self) -> &str {
        self.dead_letter_url.as_deref().expect("it has a DLQ")
    }

    /// Sends messages and moves them to the DLQ at once: each is received as often as the redrive policy allows, and once more.
    /// Returns their IDs.
    pub fn bury(&self, messages: impl IntoIterator<Item = SendMessage>) -> Vec<String> {
        let ids = messages.into_iter().map(|request| {
            let request = SendMessage { queue_url: self.url.clone(), ..request };
            let sent = self.endpoint().call(|sqs, now| sqs.send_message(now, request));
            sent.unwrap().message_id.to_string()
        });
        let ids = ids.collect();
        let receive = ReceiveMessage {
            queue_url: self.url.clone(),
            max_number_of_messages: Some(10),
            visibility_timeout: Some(0),
            ..ReceiveMessage::default()
        };
        while !self
            .endpoint()
            .call(|sqs, now| sqs.receive_message(now, &receive))
            .unwrap()
            .messages
            .is_empty()
        {}
        ids
    }

    /// Sends messages with these bodies and receives them. Returns the records of a batch in the order of the bodies.
    pub async fn batch<S: AsRef<str>>(&self, bodies: &[S]) -> Vec<Record> {
        for body in bodies {
            self.send(body.as_ref());
        }
        self.receive(bodies.len()).await
    }

    /// Receives this many messages, waiting until they are there. Returns the records of a batch.
    pub async fn receive(&self, count: usize) -> Vec<Record> {
        let mut records: Vec<Record> = Vec::new();
        while records.len() < count {
            let more = self.receive_once(RECEIVE.min(count - records.len()), LONGEST_WAIT).await;
            assert!(!more.is_empty(), "{count} messages are wanted, {} are there", records.len());
            records.extend(more);
        }
        records
    }

    /// Receives up to ten messages, waiting until there is at least one, like the mapping.
    pub async fn receive_some(&self) -> Vec<Record> {
        let received = self.receive_once(RECEIVE, LONGEST_WAIT).await;
        assert!(!received.is_empty(), "no message arrived within {LONGEST_WAIT:?}");
        received
    }

    /// Receives and expects no message. SQS moves a message that was received too often to the DLQ during a receive.
    pub async fn receive_nothing(&self) {
        let received = self.receive_once(RECEIVE, Duration::ZERO).await;
        assert!(received.is_empty(), "{received:?}");
    }

    async fn receive_once(&self, most: usize, wait: Duration) -> Vec<Record> {
        let request = ReceiveMessage {
            queue_url: self.url.clone(),
            max_number_of_messages: i64::try_from(most).ok(),
            wait_time_seconds: i64::try_from(wait.as_secs()).ok(),
            message_system_attribute_names: vec!["All".to_owned()],
            message_attribute_names: vec!["All".to_owned()],
            ..ReceiveMessage::default()
        };
        let messages = self.server.endpoint().receive(request).await.unwrap().messages;
        messages.iter().map(|message| Record::received(message, &self.arn)).collect()
    }

    /// Does the same as the event source mapping after an invocation: deletes the messages that are not listed as failed. After
    /// an error it deletes none.
    pub fn settle(&self, batch: &[Record], answered: &Answered) {
        if answered.end == End::Error {
            return;
        }
        for record in batch.iter().filter(|record| !answered.text().contains(&record.id())) {
            self.delete(record);
        }
    }

    /// Deletes the message of a record.
    pub fn delete(&self, record: &Record) {
        let request = DeleteMessage { queue_url: self.url.clone(), receipt_handle: record.receipt_handle() };
        self.server.endpoint().call(|sqs, now| sqs.delete_message(now, &request)).unwrap();
    }

    /// Returns a message in the queue. `None` if it is no longer there.
    pub fn find(&self, id: &str) -> Option<PeekedMessage> {
        self.server.endpoint().peek(&self.url).unwrap().into_iter().find(|message| *message.message_id == *id)
    }

    /// Returns the remaining time for which a message is hidden. Zero if it can be received.
    pub fn hidden_for(&self, id: &str) -> Duration {
        let message = self.find(id).unwrap_or_else(|| panic!("{id} has left the queue"));
        self.left(message.state)
    }

    /// Returns the remaining hidden time of each message of the queue, by its ID.
    pub fn hidden(&self) -> BTreeMap<String, Duration> {
        let messages = self.server.endpoint().peek(&self.url).unwrap();
        messages
            .into_iter()
            .map(|message| (message.message_id.to_string(), self.left(message.state)))
            .collect()
    }

    fn left(&self, state: MessageState) -> Duration {
        match state {
            MessageState::Visible => Duration::ZERO,
            MessageState::InFlight { until } | MessageState::Delayed { until } => {
                until.since(self.server.endpoint().now())
            }
        }
    }

    /// Returns the number of messages in the queue, in all states.
    pub fn count(&self) -> usize {
        self.server.endpoint().peek(&self.url).unwrap().len()
    }

    /// Returns the messages in the DLQ.
    pub fn dead(&self) -> Vec<PeekedMessage> {
        let url = self.dead_letter_url.as_ref().expect("the queue was made with a DLQ");
        self.server.endpoint().peek(url).unwrap()
    }
}
