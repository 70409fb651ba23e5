//! The background task: it performs the decisions of each queue's [`Line`].

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::Arc;

use drumline::core::Jitter;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, Sleep, sleep_until};

use super::answer::{Answer, End, RequestFailure, answer};
use super::line::{Batch, Line, Number, Step};
use super::options::SenderOptions;
use super::ticket::Ticket;
use crate::delivery::FORGOTTEN;
use crate::pack::Outgoing;
use crate::prepared::Prepared;
use crate::requests::Requests;
use crate::send::{NotTaken, Reply, Taken, Why};
use crate::send_span::{answer_of, end_span};
use crate::target_queue::TargetQueue;

/// A request to the background task.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all are the large one")]
pub(super) enum Command {
    /// Send this message.
    Send(Prepared, Ticket),
    /// Respond when all messages accepted so far have a result.
    Flush(oneshot::Sender<()>),
    /// Send the accepted messages, and end. The permits are already closed. The channel to the caller closes at the end.
    ShutDown(oneshot::Sender<()>),
}

/// The permits for messages and bytes. Callers wait for them; they are closed when no more messages are accepted.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) messages: Arc<Semaphore>,
    pub(super) bytes: Arc<Semaphore>,
}

impl Places {
    pub(super) fn close(&self) {
        self.messages.close();
        self.bytes.close();
    }
}

/// Closes the permits when the task ends, even by a panic, so that no caller waits for a task that is gone.
struct ClosedAtTheEnd(Places);

impl Drop for ClosedAtTheEnd {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A message that is accepted and has no result yet.
struct Held {
    /// `None` while it is in flight.
    message: Option<Outgoing>,
    ticket: Ticket,
}

impl Held {
    fn answer(self, queue: &TargetQueue, result: Result<Taken, NotTaken>) {
        if let Some(message) = &self.message {
            end_span(queue.url(), message, answer_of(&result));
        }
        self.ticket.answer(result);
    }
}

/// A batch in flight.
struct InFlight {
    queue: TargetQueue,
    batch: Batch,
}

/// A queue with its messages.
struct Destination {
    queue: TargetQueue,
    line: Line,
}

/// The state of the background task.
pub(super) struct Task {
    requests: Arc<dyn Requests>,
    options: SenderOptions,
    commands: mpsc::UnboundedReceiver<Command>,
    /// True while a handle exists.
    has_handles: bool,
    /// True if the task ends when it holds nothing any more.
    is_ending: bool,
    /// The queues by their URLs. A queue without messages is removed.
    destinations: HashMap<String, Destination>,
    held: BTreeMap<Number, Held>,
    accepted: Number,
    running: JoinSet<(Vec<Outgoing>, Reply)>,
    in_flight: HashMap<Id, InFlight>,
    /// Each with the number of the first message that it does not wait for.
    flushes: Vec<(Number, oneshot::Sender<()>)>,
    /// Dropped with the task, which notifies the callers.
    ends: Vec<oneshot::Sender<()>>,
    _closed: ClosedAtTheEnd,
}

impl Task {
    pub(super) fn new(
        requests: Arc<dyn Requests>,
        options: SenderOptions,
        commands: mpsc::UnboundedReceiver<Command>,
        places: Places,
    ) -> Self {
        Self {
            requests,
            options,
            commands,
            has_handles: true,
            is_ending: false,
            destinations: HashMap::new(),
            held: BTreeMap::new(),
            accepted: 0,
            running: JoinSet::new(),
            in_flight: HashMap::new(),
            flushes: Vec::new(),
            ends: Vec::new(),
            _closed: ClosedAtTheEnd(places),
        }
    }

    /// Runs until the last handle is gone or the sender is shut down, and every accepted message has a result.
    pub(super) async fn run(mut self) {
        let mut timer = std::pin::pin!(sleep_until(Instant::now()));
        while !self.has_ended() {
            self.start_batches();
            let is_set = self.set(timer.as_mut());
            // Each branch is cancel-safe: a command stays in the channel, an ended request in its set.
            tokio::select! {
                command = self.commands.recv(), if self.has_handles => self.handle_all(command),
                Some(ended) = self.running.join_next_with_id() => self.end_batch(ended),
                () = timer.as_mut(), if is_set => {}
            }
            self.answer_flushes();
        }
    }

    /// Handles a command and those that have queued up behind it: their messages may share a batch.
    fn handle_all(&mut self, first: Option<Command>) {
        self.has_handles = first.is_some();
        self.is_ending |= !self.has_handles;
        let mut next = first;
        while let Some(command) = next {
            self.handle(command);
            next = self.commands.try_recv().ok();
        }
        if self.is_ending {
            self.hurry();
        }
    }

    /// Returns true at the end, when the last messages that arrived during the shutdown have results, too.
    fn has_ended(&self) -> bool {
        self.is_ending && self.held.is_empty() && self.commands.is_empty()
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Send(Prepared { queue, outgoing, .. }, ticket) => self.accept(&queue, outgoing, ticket),
            Command::Flush(done) => {
                self.hurry();
                self.flushes.push((self.accepted, done));
            }
            Command::ShutDown(end) => {
                self.is_ending = true;
                self.ends.push(end);
            }
        }
    }

    fn accept(&mut self, queue: &TargetQueue, message: Outgoing, ticket: Ticket) {
        let number = self.accepted;
        self.accepted += 1;
        if !self.destinations.contains_key(queue.url()) {
            let SenderOptions { linger, max_in_flight, .. } = self.options;
            let line = Line::new(queue.is_fifo(), queue.sends_again(), linger, max_in_flight);
            self.destinations.insert(queue.url().to_owned(), Destination { queue: queue.clone(), line });
        }
        if let Some(Destination { line, .. }) = self.destinations.get_mut(queue.url()) {
            line.accept(Instant::now().into_std(), number, message.bytes(), message.group.as_ref());
        }
        self.held.insert(number, Held { message: Some(message), ticket });
    }

    fn hurry(&mut self) {
        let now = Instant::now().into_std();
        self.destinations.values_mut().for_each(|destination| destination.line.hurry(now));
    }

    fn start_batches(&mut self) {
        let now = Instant::now().into_std();
        let mut steps = Vec::new();
        for Destination { queue, line } in self.destinations.values_mut() {
            steps.extend(std::iter::from_fn(|| Some((queue.clone(), line.next_step(now)?))));
        }
        for (queue, step) in steps {
            match step {
                Step::Leave(batch) => self.start(queue, batch),
                Step::GiveUp(number) => self.give_up(&queue, number),
            }
        }
    }

    fn give_up(&mut self, queue: &TargetQueue, number: Number) {
        if let Some(held) = self.held.remove(&number) {
            held.answer(queue, Err(NotTaken { why: Why::InDoubt, text: FORGOTTEN.to_owned() }));
        }
        self.forget_if_empty(queue);
    }

    fn forget_if_empty(&mut self, queue: &TargetQueue) {
        if self.destinations.get(queue.url()).is_some_and(|destination| destination.line.is_empty()) {
            self.destinations.remove(queue.url());
        }
    }

    fn start(&mut self, queue: TargetQueue, batch: Batch) {
        let mut messages = Vec::with_capacity(batch.messages.len());
        for number in &batch.messages {
            let held = self.held.get_mut(number).expect("a message in line is held");
            held.ticket.leave();
            messages.push(held.message.take().expect("a message in line is not in flight"));
        }
        let (requests, to) = (Arc::clone(&self.requests), queue.clone());
        // A separate task: requests run concurrently, and a panic in one does not end the others.
        let request = self.running.spawn(async move { requests.send(to, messages).await });
        self.in_flight.insert(request.id(), InFlight { queue, batch });
    }

    fn end_batch(&mut self, ended: Result<(Id, (Vec<Outgoing>, Reply)), JoinError>) {
        let (id, messages, reply) = match ended {
            Ok((id, (messages, reply))) => (id, messages, Some(reply)),
            Err(error) => (error.id(), Vec::new(), None),
        };
        let Some(InFlight { queue, batch }) = self.in_flight.remove(&id) else { return };
        for (number, message) in batch.messages.iter().zip(messages) {
            if let Some(held) = self.held.get_mut(number) {
                held.message = Some(message);
            }
        }
        let Some(Destination { line, .. }) = self.destinations.get_mut(queue.url()) else { return };
        let answer = reply.as_ref().map_or(Answer::Failed(RequestFailure::Broken), answer);
        let now = Instant::now().into_std();
        let ended = line.answered(now, batch.id, &answer, Jitter::new(fastrand::u32(..)));
        self.forget_if_empty(&queue);
        let mut results = Results::of(reply);
        for (number, place, end) in ended {
            if let Some(held) = self.held.remove(&number) {
                held.answer(&queue, results.take(place, end));
            }
        }
    }

    /// Sets the timer. Returns false if there is nothing to wait for.
    fn set(&self, timer: Pin<&mut Sleep>) -> bool {
        let Some(at) = self.destinations.values().filter_map(|to| to.line.wake_at()).min() else {
            return false;
        };
        let at = Instant::from_std(at);
        if timer.deadline() != at || timer.is_elapsed() {
            timer.reset(at);
        }
        true
    }

    fn answer_flushes(&mut self) {
        let first = self.held.first_key_value().map_or(Number::MAX, |(number, _)| *number);
        // A caller that has dropped the future of its flush needs no answer.
        self.flushes.extract_if(.., |(end, _)| *end <= first).for_each(|(_, done)| {
            let _ = done.send(());
        });
    }
}

/// The results of a request's entries.
enum Results {
    Entries(Vec<Option<Result<Taken, NotTaken>>>),
    /// All entries have the same error.
    Failed(String),
}

impl Results {
    fn of(reply: Option<Reply>) -> Self {
        match reply {
            Some(Ok(results)) => Self::Entries(results.into_iter().map(Some).collect()),
            Some(Err(error)) => Self::Failed(error.text),
            None => Self::Failed("the request ended by a panic".to_owned()),
        }
    }

    /// Returns the result of the entry at this index, whose message has this end.
    fn take(&mut self, place: usize, end: End) -> Result<Taken, NotTaken> {
        let text = match self {
            Self::Failed(text) => text.clone(),
            Self::Entries(results) => match results.get_mut(place).and_then(Option::take) {
                // A confirmed message is sent, regardless of its end.
                Some(Ok(taken)) => return Ok(taken),
                Some(Err(not_taken)) => not_taken.text,
                None => "the answer does not mention this message".to_owned(),
            },
        };
        let why = match end {
            End::Refused => Why::Refused,
            End::NotSent => Why::Unavailable,
            End::InDoubt | End::Sent => Why::InDoubt,
        };
        Err(NotTaken { why, text })
    }
}
