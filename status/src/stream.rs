//! The events of one viewer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use axum::response::sse::Event;
use drumline_store::JobRecord;
use drumline_store::job_view::JobFilter;
use futures_util::stream::{Stream, unfold};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::access::Authorise;
use crate::job_status::JobStatus;
use crate::watches::Looks;

/// The id of a job's last event. A browser that connects again sends it, and learns that there is nothing more.
pub(crate) const LAST_EVENT: &str = "end";

/// The longest stream. The browser then connects again and is authorised again, so that a user whose session has ended loses the view.
const MAX_STREAM: Duration = Duration::from_secs(10 * 60);

/// A user who asks for a job.
pub(crate) struct Viewer {
    pub(crate) id: String,
    pub(crate) filter: JobFilter,
    pub(crate) parts: Arc<Parts>,
    pub(crate) authorise: Authorise,
}

/// The status that a viewer may see.
pub(crate) struct Shown {
    pub(crate) status: JobStatus,
    /// The key of the job's identity, once it is claimed: for this key the user was authorised.
    pub(crate) key: Option<String>,
    /// The user may see the log lines of its attempts.
    pub(crate) has_log: bool,
}

impl Shown {
    pub(crate) fn of(job: &JobRecord, has_log: bool) -> Self {
        let status = JobStatus::from(job.clone());
        let status = if has_log { status } else { status.without_log() };
        Self { status, key: key(job).map(str::to_owned), has_log }
    }
}

fn key(job: &JobRecord) -> Option<&str> {
    Some(job.claim.as_ref()?.key.as_str())
}

/// A viewer with what it saw last, and its place among the viewers.
struct Stage {
    viewer: Viewer,
    shown: Shown,
    looks: Looks,
    ends: Instant,
    begun: bool,
    _place: OwnedSemaphorePermit,
}

/// The job now, and after each change, until it ends, is forgotten, or may no longer be seen.
pub(crate) fn events(
    viewer: Viewer,
    shown: Shown,
    looks: Looks,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let ends = Instant::now() + MAX_STREAM;
    let stage = Stage { viewer, shown, looks, ends, begun: false, _place: place };
    unfold(Some(stage), |stage| async move {
        let mut stage = stage?;
        if std::mem::replace(&mut stage.begun, true) {
            let ends = stage.ends;
            timeout_at(ends, stage.until_changed()).await.ok()??;
        }
        let status = &stage.shown.status;
        let event = Event::default().event("job").data(status.to_json());
        let (event, rest) = if status.is_final { (event.id(LAST_EVENT), None) } else { (event, Some(stage)) };
        Some((Ok(event), rest))
    })
}

impl Stage {
    /// `None` where there is nothing more to see.
    async fn until_changed(&mut self) -> Option<()> {
        loop {
            self.looks.changed().await.ok()?;
            let look = self.looks.borrow_and_update().clone();
            // Only a first look can be an error, and a stream begins after it.
            let jobs = look?.ok()?;
            let authorised =
                jobs.iter().find(|job| self.shown.key.is_some() && key(job) == self.shown.key.as_deref());
            let now = match authorised {
                Some(job) => Shown::of(job, self.shown.has_log),
                None if self.shown.key.is_some() => return None,
                // The job that is known now may be another one than the viewer expected.
                None => self.viewer.select(&jobs).await.ok()?,
            };
            let is_new = now.status != self.shown.status;
            self.shown = now;
            if is_new {
                return Some(());
            }
        }
    }
}
