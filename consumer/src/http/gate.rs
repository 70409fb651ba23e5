//! `/gate`: the advice to producers to send, wait or stop; `?queue=NAME` asks about one queue, otherwise the strictest state
//! counts.
//!
//! 200 means send, after `delaySecs` if the field is present. 429 means do not send, and ask again after `Retry-After`.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::json;

use super::jobs::json_body;
use crate::gate::Gates;

#[derive(Deserialize)]
struct GateQuery {
    queue: Option<String>,
}

/// Returns the route `GET /gate`.
pub(super) fn routes(gates: Gates) -> Router {
    Router::new().route("/gate", get(show)).with_state(gates)
}

async fn show(State(gates): State<Gates>, Query(query): Query<GateQuery>) -> Response {
    let queue = query.queue.as_deref();
    let Some(answer) = gates.state(queue).await else {
        let error = format!("this worker consumes no queue {:?}", queue.unwrap_or_default());
        return json_body(
            StatusCode::NOT_FOUND,
            json!({ "error": error, "queues": gates.names() }).to_string(),
        );
    };
    let json = serde_json::to_string(&answer).expect("it is made of texts and numbers");
    match answer.retry_after_secs() {
        None => json_body(StatusCode::OK, json),
        Some(secs) => {
            ([(header::RETRY_AFTER, secs.to_string())], json_body(StatusCode::TOO_MANY_REQUESTS, json))
                .into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
    use std::time::Duration;

    use axum::body::to_bytes;
    use drumline_runtime::activity::QueueDepth;
    use drumline_runtime::gate::GateLimits;
    use serde_json::Value;

    use super::*;
    use crate::depth::Depths;
    use crate::metrics::Metrics;

    fn visible(visible: u64) -> QueueDepth {
        QueueDepth { visible, ..QueueDepth::default() }
    }

    /// Returns gates of the queues `jobs` and `mail`, and the depths that they use.
    fn gates() -> (Gates, Depths, Metrics) {
        let metrics = Metrics::new();
        let depths = Depths::new(metrics.clone(), Arc::new(metrics.clone()));
        let limits = GateLimits::default().depth(10, 100).unwrap();
        let mail = GateLimits::default().age(Duration::from_secs(60), Duration::from_secs(600)).unwrap();
        let queues = [("jobs".to_owned(), limits), ("mail".to_owned(), mail)];
        (Gates::new(queues, depths.clone(), metrics.clone()), depths, metrics)
    }

    async fn ask(gates: &Gates, queue: Option<&str>) -> (u16, Option<String>, Value) {
        let query = GateQuery { queue: queue.map(str::to_owned) };
        let response = show(State(gates.clone()), Query(query)).await;
        let status = response.status().as_u16();
        let retry =
            response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, retry, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn the_strictest_queue_counts_unless_one_is_named() {
        let (gates, depths, metrics) = gates();
        let (status, _, body) = ask(&gates, None).await;
        assert_eq!((status, &body["state"], &body["depth"]), (200, &json!("open"), &Value::Null), "{body}");
        depths.learn("jobs", visible(20));
        depths.learn("mail", visible(1));
        let (status, _, body) = ask(&gates, None).await;
        assert_eq!((status, &body["state"], &body["queue"]), (200, &json!("slow"), &json!("jobs")));
        assert!(body["delaySecs"].as_f64().unwrap() > 0.1, "{body}");
        assert_eq!(ask(&gates, Some("mail")).await.2["state"], "open");

        metrics.learn_first_wait("mail", Duration::from_secs(700));
        let (status, retry, body) = ask(&gates, None).await;
        assert_eq!((status, retry.as_deref(), &body["queue"]), (429, Some("30"), &json!("mail")));
        assert!(body["reason"].as_str().unwrap().contains("11m 40s old"), "{body}");
        assert_eq!(ask(&gates, Some("jobs")).await.0, 200);
        depths.learn("mail", visible(0));
        assert_eq!(ask(&gates, Some("mail")).await.2["state"], "open", "nothing waits any more");

        let (status, _, body) = ask(&gates, Some("other")).await;
        assert_eq!((status, &body["queues"]), (404, &json!(["jobs", "mail"])));
    }

    #[tokio::test(start_paused = true)]
    async fn a_depth_that_is_too_old_opens_the_gate() {
        let (gates, depths, _) = gates();
        depths.learn("jobs", visible(100));
        assert_eq!(ask(&gates, Some("jobs")).await.0, 429);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(ask(&gates, Some("jobs")).await.0, 429);
        tokio::time::advance(Duration::from_secs(2)).await;
        let (status, _, body) = ask(&gates, Some("jobs")).await;
        assert_eq!((status, &body["depth"]), (200, &Value::Null));
    }
}
