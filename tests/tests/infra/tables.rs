//! Stacks with the store table, on the emulator of `DynamoDB`.

use drumline_tests::{
    Answer, App, Launch, Setup, TableStack, TestQueue, eventually, localstack, shared_store,
};
use serde_json::{Value, json};

const DYNAMODB: &str = "DRUMLINE_TEST_DYNAMODB";

/// The table that the template creates, a worker that uses it through the stack's output, and an operator after the worker's
/// end.
#[tokio::test]
async fn a_stacks_table_keeps_the_reasons_after_its_worker() {
    let Some(endpoint) = shared_store(DYNAMODB) else { return };
    for (template, parameters) in [
        ("queue.yaml", &[][..]),
        ("queue-fifo.yaml", &[("DeadLetterBreaksOrder", "accepted")]),
        ("fan-out.yaml", &[("ThirdGroup", "pager"), ("KeepQueueActive", "on")]),
    ] {
        let stack = TableStack::deploy(&endpoint, template, parameters).await;
        let store = format!("dynamodb://{}", stack.output("StoreTableName"));
        let queue = TestQueue::create("table", Setup::default()).await;
        let app = App::start(|_| async { Answer::status(422).body("no such customer") }).await;
        let with_store = |launch: Launch| {
            launch.env("DRUMLINE_STORE_URL", &store).env("AWS_ENDPOINT_URL_DYNAMODB", &endpoint)
        };
        let worker = with_store(Launch::run(&queue)).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
        queue.send(r#"{"type":"invoice.send","payload":{}}"#).await;
        eventually("it is dead", async || queue.dead_count().await == 1).await;
        worker.kill().await;
        let ls = Launch::new(&["dlq", "ls", "--queue-url", &queue.url, "--output", "json"]);
        let finished = with_store(ls.env("AWS_ENDPOINT_URL", &localstack())).finish().await;
        assert_eq!(finished.status, Some(0), "{template}: {}", finished.errors());
        let letter: Value = serde_json::from_str(&finished.stdout[0]).unwrap();
        assert_eq!(letter["type"], json!("invoice.send"), "{letter}");
        assert!(letter["why"]["reason"].as_str().unwrap().contains("no such customer"), "{letter}");
    }
}

#[tokio::test]
async fn the_archive_is_deployed_with_its_task_and_its_schedule() {
    let Some(endpoint) = shared_store(DYNAMODB) else { return };
    let stack = TableStack::deploy(
        &endpoint,
        "dlq-archive.yaml",
        &[
            ("DeadLetterQueueArn", "arn:aws:sqs:eu-central-1:000000000000:jobs-dlq"),
            ("DeadLetterQueueUrl", "http://127.0.0.1/000000000000/jobs-dlq"),
            ("ArchiveBucket", "archive"),
            ("ClusterName", "main"),
            ("VpcId", "vpc-12345678"),
            ("SubnetIds", "subnet-12345678"),
            ("ImageUri", "example.com/jobs:1.0.0"),
            ("Schedule", "on"),
        ],
    )
    .await;
    assert!(stack.output("TaskDefinitionArn").contains("-dlq-archive:1"));
    assert!(stack.output("ScheduleName").ends_with("-dlq-archive"));
    assert!(stack.output("FailureQueueUrl").ends_with("-dlq-archive-failures"));
}
