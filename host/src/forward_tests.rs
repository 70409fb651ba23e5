#![allow(clippy::unwrap_used)]
use super::*;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use url::Url;

use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use drumline::core::{CancelReason, DeliveryId, Ending, RunControl, RunReport};
use drumline::message::{Attribute, AttributeValue, Intake, Message};
use drumline::run::{Attempt, RunEnvironment};
use tokio::net::TcpListener;

#[path = "forward_tests/attributes.rs"]
mod attributes;
#[path = "forward_tests/job_endpoint.rs"]
mod job_endpoint;

struct NoHost;

impl RunEnvironment for NoHost {
    fn spawn_blocking(&self, _: Box<dyn FnOnce() + Send>) {
        panic!("forwarding blocks nothing");
    }

    fn max_receives(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(5)
    }
}

/// Status, headers and body; status 0 stands for no answer.
type Answer = (u16, Vec<(&'static str, String)>, String);

/// An application that sends the test's answers, and records the requests.
#[derive(Clone, Default)]
struct Application {
    answer: Arc<Mutex<Answer>>,
    seen: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    connections: Arc<AtomicUsize>,
}

impl Application {
    async fn start(&self) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/work", listener.local_addr().unwrap())).unwrap();
        let connections = Arc::clone(&self.connections);
        let listener = axum::serve::ListenerExt::tap_io(listener, move |_| {
            connections.fetch_add(1, Ordering::SeqCst);
        });
        let routes = axum::Router::new().route("/work", post(Self::handle));
        let routes = routes.route("/work/nightly", post(Self::handle)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        url
    }

    async fn handle(State(app): State<Self>, headers: HeaderMap, body: Bytes) -> axum::response::Response {
        app.seen.lock().unwrap().push((headers, body));
        let (status, headers, text) = app.answer.lock().unwrap().clone();
        if status == 0 {
            std::future::pending::<()>().await;
        }
        let mut response = axum::response::Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        response.body(text.into()).unwrap()
    }

    fn answer(&self, status: u16, headers: &[(&'static str, &str)], text: &str) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        *self.answer.lock().unwrap() = (status, headers, text.to_owned());
    }
}

async fn run(router: &Router, message: Message, control: RunControl) -> RunReport {
    let attempt = Attempt {
        delivery: DeliveryId::default(),
        queue: "jobs".into(),
        intake: Arc::new(Intake::new("arn:jobs")),
        message: Arc::new(message),
        number: NonZeroU32::MIN,
        started_at: Instant::now(),
        deadline: Instant::now() + Duration::from_secs(60),
        latest_deadline: Instant::now() + Duration::from_secs(60),
        claim_length: Duration::from_secs(27),
        permit: None,
        arrival: None,
        control,
        host: Arc::new(NoHost),
    };
    router.run(attempt).await
}

fn router_to(url: &Url) -> Router {
    forward_to(&url.clone().into(), &ForwardOptions::default()).unwrap().router
}

fn message() -> Message {
    Message { id: "m1".into(), body: "{\"any\":\"thing\"}".into(), receive_count: 3, ..Message::default() }
}

#[tokio::test]
async fn the_status_answers_for_the_job() {
    let application = Application::default();
    let router = router_to(&application.start().await);
    let retry = |after: Option<u64>, reason: &str| Ending::RetryAsked {
        after: after.map(Duration::from_secs),
        reason: reason.to_owned(),
    };
    let throttled = |after: Option<u64>, reason: &str| Ending::Throttled {
        after: after.map(Duration::from_secs),
        reason: reason.to_owned(),
    };
    let rejected = |reason: &str| Ending::Rejected { reason: reason.to_owned() };
    let table = [
        (200, vec![], "fine", Ending::Done),
        (204, vec![], "", Ending::Done),
        (503, vec![], "busy", retry(None, "503 Service Unavailable: busy")),
        (503, vec![("retry-after", "7")], "", retry(Some(7), "503 Service Unavailable")),
        (
            429,
            vec![("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT")],
            "",
            throttled(Some(0), "429 Too Many Requests"),
        ),
        (429, vec![("retry-after", "9")], "slow", throttled(Some(9), "429 Too Many Requests: slow")),
        (429, vec![], "", throttled(None, "429 Too Many Requests")),
        (500, vec![("retry-after", "soon")], "", retry(None, "500 Internal Server Error")),
        (408, vec![], "", retry(None, "408 Request Timeout")),
        (425, vec![], "", retry(None, "425 Too Early")),
        (404, vec![], "", retry(None, "404 Not Found")),
        (302, vec![], "", retry(None, "302 Found")),
        (400, vec![], "bad", rejected("400 Bad Request: bad")),
        (410, vec![], "", rejected("410 Gone")),
        (413, vec![], "", rejected("413 Payload Too Large")),
        (415, vec![], "", rejected("415 Unsupported Media Type")),
        (422, vec![("retry-after", "7")], "no such user", rejected("422 Unprocessable Entity: no such user")),
    ];
    for (status, headers, text, ending) in table {
        application.answer(status, &headers, text);
        assert_eq!(run(&router, message(), RunControl::new()).await.ending, ending, "{status}");
    }
    assert_eq!(application.connections.load(Ordering::SeqCst), 1, "connections are kept alive");
}

#[tokio::test]
async fn the_message_travels_whole() {
    let application = Application::default();
    application.answer(200, &[], "");
    let router = router_to(&application.start().await);
    let mut message = message();
    message.body = "not JSON \u{1F600}".to_owned();
    message.first_received_at = Some(Duration::from_millis(1_700_000_000_123));
    message.sent_at = Some(Duration::from_millis(1_700_000_000_001));
    message.sender_id = Some("AIDAEXAMPLE".into());
    message.attributes.insert("tenant".into(), Attribute::text("a\nb"));
    message
        .attributes
        .insert("blob".into(), Attribute::new("Binary.Protobuf", AttributeValue::Binary(vec![0])));
    assert_eq!(run(&router, message, RunControl::new()).await.ending, Ending::Done);
    let seen = application.seen.lock().unwrap();
    let (headers, body) = &seen[0];
    assert_eq!(body, "not JSON \u{1F600}".as_bytes());
    for (name, value) in [
        ("x-aws-sqsd-msgid", "m1"),
        ("x-aws-sqsd-queue", "jobs"),
        ("x-aws-sqsd-receive-count", "3"),
        ("x-aws-sqsd-first-received-at", "2023-11-14T22:13:20.123Z"),
        ("x-aws-sqsd-sent-at", "2023-11-14T22:13:20.001Z"),
        ("x-aws-sqsd-sender-id", "AIDAEXAMPLE"),
        ("x-aws-sqsd-attr-blob", "AA=="),
        ("x-aws-sqsd-attr-tenant", "a b"),
        ("x-drumline-attr-type-blob", "Binary.Protobuf"),
        ("idempotency-key", "m1"),
        ("x-drumline-identity", "8:arn:jobs,3:raw,0:,m2:m1"),
        ("x-drumline-type", "raw"),
        ("x-drumline-job-id", "m1"),
        ("x-drumline-correlation-id", "m1"),
        ("x-drumline-attempt", "1"),
        ("x-drumline-max-receives", "5"),
        ("content-type", "text/plain; charset=utf-8"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    assert!(headers["user-agent"].to_str().unwrap().starts_with("aws-sqsd/2.0 drumline/"));
    assert!(!headers.contains_key("x-drumline-attr-type-tenant"), "a plain text needs no type");
    assert!(headers["x-drumline-deadline"].to_str().unwrap().ends_with('Z'));
    assert_eq!(headers["traceparent"].len(), 55);
}

#[tokio::test]
async fn keys_that_differ_arrive_as_different_ones() {
    let application = Application::default();
    application.answer(200, &[], "");
    let router = router_to(&application.start().await);
    let ids = [
        "a", "a\u{0}", "a\u{1}", "a ", " a", "  ", "a%20", "a\n", "a%00", "a%{0}", "a%{20}", "a%0", "a%",
        "a\u{80}", "ä",
    ];
    for id in ids {
        let body = serde_json::json!({ "type": "t", "idempotencyKey": id, "payload": {} }).to_string();
        let message = Message { body, ..message() };
        assert_eq!(run(&router, message, RunControl::new()).await.ending, Ending::Done);
    }
    let seen = application.seen.lock().unwrap();
    for name in ["idempotency-key", "x-drumline-identity"] {
        let keys: std::collections::HashSet<&[u8]> =
            seen.iter().map(|(headers, _)| headers[name].as_bytes()).collect();
        assert_eq!(keys.len(), ids.len(), "{name}");
    }
    assert_eq!(seen[0].0["idempotency-key"], "a");
    assert_eq!(seen[1].0["idempotency-key"], "a%{0}");
    assert_eq!(seen[1].0["x-drumline-identity"], "8:arn:jobs,1:t,0:,5:a%{0}", "the key as it is kept");
}

#[tokio::test]
async fn a_trace_continues_from_inside_an_envelope() {
    let application = Application::default();
    application.answer(200, &[], "");
    let router = router_to(&application.start().await);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let body = format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t","traceparent":"{trace}"}}"#);
    run(&router, Message { body, ..message() }, RunControl::new()).await;
    assert_eq!(application.seen.lock().unwrap()[0].0["traceparent"], trace);
}

#[tokio::test]
async fn a_refused_connection_is_no_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://user:hunter2@{}/jobs?key=hunter3", listener.local_addr().unwrap());
    drop(listener);
    let Forward { router, target } =
        forward_to(&Url::parse(&url).unwrap().into(), &ForwardOptions::default()).unwrap();
    let ending = run(&router, message(), RunControl::new()).await.ending;
    let Ending::TargetUnhealthy { reason } = ending else { panic!("{ending:?}") };
    assert!(reason.ends_with(": connection refused (111)") && !reason.contains("hunter"), "{reason}");
    assert!(target.is_unhealthy());
}

#[tokio::test]
async fn a_closed_connection_is_an_attempt_while_others_are_accepted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let ending = run(&router_to(&url), message(), RunControl::new()).await.ending;
    assert!(matches!(ending, Ending::RetryAsked { after: None, .. }), "{ending:?}");
}

#[tokio::test]
async fn several_messages_that_fail_alike_are_the_application() {
    let application = Application::default();
    application.answer(503, &[], "maintenance");
    let router = router_to(&application.start().await);
    let message = |id: &str| Message { id: id.into(), ..message() };
    let (a, b, c) = tokio::join!(
        run(&router, message("a"), RunControl::new()),
        run(&router, message("b"), RunControl::new()),
        run(&router, message("c"), RunControl::new())
    );
    for report in [a, b, c] {
        let reason = "503 Service Unavailable: maintenance".to_owned();
        assert_eq!(report.ending, Ending::TargetUnhealthy { reason });
    }
}

#[tokio::test]
async fn a_long_answer_is_cut_and_a_cancelled_one_given_up() {
    let application = Application::default();
    let router = router_to(&application.start().await);
    application.answer(500, &[], &"x".repeat(10_000));
    let Ending::RetryAsked { reason, .. } = run(&router, message(), RunControl::new()).await.ending else {
        panic!()
    };
    assert!(reason.chars().count() <= 200, "{}", reason.len());

    application.answer(0, &[], "");
    let control = RunControl::new();
    control.cancel(CancelReason::TimedOut);
    let Ending::RetryAsked { reason, .. } = run(&router, message(), control).await.ending else { panic!() };
    assert!(reason.ends_with("no answer before the deadline"), "{reason}");
}

#[tokio::test]
async fn the_content_type_is_the_attributes_or_the_bodys() {
    let application = Application::default();
    application.answer(200, &[], "");
    let router = router_to(&application.start().await);
    let table = [
        (r#" {"a":1}"#, None, "application/json"),
        ("[1]", None, "application/json"),
        ("{not JSON", None, "text/plain; charset=utf-8"),
        ("42", None, "text/plain; charset=utf-8"),
        ("<?xml version='1.0'?><a/>", None, "application/xml"),
        (
            "a=1&b=2",
            Some(("contentType", "application/x-www-form-urlencoded")),
            "application/x-www-form-urlencoded",
        ),
        ("a,b", Some(("Content-Type", "text/csv")), "text/csv"),
    ];
    for (body, attribute, content_type) in table {
        let mut message = Message { body: body.into(), ..message() };
        message.attributes.extend(attribute.map(|(name, value)| (name.into(), Attribute::text(value))));
        run(&router, message, RunControl::new()).await;
        assert_eq!(application.seen.lock().unwrap().pop().unwrap().0["content-type"], content_type, "{body}");
    }
}

#[tokio::test]
async fn headers_of_the_settings_replace_others() {
    let application = Application::default();
    application.answer(200, &[], "");
    let headers = read_headers("X-Api-Key: s3cret\nUser-Agent: mine").unwrap();
    let options = ForwardOptions { headers, ..ForwardOptions::default() };
    let url = application.start().await.to_string().replace("127", "user:p%40ss@127");
    let router = forward_to(&Url::parse(&url).unwrap().into(), &options).unwrap().router;
    assert_eq!(run(&router, message(), RunControl::new()).await.ending, Ending::Done);
    let headers = application.seen.lock().unwrap().pop().unwrap().0;
    let names =
        ["x-api-key", "user-agent", "authorization"].map(|name| headers[name].to_str().unwrap().to_owned());
    assert_eq!(names, ["s3cret", "mine", "Basic dXNlcjpwQHNz"]);
}

#[tokio::test]
async fn a_unix_socket_is_an_address_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let url = Url::parse(&format!("unix:{}:/work", path.display())).unwrap();
    let Forward { router, target } = forward_to(&url.into(), &ForwardOptions::default()).unwrap();
    let ending = run(&router, message(), RunControl::new()).await.ending;
    let Ending::TargetUnhealthy { reason } = ending else { panic!("{ending:?}") };
    assert!(reason.ends_with("no such file or directory (2)"), "{reason}");
    assert!(target.is_unhealthy());
    let application = Application::default();
    application.answer(200, &[], "");
    let routes =
        axum::Router::new().route("/work", post(Application::handle)).with_state(application.clone());
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    assert_eq!(run(&router, message(), RunControl::new()).await.ending, Ending::Done);
    assert_eq!(application.seen.lock().unwrap().len(), 1);
}
