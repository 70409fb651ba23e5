//! The URL of a queue that is given by name.

use drumline::core::SqsErrorKind;
use url::Url;

use super::client::Clients;
use super::errors::explain;
use super::queue_url::name_of;
use crate::sqs::SqsError;

/// The end of the error text if the request for the URL is not permitted.
const NEEDS_GET_QUEUE_URL: &str =
    "; a queue that is given by its name also needs sqs:GetQueueUrl, one by its URL or ARN does not";

/// Returns the queue's URL. A queue that is given by its name is asked for, in the region and the account of `clients`.
///
/// # Errors
/// If there is no queue of this name, or SQS does not answer.
pub async fn resolve(clients: &Clients, url: &Url) -> Result<Url, SqsError> {
    let Some(name) = name_of(url) else { return Ok(url.clone()) };
    let reply = match clients.calls.get_queue_url().queue_name(name).send().await {
        Ok(reply) => reply.queue_url.unwrap_or_default(),
        Err(error) => {
            let error = clients.in_context(explain("GetQueueUrl", &error)).await;
            let advice = if error.is_access_denied() { NEEDS_GET_QUEUE_URL } else { "" };
            return Err(SqsError { text: error.text + advice, ..error });
        }
    };
    let unusable = |error| SqsError::new(SqsErrorKind::Other, format!("GetQueueUrl: {reply:?}: {error}"));
    Url::parse(&reply).map_err(unusable)
}
