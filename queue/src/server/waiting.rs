//! The receives that wait for a message, in the order they came.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use crate::api::{ReceiveMessage, ReceiveMessageReply};
use crate::error::SqsError;
use crate::sqs::{Sqs, queue_name};
use crate::time::Timestamp;

/// What a waiting receive is answered with.
pub(super) type Answer = Result<ReceiveMessageReply, SqsError>;

/// All waiting receives of an endpoint. Bounded by the number of connections, since each waits for its answer.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Queues that somebody waits for: few, so a list is searched faster than a map.
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
    /// Adds a receive behind those that wait already. Its id is good for [`Waiting::forget`].
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

    /// How many receives wait.
    pub(super) fn count(&self) -> usize {
        self.queues.iter().map(|queue| queue.receives.len()).sum()
    }

    /// Removes a receive that no longer waits; it may have been answered before.
    pub(super) fn forget(&mut self, id: u64) {
        for queue in &mut self.queues {
            queue.receives.retain(|receive| receive.id != id);
        }
        self.queues.retain(|queue| !queue.receives.is_empty());
    }

    /// Answers every receive that can be answered at `now`.
    pub(super) fn serve(&mut self, sqs: &mut Sqs, now: Timestamp) {
        // A receive on one queue can move messages to another that somebody waits for, hence the rounds. They end:
        // every further round has answered a receive or emptied a queue in the round before.
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
            // A receiver that is gone wants no answer.
            let _ = receive.answer.send(Ok(ReceiveMessageReply::default()));
        }
    }

    /// When the passing of time alone may next let a waiting receive be answered.
    pub(super) fn next_change(&self, sqs: &Sqs) -> Option<Timestamp> {
        self.queues.iter().filter_map(|queue| sqs.next_change(&queue.name)).min()
    }
}

impl WaitingQueue {
    /// Answers from the front while there are messages. True when that changed something.
    fn serve(&mut self, sqs: &mut Sqs, now: Timestamp) -> bool {
        let mut changed = false;
        while let Some(first) = self.receives.front() {
            // The client has gone away: nothing must be taken for it.
            if first.answer.is_closed() {
                self.receives.pop_front();
                continue;
            }
            if sqs.has_receivable(now, &self.name) == Ok(false) {
                break;
            }
            let answer = sqs.receive_message(now, &first.request);
            if matches!(&answer, Ok(reply) if reply.messages.is_empty()) {
                // Everything went to the dead-letter queue, or nothing may be received for now.
                changed |= sqs.has_receivable(now, &self.name) == Ok(false);
                break;
            }
            changed = true;
            if let Some(first) = self.receives.pop_front() {
                // Should its future be dropped before it reads them, it releases the messages.
                let _ = first.answer.send(answer);
            }
        }
        changed
    }
}
