//! The operator's part of the loop: single jobs that are tried now, or cancelled.

use std::sync::Arc;
use std::time::{Duration, Instant};

use drumline::core::{
    Action, ClaimRequest, ClaimResult, DeliveryId, HiddenMessage, ReleaseClaim, VisibilityEntry, Whereabouts,
};
use drumline::message::Message;
use serde::Deserialize;
use tokio::sync::oneshot;
use tracing::Instrument as _;

use super::Driver;
use super::job_order::{JobAction, JobAnswer, JobOrder, JobRequest};
use super::job_requests::JobRequests;
use crate::claims::ClaimStoreClient;

/// For how long the claim of a hidden job is taken, to write down that it has failed.
const CLAIM: Duration = Duration::from_secs(30);

impl Driver {
    /// Returns the way by which orders about jobs come to this loop.
    pub fn job_requests(&self) -> JobRequests {
        JobRequests(self.inputs.clone())
    }

    pub(super) fn obey(&mut self, now: Instant, request: JobRequest) {
        let JobRequest { order, answer } = request;
        let message_id = self.message_of(now, &order);
        let answered = match &order.action {
            JobAction::Retry => match message_id.as_deref().and_then(|id| self.ledger.whereabouts(now, id)) {
                None => JobAnswer::Unknown,
                Some(Whereabouts::Running) => JobAnswer::Running,
                Some(Whereabouts::InHand) => JobAnswer::InHand,
                Some(Whereabouts::Hidden) => {
                    return self.make_visible(
                        now,
                        message_id.as_deref(),
                        None,
                        JobAnswer::MadeVisible,
                        answer,
                    );
                }
            },
            JobAction::Cancel { reason } => {
                let known =
                    message_id.iter().map(String::as_str).chain(order.message_ids.iter().map(String::as_str));
                let mut found = None;
                for id in known {
                    let place = self.ledger.cancel_job(now, id, reason);
                    found = found.or(place);
                }
                match found {
                    None => JobAnswer::Unknown,
                    Some(Whereabouts::Running) => JobAnswer::RunCancelled,
                    Some(Whereabouts::InHand) => JobAnswer::Cancelled,
                    Some(Whereabouts::Hidden) => {
                        let reason = Some(reason.clone());
                        return self.make_visible(
                            now,
                            message_id.as_deref(),
                            reason,
                            JobAnswer::Cancelled,
                            answer,
                        );
                    }
                }
            }
        };
        // The asker may have left.
        let _ = answer.send(answered);
    }

    /// Returns the id of the message that is meant, if it is known here. A job that has not begun is found by the id in its body.
    fn message_of(&self, now: Instant, order: &JobOrder) -> Option<String> {
        let is_known = |id: &&String| self.ledger.whereabouts(now, id).is_some();
        let by_message = order.message_ids.iter().find(is_known).cloned();
        by_message.or_else(|| {
            let found = self.ledger.messages().find(|message| has_job_id(message, &order.job_id))?;
            Some(found.id.to_string())
        })
    }

    /// Makes a hidden message visible. If its job is cancelled, the store knows that first, so that no worker runs it.
    fn make_visible(
        &mut self,
        now: Instant,
        message_id: Option<&str>,
        cancelled_for: Option<String>,
        done: JobAnswer,
        answer: oneshot::Sender<JobAnswer>,
    ) {
        let Some(hidden) = message_id.and_then(|id| self.ledger.hidden(now, id)).cloned() else { return };
        let (delivery, receipt) = (DeliveryId::default(), hidden.receipt.clone());
        let entry = VisibilityEntry { delivery, receipt, visibility_secs: 0 };
        let shown = self.queue.perform(Action::ChangeVisibility(vec![entry]));
        self.ledger.made_visible(&hidden.message_id);
        let (claim_store, queue) = (self.claim_store.clone(), Arc::clone(self.observer.queue()));
        let work = async move {
            if let (Some(reason), Some(claim_store)) = (cancelled_for, claim_store)
                && let Err(error) = write_failure(&claim_store, &queue, &hidden, reason).await
            {
                return JobAnswer::Failed(error);
            }
            match shown.await.into_iter().next() {
                Some(Ok(())) => done,
                Some(Err(error)) => JobAnswer::Failed(error.to_string()),
                None => JobAnswer::Failed("SQS has not answered".to_owned()),
            }
        };
        tokio::spawn(
            async move {
                let _ = answer.send(work.await);
            }
            .in_current_span(),
        );
    }
}

/// Writes down that a job has failed permanently, under a claim of its own: a run elsewhere has none meanwhile.
async fn write_failure(
    claim_store: &ClaimStoreClient,
    queue: &Arc<str>,
    hidden: &HiddenMessage,
    reason: String,
) -> Result<(), String> {
    let Some(identity) = &hidden.identity else { return Ok(()) };
    let request = ClaimRequest {
        identity: Arc::clone(identity),
        legacy_key: None,
        // Only jobs that are done or claimed are compared by it.
        payload_hash: 0,
        lock: None,
        length: CLAIM,
        queue: Arc::clone(queue),
        message_id: Arc::clone(&hidden.message_id),
        receive_count: 1,
    };
    match claim_store.claim(&request).await? {
        ClaimResult::Granted(grant) => {
            let how = ReleaseClaim { count_attempt: false, failure_reason: Some(reason), dead: false };
            claim_store.release(&grant.claim, &how).await.map(drop)
        }
        ClaimResult::Unclaimed | ClaimResult::FailedPermanently(_) => Ok(()),
        ClaimResult::Done(_) => Err("it is done".to_owned()),
        ClaimResult::Busy(_) | ClaimResult::Locked(_) | ClaimResult::Mismatch => {
            Err("another run of the same job goes on: cancel it once more".to_owned())
        }
    }
}

fn has_job_id(message: &Message, job_id: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        job_id: Option<String>,
        id: Option<String>,
    }
    // Most bodies are not read further.
    message.body.contains(job_id)
        && serde_json::from_str::<Body>(&message.body)
            .is_ok_and(|body| body.job_id.or(body.id).as_deref() == Some(job_id))
}
