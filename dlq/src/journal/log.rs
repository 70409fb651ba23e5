//! The order of writing, sending and deleting.

use super::record::{Header, Plan, Planned, Record};
use super::state::State;

/// A journal that is being written. Its lines are [taken](Self::take_lines), appended to the file in one write and synced; then
/// [`synced`](Self::synced) returns the permitted steps.
#[derive(Debug)]
pub struct Log {
    state: State,
    lines: String,
    /// Batches whose answers are among the lines.
    answered: Vec<u64>,
    /// Batches whose answers are being written.
    written: Vec<u64>,
    /// The batch whose plan is among the lines.
    planned: Option<u64>,
    /// The batch whose plan is being written.
    plan_written: Option<u64>,
}

/// The next steps after a sync.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Permitted {
    /// The batch to send now.
    pub send: Option<Plan>,
    /// The letters to delete from the DLQ now: batch, place, and the letter with its receipt.
    pub delete: Vec<(u64, usize, Planned)>,
}

impl Log {
    /// Begins a journal.
    pub fn begin(header: Header) -> Self {
        let lines = line(&Record::Begin(header.clone()));
        Self::with(State::new(header), lines)
    }

    /// Continues the journal with this state.
    pub fn resume(state: State, at: u64, hold_secs: u64) -> Self {
        let mut log = Self::with(state, String::new());
        log.add(&Record::Resumed { at, hold_secs });
        log
    }

    fn with(state: State, lines: String) -> Self {
        Self { state, lines, answered: Vec::new(), written: Vec::new(), planned: None, plan_written: None }
    }

    /// The state with all lines so far.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Adds a line that permits no step.
    ///
    /// # Panics
    /// If the line cannot follow the previous lines.
    pub fn add(&mut self, record: &Record) {
        self.state.apply(record).expect("lines are written in their order");
        self.lines.push_str(&line(record));
    }

    /// Adds the plan of the next batch.
    ///
    /// # Panics
    /// If the answer to the previous batch is not known.
    pub fn plan(&mut self, at: u64, queue: &str, letters: Vec<Planned>) {
        let batch = self.state.next_batch();
        self.add(&Record::Plan(Plan { batch, at, queue: queue.to_owned(), letters }));
        self.planned = Some(batch);
    }

    /// Adds a line that the last batch is sent once more, because the answer to its send was lost.
    ///
    /// # Panics
    /// If no batch is being sent.
    pub fn send_again(&mut self, at: u64) {
        let batch = self.state.open().expect("a batch is being sent").batch;
        self.add(&Record::Resent { batch, at });
        self.planned = Some(batch);
    }

    /// Adds the answer to the send of the last batch: for each letter the new message's id, or the reason for the failure.
    ///
    /// # Panics
    /// If no batch is being sent.
    pub fn answered(&mut self, answers: &[Result<String, String>]) {
        let batch = self.state.open().expect("a batch is being sent").batch;
        let ids = answers.iter().map(|answer| answer.as_ref().ok().cloned()).collect();
        let mut errors: Vec<String> =
            answers.iter().filter_map(|answer| answer.as_ref().err().cloned()).collect();
        errors.dedup();
        self.add(&Record::Sent { batch, ids, errors });
        self.answered.push(batch);
    }

    /// Returns true if the answer to a send is not written yet, so that its letters cannot be deleted.
    pub fn has_answers(&self) -> bool {
        !self.answered.is_empty()
    }

    /// Takes the lines that must be written next.
    pub fn take_lines(&mut self) -> String {
        self.written.append(&mut self.answered);
        self.plan_written = self.planned.take().or(self.plan_written);
        std::mem::take(&mut self.lines)
    }

    /// Returns the permitted steps after the taken lines are on disk.
    pub fn synced(&mut self) -> Permitted {
        let state = &self.state;
        let batches = self.written.drain(..).filter_map(|batch| state.undeleted_batch(batch));
        let delete = batches.flat_map(|plan| {
            let letters = plan.letters.iter().enumerate().filter(|(_, letter)| letter.receipt.is_some());
            letters.map(|(place, letter)| (plan.batch, place, letter.clone()))
        });
        let delete = delete.collect();
        let written = self.plan_written.take();
        let send = self.state.open().filter(|plan| Some(plan.batch) == written).cloned();
        Permitted { send, delete }
    }
}

fn line(record: &Record) -> String {
    let json = serde_json::to_string(record).expect("records are JSON");
    format!("{json}\n")
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
