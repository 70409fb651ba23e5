//! The process's answers about itself: alive, ready, and its metrics.

mod control;
mod door;
mod exposition;
mod gate;
mod jobs;
mod listen;
mod probes;
mod relay;
mod routes;
mod serve;
mod starting;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use drumline_runtime::{PORT_PATIENCE, when_free};
use drumline_store::Store;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::activity::Activity;
use crate::control::Control;
use crate::depth::Depths;
use crate::gate::Gates;
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::start_wait::StartWait;
pub(crate) use door::Door;
use exposition::{Format, text_format};
pub(crate) use listen::replaced_within;
use probes::{is_verbose, live};
pub(crate) use relay::RelayReadiness;
use routes::Routes;
use serve::{Bounds, HEADER_TIME, serve};

/// The parts that the endpoint shows.
pub(crate) struct Shown {
    pub(crate) metrics: Metrics,
    pub(crate) depths: Depths,
    pub(crate) gates: Gates,
    pub(crate) readiness: Readiness,
    pub(crate) activity: Activity,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) control: Control,
}

/// The server; it ends when dropped.
pub(crate) struct Endpoint {
    routes: Routes,
    server: JoinHandle<()>,
}

impl Endpoint {
    /// Serves the answers of a worker that has not started, as soon as the address is free. A replaced process has left it within
    /// this time.
    ///
    /// # Errors
    /// If the address cannot be used for another reason.
    pub(crate) async fn start(
        addr: SocketAddr,
        replaced_within: Duration,
        start: StartWait,
        door: Door,
        connections: usize,
    ) -> std::io::Result<Self> {
        Self::listen(addr, replaced_within, starting::routes(start, door), connections).await
    }

    /// Serves the answers of a worker that has started from now on.
    pub(crate) fn show(&self, shown: Shown, door: Door) {
        let Shown { metrics, depths, gates, readiness, activity, store, control } = shown;
        let routes = Router::new()
            .route("/livez", get(live))
            .route("/readyz", get(ready).with_state((readiness, activity, door.clone())))
            .route("/metrics", get(show).with_state((metrics, depths)))
            .merge(
                jobs::routes(store)
                    .merge(gate::routes(gates))
                    .merge(control::routes(control, door.clone()))
                    .route_layer(middleware::from_fn_with_state(door, door::guard)),
            );
        self.routes.replace(routes);
    }

    /// Serves the metrics of a relay and whether it is ready, without anything about jobs.
    pub(crate) async fn serve_relay(
        addr: SocketAddr,
        (metrics, depths): (Metrics, Depths),
        readiness: RelayReadiness,
        connections: usize,
    ) -> std::io::Result<Self> {
        let routes = Router::new()
            .route("/livez", get(live))
            .route("/readyz", get(relay::ready).with_state(readiness))
            .route("/metrics", get(show).with_state((metrics, depths)));
        let listener = when_free(
            async || TcpListener::bind(addr).await,
            || warn!(%addr, retried_for = ?PORT_PATIENCE, "the address of the HTTP endpoint is in use, retrying"),
        );
        let listener = listener.await?;
        Ok(Self::spawn(routes, connections, std::future::ready(listener)))
    }

    /// Listens now, or waits in the background while the address is in use.
    async fn listen(
        addr: SocketAddr,
        replaced_within: Duration,
        routes: Router,
        connections: usize,
    ) -> std::io::Result<Self> {
        let now = match TcpListener::bind(addr).await {
            Err(error) if !listen::is_taken(&error) => return Err(error),
            bound => bound.ok(),
        };
        let listener = async move {
            match now {
                Some(listener) => listener,
                None => listen::listener(addr, replaced_within).await,
            }
        };
        Ok(Self::spawn(routes, connections, listener))
    }

    fn spawn(
        routes: Router,
        connections: usize,
        listener: impl Future<Output = TcpListener> + Send + 'static,
    ) -> Self {
        let routes = Routes::new(routes);
        let current = routes.clone();
        let server = tokio::spawn(async move {
            serve(listener.await, current, Bounds { connections, header_time: HEADER_TIME }).await;
        });
        Self { routes, server }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// `/readyz`: the state in one line. `/readyz?verbose`: and what the worker does, or why it runs nothing, in a second line.
async fn ready(
    State((readiness, activity, door)): State<(Readiness, Activity, Door)>,
    request: Request,
) -> Response {
    let (is_ready, mut text) = readiness.state();
    text.push('\n');
    if is_verbose(request.uri().query().unwrap_or_default()) {
        let explanation = activity.explain(door.lets_read(&request)).await;
        text = format!("{text}{}\n", explanation.sentence);
    }
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, text).into_response()
}

/// `/metrics`, in the format that the client prefers.
async fn show(State((metrics, depths)): State<(Metrics, Depths)>, headers: HeaderMap) -> impl IntoResponse {
    depths.refresh().await;
    let format = Format::of(&headers);
    let text = match format {
        Format::OpenMetrics => metrics.encode_with_exemplars(),
        Format::Text => text_format(&metrics.encode()),
    };
    ([(header::CONTENT_TYPE, format.content_type())], text)
}
