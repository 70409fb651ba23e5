//! A single HTTP request: no retries, one time-out over all of it, and an answer of bounded size.

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

/// The most bytes of an answer's body: a page of Lambda's mappings is the longest that is asked for.
pub const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// The reason for which a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// The answer's body is longer than was allowed for.
    TooLarge,
    /// Any other reason, in words for the user. The text names the host, and neither the path nor the query: they may be secrets.
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

/// Sends a request by [`connector_of`](crate::connector_of), and returns its answer with any status.
///
/// # Errors
/// If there is no answer in time, in words for the user. The text names the host, and neither the path nor the query: they may
/// be secrets.
pub async fn send(
    connector: &SharedHttpConnector,
    request: Request<Bytes>,
    patience: Duration,
) -> Result<Response<Bytes>, String> {
    send_bounded(connector, request, patience, MAX_ANSWER_BYTES).await.map_err(|error| error.to_string())
}

/// The same for an answer of up to so many bytes.
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

/// The length of a body, as its header has it.
fn announced_bytes<B>(answer: &Response<B>) -> Option<usize> {
    answer.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
