//! An operator's orders to a running worker.

use std::time::Duration;

use drumline_tests::{
    Answer, App, Call, Finished, Launch, LocalQueue, Setup, Signal, Worker, eventually, post, status_of,
};
use serde_json::{Value, json};

/// A command beside a worker.
fn ctl(worker: &Worker, args: &[&str]) -> Launch {
    let addr = worker.endpoint("");
    Launch::new(&[&["ctl"], args].concat())
        .env("DRUMLINE_HTTP_ADDR", addr.trim_start_matches("http://"))
        .env("USER", "ada")
        .env("HOSTNAME", "ops")
}

async fn worker(queue: &LocalQueue, app: &App) -> Worker {
    let worker = Launch::on(queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    eventually("it serves", async || status_of(&worker.endpoint("/readyz")).await == Some(200)).await;
    worker
}

async fn succeeds(launch: Launch) -> Finished {
    let finished = launch.finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    finished
}

fn json_of(finished: &Finished) -> Vec<Value> {
    finished.stdout.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn job(job_type: &str, number: u32) -> String {
    json!({ "type": job_type, "payload": number }).to_string()
}

/// Returns the maximum number of calls that were open at once.
fn most_at_once(calls: &[Call]) -> usize {
    let open_at = |call: &Call| {
        let at = call.begun;
        calls.iter().filter(|other| other.begun <= at && other.ended.is_none_or(|(end, _)| end > at)).count()
    };
    calls.iter().map(open_at).max().unwrap_or_default()
}

#[tokio::test]
async fn a_queue_is_drained_and_receives_nothing_until_it_is_resumed() {
    let slow = async |_| {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        Answer::ok()
    };
    let (queue, app) = (LocalQueue::create(Setup::default()).await, App::start(slow).await);
    let worker = worker(&queue, &app).await;
    queue.send(&job("a.b", 1));
    eventually("it runs", async || app.calls().len() == 1).await;
    let drained = succeeds(ctl(&worker, &["drain", "jobs", "--why", "migration"])).await;
    assert!(app.calls()[0].ended.is_some(), "it has waited for what ran");
    let errors = drained.errors();
    assert!(
        errors.contains("1 in hand at 1 worker") && errors.contains("nothing of queue jobs is in hand"),
        "{errors}"
    );

    queue.send(&job("a.b", 2));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(app.calls().len(), 1, "nothing is received");
    let listed = json_of(&succeeds(ctl(&worker, &["ls", "--output", "json"])).await);
    let paused = &listed[0]["here"]["paused"];
    assert_eq!((&paused["by"], &paused["why"]), (&json!("ada@ops"), &json!("migration")), "{listed:?}");
    assert_eq!((&listed[0]["pauses"], &listed[0]["drained"]), (&json!(["operator"]), &json!(true)));
    let shown = succeeds(ctl(&worker, &["ls"])).await;
    assert!(
        shown.stdout[0].starts_with("queue jobs\tpaused: operator\t0/32\t0\tpaused here by ada@ops at "),
        "{shown:?}"
    );
    let order = &worker.logged("order of operator")[0];
    assert_eq!(
        (&order["by"], &order["action"], &order["queue"]),
        (&json!("ada@ops"), &json!("pause"), &json!("jobs"))
    );

    succeeds(ctl(&worker, &["resume", "jobs", "--by", "bob"])).await;
    eventually("the second runs", async || app.calls().len() == 2).await;
    assert_eq!(app.calls()[1].receive_count, 1, "the pause cost it no receive");
    worker.stop().await;
}

#[tokio::test]
async fn of_a_paused_type_no_job_starts_and_others_go_on() {
    let (queue, app) = (LocalQueue::create(Setup::default()).await, App::always_ok().await);
    let worker = worker(&queue, &app).await;
    let paused = succeeds(ctl(&worker, &["pause", "--type", "a.b", "--for", "4s"])).await;
    assert!(paused.errors().contains("type a.b is paused at the worker"), "{}", paused.errors());
    for number in 0..3 {
        queue.send(&job("a.b", number));
    }
    queue.send(&job("c.d", 9));
    eventually("the other type runs", async || app.calls().len() == 1).await;
    assert!(app.calls()[0].body.contains("c.d"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(app.calls().len(), 1);
    eventually("they run once its time is over", async || app.calls().len() == 4).await;
    assert!(app.calls().iter().all(|call| call.receive_count == 1), "{:?}", app.calls());
    assert_eq!(worker.logged("order of operator has ended").len(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_queue_runs_as_many_at_once_as_it_is_told_until_it_is_reset() {
    let slow = async |_| {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Answer::ok()
    };
    let (queue, app) = (LocalQueue::create(Setup::default()).await, App::start(slow).await);
    let worker = worker(&queue, &app).await;
    let answer = succeeds(ctl(&worker, &["concurrency", "2", "jobs", "--output", "json"])).await;
    assert_eq!(json_of(&answer)[0]["queues"][0]["concurrency"], 2);
    for number in 0..8 {
        queue.send(&job("a.b", number));
    }
    eventually("all run", async || app.calls().iter().filter(|call| call.ended.is_some()).count() == 8).await;
    assert_eq!(most_at_once(&app.calls()), 2);
    let answer = succeeds(ctl(&worker, &["reset", "jobs", "--output", "json"])).await;
    assert_eq!(json_of(&answer)[0]["queues"][0]["concurrency"], 32);
    for number in 8..28 {
        queue.send(&job("a.b", number));
    }
    eventually("all run", async || app.calls().iter().filter(|call| call.ended.is_some()).count() == 28)
        .await;
    assert!(most_at_once(&app.calls()) > 2);
    worker.stop().await;
}

#[tokio::test]
async fn orders_that_cannot_be_followed_are_refused_with_what_to_do() {
    let (queue, app) = (LocalQueue::create(Setup::default()).await, App::always_ok().await);
    let worker = worker(&queue, &app).await;
    let table: [(&[&str], i32, &str); 8] = [
        (&["pause", "job"], 64, "this worker consumes no queue \"job\"; there are jobs"),
        (&["pause"], 64, "<QUEUE|--type <TYPE>>"),
        (&["pause", "jobs", "--everywhere"], 64, "the store is memory:"),
        (&["pause", "jobs", "--worker", "http://127.0.0.1:1"], 69, "no worker answers at http://127.0.0.1:1"),
        (&["pause", "jobs", "--why", "a\nb"], 64, "why is a text of 1 to 500 characters on one line"),
        (&["rate", "fast", "--type", "a.b"], 64, "such as 50/s, or off"),
        (&["concurrency", "0", "jobs"], 64, "zero"),
        (&["concurrency", "20000", "jobs"], 64, "at most 10000"),
    ];
    for (args, status, words) in table {
        let finished = ctl(&worker, args).finish().await;
        assert_eq!(finished.status, Some(status), "{args:?}: {}", finished.errors());
        assert!(finished.errors().contains(words), "{args:?}: {}", finished.errors());
    }
    let order = r#"{"queue":"jobs","action":"pause","by":"page"}"#;
    assert_eq!(post(&worker.endpoint("/control"), "text/plain", order).await.0, 415);
    assert!(worker.logged("order of operator").is_empty());
    worker.stop().await;
}

/// Returns an application that fails once, with a delay of ten minutes, and then answers every request with 200.
async fn failing_once() -> App {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    App::start(move |_| {
        let before = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move { if before == 0 { Answer::status(503).header("retry-after", "600") } else { Answer::ok() } }
    })
    .await
}

/// Runs a command about a job until it succeeds: SQS may not have confirmed yet that its message is hidden.
async fn until_it_succeeds(worker: &Worker, args: &[&str]) -> Finished {
    let addr = worker.endpoint("");
    let launch = || {
        let launch = Launch::new(args).env("DRUMLINE_HTTP_ADDR", addr.trim_start_matches("http://"));
        launch.env("USER", "ada").env("HOSTNAME", "ops")
    };
    let mut finished = launch().finish().await;
    for _ in 0..20 {
        if finished.status == Some(0) {
            return finished;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
        finished = launch().finish().await;
    }
    panic!("{args:?}: {}", finished.errors());
}

const ORDER_42: &str = r#"{"type":"a.b","jobId":"order-42","payload":1}"#;

#[tokio::test]
async fn a_job_that_waits_for_ten_minutes_is_tried_now() {
    let (queue, app) = (LocalQueue::create(Setup::default()).await, failing_once().await);
    let worker = worker(&queue, &app).await;
    let message = queue.send(ORDER_42);
    eventually("it waits", async || queue.hidden_for(&message) > Duration::from_secs(500)).await;
    let retried = until_it_succeeds(&worker, &["jobs", "retry", "order-42", "--why", "it is back"]).await;
    assert!(retried.errors().contains("the job order-42 is visible"), "{}", retried.errors());
    eventually("it is done", async || queue.count() == 0).await;
    assert_eq!(app.calls().len(), 2);
    let order = &worker.logged("order of operator about a job")[0];
    assert_eq!(
        (&order["job_id"], &order["by"], &order["why"]),
        (&json!("order-42"), &json!("ada@ops"), &json!("it is back"))
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_cancelled_job_moves_to_the_dlq_with_the_reason() {
    let setup = || Setup { max_receive_count: Some(3), ..Setup::default() };
    let forever = App::start(async |_| {
        std::future::pending::<()>().await;
        Answer::ok()
    });
    // One job waits hidden when it is cancelled, and the other runs.
    for (app, runs) in [(failing_once().await, false), (forever.await, true)] {
        let queue = LocalQueue::create(setup()).await;
        let worker = worker(&queue, &app).await;
        let message = queue.send(ORDER_42);
        eventually("it runs, or waits", async || {
            app.calls().len() == 1 && (runs || queue.hidden_for(&message) > Duration::from_secs(500))
        })
        .await;
        let args = ["jobs", "cancel", "order-42", "--why", "wrong price", "--output", "json"];
        let cancelled = until_it_succeeds(&worker, &args).await;
        let expected = if runs { "runCancelled" } else { "cancelled" };
        assert_eq!(json_of(&cancelled)[0]["result"], expected);
        eventually("it is in the DLQ", async || queue.dead().len() == 1).await;
        assert_eq!(app.calls().len(), 1, "it has not run again");
        let shown = until_it_succeeds(&worker, &["jobs", "show", "order-42", "--output", "json"]).await;
        let job = &json_of(&shown)[0];
        assert_eq!(job["state"], "failed", "{job}");
        assert_eq!(job["claim"]["verdict"], "cancelled by ada@ops: wrong price", "{job}");
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_job_that_no_worker_has_cannot_be_retried() {
    let (queue, app) = (LocalQueue::create(Setup::default()).await, App::always_ok().await);
    let worker = worker(&queue, &app).await;
    let addr = worker.endpoint("");
    let retry = Launch::new(&["jobs", "retry", "order-43"]);
    let refused = retry.env("DRUMLINE_HTTP_ADDR", addr.trim_start_matches("http://")).finish().await;
    assert_eq!(refused.status, Some(1), "{}", refused.errors());
    assert!(refused.errors().contains("no worker has hidden the job order-43"), "{}", refused.errors());
    worker.stop().await;
}

#[tokio::test]
async fn sighup_changes_what_can_change_and_names_the_rest() {
    let (queue, app) = (LocalQueue::create(Setup::default()).await, App::always_ok().await);
    let launch =
        Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).env("DRUMLINE_CONFIG", "worker.toml");
    let file = launch.home().join("worker.toml");
    std::fs::write(&file, "concurrency = 2\n").unwrap();
    let worker = launch.spawn();
    eventually("it serves", async || status_of(&worker.endpoint("/readyz")).await == Some(200)).await;
    let concurrency = async || {
        let listed = json_of(&succeeds(ctl(&worker, &["ls", "--output", "json"])).await);
        listed[0]["concurrency"].as_u64()
    };
    assert_eq!(concurrency().await, Some(2));
    std::fs::write(&file, "concurrency = 7\nhandler_timeout = \"9m\"\n[limits.\"a.b\"]\nconcurrency = 1\n")
        .unwrap();
    worker.signal(Signal::HUP);
    let reread = worker.until_logged("settings reread: some changes need a restart", 1).await;
    assert_eq!(reread[0]["needs_restart"], "handler_timeout");
    assert_eq!(concurrency().await, Some(7));
    std::fs::write(&file, "concurrency = 0\nretri = \"x\"\n").unwrap();
    worker.signal(Signal::HUP);
    let refused = worker.until_logged("settings not changed by SIGHUP", 1).await;
    let problems = refused[0]["problems"].as_str().unwrap();
    assert!(problems.contains("concurrency") && problems.contains("retri"), "{problems}");
    assert_eq!(concurrency().await, Some(7));
    queue.send(&job("a.b", 1));
    eventually("it works on", async || app.calls().len() == 1).await;
    worker.stop().await;
}
