//! A single HTTP request: no retries, one time-out over all of it, and an answer of bounded size.

use std::time::Duration;

use ::http::{Request, Response};
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use tokio::time::timeout;

use crate::causes::with_causes;

/// The most bytes of an answer's body: a page of Lambda's mappings is the longest that is asked for.
pub const MAX_ANSWER_BYTES: usize = 1024 * 1024;

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
    send_bounded(connector, request, patience, MAX_ANSWER_BYTES).await
}

/// The same for an answer of up to so many bytes.
pub(crate) async fn send_bounded(
    connector: &SharedHttpConnector,
    request: Request<Bytes>,
    patience: Duration,
    max_bytes: usize,
) -> Result<Response<Bytes>, String> {
    let host = request.uri().host().unwrap_or_default().to_owned();
    let about = |problem: &str| format!("{host}: {problem}");
    let request =
        HttpRequest::try_from(request.map(SdkBody::from)).map_err(|error| about(&with_causes(&error)))?;
    let answer = async {
        let answer = connector.call(request).await.map_err(|error| about(&with_causes(&error)))?;
        let answer = answer.try_into_http1x().map_err(|error| about(&with_causes(&error)))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, max_bytes).collect().await;
        let body = body.map_err(|error| about(&error.to_string()))?.to_bytes();
        Ok(Response::from_parts(head, body))
    };
    let late = || Err(about(&format!("no answer within {} s", patience.as_secs())));
    timeout(patience, answer).await.unwrap_or_else(|_| late())
}
