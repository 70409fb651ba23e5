//! Empty or null IDs are not IDs: such messages have nothing in common.

use drumline_tests::{App, FunctionLaunch, Invocation, LocalQueue, Record, Setup, TestQueue, sqs_event};
use serde_json::{Value, json};

use crate::envelopes::{event, notification};
use crate::{UNRUN, forwarding, runs, stores, until_settled};

/// The number of copies of each body.
const COPIES: usize = 10;

/// Returns jobs of each envelope whose IDs are all empty, or all null.
fn bodies() -> Vec<String> {
    let mut bodies = Vec::new();
    for absent in [json!(""), Value::Null] {
        let with_ids = |job_type: &str| json!({ "type": job_type, "jobId": absent, "idempotencyKey": absent, "payload": { "n": 1 } });
        bodies.push(with_ids("native").to_string());
        let mut named = with_ids("native");
        named["correlationId"] = json!("c-1");
        bodies.push(named.to_string());
        let cloud_event = json!({
            "specversion": "1.0", "type": "cloud", "source": "/shop", "id": absent, "idempotencykey": absent,
            "data": { "n": 1 },
        });
        bodies.push(cloud_event.to_string());
        let mut notified = notification("", &with_ids("in.sns").to_string());
        notified["MessageId"] = absent.clone();
        bodies.push(notified.to_string());
        let mut on_the_bus = event("", &with_ids("on.the.bus"));
        on_the_bus["id"] = absent.clone();
        bodies.push(on_the_bus.to_string());
        on_the_bus["detail"] = json!({ "n": 1 });
        bodies.push(on_the_bus.to_string());
    }
    bodies
}

#[tokio::test]
async fn messages_with_empty_ids_all_run() {
    for store in stores() {
        let (queue, app) = (TestQueue::create("absent", Setup::default()).await, App::always_ok().await);
        let worker = forwarding(&queue, &app, &store).spawn();
        let mut ids = Vec::new();
        for body in bodies() {
            ids.extend(queue.send_all(&vec![body; COPIES]).await);
        }
        until_settled(&[&queue], &[&worker], &app, ids.len()).await;
        assert_eq!(runs(&app, &ids), vec![1; ids.len()], "{store}");
        assert!(worker.logged(UNRUN).is_empty());
        assert_eq!(worker.metric("drumline_deduplicated_total").await, 0);
        worker.stop().await;
    }
}

#[tokio::test]
async fn messages_with_empty_ids_all_run_in_a_function() {
    let (app, queue) = (App::always_ok().await, LocalQueue::create(Setup::default()).await);
    let function = FunctionLaunch::forwarding(&app, &queue).spawn().await;
    for body in bodies() {
        let records: Vec<Record> = (0..COPIES).map(|_| Record::hand_made(&body)).collect();
        function.invoke(Invocation::new(sqs_event(&records))).await.expect_all_done();
        let ids: Vec<String> = records.iter().map(Record::id).collect();
        assert_eq!(runs(&app, &ids), [1; COPIES], "{body}");
    }
}

/// The field that is not empty still counts.
#[tokio::test]
async fn an_empty_key_leaves_the_job_id_in_force() {
    for store in stores() {
        let (queue, app) = (TestQueue::create("half", Setup::default()).await, App::always_ok().await);
        let worker = forwarding(&queue, &app, &store).spawn();
        let body = json!({ "type": "a.b", "jobId": "j-1", "idempotencyKey": "", "payload": 1 }).to_string();
        let mut ids = vec![queue.send(&body).await];
        until_settled(&[&queue], &[&worker], &app, 1).await;
        ids.push(queue.send(&body).await);
        until_settled(&[&queue], &[&worker], &app, 2).await;
        assert_eq!(runs(&app, &ids), [1, 0], "{store}");
        worker.stop().await;
    }
}
