//! The answers of a worker that has not started: it is alive, not ready, and shows what its start waits for.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, http::header};
use serde_json::json;

use super::door::Door;
use super::jobs::json_body;
use super::probes::{is_verbose, live};
use crate::start_wait::StartWait;

/// The time after which a refused client should ask again, in seconds.
const RETRY_AFTER: &str = "1";

pub(super) fn routes(start: StartWait, door: Door) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready).with_state((start, door)))
        .fallback(not_yet)
}

/// `/readyz`, with `?verbose` in two lines like that of a worker that has started.
async fn ready(State((start, door)): State<(StartWait, Door)>, request: Request) -> Response {
    let wait = start.sentence(door.lets_read(&request));
    let mut text = format!("not ready: the start {wait}\n");
    if is_verbose(request.uri().query().unwrap_or_default()) {
        text = format!("{text}nothing is running: the start {wait}\n");
    }
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn not_yet() -> Response {
    let error = "the worker has not started: /readyz shows what it waits for";
    let body = json_body(StatusCode::SERVICE_UNAVAILABLE, json!({ "error": error }).to_string());
    ([(header::RETRY_AFTER, RETRY_AFTER)], body).into_response()
}
