//! The process's answers about itself: alive, ready, and its metrics.

mod control;
mod door;
mod gate;
mod jobs;
mod relay;
mod serve;

use std::net::SocketAddr;
use std::sync::Arc;

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
pub(crate) use door::Door;
pub(crate) use relay::RelayReadiness;
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
    server: JoinHandle<()>,
}

impl Endpoint {
    pub(crate) async fn serve(
        addr: SocketAddr,
        door: Door,
        shown: Shown,
        connections: usize,
    ) -> std::io::Result<Self> {
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
        Self::listen(addr, routes, connections).await
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
        Self::listen(addr, routes, connections).await
    }

    async fn listen(addr: SocketAddr, routes: Router, connections: usize) -> std::io::Result<Self> {
        let listener = when_free(
            async || TcpListener::bind(addr).await,
            || warn!(%addr, retried_for = ?PORT_PATIENCE, "the address of the HTTP endpoint is in use, retrying"),
        )
        .await?;
        let bounds = Bounds { connections, header_time: HEADER_TIME };
        Ok(Self { server: tokio::spawn(serve(listener, routes, bounds)) })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn live() -> &'static str {
    "ok\n"
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

/// Returns true if a query asks for more than the state, by `verbose` with or without a value.
fn is_verbose(query: &str) -> bool {
    query.split('&').any(|part| part.split('=').next() == Some("verbose"))
}

/// Exemplars are for clients that ask for `OpenMetrics`: others may not know them.
async fn show(State((metrics, depths)): State<(Metrics, Depths)>, headers: HeaderMap) -> impl IntoResponse {
    depths.refresh().await;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = if takes_open_metrics(&headers) { metrics.encode_with_exemplars() } else { metrics.encode() };
    ([(header::CONTENT_TYPE, content_type)], text)
}

fn takes_open_metrics(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| {
        let essence = kind.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/openmetrics-text")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_asks_for_more_by_verbose() {
        for (query, expected) in
            [("", false), ("verbose", true), ("verbose=1", true), ("a=b&verbose", true), ("verbosely", false)]
        {
            assert_eq!(is_verbose(query), expected, "{query}");
        }
    }

    #[test]
    fn exemplars_are_for_clients_that_take_open_metrics() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let table = [
            (prometheus, true),
            ("text/plain, Application/OpenMetrics-Text", true),
            ("*/*", false),
            ("", false),
        ];
        for (accept, expected) in table {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().expect("a header"))]);
            assert_eq!(takes_open_metrics(&headers), expected, "{accept}");
        }
    }
}
