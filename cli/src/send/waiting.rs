//! Adds the rows of waiting jobs to the outbox.

use std::io::Write as _;

use drumline_consumer::ExitError;
use drumline_producer::Outgoing;
use drumline_runtime::aws::queue_name;
use drumline_store::StoreError;
use drumline_store::outbox::{Added, Due, Outbox, OutboxJob};

use super::later::{Row, Waiting};
use super::run::{Pending, Run};
use super::sent_job::SentJob;
use crate::format::{note, one_line, rfc3339};
use crate::opened_outbox::OpenedOutbox;
use crate::output::{Output, print};

impl Run<'_> {
    /// Adds a batch to the outbox in one transaction. The batch has the same rows if it is added again.
    pub(super) async fn add(&mut self, batch: Vec<Outgoing>, pending: &mut Pending) -> Result<(), ExitError> {
        let mut added = Vec::with_capacity(batch.len());
        for message in batch {
            let mut waiting = self.waiting.remove(&message.line).expect("a job that waits has a row");
            waiting.row.job.queue = Some(self.queues[waiting.queue].url.clone());
            added.push((message, waiting));
        }
        let before = self.tally.sent + self.tally.waiting;
        let outbox = self.outbox().await?;
        let answers = add_rows(&*outbox.outbox, added.iter().map(|(_, waiting)| &waiting.row)).await;
        let answers = answers.map_err(|error| {
            let error = outbox.error(&error);
            ExitError::unavailable(format!("{before} sent before this: {error}"))
        })?;
        // Recorded first: rows that are not in the journal would be added again.
        let taken = added.iter().zip(&answers).filter(|(_, answer)| answer.is_ok());
        let taken =
            taken.filter_map(|((message, _), _)| pending.get(&message.line)).map(|record| record.number);
        if let Some(journal) = &mut self.journal {
            journal.confirm(taken)?;
        }
        for ((message, waiting), answer) in added.into_iter().zip(answers) {
            let record = pending.remove(&message.line);
            match answer {
                Ok(answer) => {
                    self.tally.waiting += u64::from(answer == Added::New);
                    self.progress.print(|| self.print_added(&message, &waiting, &answer))?;
                }
                Err(error) => {
                    self.tally.refused += 1;
                    self.progress.print(|| note(&format!("line {} is not sent: {error}", message.line)));
                    record.map_or(Ok(()), |record| self.leave(&record))?;
                }
            }
        }
        Ok(())
    }

    /// Opens the outbox when the first job waits.
    async fn outbox(&mut self) -> Result<&OpenedOutbox, ExitError> {
        if self.outbox.is_none() {
            self.outbox = Some(OpenedOutbox::of(self.settings).await?);
        }
        Ok(self.outbox.as_ref().expect("it was opened"))
    }

    fn print_added(&self, message: &Outgoing, waiting: &Waiting, added: &Added) -> Result<(), ExitError> {
        let own = &waiting.row.job.id;
        let (job_id, existing) = match added {
            Added::New => (own, None),
            Added::Waiting { id } => (id, Some("waiting")),
            Added::Sent { id } => (id, Some("sent")),
            Added::Replaced { id } => (id, Some("replaced")),
        };
        if let Some(state) = existing {
            note(&format!("nothing was added: job {} holds the key ({state})", one_line(job_id)));
        }
        let due = due_of(&waiting.row.job).filter(|_| existing.is_none());
        let queue = queue_name(&self.queues[waiting.queue].url);
        print(|out| match self.output {
            Output::Table => writeln!(out, "{}", one_line(job_id)),
            Output::Json => {
                let job_type = message.job_type.as_str();
                out.json_line(&SentJob { job_id, message_id: None, job_type, queue, due, existing })
            }
        })
    }
}

/// Returns the time when a job is due. A delay counts from now.
fn due_of(job: &OutboxJob) -> Option<String> {
    let ms = match job.due {
        Due::Now => return None,
        Due::After(delay) => crate::format::now_ms().saturating_add(crate::format::millis(delay)),
        Due::AtMs(ms) => u64::try_from(ms).unwrap_or_default(),
    };
    Some(rfc3339(ms))
}

/// Adds rows. Each refused row has its own error.
///
/// # Errors
///
/// Returns an error if the outbox does not answer.
async fn add_rows<'a>(
    outbox: &dyn Outbox,
    rows: impl Iterator<Item = &'a Row> + Clone,
) -> Result<Vec<Result<Added, StoreError>>, StoreError> {
    let plain: Option<Vec<OutboxJob>> =
        rows.clone().map(|row| row.unique.is_none().then(|| row.job.clone())).collect();
    if let Some(jobs) = plain {
        match outbox.add(&jobs).await {
            Ok(()) => return Ok(vec![Ok(Added::New); jobs.len()]),
            Err(error @ StoreError::Unanswered(_)) => return Err(error),
            // One of the rows caused the refusal.
            Err(StoreError::Refused(_)) => {}
        }
    }
    let mut answers = Vec::new();
    for row in rows {
        let answer = match &row.unique {
            Some(unique) => outbox.add_unique(&row.job, unique).await,
            None => outbox.add(std::slice::from_ref(&row.job)).await.map(|()| Added::New),
        };
        match answer {
            Err(error @ StoreError::Unanswered(_)) => return Err(error),
            answer => answers.push(answer),
        }
    }
    Ok(answers)
}
