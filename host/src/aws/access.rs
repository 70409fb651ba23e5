//! Checks permissions with requests that change no message.

use drumline::core::SqsErrorKind;

use super::client::Clients;
use super::errors::explain;
use super::queue::AwsQueue;
use crate::sqs::SqsError;

/// A receipt handle that SQS has never issued: requests with it delete and hide no message.
const NO_RECEIPT: &str = "drumline-checks-a-permission";

/// The permissions of a worker on its queue that can be checked.
#[derive(Debug)]
pub struct Access {
    /// `sqs:DeleteMessage`.
    pub delete: Result<(), SqsError>,
    /// `sqs:ChangeMessageVisibility`.
    pub change_visibility: Result<(), SqsError>,
}

impl AwsQueue {
    /// Checks the permissions with requests whose receipt handle no message has: SQS checks the permission first, and then
    /// refuses the handle.
    pub async fn access(&self) -> Access {
        let Clients { calls, .. } = &*self.clients;
        let delete = calls.delete_message().queue_url(&*self.queue_url).receipt_handle(NO_RECEIPT);
        let hide = calls.change_message_visibility().queue_url(&*self.queue_url).receipt_handle(NO_RECEIPT);
        let (delete, hide) = tokio::join!(delete.send(), hide.visibility_timeout(0).send());
        Access {
            delete: permitted(delete.map_err(|error| explain("DeleteMessage", &error))),
            change_visibility: permitted(hide.map_err(|error| explain("ChangeMessageVisibility", &error))),
        }
    }
}

/// Only a permitted request gets an answer about the receipt handle.
fn permitted<T>(result: Result<T, SqsError>) -> Result<(), SqsError> {
    match result {
        Err(error) if error.kind != SqsErrorKind::Gone => Err(error),
        _ => Ok(()),
    }
}
