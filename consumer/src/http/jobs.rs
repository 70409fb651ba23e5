//! `/jobs`: the jobs that changed last; `?state=STATE&type=TYPE&queue=NAME&limit=N` selects among them.
//!
//! `/jobs/{id}`: a job, once or after each change. The id is its job id or, if the store supports that, its message id. If
//! several jobs share the id, the one that changed last is shown and the others are listed;
//! `?queue=NAME&type=TYPE&source=SOURCE` selects among them.
//!
//! Both read the store, so any worker that shares it can answer for all others. There is no `Access-Control-Allow-Origin`: a
//! page that watches a job needs its application in between, which knows the permissions.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use drumline_store::{Store, StoreError};
use futures_util::stream::{Stream, unfold};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::job_list::{ListQuery, find};
use crate::job_view::{JobFilter, JobView};

/// The interval at which a watched job is read. Workers write progress once a second, so half of it shows every step soon; with
/// [`MAX_WATCHERS`] it is at most 200 small reads a second.
const LOOK: Duration = Duration::from_millis(500);

/// The maximum number of concurrent watchers. It limits the load on the store, not on the process.
const MAX_WATCHERS: usize = 100;

/// The time after which a refused watcher may try again.
const RETRY_AFTER_SECS: &str = "5";

/// Shorter than the time that proxies and load balancers wait on a silent connection; 60 s is common.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The id of a job's last event. A browser that reconnects sends it, and is answered that there are no more events.
const LAST_EVENT: &str = "end";

#[derive(Clone)]
struct Jobs {
    store: Arc<dyn Store>,
    slots: Arc<Semaphore>,
}

/// Returns the routes `GET /jobs`, `GET /jobs/{id}` and `GET /jobs/{id}/events`.
pub(crate) fn routes(store: Arc<dyn Store>) -> Router {
    routes_with(store, MAX_WATCHERS)
}

fn routes_with(store: Arc<dyn Store>, watchers: usize) -> Router {
    let jobs = Jobs { store, slots: Arc::new(Semaphore::new(watchers)) };
    Router::new()
        .route("/jobs", get(list))
        .route("/jobs/{id}", get(show))
        .route("/jobs/{id}/events", get(events))
        .with_state(jobs)
}

type Id = Result<Path<String>, PathRejection>;

async fn list(State(jobs): State<Jobs>, Query(query): Query<ListQuery>) -> Response {
    match query.ask(&*jobs.store).await {
        Ok(jobs) => json_body(StatusCode::OK, json!({ "jobs": jobs }).to_string()),
        Err(StoreError::Refused(why)) => error(StatusCode::NOT_IMPLEMENTED, &format!("the store: {why}")),
        Err(why) => unanswered(&why),
    }
}

fn unanswered(why: &StoreError) -> Response {
    error(StatusCode::SERVICE_UNAVAILABLE, &format!("the store does not answer: {why}"))
}

async fn show(State(jobs): State<Jobs>, id: Id, Query(filter): Query<JobFilter>) -> Response {
    match jobs.find(id, &filter).await {
        Ok(job) => json_body(StatusCode::OK, to_json(&job)),
        Err(answer) => answer,
    }
}

async fn events(
    State(jobs): State<Jobs>,
    id: Id,
    Query(filter): Query<JobFilter>,
    headers: HeaderMap,
) -> Response {
    let Ok(slot) = Arc::clone(&jobs.slots).try_acquire_owned() else {
        let busy = error(StatusCode::SERVICE_UNAVAILABLE, "too many jobs are being watched here already");
        return ([(header::RETRY_AFTER, RETRY_AFTER_SECS)], busy).into_response();
    };
    let job = match jobs.find(id, &filter).await {
        Ok(job) => job,
        Err(answer) => return answer,
    };
    let has_seen_all = headers.get("last-event-id").is_some_and(|id| id == LAST_EVENT);
    if has_seen_all && job.state.is_final() {
        // This status makes an `EventSource` stop.
        return StatusCode::NO_CONTENT.into_response();
    }
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let filter = filter.narrowed_to(&job);
    Sse::new(watch(jobs.store, job, filter, slot)).keep_alive(keep_alive).into_response()
}

impl Jobs {
    /// Returns the job, or an error answer.
    async fn find(&self, id: Id, filter: &JobFilter) -> Result<JobView, Response> {
        // An id that is not UTF-8 is no job's id.
        let Ok(Path(id)) = id else {
            return Err(error(StatusCode::NOT_FOUND, "nothing is known of this job"));
        };
        match find(&*self.store, &id, filter).await {
            Ok(job) => {
                job.ok_or_else(|| error(StatusCode::NOT_FOUND, &format!("nothing is known of the job {id}")))
            }
            Err(why) => Err(unanswered(&why)),
        }
    }
}

/// A watcher. It holds its place while a client reads.
struct Watcher {
    store: Arc<dyn Store>,
    job_id: String,
    /// The view that is sent next, or was sent last.
    job: JobView,
    filter: JobFilter,
    looks: Interval,
    begun: bool,
    _slot: OwnedSemaphorePermit,
}

/// Returns the job now, and after each change, until it ends or is removed.
fn watch(
    store: Arc<dyn Store>,
    job: JobView,
    filter: JobFilter,
    slot: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks.reset();
    let job_id = job.job.job_id.clone();
    let watcher = Watcher { store, job_id, job, filter, looks, begun: false, _slot: slot };
    unfold(Some(watcher), |watcher| async move {
        let mut watcher = watcher?;
        if std::mem::replace(&mut watcher.begun, true) {
            watcher.until_changed().await?;
        }
        let event = event(&watcher.job);
        let goes_on = !watcher.job.state.is_final();
        Some((Ok(event), goes_on.then_some(watcher)))
    })
}

impl Watcher {
    /// Waits for the next change. Returns `None` if the job was removed. While the store does not answer, there is no change.
    async fn until_changed(&mut self) -> Option<()> {
        loop {
            self.looks.tick().await;
            if let Ok(jobs) = self.store.jobs(&self.job_id).await {
                let job = JobView::newest(jobs, &self.filter)?;
                self.filter = self.filter.narrowed_to(&job);
                if shown(&job) != shown(&self.job) {
                    self.job = job;
                    return Some(());
                }
            }
        }
    }
}

/// Returns the view without the end of the claim, which every renewal moves and which readers do not need.
fn shown(job: &JobView) -> JobView {
    let mut shown = job.clone();
    if let Some(claim) = &mut shown.job.claim {
        claim.claimed_until_ms = 0;
    }
    shown
}

fn event(job: &JobView) -> Event {
    let event = Event::default().event("job").data(to_json(job));
    if job.state.is_final() { event.id(LAST_EVENT) } else { event }
}

fn to_json(job: &JobView) -> String {
    serde_json::to_string(job).expect("records are made of texts and numbers")
}

fn error(status: StatusCode, text: &str) -> Response {
    json_body(status, json!({ "error": text }).to_string())
}

pub(super) fn json_body(status: StatusCode, json: String) -> Response {
    // A job changes; a cache between client and server would return an old state.
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, json).into_response()
}

#[cfg(test)]
#[path = "jobs_tests.rs"]
mod tests;
