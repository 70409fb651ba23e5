//! Fields that a queue or a type requires: a message without them is a dead letter, without a run.

use drumline_tests::{
    App, FunctionLaunch, Invocation, LocalQueue, Record, Setup, TestQueue, eventually, sqs_event,
};
use serde_json::json;

use crate::envelopes::{cloud_event, native, notification};
use crate::{forwarding, runs};

/// An ID that AWS has assigned, instead of a field.
const ASSIGNED_BY_AWS: &str = "an id of AWS's";

/// Returns the reason of a message without a field.
fn missing(field: &str) -> String {
    if field == ASSIGNED_BY_AWS {
        return format!("{}: AWS assigned the id that it has", missing("jobId"));
    }
    format!("the message has no `{field}`, which its queue or type requires")
}

fn job(job_type: &str, fields: &[&str]) -> String {
    let mut body = json!({ "type": job_type, "payload": { "n": 1 } });
    for field in fields {
        body[*field] = json!(format!("{field}-1"));
    }
    body.to_string()
}

/// Sends bodies to a worker with this settings file. Those with a missing field must be dead letters, and the others must run.
async fn expect(file: &str, table: &[(String, Option<&str>)]) {
    let queue = TestQueue::create("required", Setup { max_receive_count: Some(2), ..Setup::default() }).await;
    let app = App::always_ok().await;
    let launch = forwarding(&queue, &app, "memory:");
    std::fs::write(launch.home().join("required.toml"), file).unwrap();
    let worker = launch.env("DRUMLINE_CONFIG", "required.toml").spawn();
    let bodies: Vec<String> = table.iter().map(|(body, _)| body.clone()).collect();
    let ids = queue.send_all(&bodies).await;
    let dead = table.iter().filter(|(_, field)| field.is_some()).count();
    eventually("all have run or are dead", async || {
        app.count() >= table.len() - dead
            && queue.dead_count().await as usize >= dead
            && queue.is_empty().await
    })
    .await;
    let ran: Vec<usize> = table.iter().map(|(_, field)| usize::from(field.is_none())).collect();
    assert_eq!(runs(&app, &ids), ran, "{table:?}");
    let failed = worker.until_logged("failed for good", dead).await;
    for (id, (body, field)) in ids.iter().zip(table) {
        let entry = failed.iter().find(|entry| entry["message_id"] == **id);
        assert_eq!(
            entry.map(|entry| entry["reason"].clone()),
            field.map(|field| missing(field).into()),
            "{body}"
        );
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_message_without_what_its_queue_requires_is_dead() {
    let table = [
        (job("a.b", &["idempotencyKey", "jobId"]), None),
        (job("a.b", &["jobId"]), Some("idempotencyKey")),
        (job("a.b", &["idempotencyKey"]), Some("jobId")),
        (job("a.b", &[]), Some("idempotencyKey")),
        (r#"{"type":"a.b","jobId":"","idempotencyKey":"","payload":1}"#.to_owned(), Some("idempotencyKey")),
        ("plain text".to_owned(), Some("idempotencyKey")),
    ];
    expect("require = [\"idempotencyKey\", \"jobId\"]", &table).await;
}

#[tokio::test]
async fn the_id_of_a_cloud_event_counts_and_that_of_sns_does_not() {
    let table = [
        (native("a.b", "j-1"), None),
        (cloud_event("/shop", "1"), None),
        (notification("sns-1", &native("a.b", "j-2")).to_string(), None),
        (notification("sns-2", &job("a.b", &[])).to_string(), Some(ASSIGNED_BY_AWS)),
    ];
    expect("require = \"jobId\"", &table).await;
}

#[tokio::test]
async fn single_types_require_fields_of_their_own() {
    let file = "require = \"jobId\"\n[require_by_type]\n\"a.strict\" = \"idempotencyKey\"\n\"a.lax\" = []";
    let table = [
        (job("a.strict", &["jobId"]), Some("idempotencyKey")),
        (job("a.strict", &["idempotencyKey"]), None),
        (job("a.lax", &[]), None),
        (job("a.b", &[]), Some("jobId")),
    ];
    expect(file, &table).await;
}

#[tokio::test]
async fn a_function_requires_the_same() {
    let (app, queue) = (App::always_ok().await, LocalQueue::create(Setup::default()).await);
    let function = FunctionLaunch::forwarding(&app, &queue).env("DRUMLINE_REQUIRE", "jobId").spawn().await;
    let records = [job("a.b", &["jobId"]), job("a.b", &[])].map(|body| Record::hand_made(&body));
    let answered = function.invoke(Invocation::new(sqs_event(&records))).await;
    answered.expect_failed(&[records[1].id()]);
    assert_eq!(app.ids(), [records[0].id()]);
    assert_eq!(function.logged("failed for good")[0]["reason"], missing("jobId"));
}
