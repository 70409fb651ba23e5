//! The parts of a loop, and the time limits of its drain.

use std::sync::Arc;
use std::time::Duration;

use drumline::Router;
use drumline::core::{Ledger, Limits, SETTLE_TIME};
use drumline::message::Intake;
use drumline::run::Observer;
use tokio::runtime::Handle;

use crate::claims::ClaimStoreClient;
use crate::next_jobs::NextJobRoute;
use crate::payload::Payloads;
use crate::sqs::Queue;
use crate::status::QueueStatus;

/// The parts that a loop works with.
pub struct DriverConfig {
    /// The queue's name, for logs and metrics.
    pub name: Arc<str>,
    /// The rules by which its messages become jobs.
    pub intake: Arc<Intake>,
    /// Makes the decisions.
    pub ledger: Ledger,
    /// The queue itself.
    pub queue: Arc<dyn Queue>,
    /// The handlers.
    pub router: Arc<Router>,
    /// The observer of the loop and its runs: metrics, logs. The driver adds the writer of histories if there is a claim store.
    pub observer: Arc<dyn Observer>,
    /// The state of the queue that outlives a loop.
    pub status: Arc<QueueStatus>,
    /// The store of claims and histories; without one, jobs run without claims. The ledger's policy must agree.
    pub claim_store: Option<ClaimStoreClient>,
    /// Opens payloads that are in S3, or compressed.
    pub payloads: Payloads,
    /// The way of the jobs that follow on others; without, a job that declares one fails permanently.
    pub next_jobs: Option<NextJobRoute>,
    /// The limits of the process's jobs; without, nothing is limited.
    pub limits: Option<Limits>,
    /// The runtime of the handlers. Separate from this loop, so that a handler that blocks its thread delays no renewal.
    pub handlers: Handle,
}

/// The time limits of a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grace {
    /// The time for which running handlers may continue.
    pub finish: Duration,
    /// When everything is over, from the drain's beginning; no longer than that and [`SETTLE_TIME`].
    pub end: Duration,
}

impl Grace {
    /// Handlers may go on for this long, and the rest takes what it takes.
    pub fn of(finish: Duration) -> Self {
        Self { finish, end: finish + SETTLE_TIME }
    }
}
