//! One function behind the event source mappings of several queues.

use drumline_tests::{
    App, Deployment, FunctionLaunch, FunctionProcess, Invocation, LocalQueue, Record, Setup, TestQueue,
    can_deploy, eventually, shared_store, sqs_event,
};
use serde_json::json;

use crate::envelopes::{cloud_event, event, native, notification};
use crate::{REDIS, UNRUN, forwarding, identity_of, runs, shared_stores, stores, unique, until_settled};

fn bodies() -> Vec<String> {
    vec![
        notification("sns-1", r#"{"type":"order.placed","payload":{"n":1}}"#).to_string(),
        event("event-1", &json!({ "n": 1 })).to_string(),
        cloud_event("/shop-a", "1"),
        cloud_event("/shop-b", "1"),
        native("order.placed", "o-1"),
        native("order.paid", "o-1"),
    ]
}

fn arn(name: &str) -> String {
    format!("arn:aws:sqs:eu-central-1:000000000000:{name}")
}

/// Invokes the function with messages of a queue, expects all to be deleted, and returns their IDs.
async fn done(function: &FunctionProcess, arn: &str, bodies: &[String]) -> Vec<String> {
    let records: Vec<Record> =
        bodies.iter().map(|body| Record::hand_made(body).with("eventSourceARN", arn)).collect();
    function.invoke(Invocation::new(sqs_event(&records))).await.expect_all_done();
    records.iter().map(Record::id).collect()
}

#[tokio::test]
async fn a_function_behind_two_queues_runs_an_event_of_each() {
    for store in stores() {
        let (app, endpoint) = (App::always_ok().await, LocalQueue::create(Setup::default()).await);
        let function =
            FunctionLaunch::forwarding(&app, &endpoint).env("DRUMLINE_STORE_URL", &store).spawn().await;
        let (bodies, arns) = (bodies(), [arn(&unique("first")), arn(&unique("second"))]);
        for round in 0..2 {
            for arn in &arns {
                let ids = done(&function, arn, &bodies).await;
                let expected = vec![usize::from(round == 0); bodies.len()];
                assert_eq!(runs(&app, &ids), expected, "round {round} with {store}");
            }
        }
        for arn in &arns {
            let calls = app.calls();
            let for_queue = calls.iter().filter(|call| identity_of(call)[0] == *arn);
            assert_eq!(for_queue.count(), bodies.len(), "the scope is the queue's ARN");
        }
        assert_eq!(function.logged(UNRUN).len(), 2 * bodies.len());
    }
}

#[tokio::test]
async fn a_function_with_a_scope_of_its_own_runs_a_job_of_both_once() {
    for store in stores() {
        let (app, endpoint) = (App::always_ok().await, LocalQueue::create(Setup::default()).await);
        let launch = FunctionLaunch::forwarding(&app, &endpoint).env("DRUMLINE_STORE_URL", &store);
        let function = launch.env("DRUMLINE_SCOPE", &unique("mail")).spawn().await;
        let body = [native("mail", "m-1")];
        let first = done(&function, &arn(&unique("first")), &body).await;
        let second = done(&function, &arn(&unique("second")), &body).await;
        assert_eq!((runs(&app, &first), runs(&app, &second)), (vec![1], vec![0]), "{store}");
    }
}

#[tokio::test]
async fn a_function_and_a_worker_of_one_queue_know_each_others_jobs() {
    for store in shared_stores() {
        let queue = TestQueue::create("hosts", Setup::default()).await;
        let (app, endpoint) = (App::always_ok().await, LocalQueue::create(Setup::default()).await);
        let worker = forwarding(&queue, &app, &store).spawn();
        let by_worker = queue.send(&native("order.placed", "o-1")).await;
        until_settled(&[&queue], &[&worker], &app, 1).await;
        let function =
            FunctionLaunch::forwarding(&app, &endpoint).env("DRUMLINE_STORE_URL", &store).spawn().await;
        done(&function, &queue.arn(), &[native("order.placed", "o-1"), native("order.placed", "o-2")]).await;
        assert_eq!(app.count(), 2, "{store}");
        assert_eq!(function.logged(UNRUN)[0]["original_message_id"], *by_worker);
        queue.send(&native("order.placed", "o-2")).await;
        until_settled(&[&queue], &[&worker], &app, 3).await;
        assert_eq!((app.count(), worker.logged(UNRUN).len()), (2, 1), "{store}");
        worker.stop().await;
    }
}

/// Real mappings, and as many environments as they start.
#[tokio::test]
async fn a_deployed_function_fed_from_two_queues_runs_both() {
    let Some(store) = shared_store(REDIS) else { return };
    if !can_deploy() {
        return;
    }
    let app = App::always_ok().await;
    let function = Deployment::forwarding_to(&app).env("DRUMLINE_STORE_URL", &store).create("mapped").await;
    let queues = [
        TestQueue::create("first", Setup::default()).await,
        TestQueue::create("second", Setup::default()).await,
    ];
    for queue in &queues {
        function.feed_from(queue, 10).await;
    }
    let bodies = bodies();
    let mut ids = Vec::new();
    for round in 0..2 {
        for queue in &queues {
            ids.extend(queue.send_all(&bodies).await);
        }
        eventually("all are gone", async || {
            app.count() >= 2 * bodies.len() && queues[0].is_empty().await && queues[1].is_empty().await
        })
        .await;
        let expected = [vec![1; 2 * bodies.len()], vec![0; round * 2 * bodies.len()]].concat();
        assert_eq!(runs(&app, &ids), expected, "round {round}");
    }
}
