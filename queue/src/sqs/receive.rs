//! `ReceiveMessage`, and the automatic move to the dead-letter queue that happens in it.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::machine::{Queue, Sqs, no_such_queue, queue_name};
use crate::api::{MessageAttributes, ReceiveMessage, ReceiveMessageReply, ReceivedMessage, SystemAttributes};
use crate::checks;
use crate::checksum::md5_of_attributes;
use crate::error::{ErrorCode, SqsError};
use crate::ids::ReceiptHandle;
use crate::limits::{RECEIVE_MAX_MESSAGES, VISIBILITY_SECS, WAIT_SECS};
use crate::message::{Message, State};
use crate::time::Timestamp;

impl Sqs {
    /// Receives the visible messages without waiting; the caller waits, see [`Sqs::receive_wait`].
    ///
    /// A message that was received as often as the queue's redrive policy allows is not returned; it moves to the dead-letter
    /// queue at this moment.
    ///
    /// # Errors
    ///
    /// `InvalidParameterValue`, `QueueDoesNotExist`, and on standard queues `OverLimit` if the maximum number of messages is in
    /// flight: 120,000, or the number set by [`Sqs::limit_in_flight`].
    pub fn receive_message(
        &mut self,
        now: Timestamp,
        request: &ReceiveMessage,
    ) -> Result<ReceiveMessageReply, SqsError> {
        let name = queue_name(&request.queue_url);
        self.queue_at(now, name)?;
        let max = in_range("MaxNumberOfMessages", request.max_number_of_messages, RECEIVE_MAX_MESSAGES)?;
        let visibility = in_range("VisibilityTimeout", request.visibility_timeout, VISIBILITY_SECS)?;
        if let Some(id) = &request.receive_request_attempt_id {
            checks::fifo_id("ReceiveRequestAttemptId", id)?;
        }
        let dead_letter_queue = self.dead_letter_queue_of(name);
        let max_in_flight = self.max_in_flight;

        let queue = self.queues.get_mut(name).ok_or_else(no_such_queue)?;
        let room = max_in_flight.saturating_sub(queue.store.counts().in_flight);
        if room == 0 && !queue.settings.fifo {
            let message = format!("The maximum number of in flight messages ({max_in_flight}) is reached.");
            return Err(SqsError::new(ErrorCode::OverLimit, message));
        }
        let max = usize::try_from(max.unwrap_or(1)).unwrap_or(usize::MAX).min(room);
        let visibility = visibility.map_or(queue.settings.visibility, Duration::from_secs);
        let max_receives = queue.settings.redrive.as_ref().map(|redrive| redrive.max_receive_count);
        // If the dead-letter queue does not exist, messages cannot move and stay.
        let max_receives = max_receives.filter(|_| dead_letter_queue.is_some());
        let taken = queue.store.take(max, visibility, max_receives, now);

        let wanted = Wanted::of(request);
        let sender: Arc<str> = self.identity.account.as_str().into();
        let messages = taken.received.iter().filter_map(|key| queue.show(*key, &wanted, &sender)).collect();
        if let Some(target) = dead_letter_queue {
            let source = Arc::clone(&queue.arn);
            for message in taken.exhausted {
                self.bury(now, &target, message, &source);
            }
        }
        Ok(ReceiveMessageReply { messages })
    }

    /// Returns how long a receive waits for a message: the request's value, otherwise the queue's setting.
    ///
    /// # Errors
    ///
    /// `InvalidParameterValue` outside 0 to 20 seconds, `QueueDoesNotExist`.
    pub fn receive_wait(&self, request: &ReceiveMessage) -> Result<Duration, SqsError> {
        let queue = self.queues.get(queue_name(&request.queue_url)).ok_or_else(no_such_queue)?;
        match request.wait_time_seconds {
            None => Ok(queue.settings.wait),
            Some(secs) if WAIT_SECS.contains(&secs) => Ok(Duration::from_secs(secs.unsigned_abs())),
            Some(secs) => {
                Err(SqsError::invalid_value("WaitTimeSeconds", secs, "Must be >= 0 and <= 20, if provided."))
            }
        }
    }

    /// Returns the name of queue `name`'s dead-letter queue, if that exists.
    fn dead_letter_queue_of(&self, name: &str) -> Option<String> {
        let redrive = self.queues.get(name)?.settings.redrive.as_ref()?;
        let target = self.name_in_arn(&redrive.dead_letter_target_arn)?;
        self.queues.contains_key(target).then(|| target.to_owned())
    }

    /// Moves a message that was received too often to the dead-letter queue `target`.
    ///
    /// It keeps its id, body, attributes and receive count, and on a standard queue its age. On a FIFO queue its age restarts
    /// and its deduplication id becomes the message id.
    fn bury(&mut self, now: Timestamp, target: &str, mut message: Message, source: &Arc<str>) {
        let queue = self.queues.get_mut(target).expect("the dead-letter queue was found before");
        message.receipt = None;
        message.dead_letter_source = Some(Arc::clone(source));
        message.state = State::Visible { since: now };
        if queue.settings.fifo {
            message.sent_at = now;
            message.deduplication_id = Some(Arc::clone(&message.id));
            message.sequence_number = Some(queue.sequence_number());
        }
        queue.store.insert(message, now);
    }
}

impl Queue {
    /// Returns the message as the receiver sees it.
    fn show(&self, key: u64, wanted: &Wanted<'_>, sender: &Arc<str>) -> Option<ReceivedMessage> {
        let message = self.store.get(key)?;
        let receipt = message.receipt?.serial;
        let (message_attributes, md5_of_message_attributes) = wanted.attributes_of(message);
        Some(ReceivedMessage {
            message_id: Arc::clone(&message.id),
            receipt_handle: ReceiptHandle { queue: self.instance, message: key, receipt }.encode(),
            md5_of_body: Arc::clone(&message.md5_of_body),
            body: Arc::clone(&message.body),
            attributes: wanted.system_attributes_of(message, sender),
            md5_of_message_attributes,
            message_attributes,
        })
    }
}

/// The attributes that a receive requests.
struct Wanted<'a> {
    system: &'a [String],
    older_system: &'a [String],
    user: &'a [String],
    all_system: bool,
    all_user: bool,
}

impl<'a> Wanted<'a> {
    fn of(request: &'a ReceiveMessage) -> Self {
        let (system, older_system) = (&request.message_system_attribute_names, &request.attribute_names);
        let user = &request.message_attribute_names;
        Self {
            system,
            older_system,
            user,
            all_system: system.iter().chain(older_system).any(|name| name == "All"),
            all_user: user.iter().any(|name| name == "All" || name == ".*"),
        }
    }

    fn system_attributes_of(&self, message: &Message, sender: &Arc<str>) -> SystemAttributes {
        if !self.all_system && self.system.is_empty() && self.older_system.is_empty() {
            return SystemAttributes::default();
        }
        let wants = |wanted: &str| {
            self.all_system || self.system.iter().chain(self.older_system).any(|name| name == wanted)
        };
        let text = |name: &str, value: &Option<Arc<str>>| value.clone().filter(|_| wants(name));
        SystemAttributes {
            sender_id: wants("SenderId").then(|| Arc::clone(sender)),
            sent_timestamp: wants("SentTimestamp").then_some(message.sent_at),
            approximate_receive_count: wants("ApproximateReceiveCount").then_some(message.receive_count),
            approximate_first_receive_timestamp: message
                .first_received_at
                .filter(|_| wants("ApproximateFirstReceiveTimestamp")),
            message_group_id: text("MessageGroupId", &message.group),
            message_deduplication_id: text("MessageDeduplicationId", &message.deduplication_id),
            sequence_number: text("SequenceNumber", &message.sequence_number),
            aws_trace_header: text(checks::TRACE_HEADER, &message.trace_header),
            dead_letter_queue_source_arn: text("DeadLetterQueueSourceArn", &message.dead_letter_source),
        }
    }

    /// Returns the requested user attributes, with the MD5 of only these.
    fn attributes_of(&self, message: &Message) -> (Arc<MessageAttributes>, Option<Arc<str>>) {
        if self.all_user || message.attributes.is_empty() {
            return (Arc::clone(&message.attributes), message.md5_of_attributes.clone());
        }
        let wants = |name: &str| {
            self.user.iter().any(|wanted| match wanted.strip_suffix(".*") {
                Some(prefix) => name.starts_with(prefix),
                None => name == wanted,
            })
        };
        let chosen: MessageAttributes = message
            .attributes
            .iter()
            .filter(|(name, _)| wants(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let md5 = md5_of_attributes(&chosen);
        (Arc::new(chosen), md5)
    }
}

/// Checks an optional parameter, with SQS's error text if it is out of range.
fn in_range(name: &str, value: Option<i64>, range: RangeInclusive<i64>) -> Result<Option<u64>, SqsError> {
    match value {
        Some(value) if !range.contains(&value) => {
            let reason = format!("Must be between {} and {}, if provided.", range.start(), range.end());
            Err(SqsError::invalid_value(name, value, &reason))
        }
        value => Ok(value.map(i64::unsigned_abs)),
    }
}
