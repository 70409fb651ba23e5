#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use drumline::core::{Claim, ClaimRequest, ClaimResult, ReleaseClaim};
use drumline::message::Identity;
use drumline_store::{AttemptRecord, Location, MemoryStore, ProgressRecord, Retention, open};
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::net::TcpListener;

use super::*;

/// For steps that take milliseconds, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new(Arc::from("worker-1"), Retention::default()))
}

async fn file(path: &std::path::Path, owner: &str) -> Arc<dyn Store> {
    open(&Location::File(path.to_owned()), Arc::from(owner), Retention::default()).await.unwrap()
}

fn identity(job_type: &str, job_id: &str) -> Arc<Identity> {
    Arc::new(Identity::new("arn:jobs", job_type, None, job_id))
}

async fn claim(store: &dyn Store, job_type: &str, job_id: &str) -> Arc<Claim> {
    let request = ClaimRequest {
        identity: identity(job_type, job_id),
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

async fn report(store: &dyn Store, job_type: &str, job_id: &str, done: u64) {
    let progress = ProgressRecord { at_ms: 1_700_000_000_000, done, total: 10, unit: "rows".to_owned() };
    store.progress(&identity(job_type, job_id), &progress).await.unwrap();
}

fn failed_attempt() -> AttemptRecord {
    AttemptRecord {
        at_ms: 1_700_000_000_000,
        message_id: "m-1".to_owned(),
        job_id: None,
        queue: "jobs".to_owned(),
        job_type: Some("report.make".to_owned()),
        attempt: 1,
        receive_count: 1,
        worker: "host-7".to_owned(),
        took_ms: 1_250,
        class: "failed".to_owned(),
        reason: "no route".to_owned(),
        outcome: "retry".to_owned(),
        retry_in_ms: Some(1_000),
        last_attempt: false,
        log: vec!["INFO begun".to_owned()],
    }
}

/// Jobs belong to the user whose name their ids begin with; the type `secret` belongs to no user. The id `alice-typo` was never sent.
async fn by_name(parts: Arc<Parts>, asked: Asked) -> Access {
    let Some(user) = parts.headers.get("x-user").and_then(|user| user.to_str().ok()) else {
        return Access::Respond((StatusCode::UNAUTHORIZED, "sign in").into_response());
    };
    let job_type = asked.job.as_ref().and_then(drumline_store::job_view::job_type);
    match asked.id.split_once('-') {
        Some((owner, _)) if owner != user => Access::Forbidden,
        _ if job_type == Some("secret") => Access::Forbidden,
        _ if parts.headers.contains_key("x-operator") => Access::AllowedWithLog,
        _ if asked.id == "alice-typo" => Access::Allowed,
        _ => Access::Expected,
    }
}

/// Serves on a free port; the address as a URL.
async fn serve(store: Arc<dyn Store>, max_jobs: usize, max_viewers: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let routes = router_with(store, Authorise::new(by_name), max_jobs, max_viewers);
    let app = Router::new().nest("/status", routes);
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{addr}/status/jobs")
}

async fn send(url: &str, headers: &[(&str, &str)]) -> http::Response<Incoming> {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request =
        headers.iter().fold(Request::get(url), |request, (name, value)| request.header(*name, *value));
    client.request(request.body(Empty::new()).unwrap()).await.unwrap()
}

async fn get_as(user: &str, url: &str) -> (u16, Value) {
    let answer = send(url, &[("x-user", user)]).await;
    assert_eq!(answer.headers()["content-type"], "application/json", "{url}");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let status = answer.status().as_u16();
    let Ok(body) = answer.into_body().collect().await else { panic!("the body of {url} breaks off") };
    (status, serde_json::from_slice(&body.to_bytes()).unwrap())
}

/// Events as they arrive.
struct Events {
    body: Incoming,
    text: String,
}

impl Events {
    /// The next event, or `None` at the end of the stream.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                match data {
                    Some(data) => return Some(serde_json::from_str(data).unwrap()),
                    None => continue,
                }
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.unwrap()?;
            let Ok(frame) = frame else { panic!("the stream breaks off") };
            self.text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    }
}

async fn follow_as(user: &str, url: &str) -> Events {
    let answer = send(&format!("{url}/events"), &[("x-user", user)]).await;
    assert_eq!(answer.status(), 200, "{url}");
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    Events { body: answer.into_body(), text: String::new() }
}

/// A job's whole life, seen by an application that shares the store with a worker.
async fn a_life(worker: &dyn Store, application: Arc<dyn Store>) {
    let url = serve(application, 1, 10).await;
    let job = format!("{url}/alice-1");
    assert_eq!(get_as("alice", &job).await.1["state"], "sent");
    let mut events = follow_as("alice", &job).await;
    let sent = events.next().await.unwrap();
    assert_eq!(
        (&sent["state"], &sent["final"], &sent["jobId"]),
        (&"sent".into(), &false.into(), &"alice-1".into())
    );

    let held = claim(worker, "report.make", "alice-1").await;
    assert_eq!(events.next().await.unwrap()["state"], "running");
    report(worker, "report.make", "alice-1", 3).await;
    assert_eq!(events.next().await.unwrap()["progress"]["done"], 3);
    worker.attempted(&identity("report.make", "alice-1"), &failed_attempt()).await.unwrap();
    let attempt = &events.next().await.unwrap()["attempts"][0];
    assert_eq!((&attempt["reason"], &attempt["retryInMs"]), (&"no route".into(), &1_000.into()));
    assert!(attempt.get("worker").is_none() && attempt.get("log").is_none(), "{attempt}");
    let answer = send(&job, &[("x-user", "alice"), ("x-operator", "yes")]).await;
    let Ok(body) = answer.into_body().collect().await else { panic!("the body of {job} breaks off") };
    let of_operator: Value = serde_json::from_slice(&body.to_bytes()).unwrap();
    assert_eq!(of_operator["attempts"][0]["log"][0], "INFO begun");

    let result = serde_json::value::to_raw_value(&serde_json::json!({"rows": 10})).unwrap();
    worker.finish(&held, Some(&result)).await.unwrap();
    let done = events.next().await.unwrap();
    assert_eq!((&done["state"], &done["final"]), (&"done".into(), &true.into()));
    assert_eq!(done["result"]["rows"], 10);
    assert_eq!(events.next().await, None, "the stream ends with the job");
    assert_eq!(get_as("alice", &job).await, (200, done));

    let again = [("x-user", "alice"), ("last-event-id", LAST_EVENT)];
    assert_eq!(send(&format!("{job}/events"), &again).await.status(), 204);
}

#[tokio::test]
async fn a_life_over_memory() {
    let store = memory();
    a_life(&*store, Arc::clone(&store)).await;
}

#[tokio::test]
async fn a_life_over_a_file_that_another_process_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let worker = file(&path, "worker-1").await;
    a_life(&*worker, file(&path, "app").await).await;
}

#[tokio::test]
async fn each_decision_has_its_status() {
    let store = memory();
    claim(&*store, "report.make", "alice-1").await;
    claim(&*store, "secret", "alice-2").await;
    let url = serve(store, 1, 1).await;
    let table = [
        ("alice", "alice-1", 200),
        ("bob", "alice-1", 403),
        ("bob", "alice-never-sent", 403),
        ("alice", "alice-2", 403),
        ("alice", "alice-typo", 404),
        ("alice", "%FF", 404),
        ("alice", "alice-1?type=other", 200),
    ];
    for (user, id, status) in table {
        assert_eq!(get_as(user, &format!("{url}/{id}")).await.0, status, "{user} {id}");
    }
    for (user, id, status) in
        [("bob", "alice-1", 403), ("alice", "alice-typo", 404), ("alice", "alice-2", 403)]
    {
        assert_eq!(get_as(user, &format!("{url}/{id}/events")).await.0, status, "{user} {id}");
    }
    assert_eq!(send(&format!("{url}/alice-1"), &[]).await.status(), 401, "the application's own response");
    let (_, job) = get_as("alice", &format!("{url}/alice-1?type=other")).await;
    assert_eq!(job["state"], "sent", "a job of another type with this id is not known");
}

#[tokio::test]
async fn of_two_jobs_with_one_id_only_the_user_s_own_is_shown() {
    let store = memory();
    claim(&*store, "report.make", "alice-1").await;
    let url = serve(Arc::clone(&store), 1, 1).await;
    let mut events = follow_as("alice", &format!("{url}/alice-1")).await;
    assert_eq!(events.next().await.unwrap()["type"], "report.make");
    claim(&*store, "secret", "alice-1").await;
    report(&*store, "secret", "alice-1", 9).await;
    let (_, job) = get_as("alice", &format!("{url}/alice-1")).await;
    assert_eq!((&job["type"], job.get("others")), (&"report.make".into(), None), "{job}");
    report(&*store, "report.make", "alice-1", 2).await;
    assert_eq!(events.next().await.unwrap()["progress"]["done"], 2);
}

#[tokio::test]
async fn a_job_that_turns_out_to_be_another_user_s_ends_the_events() {
    let store = memory();
    let url = serve(Arc::clone(&store), 1, 1).await;
    let mut events = follow_as("alice", &format!("{url}/alice-1")).await;
    assert_eq!(events.next().await.unwrap()["state"], "sent");
    claim(&*store, "secret", "alice-1").await;
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_failed_job_shows_its_reason() {
    let store = memory();
    let held = claim(&*store, "report.make", "alice-1").await;
    let failed =
        ReleaseClaim { count_attempt: true, failure_reason: Some("no such file".to_owned()), dead: false };
    store.release_claim(&held, &failed).await.unwrap();
    let url = serve(store, 1, 1).await;
    let mut events = follow_as("alice", &format!("{url}/alice-1")).await;
    let job = events.next().await.unwrap();
    assert_eq!((&job["state"], &job["verdict"]), (&"failed".into(), &"no such file".into()));
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn jobs_and_viewers_are_bounded() {
    let url = serve(memory(), 1, 2).await;
    let first = follow_as("alice", &format!("{url}/alice-1")).await;
    let busy = send(&format!("{url}/alice-2/events"), &[("x-user", "alice")]).await;
    assert_eq!((busy.status().as_u16(), &busy.headers()["retry-after"]), (503, &"5".parse().unwrap()));
    let second = follow_as("alice", &format!("{url}/alice-1")).await;
    assert_eq!(get_as("alice", &format!("{url}/alice-1/events")).await.0, 503, "the third viewer");
    drop((first, second));
    let begun = std::time::Instant::now();
    while send(&format!("{url}/alice-2/events"), &[("x-user", "alice")]).await.status() != 200 {
        assert!(begun.elapsed() < PATIENCE, "the places stay taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
