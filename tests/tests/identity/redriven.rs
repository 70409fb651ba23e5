//! Jobs that failed permanently and are sent or redriven as new messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use drumline::message::{CHANGED_DATA_TYPE, JOB_ID_ATTRIBUTE};
use drumline_queue::api::{MessageAttributeValue, SendMessage};
use drumline_tests::{Answer, App, Launch, LocalQueue, Setup, TestQueue, eventually, get};
use serde_json::Value;

use crate::envelopes::native;
use crate::{UNRUN, forwarding, runs, stores, unique};

/// An application whose answer can change.
async fn changing(status: u16) -> (App, Arc<AtomicU16>) {
    let answer = Arc::new(AtomicU16::new(status));
    let app = App::start({
        let answer = Arc::clone(&answer);
        move |_| {
            let status = answer.load(Ordering::SeqCst);
            async move { Answer::status(status) }
        }
    })
    .await;
    (app, answer)
}

async fn until_dead(queue: &TestQueue, count: u32) {
    eventually(&format!("{count} are dead"), async || {
        queue.dead_count().await == count && queue.is_empty().await
    })
    .await;
}

#[tokio::test]
async fn a_job_sent_again_has_a_fresh_budget_of_attempts() {
    for store in stores() {
        let (queue, (app, _)) = (TestQueue::create("budget", Setup::default()).await, changing(500).await);
        let launch = forwarding(&queue, &app, &store).env("DRUMLINE_MAX_ATTEMPTS", "2");
        let worker = launch.env("DRUMLINE_RETRY", "schedule(1s)").spawn();
        let job_id = unique("job");
        let mut ids = Vec::new();
        for dead in 1..=2 {
            ids.push(queue.send(&native("a.b", &job_id)).await);
            until_dead(&queue, dead).await;
        }
        assert_eq!(runs(&app, &ids), [2, 2], "two attempts each with {store}");
        let retried = worker.logged("failed, trying again later");
        assert!(retried.iter().all(|entry| entry["attempt"] == 1), "{retried:?}");
        let failed = worker.until_logged("failed for good", 2).await;
        for (entry, id) in failed.iter().zip(&ids) {
            assert_eq!((&entry["message_id"], &entry["attempt"]), (&(&**id).into(), &2.into()), "{entry}");
        }
        let (_, text) = get(&worker.endpoint(&format!("/jobs/{job_id}"))).await.unwrap();
        let job: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&job["claim"]["messageId"], &job["claim"]["attempts"]), (&(&*ids[1]).into(), &2.into()));
        worker.stop().await;
    }
}

#[tokio::test]
async fn no_reason_of_another_message_condemns_a_job_sent_again() {
    for store in stores() {
        let (queue, (app, answer)) =
            (TestQueue::create("again", Setup::default()).await, changing(422).await);
        let worker = forwarding(&queue, &app, &store).spawn();
        let mut ids = vec![queue.send(&native("a.b", "j-1")).await];
        until_dead(&queue, 1).await;
        answer.store(200, Ordering::SeqCst);
        ids.push(queue.send(&native("a.b", "j-1")).await);
        eventually("it is done", async || app.count() >= 2 && queue.is_empty().await).await;
        assert_eq!((runs(&app, &ids), queue.dead_count().await), (vec![1, 1], 1), "{store}");
        worker.stop().await;
    }
}

/// Moves the messages of the DLQ back to the queue. SQS gives them new IDs, which `LocalStack`'s move task does not do.
async fn redrive(queue: &TestQueue) {
    for dead in queue.take_dead().await {
        queue.send(dead.body().unwrap()).await;
    }
}

#[tokio::test]
async fn a_redriven_job_that_failed_runs_again() {
    for store in stores() {
        let (queue, (app, answer)) =
            (TestQueue::create("redriven", Setup::default()).await, changing(422).await);
        let worker = forwarding(&queue, &app, &store).spawn();
        queue.send(&native("a.b", "j-1")).await;
        until_dead(&queue, 1).await;
        answer.store(200, Ordering::SeqCst);
        redrive(&queue).await;
        eventually("it is done", async || app.count() >= 2 && queue.is_empty().await).await;
        assert_eq!((app.count(), queue.dead_count().await), (2, 0), "{store}");
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_redriven_job_that_is_done_meanwhile_does_not_run() {
    for store in stores() {
        let (queue, (app, answer)) =
            (TestQueue::create("meanwhile", Setup::default()).await, changing(422).await);
        let worker = forwarding(&queue, &app, &store).spawn();
        queue.send(&native("a.b", "j-1")).await;
        until_dead(&queue, 1).await;
        answer.store(200, Ordering::SeqCst);
        let done = queue.send(&native("a.b", "j-1")).await;
        eventually("it is done", async || app.count() >= 2 && queue.is_empty().await).await;
        redrive(&queue).await;
        let entry = worker.until_logged(UNRUN, 1).await.remove(0);
        assert_eq!((&entry["cause"], &entry["original_message_id"]), (&"duplicate".into(), &(&*done).into()));
        eventually("all are gone", async || queue.dead_count().await == 0 && queue.is_empty().await).await;
        assert_eq!(app.count(), 2, "{store}");
        worker.stop().await;
    }
}

/// Sends a message that replays another one, and returns its id.
fn replay(queue: &LocalQueue, body: &str, job_id: &str, data_type: &str) -> String {
    let value = MessageAttributeValue {
        data_type: data_type.to_owned(),
        ..MessageAttributeValue::string(job_id.to_owned())
    };
    let message_attributes = [(JOB_ID_ATTRIBUTE.to_owned(), value)].into();
    queue.send_with(body, SendMessage { message_attributes, ..SendMessage::default() })
}

#[tokio::test]
async fn a_replayed_job_without_an_id_is_the_one_that_died() {
    const BODY: &str = r#"{"type":"a.b","payload":{"userId":17}}"#;
    for store in stores() {
        let (queue, (app, answer)) = (LocalQueue::create(Setup::default()).await, changing(422).await);
        let launch = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url());
        let worker = launch.env("DRUMLINE_STORE_URL", &store).spawn();
        let died = queue.send(BODY);
        eventually("it is dead", async || queue.dead().len() == 1).await;
        answer.store(200, Ordering::SeqCst);

        let replayed = replay(&queue, BODY, &died, "String");
        eventually("it is done", async || app.count() == 2 && queue.count() == 0).await;
        let keys: Vec<_> =
            app.calls().iter().map(|call| call.header("x-drumline-identity").map(str::to_owned)).collect();
        assert_eq!(keys[0], keys[1], "{store}");
        assert_eq!(app.calls()[1].header("idempotency-key"), Some(&*died), "{store}");
        let (_, text) = get(&worker.endpoint(&format!("/jobs/{died}"))).await.unwrap();
        let job: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&job["state"], &job["claim"]["messageId"]), (&"done".into(), &(&*replayed).into()));

        let changed = BODY.replace("17", "7");
        let again = [("String", BODY), (CHANGED_DATA_TYPE, &*changed)];
        let ids = again.map(|(data_type, body)| replay(&queue, body, &died, data_type));
        let entries = worker.until_logged(UNRUN, ids.len()).await;
        for entry in &entries {
            assert_eq!(
                (&entry["cause"], &entry["job_id"]),
                (&"replayed".into(), &(&*died).into()),
                "{entry}"
            );
            assert_eq!(entry["original_message_id"], *replayed, "{entry}");
        }
        eventually("all are gone", async || queue.count() == 0).await;
        assert_eq!((app.count(), queue.dead().len()), (2, 1), "{store}");
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_changed_letter_replaces_a_job_that_is_not_done() {
    let bodies = [
        r#"{"type":"a.b","payload":{"userId":17}}"#,
        r#"{"type":"a.b","jobId":"j-1","payload":{"userId":17}}"#,
    ];
    for (store, body) in stores().iter().flat_map(|store| bodies.map(|body| (store, body))) {
        let (queue, (app, answer)) = (LocalQueue::create(Setup::default()).await, changing(422).await);
        let launch = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url());
        let scope = unique("scope");
        let worker = launch.env("DRUMLINE_STORE_URL", store).env("DRUMLINE_SCOPE", &scope).spawn();
        let died = queue.send(body);
        eventually("it is dead", async || queue.dead().len() == 1).await;
        answer.store(200, Ordering::SeqCst);
        let changed = body.replace("17", "7");
        // Sent twice, as by a replay that is killed between a send and its response.
        for _ in 0..2 {
            replay(&queue, &changed, &died, CHANGED_DATA_TYPE);
            eventually("it is gone", async || queue.count() == 0).await;
        }
        worker.until_logged(UNRUN, 1).await;
        assert_eq!((app.count(), queue.dead().len()), (2, 1), "{store} {body}");
        worker.stop().await;
    }
}
