//! What the process answers about itself: alive, ready, and its metrics.

mod jobs;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use drumline_host::QueueStatus;
use drumline_store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::depth::Depths;
use crate::metrics::Metrics;

/// Whether the process should be counted on.
#[derive(Clone)]
pub(crate) struct Readiness {
    queues: Arc<[(String, Arc<QueueStatus>)]>,
    store_answers: watch::Receiver<bool>,
    draining: Arc<AtomicBool>,
}

impl Readiness {
    pub(crate) fn new(queues: Vec<(String, Arc<QueueStatus>)>, store_answers: watch::Receiver<bool>) -> Self {
        Self { queues: queues.into(), store_answers, draining: Arc::default() }
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
        let unhealthy = self.queues.iter().filter(|(_, status)| !status.is_healthy());
        let mut unhealthy: Vec<&str> = unhealthy.map(|(name, _)| name.as_str()).collect();
        if !*self.store_answers.borrow() {
            unhealthy.push("the store");
        }
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
        store: Arc<dyn Store>,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let routes = Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(ready).with_state(readiness))
            .route("/metrics", get(show).with_state((metrics, depths)))
            .merge(jobs::routes(store));
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
