//! The main loop of a send: collects records into batches, and sends the batches to SQS.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::io::Write as _;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use drumline::message::{Attribute, Traceparent};
use drumline_consumer::ExitError;
use drumline_dlq::pace::Pace;
use drumline_producer::{
    MAX_BATCH_ENTRIES, OffloadError, Outgoing, Packer, PayloadStore, SendError, SendOptions, send_batch,
};
use drumline_runtime::aws::queue_name;
use drumline_runtime::{Settings, send_tracer};

use super::input::Records;
use super::journal::Journal;
use super::later::Waiting;
use super::left::Left;
use super::maker::{Made, Maker};
use super::progress::Progress;
use super::queues::Queue;
use super::record::Record;
use super::repeats::Repeats;
use super::sent_job::SentJob;
use crate::format::{note, one_line};
use crate::opened_outbox::OpenedOutbox;
use crate::output::{Output, print};

/// The time span whose messages form one batch if the rate limits the send.
const BATCH_SECS: f64 = 0.2;

/// The longest time that an interrupted send waits for the response to its last batch.
const LAST_BATCH: Duration = Duration::from_secs(5);

/// A signal that ends the send. It never comes if signals end the process directly.
pub(super) type Interrupt = Pin<Box<dyn Future<Output = std::io::Result<u8>>>>;

/// A running send.
pub(super) struct Run<'a> {
    pub(super) queues: Vec<Queue>,
    pub(super) maker: Maker<'a>,
    pub(super) store: Option<PayloadStore>,
    pub(super) journal: Option<Journal>,
    pub(super) left: Option<Left>,
    pub(super) progress: Progress,
    pub(super) interrupt: Interrupt,
    pub(super) pace: Option<Paced>,
    pub(super) output: Output,
    pub(super) tally: Tally,
    pub(super) settings: &'a Settings,
    /// The outbox, opened when the first job needs it.
    pub(super) outbox: Option<OpenedOutbox>,
    /// The waiting jobs that are not in the outbox yet, by the lines of their messages.
    pub(super) waiting: HashMap<usize, Waiting>,
}

/// The index of the outbox among those of the queues.
const OUTBOX: usize = usize::MAX;

/// The counts of a send so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) failed: u64,
    pub(super) refused: u64,
    /// The number of jobs added to the outbox.
    pub(super) waiting: u64,
    /// The number of jobs sent by an earlier process.
    pub(super) before: u64,
}

impl Tally {
    pub(super) fn summary(&self) -> String {
        let Self { sent, failed, refused, waiting, before } = self;
        let waiting = if *waiting > 0 { format!(", {waiting} in the outbox") } else { String::new() };
        let earlier = if *before > 0 { format!(", {before} sent before") } else { String::new() };
        format!("{sent} sent{waiting}, {failed} not taken by SQS, {refused} refused before sending{earlier}")
    }

    /// The exit status.
    pub(super) fn status(&self) -> u8 {
        match self {
            Self { failed: 1.., .. } => 1,
            Self { refused: 1.., .. } => 64,
            Self { .. } => 0,
        }
    }
}

/// A rate, and the time of the first message.
pub(super) struct Paced {
    pub(super) rate: f64,
    pace: Pace,
    begun: Instant,
}

impl Paced {
    pub(super) fn new(rate: f64) -> Self {
        Self { rate, pace: Pace::new(Some(rate), Duration::ZERO), begun: Instant::now() }
    }

    /// Returns how many messages to send now, or how long to wait first. Batches are as full as the rate allows, because each
    /// is a request.
    fn next(&mut self, waiting: usize) -> Result<usize, Duration> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive, and saturating"
        )]
        let wanted = ((self.rate * BATCH_SECS) as usize).clamp(1, waiting.clamp(1, MAX_BATCH_ENTRIES));
        let available = self.pace.available(self.begun.elapsed());
        if available >= wanted {
            let now = available.min(waiting);
            self.pace.sent(now);
            return Ok(now);
        }
        #[expect(clippy::cast_precision_loss, reason = "a batch")]
        let missing = (wanted - available) as f64;
        Err(Duration::from_secs_f64((missing / self.rate).min(60.0)).max(Duration::from_millis(1)))
    }
}

/// The records that are being sent, by their lines.
pub(super) type Pending = HashMap<usize, Record>;

impl Run<'_> {
    /// Sends all records that are not confirmed yet, with alternating batches of the queues, one at a time.
    ///
    /// # Errors
    ///
    /// Returns an error if the rest cannot be read or sent. If reading fails, the records before the failure are sent.
    pub(super) async fn all(&mut self, records: &mut Records) -> Result<(), ExitError> {
        let (mut packers, mut pending) = (BTreeMap::<usize, Packer>::new(), Pending::new());
        let read = self.all_read(records, &mut packers, &mut pending).await?;
        for (queue, packer) in packers {
            if let Some(batch) = packer.finish() {
                self.batch(queue, batch, &mut pending).await?;
            }
        }
        read.map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => ExitError::usage(error.to_string()),
            _ => ExitError::from(error),
        })?;
        if let Some(journal) = &mut self.journal
            && (self.tally.failed + self.tally.refused == 0 || self.left.is_some())
        {
            journal.end()?;
        }
        Ok(())
    }

    /// Reads all records, and sends full batches. The inner error is a read error.
    async fn all_read(
        &mut self,
        records: &mut Records,
        packers: &mut BTreeMap<usize, Packer>,
        pending: &mut Pending,
    ) -> Result<std::io::Result<()>, ExitError> {
        let mut repeats = Repeats::default();
        loop {
            let record = match records.next() {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            };
            // Confirmed records are checked, too, because a later one may repeat them.
            let repeated = match &record.content {
                Ok(content) => repeats.add(record.line, &content.fields),
                Err(_) => Ok(None),
            };
            if self.journal.as_ref().is_some_and(|journal| journal.has(record.number)) {
                self.tally.before += 1;
                continue;
            }
            if let Ok(Some(repeat)) = &repeated {
                self.progress.print(|| note(repeat));
            }
            let made = match (&record.content, repeated) {
                (Ok(content), Ok(_)) => self.maker.make(record.number, record.line, content),
                (Err(why), _) => Err(why.clone()),
                (_, Err(why)) => Err(why),
            };
            let made = match made.map(|made| self.hold(made)) {
                Ok(Ok(message)) => Ok(Ok((OUTBOX, message))),
                Ok(Err(made)) => Ok(self.small(*made).await),
                Err(error) => Err(error),
            };
            match made {
                Ok(made) => match made {
                    Ok((queue, message)) => {
                        let batch = packers.entry(queue).or_default().push(message);
                        pending.insert(record.line, record);
                        if let Some(batch) = batch {
                            self.batch(queue, batch, pending).await?;
                        }
                    }
                    Err(error @ OffloadError::NotPut { .. }) => {
                        self.tally.failed += 1;
                        self.progress.print(|| note(&format!("line {}: {error}", record.line)));
                        self.leave(&record)?;
                    }
                    Err(error) => self.refuse(&record, &error.to_string())?,
                },
                Err(error) => self.refuse(&record, &error)?,
            }
            self.progress.show(self.tally.sent, records.bytes());
        }
    }

    /// Sends one job.
    pub(super) async fn one(&mut self, made: Made) -> Result<(), ExitError> {
        let made = match self.hold(made) {
            Ok(message) => return Box::pin(self.add(vec![message], &mut Pending::new())).await,
            Err(made) => *made,
        };
        let (queue, message) = self.small(made).await.map_err(|error| match &error {
            OffloadError::NotPut { .. } => ExitError::unavailable(error.to_string()),
            _ => ExitError::usage(format!("the payload: {error}")),
        })?;
        Box::pin(self.send(queue, vec![message], &mut Pending::new())).await
    }

    /// Keeps the row of a waiting job until it is added to the outbox, and returns its message. Returns any other job
    /// unchanged.
    fn hold(&mut self, made: Made) -> Result<Outgoing, Box<Made>> {
        let Made { message, queue, row: Some(row), warnings } = made else { return Err(Box::new(made)) };
        self.warn(warnings);
        self.waiting.insert(message.line, Waiting { row, queue });
        Ok(message)
    }

    fn warn(&self, warnings: Vec<String>) {
        for warning in warnings {
            self.progress.print(|| note(&format!("warning: {warning}")));
        }
    }

    /// Prints the warnings of a message, and offloads or compresses it if it is large and the settings say so.
    async fn small(&self, made: Made) -> Result<(usize, Outgoing), OffloadError> {
        let Made { message, queue, warnings, .. } = made;
        self.warn(warnings);
        let mut message = match &self.store {
            Some(store) => store.offload(message).await?,
            None => message,
        };
        if send_tracer().is_some() {
            // Before it joins a batch, whose bytes are counted.
            let own = message.attributes.get("traceparent").and_then(Attribute::as_text);
            let parent = own.and_then(Traceparent::parse);
            message.begin_span(parent);
        }
        Ok((queue, message))
    }

    fn refuse(&mut self, record: &Record, error: &str) -> Result<(), ExitError> {
        self.tally.refused += 1;
        self.progress.print(|| note(&format!("line {} is not sent: {error}", record.line)));
        self.leave(record)
    }

    pub(super) fn leave(&mut self, record: &Record) -> Result<(), ExitError> {
        let Some(left) = &mut self.left else { return Ok(()) };
        if left.is_empty()
            && let Some(journal) = &mut self.journal
        {
            let path = std::path::absolute(&left.path).unwrap_or_else(|_| left.path.clone());
            journal.set_rest(Some(path))?;
        }
        left.add(&record.source)
    }

    /// Sends a batch at the requested rate.
    async fn batch(
        &mut self,
        queue: usize,
        mut batch: Vec<Outgoing>,
        pending: &mut Pending,
    ) -> Result<(), ExitError> {
        while !batch.is_empty() {
            let now = match self.pace.as_mut().map(|pace| pace.next(batch.len())) {
                None => batch.len(),
                Some(Ok(now)) => now,
                Some(Err(wait)) => {
                    tokio::select! {
                        () = tokio::time::sleep(wait) => continue,
                        status = &mut self.interrupt => return Err(interrupted(status?)),
                    }
                }
            };
            let later = batch.split_off(now);
            Box::pin(self.send(queue, batch, pending)).await?;
            batch = later;
        }
        Ok(())
    }

    async fn send(
        &mut self,
        queue: usize,
        batch: Vec<Outgoing>,
        pending: &mut Pending,
    ) -> Result<(), ExitError> {
        if queue == OUTBOX {
            return Box::pin(self.add(batch, pending)).await;
        }
        let Queue { clients, url, is_fifo } = &self.queues[queue];
        let (client, url) = (clients.calls.clone(), url.clone());
        let options = SendOptions { fifo: *is_fifo, ..SendOptions::default() };
        let mut sending = pin!(send_batch(&client, &url, &options, batch));
        let mut status = None;
        let results = tokio::select! {
            results = &mut sending => results,
            signal = &mut self.interrupt => {
                status = Some(signal?);
                match tokio::time::timeout(LAST_BATCH, sending).await {
                    Ok(results) => results,
                    Err(_) => return Err(interrupted(status.unwrap_or_default())),
                }
            }
        };
        let (results, error) = match results {
            Ok(results) => (results, None),
            Err(SendError { error, done, .. }) => (done, Some(error)),
        };
        // Recorded first: records that are not in the journal would be sent again.
        let taken = results.iter().filter(|(_, result)| result.is_ok());
        let taken = taken.filter_map(|(message, _)| pending.get(&message.line)).map(|record| record.number);
        if let Some(journal) = &mut self.journal {
            journal.confirm(taken)?;
        }
        let mut sent = Vec::with_capacity(results.len());
        for (message, result) in results {
            let record = pending.remove(&message.line);
            match result {
                Ok(id) => {
                    self.tally.sent += 1;
                    sent.push((message, id));
                }
                Err(error) => {
                    self.tally.failed += 1;
                    self.progress.print(|| note(&format!("line {}: {error}", message.line)));
                    record.map_or(Ok(()), |record| self.leave(&record))?;
                }
            }
        }
        // Printed last, because the reader of the ids may have closed the pipe.
        let clients = &self.queues[queue].clients;
        let printed = sent
            .iter()
            .try_for_each(|(message, id)| self.progress.print(|| self.print_sent(queue, message, id)));
        match (error, status) {
            (Some(error), _) => {
                self.progress.end();
                let error = clients.in_context(error).await;
                Err(ExitError::sqs(error.kind, format!("{} sent before this: {error}", self.tally.sent)))
            }
            (None, Some(status)) => Err(interrupted(status)),
            (None, None) => printed,
        }
    }

    /// Prints the id of a job. A job without its own id is identified by its message's id.
    fn print_sent(&self, queue: usize, message: &Outgoing, message_id: &str) -> Result<(), ExitError> {
        let job_id = message.job_id.as_deref().unwrap_or(message_id);
        let job_type = message.job_type.as_str();
        let queue = queue_name(&self.queues[queue].url);
        print(|out| match self.output {
            Output::Table => writeln!(out, "{}", one_line(job_id)),
            Output::Json => {
                let message_id = Some(message_id);
                out.json_line(&SentJob { job_id, message_id, job_type, queue, due: None, existing: None })
            }
        })
    }
}

fn interrupted(status: u8) -> ExitError {
    note("interrupted");
    ExitError::silent(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_fills_batches_as_far_as_it_allows() {
        let mut fast = Paced::new(10_000.0);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(fast.next(10), Ok(10));
        let mut slow = Paced::new(1.0);
        assert_eq!(slow.next(10), Ok(1), "the first is sent at once");
        let wait = slow.next(9).expect_err("a second has one message");
        assert!((Duration::from_millis(500)..=Duration::from_secs(1)).contains(&wait), "{wait:?}");
        let wait = Paced::new(20.0).next(10).expect_err("four are sent together");
        assert!((Duration::from_millis(100)..=Duration::from_millis(150)).contains(&wait), "{wait:?}");
    }

    #[test]
    fn the_exit_status_says_the_worst() {
        let tally = |failed, refused| Tally { sent: 1, failed, refused, ..Tally::default() }.status();
        assert_eq!([tally(0, 0), tally(0, 1), tally(1, 0), tally(1, 1)], [0, 64, 1, 1]);
        let resumed = Tally { before: 3, ..Tally::default() };
        assert!(resumed.summary().ends_with("refused before sending, 3 sent before"));
    }
}
