//! The output of `dev`: live progress of every job, and a table of all jobs at the end.

#[cfg(feature = "function")]
mod function;
#[cfg(feature = "function")]
pub(crate) mod function_log;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use comfy_table::{Cell, Color, Table, presets};
use drumline::core::{Ending, LedgerEvent, Outcome};
use drumline::run::{AttemptInfo, Event, Observer, Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::format::{count, one_line};

/// The largest number of finished jobs to keep: a `dev` that runs for days drops the oldest.
const MAX_JOBS: usize = 1000;

/// Observes all jobs of a consumer.
pub(crate) struct View {
    state: Mutex<State>,
    /// Progress bars if standard error is a terminal; otherwise each change is printed as a line.
    bars: Option<MultiProgress>,
}

#[derive(Default)]
struct State {
    jobs: BTreeMap<String, Watched>,
    /// Message ids in order of their first appearance.
    order: Vec<String>,
}

struct Watched {
    label: String,
    outputs: Vec<PathBuf>,
    attempts: u32,
    since: Instant,
    took: Option<Duration>,
    reason: Option<String>,
    end: Option<End>,
    bar: Option<ProgressBar>,
}

/// The way in which a job's message left the queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The message was deleted after success.
    Done,
    /// The message was moved to the DLQ.
    DeadLettered,
    /// The message was deleted although the job failed.
    #[cfg(feature = "function")]
    Lost,
}

impl View {
    pub(crate) fn new() -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self { state: Mutex::default(), bars }
    }

    /// Adds a job that is about to be sent or was seen for the first time.
    pub(crate) fn add(&self, message_id: &str, label: &str, outputs: &[PathBuf]) {
        let mut state = self.lock();
        if state.jobs.contains_key(message_id) {
            return;
        }
        if state.order.len() >= MAX_JOBS {
            let oldest = state.order.remove(0);
            state.jobs.remove(&oldest);
        }
        let bar = self.bars.as_ref().map(|bars| {
            let style = ProgressStyle::with_template("{spinner} {prefix:.bold}  {wide_msg}")
                .expect("the template is sound");
            let bar = bars.add(ProgressBar::new_spinner()).with_style(style).with_prefix(label.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        let watched = Watched {
            label: label.to_owned(),
            outputs: outputs.to_vec(),
            attempts: 0,
            since: Instant::now(),
            took: None,
            reason: None,
            end: None,
            bar,
        };
        state.jobs.insert(message_id.to_owned(), watched);
        state.order.push(message_id.to_owned());
    }

    /// Records that the redrive policy has moved a message.
    pub(crate) fn dead_lettered(&self, message_id: &str) {
        self.change(message_id, |job| {
            if job.end.is_some() {
                return None;
            }
            job.finish(End::DeadLettered);
            Some(format!("in the DLQ: {}", job.reason.as_deref().unwrap_or("received too often")))
        });
    }

    /// Returns the reason why a message failed, if known.
    pub(crate) fn reason(&self, message_id: &str) -> Option<String> {
        self.lock().jobs.get(message_id)?.reason.clone()
    }

    /// Returns true if every job has left the queue.
    pub(crate) fn is_drained(&self) -> bool {
        self.lock().jobs.values().all(|job| job.end.is_some())
    }

    /// Removes the progress bars.
    pub(crate) fn clear(&self) {
        if let Some(bars) = &self.bars {
            for job in self.lock().jobs.values_mut() {
                if let Some(bar) = job.bar.take() {
                    bar.finish_and_clear();
                }
            }
            // If a terminal cannot be cleared, its output is only less tidy.
            let _ = bars.clear();
        }
    }

    /// Returns a table of all jobs: outcome, attempts, time, output.
    pub(crate) fn table(&self, folder: &Path) -> Table {
        let state = self.lock();
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["JOB", "OUTCOME", "ATTEMPTS", "TIME", "OUTPUT"]);
        for job in state.order.iter().filter_map(|id| state.jobs.get(id)) {
            let outcome = match job.end {
                Some(End::Done) => Cell::new("done").fg(Color::Green),
                Some(End::DeadLettered) => Cell::new("in the DLQ").fg(Color::Red),
                #[cfg(feature = "function")]
                Some(End::Lost) => Cell::new("lost").fg(Color::Red),
                None => Cell::new("not finished").fg(Color::Yellow),
            };
            let took = job.took.unwrap_or_else(|| job.since.elapsed());
            let output = match job.end {
                Some(End::Done) => {
                    job.outputs.iter().map(|path| file(folder, path)).collect::<Vec<_>>().join("\n")
                }
                _ => job.reason.clone().unwrap_or_default(),
            };
            let time = format!("{:.2} s", took.as_secs_f64());
            table.add_row([
                Cell::new(&job.label),
                outcome,
                Cell::new(job.attempts),
                Cell::new(time),
                Cell::new(output),
            ]);
        }
        table
    }

    /// Changes a job, and shows the text that the change returns.
    fn change(&self, message_id: &str, change: impl FnOnce(&mut Watched) -> Option<String>) {
        let mut state = self.lock();
        let Some(job) = state.jobs.get_mut(message_id) else { return };
        let Some(text) = change(job) else { return };
        match &job.bar {
            Some(bar) if job.end.is_some() => bar.finish_with_message(text),
            Some(bar) => bar.set_message(text),
            None => line(&format!("{}: {text}", job.label)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it is held")
    }
}

impl Watched {
    fn finish(&mut self, end: End) {
        self.end = Some(end);
        self.took = Some(self.since.elapsed());
    }
}

impl Observer for View {
    fn observe(&self, event: &Event<'_>) {
        match *event {
            Event::RunStarted { attempt } => self.started(attempt),
            Event::RunEnded { attempt, ending, .. } => self.ended(attempt, ending),
            Event::Progress { attempt, progress } => self.progress(attempt, progress),
            Event::Ledger { note, .. } => self.note(note),
            _ => {}
        }
    }
}

impl View {
    fn started(&self, attempt: &AttemptInfo) {
        let label = format!("{} {}", attempt.job_type(), attempt.job_id());
        self.add(&attempt.message().id, &label, &[]);
        self.change(&attempt.message().id, |job| {
            job.attempts = attempt.attempt().get();
            Some(format!("attempt {} runs", job.attempts))
        });
    }

    fn ended(&self, attempt: &AttemptInfo, ending: &Ending) {
        self.change(&attempt.message().id, |job| {
            job.reason = ending.reason().map(one_line);
            None
        });
    }

    fn progress(&self, attempt: &AttemptInfo, progress: &Progress) {
        let Progress { done, total, unit } = progress;
        self.change(&attempt.message().id, |job| {
            // A progress bar shows every step; log lines for each step would be too many.
            job.bar.is_some().then(|| format!("attempt {} runs: {done} of {total} {unit}", job.attempts))
        });
    }

    fn note(&self, note: &LedgerEvent) {
        match note {
            LedgerEvent::Decided { message, outcome, run: Some(run), .. } => {
                // A message that never reached a handler appears here for the first time.
                self.add(
                    &message.id,
                    run.job_type.as_deref().unwrap_or("a message without a known type"),
                    &[],
                );
                self.change(&message.id, |job| {
                    job.attempts = run.attempt.get();
                    job.reason = run.ending.reason().map(one_line);
                    let reason = job.reason.clone().unwrap_or_default();
                    match outcome {
                        Outcome::Ack => {
                            job.finish(End::Done);
                            if let Ending::DoneBefore(duplicate) = &run.ending {
                                let id = &duplicate.prior.job_id;
                                return Some(format!("already done by {id}: deleted without a run"));
                            }
                            Some(format!("done in {:.2} s", run.took.as_secs_f64()))
                        }
                        Outcome::RetryAfter(_) if run.last_attempt => {
                            Some(format!("{reason}; that was the last attempt, and SQS moves it to the DLQ"))
                        }
                        Outcome::RetryAfter(delay) => {
                            Some(format!("{reason}; again in {:.1} s", delay.as_secs_f64()))
                        }
                        Outcome::DeadLetter(_) => Some(format!("{reason}; on its way to the DLQ")),
                        Outcome::Requeue => Some("released to queue".to_owned()),
                        Outcome::LeaseLost => Some("lease lost".to_owned()),
                    }
                });
            }
            LedgerEvent::Renewed(leases) if self.bars.is_none() => {
                line(&format!("{} renewed for running jobs", count(*leases, "lease")));
            }
            _ => {}
        }
    }
}

fn file(folder: &Path, path: &Path) -> String {
    let shown = path.strip_prefix(folder).unwrap_or(path).display();
    match std::fs::metadata(path) {
        Ok(data) => format!("{shown} ({:.1} KB)", precise(data.len()) / 1000.0),
        Err(error) => format!("{shown}: {error}"),
    }
}

/// Converts a file size, which is far below the limit of exact floats.
#[allow(clippy::cast_precision_loss)]
fn precise(bytes: u64) -> f64 {
    bytes as f64
}

#[allow(clippy::print_stderr, reason = "standard output is for the table")]
fn line(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::every_event::{TYPE, emit_a_run, emit_decided, emit_every_event};

    /// Creates a view without progress bars.
    fn view() -> (Arc<View>, Arc<dyn Observer>) {
        let view = Arc::new(View { state: Mutex::default(), bars: None });
        (Arc::clone(&view), view)
    }

    #[test]
    fn a_job_is_shown_from_its_first_run_to_its_end() {
        let (view, observer) = view();
        emit_a_run(&observer, Ok(()));
        assert!(!view.is_drained());
        emit_decided(&observer, TYPE, Outcome::Ack, Ending::Done);
        assert!(view.is_drained());
        let table = view.table(Path::new("/")).to_string();
        assert!(table.contains("a.b m1") && table.contains("done"), "{table}");
    }

    #[test]
    fn every_event_can_be_viewed() {
        let (view, observer) = view();
        emit_every_event(&observer);
        assert!(view.is_drained());
    }
}
