//! What the process answers about itself: alive, ready, and its metrics.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use drumline_host::QueueStatus;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::depth::Depths;
use crate::metrics::Metrics;

/// Whether the process should be counted on.
#[derive(Clone)]
pub(crate) struct Readiness {
    queues: Arc<[(String, Arc<QueueStatus>)]>,
    draining: Arc<AtomicBool>,
}

impl Readiness {
    pub(crate) fn new(queues: Vec<(String, Arc<QueueStatus>)>) -> Self {
        Self { queues: queues.into(), draining: Arc::default() }
    }

    /// From now on nothing new is begun.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Why not, if not.
    fn problem(&self) -> Option<String> {
        if self.draining.load(Ordering::Relaxed) {
            return Some("draining".to_owned());
        }
        let unhealthy: Vec<&str> = self
            .queues
            .iter()
            .filter(|(_, status)| !status.is_healthy())
            .map(|(name, _)| name.as_str())
            .collect();
        (!unhealthy.is_empty()).then(|| format!("out of reach: {}", unhealthy.join(", ")))
    }
}

/// The server; it ends when dropped.
pub(crate) struct Endpoint {
    server: JoinHandle<()>,
}

impl Endpoint {
    pub(crate) async fn serve(
        addr: SocketAddr,
        metrics: Metrics,
        depths: Depths,
        readiness: Readiness,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let routes = Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(ready).with_state(readiness))
            .route("/metrics", get(show).with_state((metrics, depths)));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::error!(%error, "the HTTP endpoint has stopped");
            }
        });
        Ok(Self { server })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    match readiness.problem() {
        None => "ready\n".into_response(),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {problem}\n")).into_response(),
    }
}

async fn show(State((metrics, depths)): State<(Metrics, Depths)>) -> impl IntoResponse {
    depths.refresh().await;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], metrics.encode())
}
