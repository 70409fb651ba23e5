//! A single HTTP request: no retries, one timeout for the whole request, and a response of limited size.

use std::fmt;
use std::time::Duration;

use ::http::header::CONTENT_LENGTH;
use ::http::{Method, Request, Response};
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::causes::with_causes;

/// The largest size of a response body: a page of Lambda's mappings is the longest response that is needed.
pub const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// The reason why a request has no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// The response body is larger than allowed.
    TooLarge,
    /// Any other reason, as a text for the user. The text contains the host, but neither the path nor the query, which may be
    /// secret.
    Failed(String),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the answer is too long",
            Self::Failed(text) => text,
        })
    }
}

/// Sends a request with [`connector_of`](crate::connector_of), and returns its response with any status.
///
/// # Errors
///
/// Returns an error text for the user if there is no response in time. The text contains the host, but neither the path nor the
/// query, which may be secret.
pub async fn send(
    connector: &SharedHttpConnector,
    request: Request<Bytes>,
    patience: Duration,
) -> Result<Response<Bytes>, String> {
    send_bounded(connector, request, patience, MAX_ANSWER_BYTES).await.map_err(|error| error.to_string())
}

/// Sends a request with another limit of the response's size.
pub(crate) async fn send_bounded(
    connector: &SharedHttpConnector,
    request: Request<Bytes>,
    patience: Duration,
    max_bytes: usize,
) -> Result<Response<Bytes>, NoAnswer> {
    let host = request.uri().host().unwrap_or_default().to_owned();
    let about = |problem: &str| NoAnswer::Failed(format!("{host}: {problem}"));
    let has_body = request.method() != Method::HEAD;
    let request =
        HttpRequest::try_from(request.map(SdkBody::from)).map_err(|error| about(&with_causes(&error)))?;
    let answer = async {
        let answer = connector.call(request).await.map_err(|error| about(&with_causes(&error)))?;
        let answer = answer.try_into_http1x().map_err(|error| about(&with_causes(&error)))?;
        if has_body && announced_bytes(&answer).is_some_and(|bytes| bytes > max_bytes) {
            return Err(NoAnswer::TooLarge);
        }
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, max_bytes).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { NoAnswer::TooLarge } else { about(&error.to_string()) }
        })?;
        Ok(Response::from_parts(head, body.to_bytes()))
    };
    let late = || Err(about(&format!("no answer within {} s", patience.as_secs())));
    timeout(patience, answer).await.unwrap_or_else(|_| late())
}

/// Returns the length of a body according to its header.
fn announced_bytes<B>(answer: &Response<B>) -> Option<usize> {
    answer.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
