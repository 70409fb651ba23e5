//! `DeleteMessage` and `ChangeMessageVisibility`: the operations on a receipt handle.
//!
//! A handle belongs to one receive. It becomes *stale* when the message is received again. If a delete has a stale handle, a
//! standard queue returns success and keeps the message, because another receiver holds it; FIFO queues refuse a handle whose
//! visibility timeout has passed.

use std::time::Duration;

use super::machine::{Queue, Sqs};
use crate::api::{
    BatchErrorEntry, ChangeMessageVisibility, ChangeMessageVisibilityBatch, DeleteMessage,
    DeleteMessageBatch, SettledBatchEntry, SettledBatchReply,
};
use crate::checks;
use crate::error::{ErrorCode, SqsError};
use crate::ids::ReceiptHandle;
use crate::limits::{MAX_TOTAL_VISIBILITY, VISIBILITY_SECS};
use crate::message::{Receipt, State};
use crate::time::Timestamp;

impl Sqs {
    /// Deletes the message of a receive. Deleting it twice succeeds.
    ///
    /// # Errors
    ///
    /// `ReceiptHandleIsInvalid`; `QueueDoesNotExist`; on FIFO queues `InvalidParameterValue` if the visibility timeout has
    /// passed.
    pub fn delete_message(&mut self, now: Timestamp, request: &DeleteMessage) -> Result<(), SqsError> {
        self.queue_at(now, &request.queue_url)?.delete(now, &request.receipt_handle)
    }

    /// Deletes up to ten messages; each has its own result.
    ///
    /// # Errors
    ///
    /// For the batch as a whole: `EmptyBatchRequest`, `TooManyEntriesInBatchRequest`, `InvalidBatchEntryId`,
    /// `BatchEntryIdsNotDistinct`, `QueueDoesNotExist`.
    pub fn delete_message_batch(
        &mut self,
        now: Timestamp,
        request: DeleteMessageBatch,
    ) -> Result<SettledBatchReply, SqsError> {
        let queue = self.queue_at(now, &request.queue_url)?;
        checks::batch_ids(
            "DeleteMessageBatchRequestEntry",
            request.entries.iter().map(|entry| entry.id.as_str()),
        )?;
        let results = request.entries.into_iter().map(|entry| {
            let result = queue.delete(now, &entry.receipt_handle);
            (entry.id, result)
        });
        Ok(SettledBatchReply::of(results))
    }

    /// Sets the time until the message of a receive becomes visible again, counted from now.
    ///
    /// # Errors
    ///
    /// `InvalidParameterValue` outside 0 to 43,200 seconds, beyond 12 hours since the last receive, and if the message was
    /// deleted; on a FIFO queue also if the message was received again, and `MessageNotInflight` if it is visible;
    /// `ReceiptHandleIsInvalid`; `QueueDoesNotExist`.
    pub fn change_message_visibility(
        &mut self,
        now: Timestamp,
        request: &ChangeMessageVisibility,
    ) -> Result<(), SqsError> {
        let queue = self.queue_at(now, &request.queue_url)?;
        queue.change_visibility(now, &request.receipt_handle, request.visibility_timeout)
    }

    /// Sets the visibility of up to ten messages; each has its own result.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Sqs::delete_message_batch`] for the batch as a whole.
    pub fn change_message_visibility_batch(
        &mut self,
        now: Timestamp,
        request: ChangeMessageVisibilityBatch,
    ) -> Result<SettledBatchReply, SqsError> {
        let queue = self.queue_at(now, &request.queue_url)?;
        let ids = request.entries.iter().map(|entry| entry.id.as_str());
        checks::batch_ids("ChangeMessageVisibilityBatchRequestEntry", ids)?;
        let results = request.entries.into_iter().map(|entry| {
            let result = queue.change_visibility(now, &entry.receipt_handle, entry.visibility_timeout);
            (entry.id, result)
        });
        Ok(SettledBatchReply::of(results))
    }
}

impl SettledBatchReply {
    fn of(results: impl Iterator<Item = (String, Result<(), SqsError>)>) -> Self {
        let mut reply = Self::default();
        for (id, result) in results {
            match result {
                Ok(()) => reply.successful.push(SettledBatchEntry { id }),
                Err(error) => reply.failed.push(BatchErrorEntry::new(id, error)),
            }
        }
        reply
    }
}

impl Queue {
    fn delete(&mut self, now: Timestamp, handle: &str) -> Result<(), SqsError> {
        let parts = self.parse(handle)?;
        let Some(message) = self.store.get(parts.message) else { return Ok(()) };
        let stale = message.receipt.is_none_or(|receipt| receipt.serial != parts.receipt);
        let in_flight = matches!(message.state, State::InFlight { .. });
        if self.settings.fifo && (stale || !in_flight) {
            return Err(SqsError::invalid_value("ReceiptHandle", handle, "The receipt handle has expired."));
        }
        if !stale {
            self.store.remove(parts.message, now);
        }
        Ok(())
    }

    fn change_visibility(&mut self, now: Timestamp, handle: &str, secs: Option<i64>) -> Result<(), SqsError> {
        let secs = secs.ok_or_else(|| SqsError::missing("VisibilityTimeout"))?;
        if !VISIBILITY_SECS.contains(&secs) {
            let reason = "VisibilityTimeout must be an integer between 0 and 43200.";
            return Err(SqsError::invalid_value("VisibilityTimeout", secs, reason));
        }
        let timeout = Duration::from_secs(secs.unsigned_abs());
        let parts = self.parse(handle)?;
        let gone = || {
            let reason = "Message does not exist or is not available for visibility timeout change.";
            SqsError::invalid_value("ReceiptHandle", handle, reason)
        };
        let message = self.store.get(parts.message).ok_or_else(gone)?;
        // A handle exists, so the message was received.
        let receipt = message.receipt.ok_or_else(gone)?;
        // Standard queues accept handles of earlier receives, and late changes.
        if self.settings.fifo && receipt.serial != parts.receipt {
            return Err(gone());
        }
        if self.settings.fifo && !matches!(message.state, State::InFlight { .. }) {
            return Err(SqsError::new(
                ErrorCode::MessageNotInflight,
                "The specified message isn't in flight.",
            ));
        }
        if exceeds_total_visibility(now, receipt, timeout) {
            let reason = format!(
                "Total VisibilityTimeout for the message is beyond the limit [{} seconds]",
                MAX_TOTAL_VISIBILITY.as_secs()
            );
            return Err(SqsError::invalid_value("VisibilityTimeout", secs, &reason));
        }
        let state = if timeout.is_zero() {
            State::Visible { since: now }
        } else {
            State::InFlight { until: now.plus(timeout) }
        };
        self.store.change_state(parts.message, state, now);
        Ok(())
    }

    fn parse(&self, handle: &str) -> Result<ReceiptHandle, SqsError> {
        ReceiptHandle::decode(handle).filter(|parts| parts.queue == self.instance).ok_or_else(|| {
            let message = format!("The input receipt handle \"{handle}\" is not a valid receipt handle.");
            SqsError::new(ErrorCode::ReceiptHandleIsInvalid, message)
        })
    }
}

fn exceeds_total_visibility(now: Timestamp, receipt: Receipt, timeout: Duration) -> bool {
    now.since(receipt.received_at) + timeout > MAX_TOTAL_VISIBILITY
}
