//! The answers of a worker that has not started: it is not alive yet, as probes of a start understand it, and shows what its start
//! waits for.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, http::header};
use serde_json::json;

use super::door::Door;
use super::jobs::json_body;
use super::probes::is_verbose;
use crate::start_wait::StartWait;

/// The time after which a refused client should ask again, in seconds.
const RETRY_AFTER: &str = "1";

pub(super) fn routes(start: StartWait, door: Door) -> Router {
    Router::new()
        .route("/livez", get(not_alive))
        .route("/readyz", get(ready).with_state((start, door)))
        .fallback(not_yet)
}

/// `/livez`: a supervisor must not count a worker as running, and end the one that it replaces, before it can consume.
async fn not_alive() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "starting: /readyz shows what the start waits for\n").into_response()
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
