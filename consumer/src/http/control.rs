//! `/control`: shows the orders that this worker follows, and takes new ones.
//!
//! `GET` shows them, with the access rules of `/jobs`. `POST` gives one, and needs the token, or the loopback interface. A page
//! in a browser cannot give orders: a body must have the type JSON, which no page of another origin may send without a
//! permission, which is never given; and requests that name an origin are refused.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::door::Door;
use super::jobs::json_body;
use crate::control::{Control, JobRequest, Order, Refusal};

/// The maximum size of an order, in bytes.
const MAX_ORDER: usize = 8 * 1024;

/// The time limit for receiving the body of a request.
const BODY_TIME: Duration = Duration::from_secs(5);

/// Returns the routes `GET /control`, `POST /control` and `POST /control/jobs`.
pub(super) fn routes(control: Control, door: Door) -> Router {
    Router::new()
        .route("/control", get(show).post(give))
        .route("/control/jobs", post(give_about_job))
        .with_state((control, door))
}

async fn show(State((control, _)): State<(Control, Door)>) -> Response {
    json_body(StatusCode::OK, to_json(&control.view(None)))
}

async fn give(State((control, door)): State<(Control, Door)>, request: Request) -> Response {
    let order: Order = match taken(&door, request).await {
        Ok(order) => order,
        Err(refusal) => return refusal,
    };
    match control.give(&order) {
        Ok(view) => json_body(StatusCode::OK, to_json(&view)),
        Err(Refusal::Unknown { error, known }) => {
            json_body(StatusCode::NOT_FOUND, json!({ "error": error, "known": known }).to_string())
        }
        Err(Refusal::TooMany) => error(
            StatusCode::CONFLICT,
            "this worker follows as many orders as it can: withdraw some by reset",
        ),
    }
}

async fn give_about_job(State((control, door)): State<(Control, Door)>, request: Request) -> Response {
    let request: JobRequest = match taken(&door, request).await {
        Ok(request) => request,
        Err(refusal) => return refusal,
    };
    match request.checked() {
        Ok(request) => json_body(StatusCode::OK, to_json(&control.order_job(&request, "worker").await)),
        Err(why) => error(StatusCode::BAD_REQUEST, &why.to_string()),
    }
}

/// Reads an order of a client with permission to give one.
async fn taken<T: DeserializeOwned>(door: &Door, request: Request) -> Result<T, Response> {
    if !door.lets_change() {
        return Err(error(
            StatusCode::FORBIDDEN,
            "orders beyond the loopback interface need a token: set DRUMLINE_HTTP_TOKEN; DRUMLINE_ALLOW_REMOTE lets clients read only",
        ));
    }
    if let Some(refusal) = refusal(request.headers()) {
        return Err(refusal);
    }
    read(request.into_body()).await.map_err(|text| error(StatusCode::BAD_REQUEST, &text))
}

/// Returns the answer to a request that a page in a browser may have sent.
fn refusal(headers: &HeaderMap) -> Option<Response> {
    if headers.contains_key(header::ORIGIN) {
        return Some(error(
            StatusCode::FORBIDDEN,
            "orders are not taken from pages: the request names an Origin",
        ));
    }
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Some(error(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "an order is JSON: Content-Type: application/json",
        ));
    }
    None
}

async fn read<T: DeserializeOwned>(body: Body) -> Result<T, String> {
    let bytes = tokio::time::timeout(BODY_TIME, to_bytes(body, MAX_ORDER)).await;
    let bytes = bytes.map_err(|_| "the order has not come in time".to_owned())?;
    let bytes = bytes.map_err(|_| format!("an order has at most {MAX_ORDER} bytes"))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("this is no order: {error}"))
}

fn error(status: StatusCode, text: &str) -> Response {
    json_body(status, json!({ "error": text }).to_string())
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("it is made of texts and numbers")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::num::NonZeroUsize;
    use std::sync::Arc;

    use axum::middleware;
    use drumline::core::{LimitRules, Limits};
    use drumline_runtime::{HttpAccess, QueueStatus};
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    use serde_json::Value;
    use tokio::net::TcpListener;

    use super::super::door;
    use super::*;
    use crate::control::ControlledQueue;

    const PAUSE: &str = r#"{"queue":"jobs","action":"pause","by":"ada@ops","why":"bad deploy"}"#;
    const JSON: (&str, &str) = ("content-type", "application/json");

    fn control() -> Control {
        let limits = Limits::new(LimitRules::none(NonZeroUsize::MIN));
        let queue = ControlledQueue {
            name: "jobs".to_owned(),
            concurrency: NonZeroUsize::new(32).unwrap(),
            status: Arc::new(QueueStatus::default()),
        };
        Control::new("w-1", vec![queue], limits, None)
    }

    /// Serves on a free port, as if at the address `at`; returns the URL.
    async fn serve(control: &Control, at: &str, token: Option<&str>, allow_remote: bool) -> String {
        let access =
            HttpAccess { token: token.map(|token| token.to_owned().into()), allow_remote, hosts: Vec::new() };
        let door = Door::new(at.parse().unwrap(), &access);
        let guard = middleware::from_fn_with_state(door.clone(), door::guard);
        let routes = routes(control.clone(), door).route_layer(guard);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/control", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        url
    }

    async fn ask(url: &str, method: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(bytes::Bytes::from(body.to_owned()))).unwrap();
        let answer = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
        assert!(!answer.headers().keys().any(|name| name.as_str().starts_with("access-control")));
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    #[tokio::test]
    async fn an_order_is_followed_and_shown_with_who_and_why() {
        let control = control();
        let url = serve(&control, "127.0.0.1:9464", None, false).await;
        let (status, view) = ask(&url, "POST", &[JSON], PAUSE).await;
        assert_eq!((status, &view["queues"][0]["pauses"]), (200, &json!(["operator"])), "{view}");
        assert!(control.of_queue("jobs").unwrap().borrow().is_paused);
        let (status, view) = ask(&url, "GET", &[], "").await;
        let paused = &view["queues"][0]["here"]["paused"];
        assert_eq!((status, &paused["by"], &paused["why"]), (200, &json!("ada@ops"), &json!("bad deploy")));
        assert_eq!((&view["worker"], &view["queues"][0]["concurrency"]), (&json!("w-1"), &json!(32)));
        let json = [("content-type", "Application/JSON; charset=utf-8")];
        let (status, _) = ask(&url, "POST", &json, &PAUSE.replace("pause", "resume")).await;
        assert!(status == 200 && !control.of_queue("jobs").unwrap().borrow().is_paused);
    }

    #[tokio::test]
    async fn a_page_in_a_browser_gives_no_orders() {
        let control = control();
        let url = serve(&control, "127.0.0.1:9464", None, false).await;
        // Requests that a form or a script of another origin may send without a preflight request.
        let table = [
            (vec![], 415),
            (vec![("content-type", "text/plain")], 415),
            (vec![("content-type", "application/x-www-form-urlencoded")], 415),
            (vec![("content-type", "text/plain; application/json")], 415),
            (vec![JSON, ("origin", "http://evil.example")], 403),
            (vec![JSON, ("origin", "null")], 403),
            (vec![JSON, ("host", "evil.example")], 403),
        ];
        for (headers, expected) in table {
            assert_eq!(ask(&url, "POST", &headers, PAUSE).await.0, expected, "{headers:?}");
        }
        // The preflight request for JSON is not answered with a permission.
        let (status, _) = ask(&url, "OPTIONS", &[("origin", "http://evil.example")], "").await;
        assert_eq!(status, 405);
        assert!(!control.of_queue("jobs").unwrap().borrow().is_paused);
    }

    #[tokio::test]
    async fn beyond_the_loopback_interface_orders_need_the_token() {
        let control = control();
        let token = ("authorization", "Bearer s3cret");
        let table = [
            ("0.0.0.0:9464", None, false, vec![JSON], 403, 403),
            ("0.0.0.0:9464", None, true, vec![JSON], 200, 403),
            ("0.0.0.0:9464", Some("s3cret"), true, vec![JSON], 401, 401),
            ("0.0.0.0:9464", Some("s3cret"), false, vec![JSON, token], 200, 200),
            ("127.0.0.1:9464", Some("s3cret"), false, vec![JSON], 401, 401),
            ("127.0.0.1:9464", None, false, vec![JSON], 200, 200),
        ];
        for (at, secret, allow_remote, headers, to_read, to_change) in table {
            let url = serve(&control, at, secret, allow_remote).await;
            assert_eq!(ask(&url, "GET", &headers, "").await.0, to_read, "{at} {secret:?} {allow_remote}");
            assert_eq!(
                ask(&url, "POST", &headers, PAUSE).await.0,
                to_change,
                "{at} {secret:?} {allow_remote}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_no_order_is_refused_with_a_reason() {
        let url = serve(&control(), "127.0.0.1:9464", None, false).await;
        let long = format!(r#"{{"queue":"jobs","action":"pause","by":"{}"}}"#, "x".repeat(MAX_ORDER));
        let table = [
            ("", 400, "this is no order"),
            (r#"{"queue":"jobs","action":"pause","by":"a\u001b"}"#, 400, "control characters"),
            (&long, 400, "at most 8192 bytes"),
            (r#"{"queue":"job","action":"pause","by":"ada"}"#, 404, "no queue \"job\""),
        ];
        for (body, expected, words) in table {
            let (status, answer) = ask(&url, "POST", &[JSON], body).await;
            assert_eq!(status, expected, "{answer}");
            assert!(answer["error"].as_str().unwrap().contains(words), "{answer}");
        }
    }
}
