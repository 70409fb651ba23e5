//! The writer of histories: the progress and the failed attempts of jobs, for people who ask for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drumline::core::{Ending, LedgerEvent, Outcome, RunFacts};
use drumline::message::Message;
use drumline::run::{AttemptInfo, Event, Observer};
use drumline_store::AttemptRecord;

use super::history_writer::HistoryWriter;
use crate::attempt_log::take_lines;
use crate::clock::{millis, now_ms};
use crate::redact::redacted;

/// The most logs of attempts that have ended and whose outcome is to follow.
const MAX_LOGS: usize = 1_000;

/// An observer that writes the progress and the failed attempts of jobs to the store.
pub(crate) struct HistoryObserver {
    history_writer: HistoryWriter,
    worker: Arc<str>,
    /// The logs of attempts that have failed, by message, until their outcome is known.
    logs: Mutex<HashMap<Arc<str>, Vec<String>>>,
}

impl HistoryObserver {
    pub(super) fn new(history_writer: HistoryWriter, worker: Arc<str>) -> Self {
        Self { history_writer, worker, logs: Mutex::default() }
    }

    fn logs(&self) -> MutexGuard<'_, HashMap<Arc<str>, Vec<String>>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_log(&self, attempt: &AttemptInfo) {
        let lines = take_lines(attempt.span());
        if lines.is_empty() {
            return;
        }
        let mut logs = self.logs();
        if logs.len() < MAX_LOGS {
            logs.insert(Arc::clone(&attempt.message().id), lines);
        }
    }

    /// Removes and returns the log of a message's attempt.
    fn take_log(&self, message: &Message) -> Vec<String> {
        let mut logs = self.logs();
        if logs.is_empty() { Vec::new() } else { logs.remove(&message.id).unwrap_or_default() }
    }

    fn decided(&self, queue: &str, message: &Message, outcome: &Outcome, run: &RunFacts, log: Vec<String>) {
        if run.ending == Ending::Done {
            return;
        }
        if let Some(identity) = &run.identity {
            let record = self.record(queue, message, outcome, run);
            self.history_writer.attempted(Arc::clone(identity), AttemptRecord { log, ..record });
        }
    }

    /// A failed attempt as it is kept, without its log.
    fn record(&self, queue: &str, message: &Message, outcome: &Outcome, run: &RunFacts) -> AttemptRecord {
        let retry_in = if let Outcome::RetryAfter(delay) = outcome { Some(millis(*delay)) } else { None };
        AttemptRecord {
            at_ms: now_ms(),
            message_id: message.id.to_string(),
            job_id: run.identity.as_ref().map(|identity| identity.job_id().to_string()),
            queue: queue.to_owned(),
            job_type: run.job_type().map(str::to_owned),
            attempt: run.attempt.get(),
            receive_count: message.receive_count,
            worker: self.worker.to_string(),
            took_ms: millis(run.took),
            class: run.ending.class().map(|class| class.label().to_owned()).unwrap_or_default(),
            reason: redacted(run.ending.reason().unwrap_or_default()).into_owned(),
            outcome: outcome.label().to_owned(),
            retry_in_ms: retry_in.filter(|_| !run.last_attempt),
            last_attempt: run.last_attempt,
            log: Vec::new(),
        }
    }
}

impl Observer for HistoryObserver {
    fn observe(&self, event: &Event<'_>) {
        match *event {
            Event::Progress { attempt, progress } => self.history_writer.progress(attempt, progress),
            Event::RunEnded { attempt, ending: Ending::Done, .. } => {
                self.history_writer.done(attempt.identity());
            }
            Event::RunEnded { attempt, .. } => self.keep_log(attempt),
            Event::Ledger { queue, note: note @ LedgerEvent::Decided { message, outcome, .. } } => {
                // At every decision: a job that was throttled may be done now, and its log would leave no room for others.
                let log = self.take_log(message);
                if let Some(run) = note.finished_run() {
                    self.decided(queue, message, outcome, run, log);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
