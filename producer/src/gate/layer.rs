//! A gate for the endpoints of a web application that send jobs.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use drumline_runtime::gate::{GateState, RETRY_AFTER};
use http::header::{CONTENT_TYPE, RETRY_AFTER as RETRY_AFTER_HEADER};
use http::{HeaderValue, Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use super::queue_gate::Gate;

/// The body of a refusal. The reason is only in the log: clients need no details of the queue.
const REFUSAL: &str = "Too many jobs are waiting. Try again later.\n";

/// A layer for endpoints that send jobs: in the state shed, it responds with `429 Too Many Requests` and `Retry-After`; in the
/// state slow, it delays requests. It works with every framework based on `tower`, such as axum.
///
/// ```
/// use axum::Router;
/// use axum::routing::post;
/// use drumline_producer::gate::{Gate, GateLayer, GateLimits};
///
/// async fn place_order() {}
///
/// fn app(gate: Gate) -> Router {
///     Router::new().route("/orders", post(place_order)).layer(GateLayer::new(gate))
/// }
/// ```
#[derive(Clone)]
pub struct GateLayer {
    gate: Gate,
    waits: bool,
    retry_after: Duration,
}

impl GateLayer {
    /// Creates a layer with this gate.
    pub fn new(gate: Gate) -> Self {
        Self { gate, waits: true, retry_after: RETRY_AFTER }
    }

    /// Lets requests pass without delay in the state slow.
    pub fn pass_slow(self) -> Self {
        Self { waits: false, ..self }
    }

    /// Sets the value of `Retry-After`, in whole seconds: 30 s by default.
    pub fn retry_after(self, retry_after: Duration) -> Self {
        Self { retry_after, ..self }
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = GateService<S>;

    fn layer(&self, inner: S) -> GateService<S> {
        GateService { layer: self.clone(), inner }
    }
}

/// A service behind a gate, created by [`GateLayer`].
#[derive(Clone)]
pub struct GateService<S> {
    layer: GateLayer,
    inner: S,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for GateService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>> + Clone + Send + 'static,
    S::Future: Send,
    RequestBody: Send + 'static,
    ResponseBody: From<String>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let layer = self.layer.clone();
        // The polled service is ready, but its clone may not be.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            match layer.gate.state().await {
                GateState::Shed(_) => return Ok(refusal(layer.retry_after)),
                GateState::Slow(delay) if layer.waits => tokio::time::sleep(delay).await,
                GateState::Slow(_) | GateState::Open => {}
            }
            inner.call(request).await
        })
    }
}

fn refusal<B: From<String>>(retry_after: Duration) -> Response<B> {
    let mut response = Response::new(B::from(REFUSAL.to_owned()));
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER_HEADER, HeaderValue::from(retry_after.as_secs()));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
#[path = "layer_tests.rs"]
mod tests;
