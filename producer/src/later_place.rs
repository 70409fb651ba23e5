//! Jobs that wait: into the outbox, or to EventBridge Scheduler.

#[cfg(feature = "scheduler")]
use std::time::SystemTime;

use drumline_store::outbox::{Added, OutboxJob};
use drumline_store::{OpenError, StoreError};
use futures_util::{StreamExt as _, stream};

use crate::error::{ProduceError, Refusal, Unsent};
use crate::later::time_of;
use crate::later_servers::{OutboxServer, StoreServer};
use crate::later_unique::{Held, add_unique};
use crate::prepared::Prepared;
use crate::receipt::{Existing, Receipt};
#[cfg(feature = "scheduler")]
use crate::scheduler::EventBridgeScheduler;

/// The most jobs that are added to an outbox in one call, which is one transaction.
const MAX_AT_ONCE: usize = 500;

/// The schedules that are created at once.
const SCHEDULES_AT_ONCE: usize = 8;

/// What a producer has for jobs that wait.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    pub(crate) outbox: Option<OutboxServer>,
    /// The store of the workers, which knows what is done.
    pub(crate) store: Option<StoreServer>,
    #[cfg(feature = "scheduler")]
    pub(crate) scheduler: Option<EventBridgeScheduler>,
}

/// The place in which a job waits, and the job as it is kept there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wait {
    Outbox {
        outbox: OutboxServer,
        job: Box<OutboxJob>,
        held: Option<Box<Held>>,
    },
    #[cfg(feature = "scheduler")]
    Scheduler {
        scheduler: EventBridgeScheduler,
        /// The request, which has the message in it.
        body: String,
        due: SystemTime,
    },
}

impl Wait {
    /// Returns the name of the place in errors, where that of a queue stands otherwise.
    fn place(&self) -> &'static str {
        match self {
            Self::Outbox { .. } => "the outbox",
            #[cfg(feature = "scheduler")]
            Self::Scheduler { .. } => "EventBridge Scheduler",
        }
    }
}

/// The reason for which a job was not put where it waits.
#[derive(Debug, Clone)]
pub(crate) enum NotKept {
    /// The same job is refused again.
    Refused(String),
    /// It is not there.
    Unavailable(String),
    /// The answer is lost: it may be there.
    InDoubt(String),
}

impl From<OpenError> for NotKept {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Unavailable(StoreError::Unanswered(_)) => Self::Unavailable(error.to_string()),
            _ => Self::Refused(error.to_string()),
        }
    }
}

impl From<StoreError> for NotKept {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(_) => Self::Refused(error.to_string()),
            StoreError::Unanswered(_) => Self::InDoubt(error.to_string()),
        }
    }
}

impl NotKept {
    fn of(self, job: &Prepared) -> ProduceError {
        let place = job.wait.as_ref().map_or("a place in which it waits", Wait::place);
        let unsent = |reason| Unsent { job_id: job.job_id().to_owned(), queue: place.to_owned(), reason };
        match self {
            Self::Refused(reason) => Refusal::new(&job.outgoing.job_type, place, reason).into(),
            Self::Unavailable(reason) => ProduceError::Unavailable(unsent(reason)),
            Self::InDoubt(reason) => ProduceError::InDoubt(unsent(reason)),
        }
    }
}

/// A job that waits, with its result.
pub(crate) type Kept = (Prepared, Result<Receipt, ProduceError>);

/// Puts jobs where they wait, those of an outbox in their order. Each stands for itself.
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

/// Puts a job where it waits.
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
    let result = result.map_err(|error| error.of(&job));
    (job, result)
}

/// Adds jobs to their outbox by one call. If it refuses them, each is added by itself, so that a refused one holds up no other.
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
            let result = result.clone().map(|()| job.waiting()).map_err(|error| error.of(&job));
            kept.push((job, result));
        }
    }
    kept
}

async fn add(outbox: &OutboxServer, rows: &[OutboxJob]) -> Result<(), NotKept> {
    Ok(outbox.get().await?.add(rows).await?)
}

impl Prepared {
    /// Returns the job's row if it waits in an outbox, and is not unique: such rows are added together.
    fn plain(&self) -> Option<(&OutboxServer, &OutboxJob)> {
        match &self.wait {
            Some(Wait::Outbox { outbox, job, held: None }) => Some((outbox, job)),
            _ => None,
        }
    }

    /// Returns true if it waits in an outbox, where the order of jobs counts.
    fn in_order(&self) -> bool {
        matches!(&self.wait, Some(Wait::Outbox { .. }))
    }

    /// The receipt of a job that waits.
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

    /// The receipt of a unique job.
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

#[cfg(test)]
#[path = "later_place_tests.rs"]
mod tests;
