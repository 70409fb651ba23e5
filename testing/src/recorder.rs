//! An observer of the worker that records its runs and the messages in hand.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drumline::core::LedgerEvent;
use drumline::run::{Event, Observer};
use tokio::sync::Notify;

use crate::local_run::LocalRun;

/// Records the runs and receives of a queue's workers.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    runs: Vec<LocalRun>,
    /// The receive count of each message at its last receive by a worker.
    receives: HashMap<Arc<str>, u32>,
    /// The number of messages that receives have returned to the present worker.
    handed_out: usize,
    /// The number of them that its ledger has accepted.
    received: usize,
    in_hand: usize,
}

impl Recorder {
    /// Starts the record of a new worker, which has no messages in hand.
    pub(crate) fn start_worker(&self) {
        let mut state = self.state();
        (state.handed_out, state.received, state.in_hand) = (0, 0, 0);
    }

    /// Records the messages of a receive before the worker's ledger knows them.
    pub(crate) fn handed_out<'a>(&self, messages: impl Iterator<Item = (&'a Arc<str>, u32)>) {
        let mut state = self.state();
        for (id, receive_count) in messages {
            state.handed_out += 1;
            state.receives.insert(Arc::clone(id), receive_count);
        }
    }

    /// Returns true if this receive of a message has reached its worker. The message then counts as in hand until it is
    /// settled.
    pub(crate) fn has_reached_worker(&self, message_id: &str, receive_count: u32) -> bool {
        self.receives(message_id) == Some(receive_count)
    }

    /// Returns the receive count of a message at its last receive by a worker.
    pub(crate) fn receives(&self, message_id: &str) -> Option<u32> {
        self.state().receives.get(message_id).copied()
    }

    pub(crate) fn runs(&self) -> Vec<LocalRun> {
        self.state().runs.clone()
    }

    /// Returns the last run of a message.
    pub(crate) fn last_run(&self, message_id: &str) -> Option<LocalRun> {
        self.state().runs.iter().rev().find(|run| *run.message_id == *message_id).cloned()
    }

    /// Returns the number of messages in hand, including those on their way to the worker's ledger.
    pub(crate) fn in_hand(&self) -> usize {
        let state = self.state();
        state.in_hand + state.handed_out.saturating_sub(state.received)
    }

    /// Calls `read` until it returns `Some`: after each change of the record, and after each pause of the length that `pause`
    /// returns.
    pub(crate) async fn wait_for<T>(
        &self,
        mut read: impl FnMut() -> Option<T> + Send,
        mut pause: impl FnMut() -> Duration + Send,
    ) -> T {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = read() {
                return found;
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(pause()) => {}
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, note: &LedgerEvent) {
        match note {
            LedgerEvent::Received { count, .. } => {
                let mut state = self.state();
                state.received += count;
                // Corrected at the end of the ledger's turn.
                state.in_hand += count;
            }
            LedgerEvent::Decided { message, outcome, run, .. } => {
                let run = LocalRun::of(Arc::clone(&message.id), outcome, run.as_ref());
                self.state().runs.push(run);
            }
            _ => {}
        }
    }
}

impl Observer for Recorder {
    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::Ledger { note, .. } => self.note(note),
            Event::InHand { count, .. } => {
                self.state().in_hand = *count;
                self.changed.notify_waiters();
            }
            Event::Drained { .. } | Event::RunStarted { .. } | Event::Progress { .. } => {
                self.changed.notify_waiters();
            }
            _ => {}
        }
    }
}
