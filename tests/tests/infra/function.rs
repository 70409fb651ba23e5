//! The function's template: its mapping invokes the function, and failed messages are redelivered by the rules.

use drumline_tests::{Answer, App, Stack, can_deploy, eventually, upload_function_forwarding_to};

#[tokio::test]
async fn a_deployed_mapping_has_the_function_process_batches() {
    if !can_deploy() {
        return;
    }
    let queues = Stack::deploy("queue.yaml", &[("MaxReceiveCount", "5")]).await;
    let queue = queues.queue("");
    let app =
        App::start(
            |call| async move { if call.body == "poison" { Answer::status(422) } else { Answer::ok() } },
        )
        .await;
    let mut ids = Vec::new();
    for body in ["one", "two", "poison", "four", "five"] {
        ids.push(queue.send(body).await);
    }
    let (bucket, key) = upload_function_forwarding_to(&app).await;
    let output = |name: &str| queues.output(name).to_owned();
    let function = Stack::deploy(
        "worker-lambda.yaml",
        &[
            ("QueueArn", &*output("QueueArn")),
            ("QueueUrl", &*output("QueueUrl")),
            ("QueueName", &*output("QueueName")),
            ("VisibilityTimeoutSeconds", &*output("VisibilityTimeoutSeconds")),
            ("CodeS3Bucket", &*bucket),
            ("CodeS3Key", &*key),
        ],
    )
    .await;
    assert!(!function.output("EventSourceMappingId").is_empty());
    eventually("all are through", async || {
        app.count() >= ids.len() && queue.dead_count().await == 1 && queue.is_empty().await
    })
    .await;
    let dead = queue.take_dead().await;
    assert_eq!(dead[0].message_id(), Some(&*ids[2]), "the original itself");
    for id in [&ids[0], &ids[1], &ids[3], &ids[4]] {
        assert_eq!(app.ids().iter().filter(|run| *run == id).count(), 1, "its neighbours ran once");
    }
}
