//! The AWS JSON 1.0 protocol over HTTP: parses requests, and writes responses and errors.
//!
//! <https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html>

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::endpoint::Endpoint;
use crate::error::{ErrorCode, SqsError};
use crate::object::from_object;

/// The largest request body: a full batch with each byte escaped to six bytes in JSON, plus some for the rest.
const MAX_REQUEST_BYTES: usize = 8 << 20;

/// The time limit for receiving a request's body.
const BODY_TIME: Duration = Duration::from_secs(30);

const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");

/// The response of actions without a result: an empty object.
#[derive(Serialize)]
struct Nothing {}

/// Answers one request.
pub(super) async fn answer(
    endpoint: Endpoint,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        return Ok(plain("drumline-queue: an SQS endpoint for laptops and tests\n"));
    }
    let (head, body) = request.into_parts();
    let Some(target) = head.headers.get("x-amz-target") else { return Ok(old_protocol()) };
    let action = target.to_str().ok().and_then(|target| target.strip_prefix("AmazonSQS."));
    let body = timeout(BODY_TIME, Limited::new(body, MAX_REQUEST_BYTES).collect());
    let body = body.await.unwrap_or_else(|_| Err("it did not arrive in time".into()));
    let result = match (action, body) {
        (Some(action), Ok(body)) => act(&endpoint, action, &body.to_bytes()).await,
        (None, _) => Err(unknown_action(target)),
        (_, Err(error)) => {
            Err(SqsError::new(ErrorCode::MalformedRequest, format!("cannot read the body: {error}")))
        }
    };
    Ok(match result {
        Ok(json) => {
            let mut response = Response::new(Full::new(json.into()));
            response.headers_mut().insert(CONTENT_TYPE, JSON);
            response
        }
        Err(error) => refusal(&error),
    })
}

async fn act(endpoint: &Endpoint, action: &str, body: &[u8]) -> Result<Vec<u8>, SqsError> {
    match action {
        "ReceiveMessage" => json(endpoint.receive(parse(body)?).await),
        "SendMessage" => run(body, |r| endpoint.call(|sqs, now| sqs.send_message(now, r))),
        "SendMessageBatch" => run(body, |r| endpoint.call(|sqs, now| sqs.send_message_batch(now, r))),
        "DeleteMessage" => do_it(body, |r| endpoint.call(|sqs, now| sqs.delete_message(now, r))),
        "DeleteMessageBatch" => run(body, |r| endpoint.call(|sqs, now| sqs.delete_message_batch(now, r))),
        "ChangeMessageVisibility" => {
            do_it(body, |r| endpoint.call(|sqs, now| sqs.change_message_visibility(now, r)))
        }
        "ChangeMessageVisibilityBatch" => {
            run(body, |r| endpoint.call(|sqs, now| sqs.change_message_visibility_batch(now, r)))
        }
        "CreateQueue" => run(body, |r| endpoint.call(|sqs, now| sqs.create_queue(now, r))),
        "DeleteQueue" => do_it(body, |r| endpoint.call(|sqs, now| sqs.delete_queue(now, r))),
        "GetQueueUrl" => run(body, |r| endpoint.call(|sqs, _| sqs.get_queue_url(&r))),
        "ListQueues" => run(body, |r| endpoint.call(|sqs, _| sqs.list_queues(&r))),
        "ListDeadLetterSourceQueues" => {
            run(body, |r| endpoint.call(|sqs, _| sqs.list_dead_letter_source_queues(&r)))
        }
        "GetQueueAttributes" => run(body, |r| endpoint.call(|sqs, now| sqs.get_queue_attributes(now, &r))),
        "SetQueueAttributes" => do_it(body, |r| endpoint.call(|sqs, now| sqs.set_queue_attributes(now, r))),
        "PurgeQueue" => do_it(body, |r| endpoint.call(|sqs, now| sqs.purge_queue(now, r))),
        "StartMessageMoveTask" => {
            run(body, |r| endpoint.call(|sqs, now| sqs.start_message_move_task(now, r)))
        }
        "CancelMessageMoveTask" => {
            run(body, |r| endpoint.call(|sqs, now| sqs.cancel_message_move_task(now, &r)))
        }
        "ListMessageMoveTasks" => {
            run(body, |r| endpoint.call(|sqs, now| sqs.list_message_move_tasks(now, &r)))
        }
        "TagQueue" => run(body, |r| endpoint.call(|sqs, _| sqs.tag_queue(r)).map(|()| Nothing {})),
        "UntagQueue" => do_it(body, |r| endpoint.call(|sqs, _| sqs.untag_queue(r))),
        "ListQueueTags" => run(body, |r| endpoint.call(|sqs, _| sqs.list_queue_tags(&r))),
        "AddPermission" | "RemovePermission" => Err(SqsError::new(
            ErrorCode::UnsupportedOperation,
            "This endpoint has no permissions: everybody who reaches it may do everything.",
        )),
        _ => Err(unknown_action(action)),
    }
}

/// Runs an action with a result.
fn run<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    action: impl FnOnce(Q) -> Result<A, SqsError>,
) -> Result<Vec<u8>, SqsError> {
    json(action(parse(body)?))
}

/// Runs an action without a result.
fn do_it<Q: DeserializeOwned>(
    body: &[u8],
    action: impl FnOnce(&Q) -> Result<(), SqsError>,
) -> Result<Vec<u8>, SqsError> {
    json(action(&parse(body)?).map(|()| Nothing {}))
}

fn parse<Q: DeserializeOwned>(body: &[u8]) -> Result<Q, SqsError> {
    from_object(body).map_err(|error| SqsError::new(ErrorCode::MalformedRequest, error.to_string()))
}

fn json<A: Serialize>(answer: Result<A, SqsError>) -> Result<Vec<u8>, SqsError> {
    serde_json::to_vec(&answer?).map_err(|error| SqsError::new(ErrorCode::InternalFailure, error.to_string()))
}

fn unknown_action(action: impl std::fmt::Debug) -> SqsError {
    SqsError::new(ErrorCode::InvalidAction, format!("{action:?} is not an action of SQS."))
}

/// Returns an error in the JSON protocol: shape and message in the body, the older protocol's code in a header.
fn refusal(error: &SqsError) -> Response<Full<Bytes>> {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(rename = "__type")]
        shape: &'static str,
        message: &'a str,
    }
    let body = serde_json::to_vec(&Body { shape: error.code.shape(), message: &error.message })
        .expect("two strings serialise");
    let fault = if error.sender_fault() { "Sender" } else { "Receiver" };
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    if let Ok(code) = HeaderValue::try_from(format!("{};{fault}", error.code.query_code())) {
        headers.insert("x-amzn-query-error", code);
    }
    response
}

/// Returns the response for clients of the query protocol, in their format: they were built before November 2023.
fn old_protocol() -> Response<Full<Bytes>> {
    const BODY: &str = "<?xml version=\"1.0\"?><ErrorResponse><Error><Type>Sender</Type>\
        <Code>AWS.SimpleQueueService.UnsupportedOperation</Code><Message>This endpoint speaks the AWS JSON protocol \
        only (header X-Amz-Target). Use an AWS SDK or CLI from November 2023 or later.</Message></Error>\
        </ErrorResponse>";
    let mut response = Response::new(Full::new(Bytes::from_static(BODY.as_bytes())));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    response
}

fn plain(text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
