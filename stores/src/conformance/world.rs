//! The environment of one case: its part of a store, and its names.

use std::sync::Arc;

use drumline::core::ClaimRequest;
use drumline::message::Identity;
use tokio::runtime::Builder;
use tokio::sync::OnceCell;

use super::steps::{SCOPE, TYPE, request_of};
use super::subject::Subject;
use crate::{OpenError, Retention, Store};

/// One case's part of a store.
#[derive(Clone)]
pub struct World {
    subject: Arc<Subject>,
    /// A text that makes the names of this case unique.
    mark: Arc<str>,
    one_process: Arc<OnceCell<Arc<dyn Store>>>,
}

/// Runs a case, if there is a store for it.
pub fn run<F: Future<Output = ()>>(subject: impl Into<Option<Subject>>, case: impl FnOnce(World) -> F) {
    let Some(subject) = subject.into() else { return };
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(subject.paused).build().unwrap();
    runtime.block_on(case(World::new(subject)));
}

/// Runs a case on several threads, if there is a store for it. Its clock is not paused.
pub fn run_on_threads<F: Future<Output = ()>>(
    subject: impl Into<Option<Subject>>,
    case: impl FnOnce(World) -> F,
) {
    let Some(subject) = subject.into() else { return };
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(case(World::new(subject)));
}

impl World {
    /// Creates the environment of a case with a unique mark.
    pub fn new(subject: Subject) -> Self {
        let mark = format!("{:016x}", fastrand::u64(..)).into();
        Self { subject: Arc::new(subject), mark, one_process: Arc::default() }
    }

    /// Returns the same names in another store.
    pub fn of(&self, subject: Subject) -> Self {
        Self { subject: Arc::new(subject), one_process: Arc::default(), ..self.clone() }
    }

    /// Returns the text that makes the names of this case unique.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Opens a process's own connection to the store.
    pub async fn worker(&self, owner: &str) -> Arc<dyn Store> {
        self.worker_keeping(owner, Retention::default()).await
    }

    /// Opens a process's own connection to the store, with this retention.
    pub async fn worker_keeping(&self, owner: &str, keep: Retention) -> Arc<dyn Store> {
        let open = || async { self.open(self.name(owner).into(), keep).await.unwrap() };
        if self.subject.in_process {
            return Arc::clone(self.one_process.get_or_init(open).await);
        }
        open().await
    }

    /// Opens the store.
    pub async fn open(&self, owner: Arc<str>, keep: Retention) -> Result<Arc<dyn Store>, OpenError> {
        (self.subject.open)(owner, keep).await
    }

    /// Returns true if the store's data is lost with its process.
    pub fn is_in_process(&self) -> bool {
        self.subject.in_process
    }

    /// Returns a name that no other case uses.
    pub fn name(&self, name: &str) -> String {
        format!("{name}-{}", self.mark)
    }

    /// Returns the identity of a job by its id.
    pub fn identity(&self, name: &str) -> Identity {
        Identity::new(SCOPE, TYPE, None, self.name(name))
    }

    /// Returns the request for the first run of a job, whose id is its job id. It considers records of version 0.1, of which
    /// there are none.
    pub fn request(&self, name: &str) -> ClaimRequest {
        request_of(self.identity(name))
    }

    /// Returns the same request with a lock.
    pub fn locking(&self, name: &str, lock: &str) -> ClaimRequest {
        ClaimRequest { lock: Some(self.name(lock)), ..self.request(name) }
    }
}
