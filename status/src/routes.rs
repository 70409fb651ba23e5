//! The two routes: a job once, and a job as it changes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use drumline_store::job_view::JobFilter;
use drumline_store::{JobRecord, Store, StoreError};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::access::{Access, Asked, Authorise};
use crate::job_status::JobStatus;
use crate::stream::{LAST_EVENT, Shown, Viewer, events};
use crate::watches::{MAX_JOBS, Watches};

/// Viewers at once, of all jobs together. Each holds a connection of the application and a few kilobytes.
const MAX_VIEWERS: usize = 10_000;

/// The delay before a viewer that was refused a place should try again.
const RETRY_AFTER_SECS: &str = "5";

/// Shorter than the idle time-out of most proxies and load balancers, which is 60 s.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Routes that show jobs: `GET /jobs/{id}` as JSON, and `GET /jobs/{id}/events` as server-sent events.
///
/// `authorise` decides each request: see [`Access`]. It is an async function of the head of the request, and of what the store knows of
/// the job.
///
/// Events must be served inside a tokio runtime that has its timer on, as that of `#[tokio::main]` does.
pub fn router<F, D>(store: Arc<dyn Store>, authorise: F) -> Router
where
    F: Fn(Arc<Parts>, Asked) -> D + Send + Sync + 'static,
    D: Future<Output = Access> + Send + 'static,
{
    router_with(store, Authorise::new(authorise), MAX_JOBS, MAX_VIEWERS)
}

pub(crate) fn router_with(
    store: Arc<dyn Store>,
    authorise: Authorise,
    max_jobs: usize,
    max_viewers: usize,
) -> Router {
    let watches = Watches::new(Arc::clone(&store), max_jobs);
    let shared = Shared { store, authorise, watches, viewers: Arc::new(Semaphore::new(max_viewers)) };
    Router::new().route("/jobs/{id}", get(show)).route("/jobs/{id}/events", get(follow)).with_state(shared)
}

#[derive(Clone)]
struct Shared {
    store: Arc<dyn Store>,
    authorise: Authorise,
    watches: Watches,
    viewers: Arc<Semaphore>,
}

type Id = Result<Path<String>, PathRejection>;
type Selection = Result<Query<JobFilter>, QueryRejection>;

async fn show(State(shared): State<Shared>, id: Id, filter: Selection, head: Head) -> Response {
    let viewer = match shared.viewer(id, filter, head) {
        Ok(viewer) => viewer,
        Err(response) => return *response,
    };
    let jobs = match shared.store.jobs(&viewer.id).await {
        Ok(jobs) => jobs,
        Err(error) => return unanswered(&error),
    };
    match viewer.select(&jobs).await {
        Ok(shown) => json_body(StatusCode::OK, shown.status.to_json()),
        Err(refusal) => refusal,
    }
}

async fn follow(State(shared): State<Shared>, id: Id, filter: Selection, head: Head) -> Response {
    let viewer = match shared.viewer(id, filter, head) {
        Ok(viewer) => viewer,
        Err(response) => return *response,
    };
    let Ok(place) = Arc::clone(&shared.viewers).try_acquire_owned() else { return too_many() };
    let Some(mut looks) = shared.watches.watch(&viewer.id) else { return too_many() };
    let jobs = match looks.wait_for(Option::is_some).await.map(|look| look.clone()) {
        Ok(Some(Ok(jobs))) => jobs,
        Ok(Some(Err(error))) => return unanswered(&error),
        Ok(None) | Err(_) => return error(StatusCode::SERVICE_UNAVAILABLE, "the server stops"),
    };
    let shown = match viewer.select(&jobs).await {
        Ok(shown) => shown,
        Err(refusal) => return refusal,
    };
    let has_seen_all = viewer.parts.headers.get("last-event-id").is_some_and(|id| id == LAST_EVENT);
    if has_seen_all && shown.status.is_final {
        // An `EventSource` stops at this response.
        return StatusCode::NO_CONTENT.into_response();
    }
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let response = Sse::new(events(viewer, shown, looks, place)).keep_alive(keep_alive);
    // nginx collects responses before it passes them on, unless a header says otherwise.
    ([("x-accel-buffering", "no")], response).into_response()
}

impl Shared {
    /// The viewer of a request that asks for a job.
    fn viewer(&self, id: Id, filter: Selection, head: Head) -> Result<Viewer, Box<Response>> {
        // An id that is not UTF-8 belongs to no job.
        let Ok(Path(id)) = id else { return Err(Box::new(unknown())) };
        let Query(filter) =
            filter.map_err(|why| Box::new(error(StatusCode::BAD_REQUEST, &why.body_text())))?;
        Ok(Viewer { id, filter, parts: head.0, authorise: self.authorise.clone() })
    }
}

impl Viewer {
    /// The newest of these jobs that the user may see, or else the response to the request.
    pub(crate) async fn select(&self, jobs: &[JobRecord]) -> Result<Shown, Response> {
        let mut refusal = None;
        for job in jobs.iter().filter(|job| self.filter.accepts(job)) {
            match self.authorise.ask(&self.parts, &self.id, Some(job)).await {
                Access::Allowed | Access::Expected => return Ok(Shown::of(job, false)),
                Access::AllowedWithLog => return Ok(Shown::of(job, true)),
                Access::Forbidden => refusal = refusal.or_else(|| Some(forbidden())),
                Access::Respond(response) => refusal = refusal.or(Some(response)),
            }
        }
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        match self.authorise.ask(&self.parts, &self.id, None).await {
            Access::Allowed | Access::AllowedWithLog => Err(unknown()),
            Access::Expected => Ok(Shown { status: JobStatus::sent(&*self.id), key: None, has_log: false }),
            Access::Forbidden => Err(forbidden()),
            Access::Respond(response) => Err(response),
        }
    }
}

/// The head of a request. Its body, if it has one, is not read.
struct Head(Arc<Parts>);

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Head {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(Arc::new(parts.clone())))
    }
}

fn unknown() -> Response {
    error(StatusCode::NOT_FOUND, "nothing is known of this job")
}

fn forbidden() -> Response {
    error(StatusCode::FORBIDDEN, "this job may not be seen")
}

fn too_many() -> Response {
    let busy = error(StatusCode::SERVICE_UNAVAILABLE, "too many jobs are watched at once");
    ([(header::RETRY_AFTER, RETRY_AFTER_SECS)], busy).into_response()
}

/// The error's own text may name hosts: it is the operator's.
fn unanswered(_: &StoreError) -> Response {
    error(StatusCode::SERVICE_UNAVAILABLE, "the store of jobs does not answer")
}

fn error(status: StatusCode, text: &str) -> Response {
    json_body(status, json!({ "error": text }).to_string())
}

fn json_body(status: StatusCode, json: String) -> Response {
    // The job changes, and belongs to one user: no cache may keep it.
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, json).into_response()
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
