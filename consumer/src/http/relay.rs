//! The readiness of a relay.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use drumline_store::outbox::Outbox;
use tokio::time::timeout;

/// The time that a probe waits for the outbox.
const PATIENCE: Duration = Duration::from_secs(2);

/// A relay is ready while its outbox answers and it does not drain. SQS does not count: jobs that it does not take wait in the
/// outbox, and metrics show that.
#[derive(Clone)]
pub(crate) struct RelayReadiness {
    outbox: Arc<dyn Outbox>,
    draining: Arc<AtomicBool>,
}

impl RelayReadiness {
    pub(crate) fn new(outbox: Arc<dyn Outbox>) -> Self {
        Self { outbox, draining: Arc::default() }
    }

    /// Records that the process drains.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Returns the reason why it is not ready.
    async fn problem(&self) -> Option<String> {
        if self.draining.load(Ordering::Relaxed) {
            return Some("draining".to_owned());
        }
        match timeout(PATIENCE, self.outbox.now_ms()).await {
            Ok(Ok(_)) => None,
            Ok(Err(_)) | Err(_) => Some("out of reach: the outbox".to_owned()),
        }
    }
}

pub(super) async fn ready(State(readiness): State<RelayReadiness>) -> Response {
    match readiness.problem().await {
        None => "ready\n".into_response(),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {problem}\n")).into_response(),
    }
}
