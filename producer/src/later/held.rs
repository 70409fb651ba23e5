//! A unique job into the outbox, unless another one holds its key.

use std::time::SystemTime;

use drumline_store::outbox::{self, Added, Due, OutboxJob};
use drumline_store::{JobRecord, JobState};

use super::due::time_of;
use super::not_kept::NotKept;
use super::servers::{OutboxServer, StoreServer};
use crate::error::Refused;
use crate::unique::{Unique, Until};

/// The reason for which a job is not unique until it is done.
const NO_STORE: &str = "that a job is done is known by the store of its workers: set DRUMLINE_STORE_URL to theirs (in code: \
                        Producer::store), or let it hold its key for a time (Unique::within)";

/// How often a key is taken from a job that needs it no longer. Each time, another caller's job has got it meanwhile.
const MAX_TAKES: usize = 5;

/// A key, and what ends its being held before the end of its window.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) unique: outbox::Unique,
    pub(crate) end: End,
}

/// What ends that a job holds its key.
#[derive(Debug, Clone)]
pub(crate) enum End {
    /// The end of the window alone.
    Window,
    /// A relay has taken the job: it may have an older payload than the call that finds it.
    Taken,
    /// The job is done, or has failed for good, as this store has it.
    Finished(StoreServer),
}

impl Held {
    /// The key of a unique job that is due then. `store` is that of its workers.
    pub(crate) fn new(
        unique: &Unique,
        job_type: &str,
        idempotency_key: Option<&str>,
        payload: &str,
        due: Due,
        store: Option<StoreServer>,
    ) -> Result<Self, Refused> {
        let refused = |reason: String| Err(("unique", reason));
        let key = unique.of_job(job_type, idempotency_key, payload)?;
        let end = match unique.until() {
            Until::Window(_) => End::Window,
            Until::Sent { .. } => End::Taken,
            Until::Done { at_most } => {
                let Some(store) = store else { return refused(NO_STORE.to_owned()) };
                let ends = SystemTime::now().checked_add(at_most);
                if time_of(due) > ends {
                    return refused(format!(
                        "it is due when its key is free again, {at_most:?} after now: let it hold the key for longer"
                    ));
                }
                End::Finished(store)
            }
        };
        Ok(Self { unique: key, end })
    }
}

/// Equal if the keys are: the store is that of the producer.
impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.unique == other.unique
    }
}

impl Eq for Held {}

/// Adds a unique job, by a key that is taken from the job that holds it if that one needs it no longer.
pub(crate) async fn add_unique(
    outbox: &OutboxServer,
    job: &OutboxJob,
    held: &Held,
) -> Result<Added, NotKept> {
    let outbox = outbox.get().await?;
    let mut unique = held.unique.clone();
    for _ in 0..MAX_TAKES {
        let added = outbox.add_unique(job, &unique).await?;
        let freed = match (&added, &held.end) {
            (Added::Waiting { id } | Added::Sent { id }, End::Taken) => Some(id),
            (Added::Sent { id }, End::Finished(store)) if is_finished(store, id).await? => Some(id),
            _ => None,
        };
        match freed {
            // The key is taken from that very job, so that of several callers one gets it.
            Some(id) => unique.take_from = Some(id.clone()),
            None => return Ok(added),
        }
    }
    Ok(outbox.add_unique(job, &unique).await?)
}

/// Returns true if the job with this id is done, or will not be tried again.
async fn is_finished(store: &StoreServer, job_id: &str) -> Result<bool, NotKept> {
    let unknown = |error: String| {
        NotKept::Unavailable(format!("the store does not say if job {job_id} is done: {error}"))
    };
    let store = store.get().await.map_err(|error| unknown(error.to_string()))?;
    let jobs = store.jobs(job_id).await.map_err(|error| unknown(error.to_string()))?;
    let is_finished = |job: &JobRecord| {
        let state = job.claim.as_ref().map(|claim| claim.state);
        job.duplicate_of.is_some()
            || matches!(state, Some(JobState::Done | JobState::Failed | JobState::Dead))
    };
    // One that has several records, such as after a replay to another queue, is finished in all of them.
    Ok(!jobs.is_empty() && jobs.iter().all(is_finished))
}

#[cfg(test)]
#[path = "held_tests.rs"]
mod tests;
