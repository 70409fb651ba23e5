//! Puts waiting jobs into the outbox, or schedules them with EventBridge Scheduler.

use drumline_store::outbox::{Added, OutboxJob};
use futures_util::{StreamExt as _, stream};

use super::due::time_of;
use super::held::add_unique;
use super::not_kept::NotKept;
use super::servers::OutboxServer;
use super::wait::Wait;
use crate::error::{ProduceError, Refusal, Unsent};
use crate::prepared::Prepared;
use crate::receipt::{Existing, Receipt};

/// The largest number of jobs that are added to an outbox in one call, which is one transaction.
const MAX_AT_ONCE: usize = 500;

/// The number of schedules that are created concurrently.
const SCHEDULES_AT_ONCE: usize = 8;

/// A waiting job with its result.
pub(crate) type Kept = (Prepared, Result<Receipt, ProduceError>);

/// Puts jobs into their places, those for an outbox in order. Each has its own result.
pub(crate) async fn keep_all(jobs: Vec<Prepared>) -> Vec<Kept> {
    let mut results = Vec::with_capacity(jobs.len());
    let (mut plain, mut others): (Vec<Prepared>, Vec<Prepared>) = Default::default();
    for job in jobs {
        let joins = job.plain().is_some_and(|(outbox, _)| {
            plain.first().and_then(Prepared::plain).is_none_or(|(first, _)| first == outbox)
        });
        if !joins || plain.len() == MAX_AT_ONCE {
            results.extend(add_together(std::mem::take(&mut plain)).await);
        }
        if job.plain().is_some() {
            plain.push(job);
        } else if job.in_order() {
            results.push(keep(job).await);
        } else {
            others.push(job);
        }
    }
    results.extend(add_together(plain).await);
    results
        .extend(stream::iter(others).map(keep).buffer_unordered(SCHEDULES_AT_ONCE).collect::<Vec<_>>().await);
    results
}

/// Puts a job into its place.
pub(crate) async fn keep(job: Prepared) -> Kept {
    let result = match &job.wait {
        Some(Wait::Outbox { outbox, job: row, held: None }) => {
            add(outbox, std::slice::from_ref(&**row)).await.map(|()| job.waiting())
        }
        Some(Wait::Outbox { outbox, job: row, held: Some(held) }) => {
            add_unique(outbox, row, held).await.map(|added| job.unique(added))
        }
        #[cfg(feature = "scheduler")]
        Some(Wait::Scheduler { scheduler, body, .. }) => {
            scheduler.create(job.job_id(), body).await.map(|()| job.waiting())
        }
        None => unreachable!("only jobs that wait are kept"),
    };
    let result = result.map_err(|error| error_of(&job, error));
    (job, result)
}

/// Adds jobs to their outbox in one call. If the outbox refuses them, each is added separately, so that a refused job does not
/// block others.
async fn add_together(jobs: Vec<Prepared>) -> Vec<Kept> {
    let rows: Vec<OutboxJob> = jobs.iter().filter_map(Prepared::plain).map(|(_, row)| row.clone()).collect();
    let Some((outbox, _)) = jobs.first().and_then(Prepared::plain) else { return Vec::new() };
    let result = add(outbox, &rows).await;
    let mut kept = Vec::with_capacity(jobs.len());
    let each_alone = jobs.len() > 1 && matches!(result, Err(NotKept::Refused(_)));
    for job in jobs {
        if each_alone {
            kept.push(keep(job).await);
        } else {
            let result = result.clone().map(|()| job.waiting()).map_err(|error| error_of(&job, error));
            kept.push((job, result));
        }
    }
    kept
}

async fn add(outbox: &OutboxServer, rows: &[OutboxJob]) -> Result<(), NotKept> {
    Ok(outbox.get().await?.add(rows).await?)
}

impl Prepared {
    /// Returns the job's row if it waits in an outbox and is not unique: such rows are added together.
    fn plain(&self) -> Option<(&OutboxServer, &OutboxJob)> {
        match &self.wait {
            Some(Wait::Outbox { outbox, job, held: None }) => Some((outbox, job)),
            _ => None,
        }
    }

    /// Returns true if the job waits in an outbox, where the order of jobs matters.
    fn in_order(&self) -> bool {
        matches!(&self.wait, Some(Wait::Outbox { .. }))
    }

    /// Returns the receipt of a waiting job.
    fn waiting(&self) -> Receipt {
        let due = match &self.wait {
            Some(Wait::Outbox { job, .. }) => time_of(job.due),
            #[cfg(feature = "scheduler")]
            Some(Wait::Scheduler { due, .. }) => Some(*due),
            None => None,
        };
        Receipt {
            job_id: self.job_id().to_owned(),
            message_id: None,
            queue: self.queue.name().to_owned(),
            sequence_number: None,
            due,
            existing: None,
        }
    }

    /// Returns the receipt of a unique job.
    fn unique(&self, added: Added) -> Receipt {
        let (job_id, existing) = match added {
            Added::New => return self.waiting(),
            Added::Waiting { id } => (id, Existing::Waiting),
            Added::Sent { id } => (id, Existing::Sent),
            Added::Replaced { id } => (id, Existing::Replaced),
        };
        Receipt { job_id, due: None, existing: Some(existing), ..self.waiting() }
    }
}

/// Returns the error of a job that was not put into its place.
fn error_of(job: &Prepared, why: NotKept) -> ProduceError {
    let place = job.wait.as_ref().map_or("a place in which it waits", Wait::place);
    let unsent = |reason| Unsent { job_id: job.job_id().to_owned(), queue: place.to_owned(), reason };
    match why {
        NotKept::Refused(reason) => Refusal::new(&job.outgoing.job_type, place, reason).into(),
        NotKept::Unavailable(reason) => ProduceError::Unavailable(unsent(reason)),
        NotKept::InDoubt(reason) => ProduceError::InDoubt(unsent(reason)),
    }
}

#[cfg(test)]
#[path = "keep_tests.rs"]
mod tests;
