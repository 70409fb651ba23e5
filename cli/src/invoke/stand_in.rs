//! A substitute for SQS, so that a function without credentials sends no requests to AWS.

use drumline_consumer::ExitError;
use drumline_lambda_local::Function;
use drumline_queue::{Endpoint, Server};
use serde::Deserialize;

/// The variables that already redirect a function's requests to SQS.
const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL"];

/// The largest receive count of the substitute's queues.
const MAX_RECEIVE_COUNT: u32 = 5;

/// The part of an SQS event that names its queues.
#[derive(Deserialize)]
struct Records {
    #[serde(default, rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(default, rename = "eventSourceARN")]
    source: String,
}

/// Serves the queues that these events name, empty and each with a DLQ, and configures the function to use them. If the
/// function has its own credentials or endpoint, returns `None` and changes nothing.
pub(super) async fn serve(
    function: Function,
    is_set: impl Fn(&str) -> bool,
    events: impl Iterator<Item = &[u8]>,
) -> Result<(Function, Option<Server>), ExitError> {
    if !function.has_fake_credentials() || ENDPOINTS.iter().any(|name| is_set(name)) {
        return Ok((function, None));
    }
    let server = Server::bind("127.0.0.1:0").await?;
    for event in events {
        create_queues(server.endpoint(), event);
    }
    let function = function.env(ENDPOINTS[0], &server.endpoint_url());
    Ok((function, Some(server)))
}

fn create_queues(endpoint: &Endpoint, event: &[u8]) {
    // Events of other services name no queue.
    let Ok(Records { records }) = serde_json::from_slice(event) else { return };
    for name in records.iter().filter_map(|record| record.source.rsplit(':').next()) {
        let dead_letters = match name.strip_suffix(".fifo") {
            Some(start) => format!("{start}-dlq.fifo"),
            None => format!("{name}-dlq"),
        };
        // An invalid name has no queue, and requests to it are refused.
        let _ = endpoint.create_queue_with_dead_letters(name, &dead_letters, MAX_RECEIVE_COUNT);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const EVENT: &[u8] = br#"{"Records":[{"eventSourceARN":"arn:aws:sqs:us-east-1:000000000000:orders.fifo"},{},{"eventSourceARN":"arn:aws:s3:::b"}]}"#;

    #[tokio::test]
    async fn a_function_without_credentials_gets_the_queues_of_its_events() {
        let (_, server) =
            serve(Function::new("bootstrap"), |_| false, [EVENT, b"[]"].into_iter()).await.unwrap();
        let server = server.unwrap();
        assert!(server.endpoint().peek("orders.fifo").unwrap().is_empty());
        assert!(server.endpoint().peek("orders-dlq.fifo").is_ok());
    }

    #[tokio::test]
    async fn credentials_and_an_endpoint_are_respected() {
        let own = Function::new("bootstrap").inherit(|name| Some(name.to_owned()));
        assert!(serve(own, |_| false, std::iter::empty()).await.unwrap().1.is_none());
        let is_set = |name: &str| name == "AWS_ENDPOINT_URL";
        assert!(serve(Function::new("bootstrap"), is_set, std::iter::empty()).await.unwrap().1.is_none());
    }
}
