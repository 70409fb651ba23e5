//! Lists of jobs, and the look-up of one by its job id or its message id.

use drumline_store::{JobRecord, MAX_RECENT, Store, StoreError};
use serde::Deserialize;

use crate::dlq_watch::WATCH_TYPE;
use crate::job_view::{JobFilter, JobView, ShownState};

/// The number of jobs in a list by default.
const USUAL: usize = 20;

/// The maximum number of the workers' own claims expected among the newest records: one for each watched DLQ.
const MOST_OWN: usize = 20;

/// The length of a UUID, which SQS's message ids are.
const MESSAGE_ID_BYTES: usize = 36;

/// A query for the jobs that changed last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ListQuery {
    /// Their state.
    pub state: Option<ShownState>,
    /// Their type.
    #[serde(rename = "type")]
    pub job_type: Option<String>,
    /// Their queue's name.
    pub queue: Option<String>,
    /// The maximum number of jobs to return.
    pub limit: Option<usize>,
}

impl ListQuery {
    /// Returns the selected jobs among the [`MAX_RECENT`] jobs of a store that changed last, the newest first.
    ///
    /// # Errors
    /// If the store does not answer, or refuses because it has no list.
    pub async fn ask(&self, store: &dyn Store) -> Result<Vec<JobView>, StoreError> {
        let limit = self.limit.unwrap_or(USUAL);
        let is_open = self.state.is_none() && self.job_type.is_none() && self.queue.is_none();
        let read = if is_open { limit.saturating_add(MOST_OWN).min(MAX_RECENT) } else { MAX_RECENT };
        let jobs = store.recent(read).await?;
        Ok(self.select(jobs, limit))
    }

    fn select(&self, jobs: Vec<JobRecord>, limit: usize) -> Vec<JobView> {
        let filter =
            JobFilter { queue: self.queue.clone(), job_type: self.job_type.clone(), ..JobFilter::default() };
        let is_shown = |job: &JobRecord| !is_own(job) && filter.accepts(job);
        let accepted = jobs.into_iter().filter(is_shown).map(JobView::from);
        accepted.filter(|job| self.state.is_none_or(|state| state == job.state)).take(limit).collect()
    }
}

/// Returns true for claims with which workers coordinate, and which are no jobs.
fn is_own(job: &JobRecord) -> bool {
    job.claim.as_ref().is_some_and(|claim| claim.job_type == WATCH_TYPE)
}

/// Returns the job with this job id that the filter accepts and that changed last. If no job has the id, and it may be a
/// message id, the messages of jobs are searched, if the store supports that.
///
/// # Errors
/// If the store does not answer.
pub async fn find(store: &dyn Store, id: &str, filter: &JobFilter) -> Result<Option<JobView>, StoreError> {
    let jobs = store.jobs(id).await?;
    if !jobs.is_empty() || !is_message_id(id) {
        return Ok(JobView::newest(jobs, filter));
    }
    match store.of_message(id).await {
        Ok(jobs) => Ok(JobView::newest(jobs, filter)),
        Err(StoreError::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_message_id(id: &str) -> bool {
    let fits = |(index, byte): (usize, u8)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    id.len() == MESSAGE_ID_BYTES && id.bytes().enumerate().all(fits)
}

#[cfg(test)]
mod tests {
    use drumline_store::JobState;

    use super::*;
    use crate::job_view::examples::{attempt, claim, job};

    #[test]
    fn a_list_is_of_the_wanted_state_type_and_queue() {
        let of = |state: JobState, job_type: &str| {
            let mut claim = claim(state);
            job_type.clone_into(&mut claim.job_type);
            job(Some(claim), Vec::new())
        };
        let jobs = || {
            vec![
                of(JobState::Running, "a.b"),
                of(JobState::Done, "a.b"),
                of(JobState::Done, "c.d"),
                job(None, vec![attempt("dead_letter", "no such user")]),
                of(JobState::Running, WATCH_TYPE),
            ]
        };
        let query = |state: Option<ShownState>, job_type: Option<&str>| ListQuery {
            state,
            job_type: job_type.map(str::to_owned),
            ..ListQuery::default()
        };
        let table = [
            (query(None, None), 10, 4),
            (query(None, None), 3, 3),
            (query(Some(ShownState::Done), None), 10, 2),
            (query(Some(ShownState::Failed), None), 10, 1),
            (query(Some(ShownState::Done), Some("a.b")), 10, 1),
            (query(Some(ShownState::Dead), None), 10, 0),
            (ListQuery { queue: Some("elsewhere".to_owned()), ..ListQuery::default() }, 10, 0),
        ];
        for (query, limit, count) in table {
            assert_eq!(query.select(jobs(), limit).len(), count, "{query:?}");
        }
    }

    #[test]
    fn only_a_uuid_can_be_a_messages_id() {
        assert!(is_message_id("2f0c8d5e-5a0b-4a35-9d1e-6f6f8a1f1b10"));
        for id in ["order-42", "2f0c8d5e-5a0b-4a35-9d1e-6f6f8a1f1b1", "2f0c8d5e-5a0b-4a35-9d1e-6f6f8a1f1b1x"]
        {
            assert!(!is_message_id(id), "{id}");
        }
    }
}
