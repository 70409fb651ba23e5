//! An operator's orders to all workers of a store.

use std::time::Duration;

use drumline_tests::{
    App, Finished, Launch, Setup, StoreServer, TestQueue, Worker, eventually, eventually_within,
    shared_store, status_of,
};
use serde_json::{Value, json};

use crate::{POSTGRES, REDIS, job, sharing, unique};

/// Workers follow within this time, with a margin for a busy machine.
const FOLLOWED: Duration = Duration::from_secs(8);

fn command(store: &str, args: &[&str]) -> Launch {
    Launch::new(args).env("DRUMLINE_STORE_URL", store).env("USER", "ada").env("HOSTNAME", "ops")
}

async fn succeeds(launch: Launch) -> Finished {
    let finished = launch.finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    finished
}

async fn worker(queue: &TestQueue, store: &str, app: &App) -> Worker {
    let worker = sharing(queue, store).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    eventually("it serves", async || status_of(&worker.endpoint("/readyz")).await == Some(200)).await;
    worker
}

/// Returns a worker's output about its only queue.
async fn queue_of(worker: &Worker) -> Value {
    let (_, text) = drumline_tests::get(&worker.endpoint("/control")).await.unwrap();
    let view: Value = serde_json::from_str(&text).unwrap();
    view["queues"][0].clone()
}

async fn is_paused(worker: &Worker) -> bool {
    queue_of(worker).await["pauses"] == json!(["operator"])
}

async fn follow_the_store(store: &str) {
    let queue = TestQueue::create("control", Setup::default()).await;
    let app = App::always_ok().await;
    let workers = [worker(&queue, store, &app).await, worker(&queue, store, &app).await];
    let args = ["ctl", "drain", &queue.name, "--everywhere", "--why", "migration", "--output", "json"];
    let drained = succeeds(command(store, &args)).await;
    let drained: Value = serde_json::from_str(&drained.stdout[0]).unwrap();
    assert_eq!(drained["workers"].as_array().unwrap().len(), 2, "{drained}");
    for worker in &workers {
        let paused = &queue_of(worker).await["everywhere"]["paused"];
        assert_eq!((&paused["by"], &paused["why"]), (&json!("ada@ops"), &json!("migration")));
    }
    // A worker that starts later also receives nothing.
    let late = worker(&queue, store, &app).await;
    assert!(is_paused(&late).await);
    for _ in 0..5 {
        queue.send(&job("a.b", &unique("control"), &json!({}))).await;
    }
    let slots = command(store, &["ctl", "concurrency", "3", &queue.name, "--everywhere"]);
    succeeds(slots).await;
    eventually_within(FOLLOWED, "three slots", async || queue_of(&late).await["concurrency"] == 3).await;
    assert_eq!(app.count(), 0);
    let listed = succeeds(command(store, &["ctl", "ls", "--everywhere"])).await;
    assert!(
        listed.stdout.iter().any(|line| line.contains(&queue.name) && line.contains("migration")),
        "{listed:?}"
    );

    succeeds(command(store, &["ctl", "reset", &queue.name, "--everywhere", "--by", "bob"])).await;
    eventually_within(FOLLOWED, "they resume", async || app.count() == 5).await;
    eventually("all follow the settings", async || queue_of(&late).await["concurrency"] == 32).await;
    let orders = workers[0].logged("order of operator");
    assert!(orders.iter().any(|order| order["action"] == "reset" && order["by"] == "bob"), "{orders:?}");
    for worker in workers.into_iter().chain([late]) {
        worker.stop().await;
    }
}

#[tokio::test]
async fn workers_follow_orders_in_redis_also_those_that_start_later() {
    let Some(store) = shared_store(REDIS) else { return };
    follow_the_store(&store).await;
}

#[tokio::test]
async fn workers_follow_orders_in_postgresql_even_if_started_later() {
    let Some(store) = shared_store(POSTGRES) else { return };
    follow_the_store(&store).await;
}

#[tokio::test]
async fn an_outage_of_the_store_keeps_the_last_orders() {
    let Some(mut server) = StoreServer::start() else { return };
    let (queue, app) = (TestQueue::create("control-outage", Setup::default()).await, App::always_ok().await);
    let one = worker(&queue, &server.url(), &app).await;
    succeeds(command(&server.url(), &["ctl", "pause", &queue.name, "--everywhere"])).await;
    eventually_within(FOLLOWED, "it follows", async || is_paused(&one).await).await;
    server.kill();
    one.until_logged("orders of operators cannot be read from the store: the last ones hold", 1).await;
    let pauses = queue_of(&one).await["pauses"].clone();
    assert!(pauses.as_array().unwrap().contains(&json!("operator")), "{pauses}");
    let silent = command(&server.url(), &["ctl", "resume", &queue.name, "--everywhere"]).finish().await;
    assert_eq!(silent.status, Some(69), "{}", silent.errors());
    server.restart();
    one.until_logged("orders of operators are read again", 1).await;
    assert!(is_paused(&one).await);
    succeeds(command(&server.url(), &["ctl", "resume", &queue.name, "--everywhere"])).await;
    queue.send(&job("a.b", &unique("control"), &json!({}))).await;
    eventually_within(FOLLOWED, "it resumes", async || app.count() == 1).await;
    one.stop().await;
}

#[tokio::test]
async fn a_job_is_cancelled_and_another_retried_through_the_store() {
    let Some(store) = shared_store(REDIS) else { return };
    let queue =
        TestQueue::create("control-jobs", Setup { max_receive_count: Some(3), ..Setup::default() }).await;
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let app = App::start(move |_| {
        let before = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move {
            if before < 2 {
                drumline_tests::Answer::status(503).header("retry-after", "600")
            } else {
                drumline_tests::Answer::ok()
            }
        }
    })
    .await;
    let workers = [worker(&queue, &store, &app).await, worker(&queue, &store, &app).await];
    let (retried, cancelled) = (unique("retried"), unique("cancelled"));
    for id in [&retried, &cancelled] {
        queue.send(&json!({ "type": "a.b", "jobId": id, "payload": 1 }).to_string()).await;
    }
    eventually("both wait", async || app.count() == 2 && queue.counts().await.in_flight == 2).await;
    succeeds(command(&store, &["jobs", "cancel", &cancelled, "--why", "wrong price"])).await;
    succeeds(command(&store, &["jobs", "retry", &retried])).await;
    eventually("one is done, the other is dead", async || {
        app.count() == 3 && queue.dead_count().await == 1 && queue.is_empty().await
    })
    .await;
    let shown = succeeds(command(&store, &["jobs", "show", &cancelled, "--output", "json"])).await;
    assert!(shown.stdout[0].contains("cancelled by ada@ops: wrong price"), "{shown:?}");
    for worker in workers {
        worker.stop().await;
    }
}
