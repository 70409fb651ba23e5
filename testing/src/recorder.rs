//! The record of an observer of the worker: its runs, and the messages that it has in hand.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drumline::core::LedgerEvent;
use drumline::run::{Event, Observer};
use tokio::sync::Notify;

use crate::local_run::LocalRun;

/// The record of a queue's workers.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    runs: Vec<LocalRun>,
    /// The last receive of each message that a worker got.
    receives: HashMap<Arc<str>, u32>,
    /// The messages that receives have brought to the present worker.
    handed_out: usize,
    /// Those of them that its ledger has accepted.
    received: usize,
    in_hand: usize,
}

impl Recorder {
    /// Begins with a new worker, which has nothing in hand.
    pub(crate) fn start_worker(&self) {
        let mut state = self.state();
        (state.handed_out, state.received, state.in_hand) = (0, 0, 0);
    }

    /// Notes the messages of a receive, before the worker's ledger knows them.
    pub(crate) fn handed_out<'a>(&self, messages: impl Iterator<Item = (&'a Arc<str>, u32)>) {
        let mut state = self.state();
        for (id, receive_count) in messages {
            state.handed_out += 1;
            state.receives.insert(Arc::clone(id), receive_count);
        }
    }

    /// Returns true if this receive of a message has reached its worker, so that the message counts as in hand until it is settled.
    pub(crate) fn has_reached_worker(&self, message_id: &str, receive_count: u32) -> bool {
        self.receives(message_id) == Some(receive_count)
    }

    /// Returns the receives of a message that a worker got.
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

    /// Returns the messages in hand, those on the way to the worker's ledger included.
    pub(crate) fn in_hand(&self) -> usize {
        let state = self.state();
        state.in_hand + state.handed_out.saturating_sub(state.received)
    }

    /// Reads something of the record or its surroundings until that is `Some`: after each change, and after the time that `pause`
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
