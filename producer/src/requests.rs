//! The interface to SQS: one request, one attempt.

use drumline_runtime::BoxFuture;

use crate::pack::Outgoing;
use crate::send::Reply;
use crate::target_queue::TargetQueue;

/// Makes requests, each with one attempt.
pub(crate) trait Requests: Send + Sync {
    /// Sends a batch. Returns its messages with the response.
    fn send(&self, queue: TargetQueue, batch: Vec<Outgoing>) -> BoxFuture<(Vec<Outgoing>, Reply)>;
}

/// Requests to SQS with the client of each queue.
pub(crate) struct ToSqs;

impl Requests for ToSqs {
    fn send(&self, queue: TargetQueue, batch: Vec<Outgoing>) -> BoxFuture<(Vec<Outgoing>, Reply)> {
        Box::pin(async move {
            let offloaded = queue.offload(batch).await;
            if offloaded.ready.is_empty() {
                return offloaded.answered(Ok(Vec::new()));
            }
            let reply = queue.try_once(&offloaded.ready).await;
            offloaded.answered(reply)
        })
    }
}
