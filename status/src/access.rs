//! The decision who may see a job. It is the application's: Drumline knows jobs and no users.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::http::request::Parts;
use axum::response::Response;
use drumline_store::JobRecord;

/// The view that a request asks for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Asked {
    /// The job's id, as in the path of the request: the id of the producer's receipt.
    pub id: String,
    /// What the store knows of the job: its scope, source, type, queue, claim and attempts. `None` if no worker has begun it yet, it was
    /// forgotten, or there is no such job.
    pub job: Option<JobRecord>,
}

/// The decision on a request.
#[derive(Debug)]
pub enum Access {
    /// The user may see the job. If nothing is known of it, the answer is 404.
    Allowed,
    /// The user may see the job, and the last log lines of its failed attempts, if workers keep them (`DRUMLINE_ATTEMPT_LOG`). They are for
    /// those who may read the log: a line may name other users. If nothing is known of the job, the answer is 404.
    AllowedWithLog,
    /// The user may see the job, and it was sent. Until a worker begins it, its state is `sent`, and events wait.
    Expected,
    /// The user may not see the job: 403. An application that says so of every id that it does not know keeps it secret which jobs
    /// there are.
    Forbidden,
    /// The application responds itself: for example 401 without a session, or 503 if its database does not answer.
    Respond(Response),
}

type Decision = Pin<Box<dyn Future<Output = Access> + Send>>;

/// The application's function, shared by all requests.
#[derive(Clone)]
pub(crate) struct Authorise(Arc<dyn Fn(Arc<Parts>, Asked) -> Decision + Send + Sync>);

impl Authorise {
    pub(crate) fn new<F, D>(authorise: F) -> Self
    where
        F: Fn(Arc<Parts>, Asked) -> D + Send + Sync + 'static,
        D: Future<Output = Access> + Send + 'static,
    {
        Self(Arc::new(move |parts, asked| Box::pin(authorise(parts, asked))))
    }

    pub(crate) async fn ask(&self, parts: &Arc<Parts>, id: &str, job: Option<&JobRecord>) -> Access {
        let asked = Asked { id: id.to_owned(), job: job.cloned() };
        (self.0)(Arc::clone(parts), asked).await
    }
}
