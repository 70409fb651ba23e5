//! A worker says in one sentence why it runs nothing: at `/readyz?verbose`, in its log and to `drumline status`.

use drumline_queue::api::SendMessage;
use drumline_tests::{
    App, Fault, Launch, LocalQueue, Proxy, Setup, Signal, Worker, eventually, free_address, get,
};
use serde_json::{Value, json};

const JOB: &str = r#"{"type":"a.b","payload":{}}"#;

/// The shortest that is accepted has sixteen characters.
const TOKEN: &str = "s3cret-of-a-test";

/// The sentence behind the state.
async fn sentence(worker: &Worker) -> String {
    let answer = get(&worker.endpoint("/readyz?verbose")).await;
    let text = answer.map_or_else(String::new, |(_, text)| text);
    text.lines().nth(1).unwrap_or_default().to_owned()
}

/// Waits until a worker says this.
async fn until_it_says(worker: &Worker, expected: &str) {
    let mut said = String::new();
    eventually(&format!("it says {expected:?}"), async || {
        said = sentence(worker).await;
        said == expected
    })
    .await;
}

/// Waits until a worker says something that contains this.
async fn until_it_mentions(worker: &Worker, part: &str) {
    eventually(&format!("it mentions {part:?}"), async || sentence(worker).await.contains(part)).await;
}

/// A command beside a worker.
fn beside(worker: &Worker, args: &[&str]) -> Launch {
    let addr = worker.endpoint("");
    Launch::new(args)
        .env("DRUMLINE_HTTP_ADDR", addr.trim_start_matches("http://"))
        .env("USER", "ada")
        .env("HOSTNAME", "ops")
}

#[tokio::test]
async fn empty_queues_running_jobs_and_operators_pauses_are_named() {
    let ((app, gate), queue) = (App::held().await, LocalQueue::create(Setup::default()).await);
    let worker = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    until_it_says(&worker, "nothing is running: jobs is empty").await;
    queue.send(JOB);
    until_it_says(&worker, "1 job is running").await;
    gate.add_permits(1);
    eventually("it is done", async || queue.count() == 0).await;

    let paused = beside(&worker, &["ctl", "pause", "jobs", "--why", "bad deploy"]).finish().await;
    assert_eq!(paused.status, Some(0), "{}", paused.errors());
    let why = "nothing is running: jobs is paused by an operator (ada@ops: bad deploy)";
    until_it_says(&worker, why).await;
    let shown = beside(&worker, &["status"]).finish().await;
    assert_eq!(
        (shown.status, &shown.stdout[..]),
        (Some(0), &["ready; paused: jobs (operator)", why].map(str::to_owned)[..])
    );
    let shown = beside(&worker, &["status", "--output", "json"]).finish().await;
    let shown: Value = serde_json::from_str(&shown.stdout[0]).unwrap();
    assert_eq!(shown, json!({ "ready": true, "state": "ready; paused: jobs (operator)", "activity": why }));
    let logged = worker.until_logged("nothing is running", 1).await;
    assert_eq!(logged[0]["why"], why);
    worker.stop().await;
}

#[tokio::test]
async fn delayed_messages_and_messages_in_flight_are_named() {
    let (app, queue) = (App::always_ok().await, LocalQueue::create(Setup::default()).await);
    queue.send(JOB);
    assert_eq!(queue.receive(1).await.len(), 1, "another worker has it");
    let delayed = SendMessage { delay_seconds: Some(600), ..SendMessage::default() };
    queue.send_with(JOB, delayed);
    let worker = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    let none =
        "nothing is running: jobs has no visible message, 1 is delayed, 1 is in flight: with another worker";
    until_it_says(&worker, &format!("{none}, or hidden until its retry")).await;
    assert_eq!(worker.logged("nothing is running").len(), 0, "nothing to act on");
    worker.stop().await;
}

#[tokio::test]
async fn a_message_group_that_another_worker_has_is_named() {
    let setup = Setup { fifo: true, ..Setup::default() };
    let (app, queue) = (App::always_ok().await, LocalQueue::create(setup).await);
    for number in 0..3 {
        queue.send_grouped(&format!(r#"{{"type":"a.b","jobId":"j-{number}","payload":{{}}}}"#), "g");
    }
    assert_eq!(queue.receive(1).await.len(), 1, "another worker has the first one");
    let worker = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    let behind =
        "2 messages of jobs.fifo are visible, behind others of their message groups, which are in flight";
    until_it_says(&worker, &format!("nothing is running: {behind}")).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_missing_permission_and_its_end_are_named() {
    let (app, queue) = (App::always_ok().await, LocalQueue::create(Setup::default()).await);
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    let worker = Launch::on(&queue)
        .env("AWS_ENDPOINT_URL", &proxy.url())
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_WAIT_TIME", "1s")
        .spawn();
    until_it_says(&worker, "nothing is running: jobs is empty").await;
    proxy.fail_always("ReceiveMessage", Fault::Denied);
    until_it_mentions(&worker, "nothing is running: the worker has no permission to receive from jobs").await;
    until_it_mentions(&worker, "AccessDenied").await;
    let logged = worker.until_logged("nothing is running", 1).await;
    assert!(logged[0]["why"].as_str().unwrap().contains("no permission to receive from jobs"), "{logged:?}");
    let shown = beside(&worker, &["status"]).finish().await;
    assert_eq!(shown.status, Some(1), "it is not ready: {:?}", shown.stdout);
    proxy.heal("ReceiveMessage");
    until_it_says(&worker, "nothing is running: jobs is empty").await;
    worker.stop().await;
}

#[tokio::test]
async fn an_application_that_is_down_is_named() {
    let queue = LocalQueue::create(Setup::default()).await;
    queue.send(JOB);
    let down = format!("http://{}/jobs", free_address());
    let worker = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &down).spawn();
    let because = "jobs is paused because the target is unhealthy (connection refused (111))";
    until_it_mentions(&worker, &format!("nothing is running: {because}")).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_job_that_runs_alone_after_a_kill_is_named() {
    let setup = Setup { visibility_secs: 2, ..Setup::default() };
    let ((app, gate), queue) = (App::held().await, LocalQueue::create(setup).await);
    let folder = tempfile::tempdir().unwrap();
    let launch = || {
        Launch::on(&queue)
            .env("DRUMLINE_FORWARD_TO", &app.url())
            .env("DRUMLINE_STORE_URL", &format!("file:{}", folder.path().join("store").display()))
    };
    let first = launch().spawn();
    queue.send(r#"{"type":"a.b","jobId":"j-1","payload":{}}"#);
    eventually("it runs", async || app.count() == 1).await;
    first.kill().await;

    let second = launch().spawn();
    let begins = "1 job is running; jobs receives no other message: job j-1 (message ";
    until_it_mentions(&second, begins).await;
    let shown = beside(&second, &["status"]).finish().await;
    let activity = shown.stdout.get(1).cloned().unwrap_or_default();
    assert!(activity.starts_with(begins) && activity.contains(") runs alone for up to "), "{activity}");
    assert!(activity.ends_with(", since it may have killed a process"), "{activity}");
    queue.send(JOB);
    let logged = second.until_logged("other messages wait", 1).await;
    assert!(logged[0]["why"].as_str().unwrap().contains("job j-1 (message "), "{logged:?}");
    assert_eq!(app.count(), 2, "the other message waits");
    gate.add_permits(8);
    eventually("both are done", async || queue.count() == 0).await;
    until_it_says(&second, "nothing is running: jobs is empty").await;
    second.stop().await;
    let store = format!("file:{}", folder.path().join("store").display());
    let shown = Launch::new(&["jobs", "show", "j-1"]).env("DRUMLINE_STORE_URL", &store).finish().await;
    let shown = shown.stdout.join("\n");
    assert!(shown.contains("ATTEMPTS  2") && shown.contains("no end is recorded"), "{shown}");
}

#[tokio::test]
async fn limits_and_the_drain_are_named_beside_jobs_that_run() {
    let ((app, gate), queue) = (App::held().await, LocalQueue::create(Setup::default()).await);
    let launch = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url());
    let file = launch.home().join("drumline.toml");
    std::fs::write(&file, "shutdown_grace = \"30s\"\n[limits.\"a.b\"]\nconcurrency = 2\n").unwrap();
    let worker = launch.env("DRUMLINE_CONFIG", &file.display().to_string()).spawn();
    for _ in 0..5 {
        queue.send(JOB);
    }
    until_it_says(&worker, "2 jobs are running; 3 jobs of a.b wait for a slot (2 of 2 run)").await;
    worker.signal(Signal::TERM);
    let drains = "2 jobs are running; the worker drains";
    until_it_mentions(&worker, drains).await;
    gate.close();
    worker.finish().await;
}

#[tokio::test]
async fn remote_clients_see_no_operators_words() {
    let (app, queue) = (App::always_ok().await, LocalQueue::create(Setup::default()).await);
    let worker =
        Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).env("DRUMLINE_HTTP_TOKEN", TOKEN).spawn();
    until_it_says(&worker, "nothing is running: jobs is empty").await;
    let with_token = |args: &[&str]| beside(&worker, args).env("DRUMLINE_HTTP_TOKEN", TOKEN);
    let paused = with_token(&["ctl", "pause", "jobs", "--why", "bad deploy"]).finish().await;
    assert_eq!(paused.status, Some(0), "{}", paused.errors());
    until_it_says(&worker, "nothing is running: jobs is paused by an operator").await;
    let shown = with_token(&["status"]).finish().await;
    assert_eq!(shown.stdout[1], "nothing is running: jobs is paused by an operator (ada@ops: bad deploy)");
    worker.stop().await;
}
