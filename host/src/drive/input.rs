//! The inputs of a loop.

use std::sync::Arc;
use std::time::Instant;

use drumline::core::{
    CallId, Claim, Claimed, DeliveryId, MarkError, Ownership, ReceiveId, Replies, RunReport,
};
use drumline::message::Message;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::job_order::JobRequest;
use crate::sqs::SqsError;

/// An event outside the loop.
pub(crate) enum Input {
    Received(ReceiveId, Instant, Result<Vec<Message>, SqsError>),
    Ended(DeliveryId, RunReport),
    /// A dead job, whose run ended at this time, after the call of its hook. `None` if the call was aborted.
    Buried(DeliveryId, Box<RunReport>, Instant, Option<bool>),
    Called(CallId, Replies),
    Opened(DeliveryId, Instant),
    Typed(DeliveryId, Arc<str>),
    Claimed(DeliveryId, Claimed),
    ClaimRenewed(DeliveryId, Arc<Claim>, Result<Ownership, String>),
    Marked(DeliveryId, Result<Ownership, MarkError>),
    ClaimReleased(DeliveryId, Arc<Claim>, Result<Ownership, String>),
    Job(JobRequest),
}

/// The loop only goes away when the queue is drained; what comes after that is of no use to anybody.
pub(super) async fn send(inputs: &mpsc::Sender<Input>, input: Input) {
    // Nearly always there is room, and then no future needs to be made.
    if let Err(TrySendError::Full(input)) = inputs.try_send(input) {
        let _ = inputs.send(input).await;
    }
}
