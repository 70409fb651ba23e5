//! Orders about single jobs: retry now, or cancel. Given to one worker, or to all in one document of the store.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use drumline_runtime::{JobAction, JobAnswer, JobOrder, is_unseen};
use drumline_store::{MAX_DOCUMENT_BYTES, Store, StoreError};
use serde::{Deserialize, Serialize};

use super::documents::{KIND, TRIES};
use super::order::{InvalidOrder, MAX_BY, MAX_WHY, check_text};

/// The name of the document, which differs from those of targets.
pub(super) const DOCUMENT: &str = "jobs";

/// The kind of the documents with answers of workers, one for each order.
const ANSWERS: &str = "control-answers";

/// The time for which an answer is kept: the operator waits for it.
const KEEP_ANSWER: Duration = Duration::from_secs(60);

/// The time for which workers try an order to retry a job.
const RETRY_LASTS: Duration = Duration::from_secs(30);

/// The time for which workers remember that a job is cancelled: longer than the twelve hours for which SQS can hide a message.
const CANCEL_LASTS: Duration = Duration::from_secs(13 * 60 * 60);

/// The maximum size of an id in bytes.
const MAX_ID: usize = 1024;

/// The maximum number of messages of one job.
const MAX_MESSAGES: usize = 10;

/// An action on a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobVerb {
    /// Retries the job now.
    Retry,
    /// Lets the job fail permanently.
    Cancel,
}

/// An order about one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRequest {
    /// The job's id.
    pub job: String,
    /// The ids of its messages, as far as they are known.
    #[serde(default)]
    pub message_ids: Vec<String>,
    /// The requested action.
    pub action: JobVerb,
    /// The name of the operator.
    pub by: String,
    /// The reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A worker's answer to an order about a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobReply {
    /// The worker's name.
    pub worker: String,
    /// The result of the order.
    pub result: JobResultKind,
    /// The reason of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The result of an order about a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JobResultKind {
    /// The worker does not know the job.
    Unknown,
    /// The job runs, so a retry is not needed.
    Running,
    /// The job is in hand and starts without a retry.
    InHand,
    /// The job's message is now visible.
    MadeVisible,
    /// The job's run is cancelled.
    RunCancelled,
    /// The job has not run, and will not run.
    Cancelled,
    /// A request to SQS or to the store has failed.
    Failed,
}

impl JobReply {
    pub(super) fn new(worker: &str, answer: JobAnswer) -> Self {
        let (result, error) = match answer {
            JobAnswer::Unknown => (JobResultKind::Unknown, None),
            JobAnswer::Running => (JobResultKind::Running, None),
            JobAnswer::InHand => (JobResultKind::InHand, None),
            JobAnswer::MadeVisible => (JobResultKind::MadeVisible, None),
            JobAnswer::RunCancelled => (JobResultKind::RunCancelled, None),
            JobAnswer::Cancelled => (JobResultKind::Cancelled, None),
            JobAnswer::Failed(error) => (JobResultKind::Failed, Some(error)),
        };
        Self { worker: worker.to_owned(), result, error }
    }
}

impl JobRequest {
    /// Returns the order if it is valid.
    ///
    /// # Errors
    /// If a text is too long or has control characters.
    pub fn checked(self) -> Result<Self, InvalidOrder> {
        let is_id = |id: &String| !id.is_empty() && id.len() <= MAX_ID && !id.chars().any(is_unseen);
        if !is_id(&self.job) || !self.message_ids.iter().all(is_id) {
            return Err(InvalidOrder(format!("an id has 1 to {MAX_ID} bytes, without control characters")));
        }
        if self.message_ids.len() > MAX_MESSAGES {
            return Err(InvalidOrder(format!("an order names at most {MAX_MESSAGES} messages")));
        }
        check_text("by", &self.by, MAX_BY)?;
        if let Some(why) = &self.why {
            check_text("why", why, MAX_WHY)?;
        }
        Ok(self)
    }

    /// Returns the order for a queue's loop.
    pub(super) fn order(&self) -> JobOrder {
        let action = match self.action {
            JobVerb::Retry => JobAction::Retry,
            JobVerb::Cancel => {
                let why = self.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                JobAction::Cancel { reason: format!("cancelled by {}{why}", self.by) }
            }
        };
        JobOrder { job_id: self.job.clone(), message_ids: self.message_ids.clone(), action }
    }
}

/// The document with the orders about jobs.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct StoredJobs {
    #[serde(default)]
    pub(super) orders: Vec<StoredJob>,
}

/// An order about a job, for all workers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredJob {
    /// The name of the document with its answer.
    pub(super) id: String,
    pub(super) until_ms: u64,
    #[serde(flatten)]
    pub(super) request: JobRequest,
}

/// Gives an order about a job to all workers of a store. Returns the id of its [answer](job_reply).
///
/// # Errors
/// If the store keeps no documents, or does not answer, or if too many jobs are cancelled.
pub async fn put_job_request(
    store: &dyn Store,
    request: &JobRequest,
    now_ms: u64,
) -> Result<String, StoreError> {
    let mut hasher = DefaultHasher::new();
    (&request.job, &request.by, now_ms).hash(&mut hasher);
    let id = format!("{now_ms:x}-{:x}", hasher.finish());
    let lasts = match request.action {
        JobVerb::Retry => RETRY_LASTS,
        JobVerb::Cancel => CANCEL_LASTS,
    };
    let lasts_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
    for _ in 0..TRIES {
        let before = store.document(KIND, DOCUMENT).await?;
        let mut jobs: StoredJobs =
            before.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        jobs.orders.retain(|known| {
            let is_replaced =
                known.request.job == request.job && known.request.message_ids == request.message_ids;
            known.until_ms > now_ms && !is_replaced
        });
        let until_ms = now_ms.saturating_add(lasts_ms);
        jobs.orders.push(StoredJob { id: id.clone(), until_ms, request: request.clone() });
        let text = serde_json::to_string(&jobs).expect("it is made of texts and numbers");
        if text.len() > MAX_DOCUMENT_BYTES {
            return Err(StoreError::Refused(
                format!(
                    "{} jobs are cancelled, and there is no room for more: pause their type instead",
                    jobs.orders.len() - 1
                )
                .into(),
            ));
        }
        if store.put_document(KIND, DOCUMENT, before.as_deref(), &text, CANCEL_LASTS).await? {
            return Ok(id);
        }
    }
    Err(StoreError::Refused("others change the same orders all the time".into()))
}

/// Returns the answer of the worker that knows the job of an order; `None` before there is an answer.
///
/// # Errors
/// If the store does not answer.
pub async fn job_reply(store: &dyn Store, id: &str) -> Result<Option<JobReply>, StoreError> {
    let found = store.document(ANSWERS, id).await?;
    Ok(found.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Writes the answer to an order.
pub(super) async fn put_job_reply(store: &dyn Store, id: &str, reply: &JobReply) -> Result<(), StoreError> {
    let text = serde_json::to_string(reply).expect("it is made of texts");
    // If another worker has answered, its answer stays.
    store.put_document(ANSWERS, id, None, &text, KEEP_ANSWER).await.map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline_store::{MemoryStore, Retention};

    use super::*;

    fn request(job: &str, action: JobVerb) -> JobRequest {
        let why = Some("wrong price".to_owned());
        JobRequest { job: job.into(), message_ids: vec!["m-1".into()], action, by: "ada".into(), why }
    }

    #[test]
    fn an_order_is_bounded_and_has_a_reason_with_who() {
        let order = request("j-1", JobVerb::Cancel).checked().unwrap().order();
        assert_eq!(order.action, JobAction::Cancel { reason: "cancelled by ada: wrong price".into() });
        for wrong in [
            JobRequest { job: String::new(), ..request("j", JobVerb::Retry) },
            JobRequest { job: "a\u{1b}".into(), ..request("j", JobVerb::Retry) },
            JobRequest { message_ids: vec!["m".into(); 11], ..request("j", JobVerb::Retry) },
            JobRequest { by: "a\nb".into(), ..request("j", JobVerb::Retry) },
            JobRequest { why: Some("x".repeat(501)), ..request("j", JobVerb::Retry) },
        ] {
            assert!(wrong.clone().checked().is_err(), "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn orders_share_a_document_until_they_are_over_or_it_is_full() {
        let store = MemoryStore::new("w".into(), Retention::default());
        let first = put_job_request(&store, &request("j-1", JobVerb::Retry), 1_000).await.unwrap();
        put_job_request(&store, &request("j-2", JobVerb::Cancel), 2_000).await.unwrap();
        put_job_request(&store, &request("j-2", JobVerb::Cancel), 40_000).await.unwrap();
        let text = store.document(KIND, DOCUMENT).await.unwrap().unwrap();
        let jobs: StoredJobs = serde_json::from_str(&text).unwrap();
        let names: Vec<&str> = jobs.orders.iter().map(|order| &*order.request.job).collect();
        assert_eq!(names, ["j-2"], "the retry is over, and the second order replaces the first");
        assert_eq!(job_reply(&store, &first).await.unwrap(), None);
        let reply = JobReply::new("w-1", JobAnswer::MadeVisible);
        put_job_reply(&store, &first, &reply).await.unwrap();
        put_job_reply(&store, &first, &JobReply::new("w-2", JobAnswer::Running)).await.unwrap();
        assert_eq!(job_reply(&store, &first).await.unwrap(), Some(reply));
        let mut refused = None;
        for number in 0..500 {
            let order = request(&format!("job-{number}"), JobVerb::Cancel);
            refused = put_job_request(&store, &order, 50_000).await.err();
            if refused.is_some() {
                break;
            }
        }
        assert!(refused.unwrap().to_string().contains("no room for more"));
    }
}
