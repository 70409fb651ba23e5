//! The loop that moves a queue's ledger: tells it what happened, carries out what it says. Holds no policy.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use drumline::{
    Attempt, CallId, DeliveryId, DrainSummary, Effect, Host, Jitter, Ledger, Message, Receive, ReceiveId,
    Replies, Report, Router, RunControl, Start,
};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tracing::Instrument as _;

use crate::observe::QueueObserver;
use crate::sqs::{BoxFuture, Queue, SqsError};

/// Events taken from the channel at once. More than come together in practice; it only bounds one turn of the loop.
const MAX_TURN: usize = 256;

/// Events on their way to the loop. Tasks wait when it is full, so it bounds memory, not correctness.
const CHANNEL: usize = 1024;

/// What happened outside.
enum Event {
    Received(ReceiveId, Instant, Result<Vec<Message>, SqsError>),
    Ended(DeliveryId, Report),
    Called(CallId, Replies),
}

/// Everything a queue's loop works with.
pub(crate) struct Driver {
    pub(crate) ledger: Ledger,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) router: Arc<Router>,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) observer: QueueObserver,
    /// Where handlers run. Apart from this loop, so that a handler that blocks its thread delays no renewal.
    pub(crate) handlers: Handle,
}

impl Driver {
    /// Consumes the queue until `shutdown` completes and the drain after it is over.
    pub(crate) async fn run(mut self, shutdown: impl Future<Output = ()>, grace: Duration) -> DrainSummary {
        let (events, mut inbox) = mpsc::channel(CHANNEL);
        let mut runs = HashMap::new();
        let mut turn = Vec::new();
        let mut shutdown = std::pin::pin!(shutdown);
        let mut draining = false;
        loop {
            self.ledger.tick(now());
            let mut starts = Vec::new();
            while let Some(effect) = self.ledger.next_effect() {
                self.perform(effect, &events, &mut runs, &mut starts);
            }
            self.launch(starts);
            self.observer.state(&self.ledger);
            if let Some(summary) = self.ledger.drained() {
                self.observer.drained(summary);
                return summary;
            }
            let timeout = self.ledger.timeout();
            // Every branch is cancel-safe: `recv_many` takes nothing out before it completes, the shutdown is polled
            // by reference, and a sleep holds no state worth keeping.
            tokio::select! {
                biased;
                _ = inbox.recv_many(&mut turn, MAX_TURN) => {
                    for event in turn.drain(..) {
                        self.tell(event, &mut runs);
                    }
                }
                () = &mut shutdown, if !draining => {
                    draining = true;
                    self.observer.draining(&self.ledger, grace);
                    self.ledger.drain(now(), grace);
                }
                () = sleep_until(timeout) => {}
            }
        }
    }

    fn tell(&mut self, event: Event, runs: &mut HashMap<DeliveryId, RunControl>) {
        let jitter = Jitter::new(fastrand::u32(..));
        match event {
            Event::Received(id, at, Ok(messages)) => self.ledger.received(at, id, messages),
            Event::Received(id, _, Err(error)) => self.ledger.receive_failed(now(), id, error.text, jitter),
            Event::Ended(id, report) => {
                runs.remove(&id);
                self.ledger.ended(now(), id, report, jitter);
            }
            Event::Called(id, replies) => self.ledger.called(now(), id, replies, jitter),
        }
    }

    fn perform(
        &self,
        effect: Effect,
        events: &mpsc::Sender<Event>,
        runs: &mut HashMap<DeliveryId, RunControl>,
        starts: &mut Vec<BoxFuture<()>>,
    ) {
        match effect {
            Effect::Start(start) => {
                let control = RunControl::new();
                runs.insert(start.delivery, control.clone());
                starts.push(self.start(start, control, events.clone()));
            }
            Effect::Cancel(id, reason) => {
                if let Some(control) = runs.get(&id) {
                    control.cancel(reason);
                }
            }
            Effect::Abort(id) => {
                if let Some(control) = runs.get(&id) {
                    control.abort();
                }
            }
            Effect::Receive(receive) => self.receive(receive, events.clone()),
            Effect::Call(call) => {
                let reply = self.queue.perform(call.action);
                let events = events.clone();
                tokio::spawn(async move { send(&events, Event::Called(call.id, reply.await)).await });
            }
            Effect::Note(note) => self.observer.note(note),
        }
    }

    fn start(&self, start: Start, control: RunControl, events: mpsc::Sender<Event>) -> BoxFuture<()> {
        let attempt = Attempt {
            queue: Arc::clone(self.observer.queue()),
            message: start.message,
            number: start.attempt,
            deadline: start.deadline,
            control,
            host: Arc::clone(&self.host),
        };
        let router = Arc::clone(&self.router);
        Box::pin(async move {
            let report = router.run(attempt).await;
            send(&events, Event::Ended(start.delivery, report)).await;
        })
    }

    /// Starts runs, each in a task of its own. They cross to the handlers' threads together, because waking a thread
    /// for each of them costs more than the rest of a short run; once there, idle threads take their share.
    fn launch(&self, runs: Vec<BoxFuture<()>>) {
        if !runs.is_empty() {
            self.handlers.spawn(async move {
                for run in runs {
                    tokio::spawn(run);
                }
            });
        }
    }

    /// The receive lives in a task of its own: dropped half-way, it would hide the messages it was about to bring.
    fn receive(&self, receive: Receive, events: mpsc::Sender<Event>) {
        let messages = self.queue.receive(receive.max);
        tokio::spawn(
            async move {
                let result = messages.await;
                // The lease runs from here, however long the event waits to be told.
                send(&events, Event::Received(receive.id, now(), result)).await;
            }
            .in_current_span(),
        );
    }
}

/// The loop only goes away when the queue is drained; what comes after that is of no use to anybody.
async fn send(events: &mpsc::Sender<Event>, event: Event) {
    let _ = events.send(event).await;
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Tokio's clock, which tests can pause.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
#[path = "drive_tests/mod.rs"]
mod tests;
