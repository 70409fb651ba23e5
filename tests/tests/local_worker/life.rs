//! The life of a job in the logs of all that take part in it, and the hook for those that die.

use std::path::{Path, PathBuf};
use std::time::Duration;

use drumline_queue::api::SendMessage;
use drumline_tests::{
    FunctionLaunch, Invocation, Launch, LocalQueue, Setup, Worker, eventually_within, get, sqs_event,
};
use serde_json::{Value, json};

const CORRELATION: &str = "req-77";

/// Leases, and the pauses of a watch.
const LONG: Duration = Duration::from_secs(180);

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_life_service"))
}

fn setup(max_receive_count: u32) -> Setup {
    Setup { visibility_secs: 3, max_receive_count: Some(max_receive_count), ..Setup::default() }
}

fn launch(queue: &LocalQueue, folder: &Path) -> Launch {
    Launch::on(queue)
        .program(program())
        .env("LIFE_FOLDER", &folder.display().to_string())
        .env("DRUMLINE_STORE_URL", &format!("file:{}", folder.join("store").display()))
        .env("DRUMLINE_DLQ_WATCH", "on")
        .env("DRUMLINE_DLQ_WATCH_EVERY", "1s")
}

/// The lines of a life, as `grep` finds them.
fn lines_about(log: &[Value]) -> Vec<Value> {
    log.iter()
        .filter(|line| line.to_string().contains(CORRELATION) && line["event"].is_string())
        .cloned()
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_correlation_id_finds_the_whole_life_in_order() {
    let (queue, folder) = (LocalQueue::create(setup(10)).await, tempfile::tempdir().unwrap());
    let mut log = Vec::new();
    let sent = launch(&queue, folder.path()).env("LIFE_SENDS", CORRELATION).spawn().finish().await;
    log.extend(lines_about(&entries(&sent.stderr)));
    for _ in 0..2 {
        let worker = launch(&queue, folder.path())
            .without("DRUMLINE_STORE_URL")
            .env("DRUMLINE_RETRY", "schedule(1h)")
            .spawn();
        eventually_within(LONG, "it fails", async || !worker.logged("retried").is_empty()).await;
        log.extend(lines_about(&entries(&worker.stop().await.stderr)));
        // Only now: the next attempt must not be this worker's.
        queue.endpoint().advance(Duration::from_secs(3600));
    }
    let batch = queue.receive(1).await;
    let function = FunctionLaunch::new()
        .program(program())
        .env("AWS_ENDPOINT_URL_SQS", &queue.endpoint_url())
        .spawn()
        .await;
    function.invoke(Invocation::new(sqs_event(&batch))).await.expect_failed::<&str>(&[]);
    log.extend(lines_about(&function.log()));
    log.sort_by_key(|line| line["timestamp"].as_str().unwrap().to_owned());

    let life: Vec<(&str, u64)> = log
        .iter()
        .map(|line| (line["event"].as_str().unwrap(), line["attempt"].as_u64().unwrap_or_default()))
        .filter(|(event, _)| *event != "progress")
        .collect();
    let expected = [
        ("enqueued", 0),
        ("started", 1),
        ("failed", 1),
        ("retried", 1),
        ("started", 2),
        ("failed", 2),
        ("retried", 2),
        ("started", 3),
        ("done", 3),
    ];
    assert_eq!(life, expected, "{log:#?}");
    for line in &log {
        let of_all = ["type", "job_id", "message_id"].map(|field| &line[field]);
        assert_eq!(of_all, ["type", "job_id", "message_id"].map(|field| &log[0][field]), "{line}");
        assert_eq!(
            (&line["queue"], &line["correlation_id"]),
            (&"jobs".into(), &CORRELATION.into()),
            "{line}"
        );
    }
}

fn entries(lines: &[String]) -> Vec<Value> {
    lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn calls(folder: &Path) -> Vec<String> {
    let calls = std::fs::read_to_string(folder.join("calls")).unwrap_or_default();
    calls.lines().map(str::to_owned).collect()
}

fn rows(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with("dead-")).count()
}

fn send(queue: &LocalQueue, payload: &Value) -> String {
    queue.send(&json!({ "type": "life", "correlationId": CORRELATION, "payload": payload }).to_string())
}

async fn dead(queue: &LocalQueue, count: usize) {
    eventually_within(LONG, "the message is in the DLQ", async || queue.dead().len() == count).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hook_is_called_before_the_message_moves() {
    let (queue, folder) = (LocalQueue::create(setup(2)).await, tempfile::tempdir().unwrap());
    let rejected = send(&queue, &json!({ "is_rejected": true }));
    let failed = send(&queue, &json!({ "failures": 9 }));
    let worker = launch(&queue, folder.path()).spawn();
    dead(&queue, 2).await;
    let mut called = calls(folder.path());
    called.sort();
    let mut expected = [
        format!("dead:{rejected} {CORRELATION} no such user"),
        format!("dead:{failed} {CORRELATION} no route"),
    ];
    expected.sort();
    assert_eq!(called, expected, "each once, before its message was in the DLQ");
    worker.stop().await;
    assert_eq!(rows(folder.path()), 2);
}

async fn ended(worker: Worker) {
    drop(worker.finish_within(LONG).await);
}

/// Waits until the worker leads the watch and its first turn is kept for the next leader.
async fn until_watched(worker: &Worker) {
    worker.until_logged("leading DLQ watch", 1).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watch_calls_the_hook_for_letters_no_worker_reported() {
    let (queue, folder) = (LocalQueue::create(setup(1)).await, tempfile::tempdir().unwrap());
    let worker = launch(&queue, folder.path()).without("DRUMLINE_STORE_URL").spawn();
    until_watched(&worker).await;
    let dead = send_dead(&queue);
    eventually_within(LONG, "it is called", async || calls(folder.path()).len() == 1).await;
    assert!(calls(folder.path())[0].starts_with(&format!("dead:{dead} {CORRELATION} ")));
    worker.stop().await;
    assert_eq!((calls(folder.path()).len(), rows(folder.path())), (1, 1));
}

/// Has a message in the DLQ as if its worker had been killed on the last receive: the DLQ gets it without a run.
fn send_dead(queue: &LocalQueue) -> String {
    let body = json!({ "type": "life", "correlationId": CORRELATION, "payload": {} }).to_string();
    let url = queue.dead_letter_url().to_owned();
    let request = SendMessage { queue_url: url, message_body: body, ..SendMessage::default() };
    queue.endpoint().call(|sqs, now| sqs.send_message(now, request)).unwrap().message_id.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_kills_the_keyed_effect_happens_once() {
    let (queue, folder) = (LocalQueue::create(setup(1)).await, tempfile::tempdir().unwrap());
    // Killed on the last receive, in the handler: only the watch can call the hook.
    let worker = launch(&queue, folder.path()).spawn();
    until_watched(&worker).await;
    let killed = send(&queue, &json!({ "kills": true }));
    ended(worker).await;
    assert!(calls(folder.path()).is_empty());
    // The watch is killed in the hook, between the effect and the mark.
    std::fs::write(folder.path().join("kill-in-hook"), "").unwrap();
    ended(launch(&queue, folder.path()).spawn()).await;
    assert_eq!((calls(folder.path()).len(), rows(folder.path())), (1, 1));
    let worker = launch(&queue, folder.path()).spawn();
    eventually_within(LONG, "it is called again", async || calls(folder.path()).len() == 2).await;
    dead(&queue, 1).await;
    let called = calls(folder.path());
    assert!(
        called.iter().all(|call| call.starts_with(&format!("dead:{killed} {CORRELATION} "))),
        "{called:?}"
    );
    worker.stop().await;
    assert_eq!(rows(folder.path()), 1, "the effect has happened once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_log_lines_of_a_failed_attempt_are_in_its_history() {
    let (queue, folder) = (LocalQueue::create(setup(10)).await, tempfile::tempdir().unwrap());
    let id = send(&queue, &json!({ "failures": 9 }));
    let worker = launch(&queue, folder.path())
        .env("DRUMLINE_ATTEMPT_LOG", "on")
        .env("DRUMLINE_RETRY", "schedule(1h)")
        .spawn();
    worker.until_logged("retried", 1).await;
    let job = || {
        let url = worker.endpoint(&format!("/jobs/{id}"));
        async move { serde_json::from_str::<Value>(&get(&url).await.unwrap().1).unwrap() }
    };
    eventually_within(LONG, "it is written", async || !job().await["attempts"][0].is_null()).await;
    let log = job().await["attempts"][0]["log"].clone();
    let lines: Vec<&str> = log.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].ends_with(" INFO life begun step=1 token=***"), "{lines:?}");
    worker.stop().await;
    let store = format!("file:{}", folder.path().join("store").display());
    let shown = Launch::new(&["jobs", "show", &id]).env("DRUMLINE_STORE_URL", &store).finish().await;
    let text = shown.stdout.join("\n");
    assert!(text.contains("LAST LOG LINES OF ATTEMPT 1") && text.contains(lines[0]), "{text}");
}
