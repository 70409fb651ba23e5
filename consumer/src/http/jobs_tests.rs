#![allow(clippy::unwrap_used)]

use std::any::Any;
use std::time::Instant;

use bytes::Bytes;
use drumline::core::{Claim, ClaimRequest, ClaimResult, MaybeReady, Ownership, ReleaseClaim};
use drumline::message::Identity;
use drumline_store::{AttemptRecord, JobRecord, MemoryStore, ProgressRecord, Retention, StoreError};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::job_view::examples::attempt;

/// The time for things that happen at once on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn memory() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new(Arc::from("worker-1"), Retention::default()))
}

fn identity(job_id: &str) -> Arc<Identity> {
    Arc::new(Identity::new("arn:jobs", "email.send", None, job_id))
}

async fn claim(store: &MemoryStore, job_id: &str) -> Arc<Claim> {
    let request = ClaimRequest {
        identity: identity(job_id),
        legacy_key: None,
        payload_hash: 1,
        lock: None,
        length: Duration::from_secs(30),
        queue: Arc::from("jobs"),
        message_id: "m-1".into(),
        receive_count: 1,
    };
    let ClaimResult::Granted(grant) = store.claim(&request).await.unwrap() else {
        panic!("no other worker claims it")
    };
    grant.claim
}

fn progress(done: u64) -> ProgressRecord {
    ProgressRecord { at_ms: 1_700_000_000_000, done, total: 10, unit: "rows".to_owned() }
}

/// Serves on a free port; returns the URL.
async fn serve(store: Arc<dyn Store>, watchers: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes_with(store, watchers)).await });
    format!("http://{addr}")
}

async fn get_json(url: &str) -> (u16, Value) {
    let answer = send(url, None).await;
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_job_is_returned_as_json_with_its_state() {
    let store = memory();
    let url = serve(Arc::clone(&store) as _, 1).await;
    let (status, error) = get_json(&format!("{url}/jobs/j-1")).await;
    assert_eq!(status, 404);
    assert!(error["error"].as_str().unwrap().contains("j-1"), "{error}");

    store.progress(&identity("j-1"), &progress(3)).await.unwrap();
    let (status, job) = get_json(&format!("{url}/jobs/j-1")).await;
    assert_eq!((status, &job["state"], &job["progress"]["done"]), (200, &"unknown".into(), &3.into()));

    let claim = claim(&store, "j-1").await;
    let (_, job) = get_json(&format!("{url}/jobs/j-1")).await;
    assert_eq!((&job["state"], &job["claim"]["owner"]), (&"running".into(), &"worker-1".into()));
    store.finish(&claim, None).await.unwrap();
    assert_eq!(get_json(&format!("{url}/jobs/j-1")).await.1["state"], "done");
}

#[tokio::test]
async fn an_id_may_hold_any_character() {
    let store = memory();
    let url = serve(Arc::clone(&store) as _, 1).await;
    for (id, path) in [
        ("a/b", "a%2Fb"),
        ("events", "events"),
        ("a b?#ä%", "a%20b%3F%23%C3%A4%25"),
        ("../livez", "%2E%2E%2Flivez"),
        ("s3://bucket/key:1", "s3%3A%2F%2Fbucket%2Fkey%3A1"),
    ] {
        store.attempted(&identity(id), &attempt("retry", "no route")).await.unwrap();
        let (status, job) = get_json(&format!("{url}/jobs/{path}")).await;
        assert_eq!((status, job["jobId"].as_str()), (200, Some(id)), "{path}");
    }
    assert_eq!(get_json(&format!("{url}/jobs/%FF")).await.0, 404, "no text, so no job's id");
}

#[tokio::test]
async fn one_id_in_two_queues_is_two_jobs() {
    let store = memory();
    let url = serve(Arc::clone(&store) as _, 1).await;
    for (scope, queue) in [("arn:a", "a"), ("arn:b", "b")] {
        let request = ClaimRequest {
            identity: Arc::new(Identity::new(scope, "order.placed", None, "o-1")),
            legacy_key: None,
            payload_hash: 1,
            lock: None,
            length: Duration::from_secs(30),
            queue: Arc::from(queue),
            message_id: queue.into(),
            receive_count: 1,
        };
        let granted = store.claim(&request).await.unwrap();
        assert!(matches!(granted, ClaimResult::Granted(_)), "{granted:?}");
    }
    let (status, job) = get_json(&format!("{url}/jobs/o-1")).await;
    assert_eq!((status, &job["jobId"]), (200, &"o-1".into()));
    assert_eq!(job["others"].as_array().map(Vec::len), Some(1), "{job}");
    for queue in ["a", "b"] {
        let (_, job) = get_json(&format!("{url}/jobs/o-1?queue={queue}&type=order.placed")).await;
        assert_eq!((&job["claim"]["queue"], &job["others"]), (&queue.into(), &serde_json::Value::Null));
    }
    assert_eq!(get_json(&format!("{url}/jobs/o-1?queue=c")).await.0, 404);
}

#[tokio::test]
async fn a_store_without_an_answer_is_reported() {
    let url = serve(Arc::new(Silent), 1).await;
    for path in ["/jobs/j-1", "/jobs/j-1/events"] {
        let (status, error) = get_json(&format!("{url}{path}")).await;
        assert_eq!(status, 503);
        assert!(error["error"].as_str().unwrap().contains("no route"), "{error}");
    }
}

/// A client that reads events as they arrive.
struct Reader {
    stream: TcpStream,
    text: String,
}

impl Reader {
    async fn open(url: &str, job_id: &str) -> Self {
        let addr = url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let head = format!("GET /jobs/{job_id}/events HTTP/1.0\r\nHost: {addr}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        Self { stream, text: String::new() }
    }

    /// Reads until there are `count` events, or until the end; returns all events so far with name and data.
    async fn events(&mut self, count: usize) -> Vec<(String, Value)> {
        let begun = Instant::now();
        loop {
            let events = parse(&self.text);
            let mut more = [0; 4096];
            if events.len() >= count {
                return events;
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut more)).await.unwrap().unwrap();
            assert!(begun.elapsed() < PATIENCE, "{}", self.text);
            self.text.push_str(std::str::from_utf8(&more[..read]).unwrap());
            if read == 0 {
                return parse(&self.text);
            }
        }
    }
}

fn parse(text: &str) -> Vec<(String, Value)> {
    let field = |event: &str, name: &str| {
        event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
    };
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let whole = body.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
    whole
        .split("\n\n")
        .filter_map(|event| {
            Some((field(event, "event")?, serde_json::from_str(&field(event, "data")?).unwrap()))
        })
        .collect()
}

#[tokio::test]
async fn a_watcher_gets_each_change_and_the_end_at_once() {
    let store = memory();
    let claim = claim(&store, "j-1").await;
    let url = serve(Arc::clone(&store) as _, 1).await;
    let mut reader = Reader::open(&url, "j-1").await;
    assert_eq!(reader.events(1).await[0].1["state"], "running");
    assert!(reader.text.contains("text/event-stream"), "{}", reader.text);

    store.progress(&identity("j-1"), &progress(3)).await.unwrap();
    let events = reader.events(2).await;
    assert_eq!((events[1].0.as_str(), &events[1].1["progress"]["done"]), ("job", &3.into()));

    // A renewal alone is no change.
    store.renew(&claim, Duration::from_secs(60)).await.unwrap();
    tokio::time::sleep(LOOK * 2).await;
    store.finish(&claim, None).await.unwrap();
    let events = reader.events(usize::MAX).await;
    let states: Vec<&Value> = events.iter().map(|(_, job)| &job["state"]).collect();
    assert_eq!(states, ["running", "running", "done"], "and then the stream has ended");
    assert!(reader.text.contains("id: end"), "{}", reader.text);
}

#[tokio::test]
async fn a_client_that_returns_after_the_end_is_stopped() {
    let store = memory();
    let held = claim(&store, "j-1").await;
    let url = serve(Arc::clone(&store) as _, 1).await;
    store.finish(&held, None).await.unwrap();
    let url = format!("{url}/jobs/j-1/events");
    let body = send(&url, None).await.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"event: job"), "{body:?}");
    assert_eq!(send(&url, Some(("last-event-id", LAST_EVENT))).await.status(), 204);
}

#[tokio::test]
async fn places_are_bounded_and_come_free_when_a_watcher_goes_away() {
    let store = memory();
    let claim = claim(&store, "j-1").await;
    let url = serve(Arc::clone(&store) as _, 1).await;
    let events = format!("{url}/jobs/j-1/events");
    assert_eq!(send(&format!("{url}/jobs/nobody/events"), None).await.status(), 404, "and no place is kept");
    let mut reader = Reader::open(&url, "j-1").await;
    reader.events(1).await;
    let refused = send(&events, None).await;
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "5"));
    assert_eq!(get_json(&format!("{url}/jobs/j-1")).await.0, 200, "a single request needs no place");

    drop(reader);
    let begun = Instant::now();
    let mut next = loop {
        let mut next = Reader::open(&url, "j-1").await;
        if !next.events(1).await.is_empty() {
            break next;
        }
        assert!(begun.elapsed() < PATIENCE, "the place stays taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    store
        .release_claim(
            &claim,
            &ReleaseClaim { count_attempt: true, failure_reason: Some("no".to_owned()), dead: false },
        )
        .await
        .unwrap();
    assert_eq!(next.events(2).await[1].1["state"], "failed");
}

async fn send(
    url: &str,
    header: Option<(&str, &str)>,
) -> Response<impl http_body_util::BodyExt<Data = Bytes, Error: std::fmt::Debug>> {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::get(url);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    client.request(request.body(Empty::new()).unwrap()).await.unwrap()
}

/// An unreachable store.
struct Silent;

fn silence<T>() -> Result<T, StoreError> {
    Err(StoreError::Unanswered("no route to host".into()))
}

impl Store for Silent {
    fn claim<'a>(&'a self, _: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, StoreError>> {
        MaybeReady::now(silence())
    }

    fn renew<'a>(&'a self, _: &'a Claim, _: Duration) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::now(silence())
    }

    fn finish<'a>(
        &'a self,
        _: &'a Claim,
        _: Option<&'a RawValue>,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::now(silence())
    }

    fn release_claim<'a>(
        &'a self,
        _: &'a Claim,
        _: &'a ReleaseClaim,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::now(silence())
    }

    fn checkpoint<'a>(
        &'a self,
        _: &'a Claim,
        _: &'a RawValue,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::now(silence())
    }

    fn progress<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a ProgressRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        MaybeReady::now(silence())
    }

    fn attempted<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a AttemptRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        MaybeReady::now(silence())
    }

    fn jobs<'a>(&'a self, _: &'a str) -> MaybeReady<'a, Result<Vec<JobRecord>, StoreError>> {
        MaybeReady::now(silence())
    }

    fn ping(&self) -> MaybeReady<'_, Result<(), StoreError>> {
        MaybeReady::now(silence())
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}
