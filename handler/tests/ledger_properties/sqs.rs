//! A naive model of SQS: the messages that are visible, and the receipts that are valid.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use drumline::core::CallError;
use drumline::message::Message;

/// SQS's twelve hours. See
/// [Visibility timeout](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html).
pub(crate) const TWELVE_HOURS: Duration = Duration::from_secs(43_200);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Queue,
    Deleted,
    DeadLetterQueue,
}

#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) place: Place,
    pub(crate) group: u8,
    /// In flight until then.
    pub(crate) visible_at: Instant,
    pub(crate) received_at: Instant,
    /// The number of the newest receipt; 0 before the first.
    receipt: u32,
    receives: u32,
}

/// Messages are known by their index, in the order in which they were sent: `m3`; receipts are `m3#1`, `m3#2`.
pub(crate) struct Sqs {
    fifo: bool,
    lease: Duration,
    /// The redrive policy's `maxReceiveCount`.
    max_receives: u32,
    pub(crate) messages: Vec<Stored>,
}

/// The index of a message by its id or its receipt.
pub(crate) fn index(id_or_receipt: &str) -> usize {
    id_or_receipt.split('#').next().and_then(|id| id.strip_prefix('m')).unwrap().parse().unwrap()
}

impl Sqs {
    pub(crate) fn new(fifo: bool, lease: Duration, max_receives: u32) -> Self {
        Self { fifo, lease, max_receives, messages: Vec::new() }
    }

    /// Sends a message that any consumers have received `receives` times before.
    pub(crate) fn send(&mut self, now: Instant, group: u8, receives: u32) {
        let (place, visible_at, received_at) = (Place::Queue, now, now);
        self.messages.push(Stored { place, group, visible_at, received_at, receipt: 0, receives });
    }

    /// The groups that deliver no message, because one of their messages is in flight.
    fn locked(&self, now: Instant) -> HashSet<u8> {
        let in_flight = |m: &&Stored| self.fifo && m.place == Place::Queue && m.visible_at > now;
        self.messages.iter().filter(in_flight).map(|m| m.group).collect()
    }

    /// Returns true if a receive would find a message to deliver, or to move to the DLQ.
    pub(crate) fn has_message(&self, now: Instant) -> bool {
        let locked = self.locked(now);
        let available =
            |m: &Stored| m.place == Place::Queue && m.visible_at <= now && !locked.contains(&m.group);
        self.messages.iter().any(available)
    }

    pub(crate) fn receive(&mut self, now: Instant, max: usize) -> Vec<Message> {
        let locked = self.locked(now);
        let mut brought = Vec::new();
        for index in 0..self.messages.len() {
            let message = &mut self.messages[index];
            let available = message.place == Place::Queue
                && message.visible_at <= now
                && !locked.contains(&message.group);
            if !available || brought.len() == max {
                continue;
            }
            if message.receives >= self.max_receives {
                message.place = Place::DeadLetterQueue;
                continue;
            }
            brought.push(self.hand_out(now, index));
        }
        brought
    }

    /// A standard queue may deliver any message again, even one that is in flight or deleted.
    pub(crate) fn deliver_again(&mut self, now: Instant, pick: usize) -> Option<Message> {
        let known = |m: &Stored| m.receipt > 0 && m.place != Place::DeadLetterQueue;
        let candidates: Vec<usize> = (0..self.messages.len()).filter(|i| known(&self.messages[*i])).collect();
        if self.fifo || candidates.is_empty() {
            return None;
        }
        let index = candidates[pick % candidates.len()];
        self.messages[index].place = Place::Queue;
        Some(self.hand_out(now, index))
    }

    fn hand_out(&mut self, now: Instant, index: usize) -> Message {
        let message = &mut self.messages[index];
        message.receipt += 1;
        message.receives += 1;
        message.received_at = now;
        message.visible_at = now + self.lease;
        Message {
            id: format!("m{index}").into(),
            receipt: format!("m{index}#{}", message.receipt),
            receive_count: message.receives,
            group: Some(format!("g{}", message.group)),
            ..Message::default()
        }
    }

    /// An old receipt deletes nothing. A standard queue reports that as a success.
    pub(crate) fn delete(&mut self, now: Instant, receipt: &str) -> Result<(), CallError> {
        let (fifo, current) = (self.fifo, self.is_newest(receipt));
        let message = &mut self.messages[index(receipt)];
        match message.place {
            Place::Deleted => Ok(()),
            Place::Queue if current && (!fifo || message.visible_at > now) => {
                message.place = Place::Deleted;
                Ok(())
            }
            Place::Queue | Place::DeadLetterQueue if !fifo => Ok(()),
            Place::Queue | Place::DeadLetterQueue => gone(),
        }
    }

    pub(crate) fn change_visibility(
        &mut self,
        now: Instant,
        receipt: &str,
        secs: u32,
    ) -> Result<(), CallError> {
        let current = self.is_newest(receipt);
        let message = &mut self.messages[index(receipt)];
        if !current || message.place != Place::Queue || message.visible_at <= now {
            return gone();
        }
        let visible_at = now + Duration::from_secs(u64::from(secs));
        if visible_at > message.received_at + TWELVE_HOURS {
            return Err(CallError::Failed(
                "beyond the twelve hours, by the time it took to get here".to_owned(),
            ));
        }
        message.visible_at = visible_at;
        Ok(())
    }

    fn is_newest(&self, receipt: &str) -> bool {
        receipt == format!("m{}#{}", index(receipt), self.messages[index(receipt)].receipt)
    }

    /// Deletes a message as the caller of a Lambda function does after its response.
    pub(crate) fn delete_by_response(&mut self, index: usize) {
        self.messages[index].place = Place::Deleted;
    }

    /// The next time at which a message that is in flight becomes visible.
    pub(crate) fn next_visible(&self, now: Instant) -> Option<Instant> {
        let queued = self.messages.iter().filter(|m| m.place == Place::Queue);
        queued.map(|m| m.visible_at).filter(|at| *at > now).min()
    }

    /// Returns true if `index` is the first of its group that is still in the queue.
    pub(crate) fn is_first_of_group(&self, index: usize) -> bool {
        (0..index).all(|other| !self.is_before(other, index))
    }

    /// Returns true if `first` is in the queue, before `then` in the same group.
    pub(crate) fn is_before(&self, first: usize, then: usize) -> bool {
        let (first_message, then_message) = (&self.messages[first], &self.messages[then]);
        first < then && first_message.place == Place::Queue && first_message.group == then_message.group
    }
}

fn gone() -> Result<(), CallError> {
    Err(CallError::Gone("not in flight".to_owned()))
}
