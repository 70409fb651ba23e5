//! Checks the permission to delete before anything is sent: a letter that is sent and cannot be deleted would be in two queues.

use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use drumline_consumer::ExitError;
use drumline_runtime::SqsErrorKind;
use drumline_runtime::aws::explain;

use crate::dlq::queue::DeadLetterQueue;

/// A receipt that SQS has never issued. SQS first checks the permission, and then refuses the entry.
const NO_RECEIPT: &str = "none";

/// Asks SQS to delete a message that does not exist.
///
/// # Errors
///
/// Returns an error if the permission is missing.
pub(super) async fn check_delete(queue: &DeadLetterQueue) -> Result<(), ExitError> {
    let entry = DeleteMessageBatchRequestEntry::builder().id("0").receipt_handle(NO_RECEIPT).build();
    let entry = entry.expect("id and receipt are set");
    let request = queue.clients.calls.delete_message_batch().queue_url(&queue.url).entries(entry);
    let Err(error) = request.send().await else { return Ok(()) };
    let error = explain("DeleteMessageBatch", &error);
    if error.kind != SqsErrorKind::Denied {
        // Other errors appear where they matter.
        return Ok(());
    }
    let error = queue.clients.in_context(error).await;
    let text = format!("letters of {} cannot be deleted, so none was sent: {}", queue.name, error.text);
    Err(ExitError::sqs(error.kind, text))
}
