//! `drumline jobs show` and `watch`.

use std::sync::Arc;

use drumline_tests::{
    Answer, App, Launch, Setup, Signal, TestQueue, Worker, eventually, free_address, get, shared_store,
    status_of,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

fn jobs(args: &[&str], worker: &Worker) -> Launch {
    let args: Vec<&str> = ["jobs"].iter().chain(args).copied().collect();
    let endpoint = worker.endpoint("");
    Launch::new(&args).env("DRUMLINE_HTTP_ADDR", endpoint.trim_start_matches("http://"))
}

fn job(job_id: &str) -> String {
    json!({ "jobId": job_id, "type": "a.b", "payload": {} }).to_string()
}

/// Starts an application that answers when the semaphore allows it.
async fn patient_app(status: u16) -> (App, Arc<Semaphore>) {
    let permits = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&permits);
    let app = App::start(move |_| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            Answer::status(status).body("not today")
        }
    })
    .await;
    (app, permits)
}

async fn until_it_runs(worker: &Worker, job_id: &str) {
    let url = worker.endpoint(&format!("/jobs/{job_id}"));
    eventually("it runs", async || {
        get(&url).await.is_some_and(|(_, body)| body.contains("\"state\":\"running\""))
    })
    .await;
}

#[tokio::test]
async fn a_running_job_is_shown_and_watched_to_its_end() {
    let queue = TestQueue::create("watched", Setup::default()).await;
    let (app, permits) = patient_app(200).await;
    let worker = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    queue.send(&job("j-watched")).await;
    until_it_runs(&worker, "j-watched").await;

    // No queue is given.
    let finished = jobs(&["show", "j-watched"], &worker).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let text = finished.stdout.join("\n");
    for words in
        ["STATE     running", "JOB       j-watched", "TYPE      a.b", &queue.name, "ATTEMPTS  1", "WORKER"]
    {
        assert!(text.contains(words), "{words:?} in\n{text}");
    }
    let finished = jobs(&["show", "j-watched", "--output", "json"], &worker).finish().await;
    let shown: Value = serde_json::from_str(&finished.stdout[0]).unwrap();
    assert_eq!((&shown["state"], &shown["claim"]["attempts"]), (&json!("running"), &json!(1)));

    let watching = jobs(&["watch", "j-watched"], &worker).spawn();
    eventually("it is watched", async || !watching.stdout().is_empty()).await;
    let events = tokio::spawn({
        let url = worker.endpoint("/jobs/j-watched/events");
        async move { get(&url).await.unwrap().1 }
    });
    permits.add_permits(1);
    let finished = watching.finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!(finished.stdout.len(), 2, "a line for each change: {finished:?}");
    assert!(finished.stdout[0].contains(" running, attempt 1") && finished.stdout[1].ends_with(" done"));
    let events = events.await.unwrap();
    assert!(events.contains("\"state\":\"done\""), "{events}");
    worker.stop().await;
}

#[tokio::test]
async fn a_job_that_fails_ends_its_watch_with_status_1() {
    let queue = TestQueue::create("failing", Setup::default()).await;
    let (app, permits) = patient_app(422).await;
    let worker = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    queue.send(&job("j-failing")).await;
    until_it_runs(&worker, "j-failing").await;
    let watching = jobs(&["watch", "j-failing"], &worker).spawn();
    eventually("it is watched", async || !watching.stdout().is_empty()).await;
    permits.add_permits(1);
    let finished = watching.finish().await;
    assert_eq!(finished.status, Some(1), "{}", finished.errors());
    assert!(finished.stdout.last().unwrap().contains("not today"), "{finished:?}");
    worker.stop().await;
}

#[tokio::test]
async fn ctrl_c_ends_a_watch() {
    let queue = TestQueue::create("left", Setup::default()).await;
    let (app, permits) = patient_app(200).await;
    let worker = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    queue.send(&job("j-left")).await;
    until_it_runs(&worker, "j-left").await;
    let watching = jobs(&["watch", "j-left"], &worker).spawn();
    eventually("it is watched", async || !watching.stdout().is_empty()).await;
    watching.signal(Signal::INT);
    let finished = watching.finish().await;
    assert_eq!(finished.status, Some(130), "{}", finished.errors());
    permits.add_permits(1);
    worker.stop().await;
}

#[tokio::test]
async fn who_knows_nothing_and_who_does_not_answer_are_told_apart() {
    let queue = TestQueue::create("nothing", Setup::default()).await;
    let worker = Launch::run(&queue).spawn();
    eventually("it serves", async || status_of(&worker.endpoint("/readyz")).await == Some(200)).await;
    for command in ["show", "watch"] {
        let launch = jobs(&[command, "nobody"], &worker);
        let launch = if command == "watch" { launch.arg("--wait").arg("0s") } else { launch };
        let finished = launch.finish().await;
        assert_eq!(finished.status, Some(1), "{}", finished.errors());
        assert!(finished.errors().contains("knows nothing of the job nobody"), "{}", finished.errors());

        let addr = free_address().to_string();
        let finished = Launch::new(&["jobs", command, "nobody", "--http-addr", &addr]).finish().await;
        assert_eq!(finished.status, Some(69), "{}", finished.errors());
        assert!(finished.errors().contains("--store-url"), "it has advice: {}", finished.errors());
    }
    let finished = Launch::new(&["jobs", "show", "nobody"]).finish().await;
    assert_eq!(finished.status, Some(64), "the endpoint is off: {}", finished.errors());
    worker.stop().await;
}

#[tokio::test]
async fn a_shared_store_is_asked_itself() {
    let Some(store) = shared_store("DRUMLINE_TEST_REDIS") else { return };
    let queue = TestQueue::create("shared", Setup::default()).await;
    let app = App::start(|_| async { Answer::status(422).body("not today") }).await;
    let worker =
        Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).env("DRUMLINE_STORE_URL", &store).spawn();
    let job_id = format!("j-{:016x}", fastrand::u64(..));
    queue.send(&job(&job_id)).await;
    eventually("it is in the DLQ", async || queue.dead_count().await == 1).await;
    worker.stop().await;

    // The worker has ended, and its memory with it; the store still has the record.
    let finished = Launch::new(&["jobs", "show", &job_id, "--store-url", &store]).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let text = finished.stdout.join("\n");
    assert!(text.contains("STATE     failed") && text.contains("not today"), "{text}");
    let args = ["dlq", "ls", "--queue-url", &queue.url, "--store-url", &store, "--output", "json"];
    let finished = Launch::new(&args).env("AWS_ENDPOINT_URL", &drumline_tests::localstack()).finish().await;
    let letter: Value = serde_json::from_str(&finished.stdout[0]).unwrap();
    assert_eq!((&letter["jobId"], &letter["why"]["from"]), (&json!(job_id), &json!("history")));

    let nowhere = format!("redis://{}", free_address());
    let finished = Launch::new(&["jobs", "show", &job_id, "--store-url", &nowhere]).finish().await;
    assert_eq!(finished.status, Some(69), "{}", finished.errors());
}
