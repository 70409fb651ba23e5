//! `SendMessage` and `SendMessageBatch`.

use std::sync::Arc;
use std::time::Duration;

use super::machine::{Queue, Sqs, no_such_queue, queue_name};
use crate::api::{
    BatchErrorEntry, MessageAttributes, SendMessage, SendMessageBatch, SendMessageBatchEntry,
    SendMessageBatchReply, SendMessageReply, SentBatchEntry,
};
use crate::checks;
use crate::checksum::{md5_of, md5_of_attributes};
use crate::dedup::{DeduplicationKey, FirstSend, content_id};
use crate::error::{ErrorCode, SqsError};
use crate::ids::IdSource;
use crate::limits::{DELAY_SECS, MAX_BATCH_BYTES, MAX_STORED_BYTES, MESSAGE_OVERHEAD_BYTES};
use crate::message::{Message, State, attributes_size};
use crate::time::Timestamp;

/// A message to be sent: the common fields of `SendMessage` and a batch entry.
struct Draft {
    body: String,
    delay_secs: Option<i64>,
    attributes: MessageAttributes,
    system_attributes: MessageAttributes,
    deduplication_id: Option<String>,
    group: Option<String>,
}

impl Draft {
    fn of_entry(entry: SendMessageBatchEntry) -> (String, Self) {
        let draft = Self {
            body: entry.message_body,
            delay_secs: entry.delay_seconds,
            attributes: entry.message_attributes,
            system_attributes: entry.message_system_attributes,
            deduplication_id: entry.message_deduplication_id,
            group: entry.message_group_id,
        };
        (entry.id, draft)
    }

    /// Returns the bytes that count against SQS's limits: system attributes do not count.
    fn size(&self) -> usize {
        self.body.len() + attributes_size(&self.attributes)
    }
}

impl Sqs {
    /// Puts one message into a queue.
    ///
    /// # Errors
    ///
    /// `InvalidMessageContents`, `InvalidParameterValue`, `MissingParameter`, `QueueDoesNotExist`, and `OverLimit` if the
    /// endpoint's memory limit is reached ([`MAX_STORED_BYTES`]).
    pub fn send_message(
        &mut self,
        now: Timestamp,
        request: SendMessage,
    ) -> Result<SendMessageReply, SqsError> {
        let draft = Draft {
            body: request.message_body,
            delay_secs: request.delay_seconds,
            attributes: request.message_attributes,
            system_attributes: request.message_system_attributes,
            deduplication_id: request.message_deduplication_id,
            group: request.message_group_id,
        };
        let mut room = self.room();
        let (queue, ids) = self.queue_and_ids(now, &request.queue_url)?;
        queue.send(now, draft, ids, &mut room)
    }

    /// Puts up to ten messages into a queue, each accepted or refused on its own.
    ///
    /// # Errors
    ///
    /// For the batch as a whole: `EmptyBatchRequest`, `TooManyEntriesInBatchRequest`, `InvalidBatchEntryId`,
    /// `BatchEntryIdsNotDistinct`, `BatchRequestTooLong`, `QueueDoesNotExist`.
    pub fn send_message_batch(
        &mut self,
        now: Timestamp,
        request: SendMessageBatch,
    ) -> Result<SendMessageBatchReply, SqsError> {
        let mut room = self.room();
        let (queue, ids) = self.queue_and_ids(now, &request.queue_url)?;
        checks::batch_ids(
            "SendMessageBatchRequestEntry",
            request.entries.iter().map(|entry| entry.id.as_str()),
        )?;
        let drafts: Vec<(String, Draft)> = request.entries.into_iter().map(Draft::of_entry).collect();
        let size: usize = drafts.iter().map(|(_, draft)| draft.size()).sum();
        if size > MAX_BATCH_BYTES {
            let message = format!(
                "Batch requests cannot be longer than {MAX_BATCH_BYTES} bytes. You have sent {size} bytes."
            );
            return Err(SqsError::new(ErrorCode::BatchRequestTooLong, message));
        }
        let mut reply = SendMessageBatchReply::default();
        for (id, draft) in drafts {
            match queue.send(now, draft, ids, &mut room) {
                Ok(sent) => reply.successful.push(SentBatchEntry {
                    id,
                    message_id: sent.message_id,
                    md5_of_message_body: sent.md5_of_message_body,
                    md5_of_message_attributes: sent.md5_of_message_attributes,
                    md5_of_message_system_attributes: sent.md5_of_message_system_attributes,
                    sequence_number: sent.sequence_number,
                }),
                Err(error) => reply.failed.push(BatchErrorEntry::new(id, error)),
            }
        }
        Ok(reply)
    }

    /// Returns the number of bytes that may still be stored.
    fn room(&self) -> usize {
        self.max_stored_bytes.saturating_sub(self.stored_bytes())
    }

    fn queue_and_ids(&mut self, now: Timestamp, url: &str) -> Result<(&mut Queue, &mut IdSource), SqsError> {
        self.queue_at(now, url)?;
        let queue = self.queues.get_mut(queue_name(url)).ok_or_else(no_such_queue)?;
        Ok((queue, &mut self.ids))
    }
}

impl BatchErrorEntry {
    pub(crate) fn new(id: String, error: SqsError) -> Self {
        Self {
            id,
            sender_fault: error.sender_fault(),
            code: error.code.name().to_owned(),
            message: error.message,
        }
    }
}

impl Queue {
    fn send(
        &mut self,
        now: Timestamp,
        draft: Draft,
        ids: &mut IdSource,
        room: &mut usize,
    ) -> Result<SendMessageReply, SqsError> {
        self.check(&draft)?;
        let delay = self.delay(draft.delay_secs)?;
        let deduplication_id = self.deduplication_id(&draft)?;
        let cost = draft.size() + MESSAGE_OVERHEAD_BYTES;
        if cost > *room {
            let message = format!("This endpoint holds at most {MAX_STORED_BYTES} bytes of messages.");
            return Err(SqsError::new(ErrorCode::OverLimit, message));
        }

        let mut reply = SendMessageReply {
            message_id: Arc::default(),
            md5_of_message_body: md5_of(draft.body.as_bytes()),
            md5_of_message_attributes: md5_of_attributes(&draft.attributes),
            md5_of_message_system_attributes: md5_of_attributes(&draft.system_attributes),
            sequence_number: None,
        };
        let group: Option<Arc<str>> = draft.group.map(Into::into);
        if let Some(id) = &deduplication_id {
            let scope = group.clone().filter(|_| self.settings.deduplicate_per_group);
            let key: DeduplicationKey = (scope, Arc::clone(id));
            if let Some(first) = self.deduplication.find(&key) {
                reply.message_id = Arc::clone(&first.message_id);
                reply.sequence_number = Some(Arc::clone(&first.sequence_number));
                return Ok(reply);
            }
            let first = FirstSend { message_id: ids.uuid(), sequence_number: self.sequence_number() };
            reply.message_id = Arc::clone(&first.message_id);
            reply.sequence_number = Some(Arc::clone(&first.sequence_number));
            self.deduplication.remember(key, first, now);
        } else {
            reply.message_id = ids.uuid();
        }

        *room -= cost;
        let state = if delay.is_zero() {
            State::Visible { since: now }
        } else {
            State::Delayed { until: now.plus(delay) }
        };
        let mut system_attributes = draft.system_attributes;
        let trace_header =
            system_attributes.remove(checks::TRACE_HEADER).and_then(|value| value.string_value);
        self.store.insert(
            Message {
                id: Arc::clone(&reply.message_id),
                body: draft.body.into(),
                md5_of_body: Arc::clone(&reply.md5_of_message_body),
                attributes: Arc::new(draft.attributes),
                md5_of_attributes: reply.md5_of_message_attributes.clone(),
                trace_header: trace_header.map(Into::into),
                group,
                deduplication_id,
                sequence_number: reply.sequence_number.clone(),
                sent_at: now,
                first_received_at: None,
                receive_count: 0,
                receipt: None,
                dead_letter_source: None,
                state,
            },
            now,
        );
        Ok(reply)
    }

    /// Checks everything that does not depend on other messages.
    fn check(&self, draft: &Draft) -> Result<(), SqsError> {
        checks::body(&draft.body)?;
        let limit = self.settings.max_message_bytes;
        if draft.size() > limit {
            let message = format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
            );
            return Err(SqsError::new(ErrorCode::InvalidParameterValue, message));
        }
        checks::message_attributes(&draft.attributes)?;
        checks::system_attributes(&draft.system_attributes)?;
        match &draft.group {
            Some(group) => checks::fifo_id("MessageGroupId", group),
            None if self.settings.fifo => Err(SqsError::missing("MessageGroupId")),
            None => Ok(()),
        }
    }

    fn delay(&self, secs: Option<i64>) -> Result<Duration, SqsError> {
        match secs {
            None => Ok(self.settings.delay),
            // SQS accepts an explicit zero on a FIFO queue, because it has no effect.
            Some(secs) if self.settings.fifo && secs != 0 => {
                Err(SqsError::invalid_value("DelaySeconds", secs, NOT_FOR_THIS_TYPE))
            }
            Some(_) if self.settings.fifo => Ok(self.settings.delay),
            Some(secs) if DELAY_SECS.contains(&secs) => Ok(Duration::from_secs(secs.unsigned_abs())),
            Some(secs) => {
                let reason = "DelaySeconds must be >= 0 and <= 900.";
                Err(SqsError::invalid_value("DelaySeconds", secs, reason))
            }
        }
    }

    /// Returns the id for deduplication: always present on a FIFO queue, never on a standard one.
    fn deduplication_id(&self, draft: &Draft) -> Result<Option<Arc<str>>, SqsError> {
        match &draft.deduplication_id {
            Some(id) if !self.settings.fifo => {
                Err(SqsError::invalid_value("MessageDeduplicationId", id, NOT_FOR_THIS_TYPE))
            }
            Some(id) => checks::fifo_id("MessageDeduplicationId", id).map(|()| Some(id.as_str().into())),
            None if !self.settings.fifo => Ok(None),
            None if self.settings.content_deduplication => Ok(Some(content_id(&draft.body))),
            None => Err(SqsError::new(
                ErrorCode::InvalidParameterValue,
                "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided \
                 explicitly",
            )),
        }
    }
}

const NOT_FOR_THIS_TYPE: &str = "The request include parameter that is not valid for this queue type.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Identity;
    use crate::api::{CreateQueue, DeleteMessage, ReceiveMessage};

    fn message(queue: &str, body: &str) -> SendMessage {
        SendMessage { queue_url: queue.into(), message_body: body.into(), ..Default::default() }
    }

    #[test]
    fn a_full_endpoint_refuses_until_there_is_room() {
        let now = Timestamp::from_secs(1);
        let mut sqs = Sqs::new(Identity::at("http://localhost"), 1);
        sqs.max_stored_bytes = 2 * (1_000 + MESSAGE_OVERHEAD_BYTES);
        for name in ["a", "b"] {
            sqs.create_queue(now, CreateQueue { queue_name: name.into(), ..Default::default() })
                .expect("is new");
        }
        let body = "x".repeat(1_000);
        for name in ["a", "b"] {
            sqs.send_message(now, message(name, &body)).expect("there is room");
        }
        let refused = sqs.send_message(now, message("a", "x")).expect_err("there is no room");
        assert_eq!(refused.code, ErrorCode::OverLimit);

        let receive = ReceiveMessage { queue_url: "b".into(), ..Default::default() };
        let received = sqs.receive_message(now, &receive).expect("receives").messages.remove(0);
        let delete = DeleteMessage { queue_url: "b".into(), receipt_handle: received.receipt_handle };
        sqs.delete_message(now, &delete).expect("deletes");
        sqs.send_message(now, message("a", &body)).expect("there is room again");
    }

    #[test]
    fn remembered_deduplication_ids_count() {
        let now = Timestamp::from_secs(1);
        let mut sqs = Sqs::new(Identity::at("http://localhost"), 1);
        let attributes = [("FifoQueue".to_owned(), "true".to_owned())].into();
        let create = CreateQueue { queue_name: "q.fifo".into(), attributes, ..Default::default() };
        sqs.create_queue(now, create).expect("is new");
        let before = sqs.stored_bytes();
        let request = SendMessage {
            message_group_id: Some("g".into()),
            message_deduplication_id: Some("d".into()),
            ..message("q.fifo", "x")
        };
        sqs.send_message(now, request).expect("there is room");
        let expected = 1 + MESSAGE_OVERHEAD_BYTES + crate::limits::DEDUPLICATION_ENTRY_BYTES;
        assert_eq!(sqs.stored_bytes() - before, expected);
    }
}
