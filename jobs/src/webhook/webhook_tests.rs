#![allow(clippy::unwrap_used)]

use std::fs;

use drumline::Router;
use drumline::core::{CancelReason, Ending};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::signature::Secret;
use super::*;
use crate::settings::WEBHOOK_TIMEOUT;
use crate::testing::{self, At, TestMessage, result};
use crate::web::{Act, TestServer};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const TAKEN: Act = Act::Answer("204 No Content", "", "");

/// A receiver, and the file that names it.
struct Receiver {
    folder: TempDir,
    server: TestServer,
}

impl Receiver {
    async fn new(acts: &'static [Act]) -> Self {
        let server = TestServer::new(acts).await;
        let folder = tempfile::tempdir().unwrap();
        let url = format!("http://{}/hooks?tenant=7", server.address);
        let endpoints = json!({ "crm": { "url": url, "secrets": [SECRET] } });
        fs::write(folder.path().join("endpoints.json"), endpoints.to_string()).unwrap();
        Self { folder, server }
    }

    fn router(&self) -> Router {
        router(&[(WEBHOOK_ENDPOINTS, self.folder.path().join("endpoints.json").to_str().unwrap())])
    }
}

fn router(values: &[(&str, &str)]) -> Router {
    let lookup = |name: &str| {
        let short = (name == WEBHOOK_TIMEOUT).then(|| "300ms".to_owned());
        values.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()).or(short)
    };
    crate::router(&Settings::from_lookup(lookup).unwrap())
}

fn event() -> Value {
    json!({
        "endpoint": "crm", "eventId": "evt_42", "eventType": "order.paid", "timestamp": "2026-11-29T10:00:00Z",
        "data": { "order": 42, "total": 19.90 },
    })
}

fn job(router: Router) -> TestMessage {
    testing::tester(router).payload("webhook.deliver", &event())
}

async fn run(acts: &'static [Act]) -> Ending {
    job(Receiver::new(acts).await.router()).await.ending().clone()
}

#[tokio::test]
async fn an_event_is_sent_signed_and_once_to_each_endpoint() {
    let mut receiver = Receiver::new(&[TAKEN]).await;
    let run = job(receiver.router()).await;
    assert!(run.is_done(), "{run}");
    assert_eq!(result(&run), json!({ "status": 204 }));
    assert_eq!(&**run.claim_request().unwrap().identity.id(), "webhook:crm:evt_42");

    let request = receiver.server.request().await;
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /hooks?tenant=7 "), "{head}");
    let header = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("{name} in {head}")).to_owned()
    };
    assert_eq!(
        body,
        r#"{"type":"order.paid","timestamp":"2026-11-29T10:00:00Z","data":{"order":42,"total":19.9}}"#
    );
    assert_eq!((header("webhook-id"), header("content-type")), ("evt_42".into(), "application/json".into()));
    let timestamp: u64 = header("webhook-timestamp").parse().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!((now - 60..=now).contains(&timestamp), "{timestamp}");
    let secret = Secret::parse(SECRET).unwrap();
    assert_eq!(
        header("webhook-signature"),
        signature::header(&[secret], "evt_42", timestamp, body.as_bytes())
    );
}

#[tokio::test]
async fn the_receivers_answer_decides() {
    const AFTER_9: &str = "Retry-After: 9\r\n";
    let after = |secs| Some(Duration::from_secs(secs));
    let retried: [(&'static [Act], _, _); 6] = [
        (&[Act::Answer("429 Slow", AFTER_9, "")], after(9), "429"),
        (&[Act::Answer("503 Busy", "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "")], after(0), "503"),
        (&[Act::Answer("500 Oops", "", r#"{"message":"in words"}"#)], None, "in words"),
        (&[Act::Answer("404 Not Found", "", "")], None, "404"),
        (&[Act::Answer("400 Bad", AFTER_9, "")], after(9), "400"),
        (&[Act::Answer("302 Found", "Location: http://127.0.0.1:1/\r\n", "")], None, "redirects"),
    ];
    for (acts, delay, part) in retried {
        let ending = run(acts).await;
        let Ending::RetryAsked { after, reason } = &ending else { panic!("{ending:?}") };
        assert!(*after == delay && reason.contains(part) && reason.contains("endpoint crm"), "{ending:?}");
    }
    let gone = run(&[Act::Answer("410 Gone", AFTER_9, "")]).await;
    assert!(matches!(&gone, Ending::Rejected { reason } if reason.contains("no more events")), "{gone:?}");
    for act in [&[Act::Answer("200 OK", "", "thanks")][..], &[Act::Answer("202 Accepted", "", "")], &[TAKEN]]
    {
        assert_eq!(run(act).await, Ending::Done);
    }
}

#[tokio::test]
async fn a_lost_answer_is_retried_with_the_same_id() {
    let cases: [(&'static [Act], &str); 2] =
        [(&[Act::HangUp], "connection"), (&[Act::Silence], "within 300ms")];
    for (acts, part) in cases {
        let ending = run(acts).await;
        let Ending::RetryAsked { after: None, reason } = &ending else { panic!("{ending:?}") };
        assert!(reason.contains(part) && reason.contains("may have the event"), "{reason}");
    }
    // The status is enough: the rest of the response does not matter.
    assert_eq!(run(&[Act::BreakOff]).await, Ending::Done);

    let mut receiver = Receiver::new(&[Act::HangUp, Act::Answer("503 Busy", "", ""), TAKEN]).await;
    let tester = testing::tester(receiver.router());
    for number in 1..=3 {
        let run = tester.payload("webhook.deliver", &event()).await;
        assert_eq!((run.attempt(), run.is_done()), (number, number == 3), "{run}");
        assert!(receiver.server.request().await.contains("\r\nwebhook-id: evt_42\r\n"));
    }
}

#[tokio::test]
async fn nothing_is_sent_without_an_endpoint_or_by_a_stopped_run() {
    let unset = job(router(&[])).await.ending().clone();
    assert!(
        matches!(&unset, Ending::RetryAsked { reason, .. } if reason.contains("is not set")),
        "{unset:?}"
    );
    let mut receiver = Receiver::new(&[TAKEN]).await;
    let path = receiver.folder.path().join("endpoints.json");
    let router = receiver.router();
    let run = job(router).shut_down(At::Start).await;
    let ending = run.handler_ending();
    assert!(
        matches!(ending, Ending::RetryAsked { reason, .. } if reason.contains("before the event")),
        "{run}"
    );
    // The file is read again for each job.
    let router = receiver.router();
    fs::write(path, "{}").unwrap();
    let run = job(router).await;
    assert!(
        matches!(run.ending(), Ending::RetryAsked { reason, .. } if reason.contains("none named crm")),
        "{run}"
    );
    assert!(!receiver.server.has_request());

    let mut silent = Receiver::new(&[Act::Silence]).await;
    let job = job(silent.router());
    let run = job.stop_when(CancelReason::Shutdown, async move { drop(silent.server.request().await) }).await;
    let ending = run.handler_ending();
    assert!(matches!(ending, Ending::RetryAsked { reason, .. } if reason.contains("may have")), "{ending:?}");
}

#[test]
fn the_endpoints_lie_outside_the_jobs_files() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap().to_owned();
    let lookup = |name: &str| match name {
        crate::FILE_ROOT => Some(root.clone()),
        WEBHOOK_ENDPOINTS => Some(format!("{root}/endpoints.json")),
        _ => None,
    };
    let problem = Settings::from_lookup(lookup).unwrap_err().remove(0).to_string();
    assert!(problem.contains("file of endpoints") && problem.contains(WEBHOOK_ENDPOINTS), "{problem}");
}
