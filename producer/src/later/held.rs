//! Adds a unique job to the outbox unless another job holds its key.

use std::time::SystemTime;

use drumline_store::outbox::{self, Added, Due, OutboxJob};
use drumline_store::{JobRecord, JobState};

use super::due::time_of;
use super::not_kept::NotKept;
use super::servers::{OutboxServer, StoreServer};
use crate::error::Refused;
use crate::unique::{Unique, Until};

/// The reason why a job cannot be unique until it is done.
const NO_STORE: &str = "that a job is done is known by the store of its workers: set DRUMLINE_STORE_URL to theirs (in code: \
                        Producer::store), or let it hold its key for a time (Unique::within)";

/// The largest number of attempts to take a key from a job that no longer needs it. Each time, another caller's job has taken
/// it first.
const MAX_TAKES: usize = 5;

/// A key, and the event that frees it before its window ends.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) unique: outbox::Unique,
    pub(crate) end: End,
}

/// The event that frees a job's key.
#[derive(Debug, Clone)]
pub(crate) enum End {
    /// Only the end of the window.
    Window,
    /// A relay has taken the job: the job may have an older payload than the new call.
    Taken,
    /// The job is done or has failed permanently, according to this store.
    Finished(StoreServer),
}

impl Held {
    /// Creates the key of a unique job that is due at this time. `store` is the store of its workers.
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

/// Compares only the keys: the store is always the producer's.
impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.unique == other.unique
    }
}

impl Eq for Held {}

/// Adds a unique job. Takes the key from the job that holds it if that job no longer needs it.
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
            // The key is taken from this particular job, so that only one of several callers gets it.
            Some(id) => unique.take_from = Some(id.clone()),
            None => return Ok(added),
        }
    }
    Ok(outbox.add_unique(job, &unique).await?)
}

/// Returns true if the job with this id is done, or will not be retried.
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
    // A job with several records, for example after a replay to another queue, must be finished in all of them.
    Ok(!jobs.is_empty() && jobs.iter().all(is_finished))
}

#[cfg(test)]
#[path = "held_tests.rs"]
mod tests;
