//! The receives that wait for a message, in the order of their arrival.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use crate::api::{ReceiveMessage, ReceiveMessageReply};
use crate::error::SqsError;
use crate::sqs::{Sqs, queue_name};
use crate::time::Timestamp;

/// The response to a waiting receive.
pub(super) type Answer = Result<ReceiveMessageReply, SqsError>;

/// All waiting receives of an endpoint. The number of connections limits them, because each connection waits for its response.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Queues with waiting receives: there are few, so searching a list is faster than a map.
    queues: Vec<WaitingQueue>,
    next_id: u64,
}

#[derive(Debug)]
struct WaitingQueue {
    name: String,
    receives: VecDeque<WaitingReceive>,
}

#[derive(Debug)]
struct WaitingReceive {
    id: u64,
    request: ReceiveMessage,
    answer: oneshot::Sender<Answer>,
}

impl Waiting {
    /// Adds a receive behind those that already wait. Its id can be passed to [`Waiting::forget`].
    pub(super) fn add(&mut self, request: ReceiveMessage) -> (u64, oneshot::Receiver<Answer>) {
        let (answer, receiver) = oneshot::channel();
        let id = self.next_id;
        self.next_id += 1;
        let name = queue_name(&request.queue_url).to_owned();
        let receive = WaitingReceive { id, request, answer };
        match self.queues.iter_mut().find(|queue| queue.name == name) {
            Some(queue) => queue.receives.push_back(receive),
            None => self.queues.push(WaitingQueue { name, receives: [receive].into() }),
        }
        (id, receiver)
    }

    /// Returns the number of waiting receives.
    pub(super) fn count(&self) -> usize {
        self.queues.iter().map(|queue| queue.receives.len()).sum()
    }

    /// Removes a receive that no longer waits; it may already have been answered.
    pub(super) fn forget(&mut self, id: u64) {
        for queue in &mut self.queues {
            queue.receives.retain(|receive| receive.id != id);
        }
        self.queues.retain(|queue| !queue.receives.is_empty());
    }

    /// Answers every receive that can be answered at `now`.
    pub(super) fn serve(&mut self, sqs: &mut Sqs, now: Timestamp) {
        // A receive on one queue can move messages to another queue with waiting receives, hence the rounds. They end: each
        // further round has answered a receive or emptied a queue in the round before.
        while !self.queues.is_empty() {
            let mut again = false;
            for queue in &mut self.queues {
                again |= queue.serve(sqs, now);
            }
            self.queues.retain(|queue| !queue.receives.is_empty());
            if !again {
                return;
            }
        }
    }

    /// Answers every receive with no messages.
    pub(super) fn end(&mut self) {
        for receive in self.queues.drain(..).flat_map(|queue| queue.receives) {
            // A receiver that is gone needs no response.
            let _ = receive.answer.send(Ok(ReceiveMessageReply::default()));
        }
    }

    /// Returns the next time at which the passing of time alone may let a waiting receive be answered.
    pub(super) fn next_change(&self, sqs: &Sqs) -> Option<Timestamp> {
        self.queues.iter().filter_map(|queue| sqs.next_change(&queue.name)).min()
    }
}

impl WaitingQueue {
    /// Answers receives from the front while there are messages. Returns true if that changed something.
    fn serve(&mut self, sqs: &mut Sqs, now: Timestamp) -> bool {
        let mut changed = false;
        while let Some(first) = self.receives.front() {
            // The client is gone: no message must be taken for it.
            if first.answer.is_closed() {
                self.receives.pop_front();
                continue;
            }
            if sqs.has_receivable(now, &self.name) == Ok(false) {
                break;
            }
            let answer = sqs.receive_message(now, &first.request);
            if matches!(&answer, Ok(reply) if reply.messages.is_empty()) {
                // All messages went to the dead-letter queue, or none can be received now.
                changed |= sqs.has_receivable(now, &self.name) == Ok(false);
                break;
            }
            changed = true;
            if let Some(first) = self.receives.pop_front() {
                // If the future is dropped before it reads the messages, it releases them.
                let _ = first.answer.send(answer);
            }
        }
        changed
    }
}
