//! The queues' templates: their resources, and a worker on them.

use std::collections::HashMap;

use aws_sdk_sqs::types::QueueAttributeName as Name;
use drumline_tests::{Answer, App, Launch, Stack, TestQueue, client, eventually, localstack};
use serde_json::{Value, json};

/// The minimum that the templates accept, so that the end comes soon.
const MAX_RECEIVE_COUNT: u32 = 5;
const FEW_RECEIVES: (&str, &str) = ("MaxReceiveCount", "5");

async fn attributes(queue: &TestQueue, url: &str) -> HashMap<Name, String> {
    let answer = queue.client.get_queue_attributes().queue_url(url).attribute_names(Name::All).send().await;
    answer.unwrap().attributes.unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Expects the attributes of both kinds of queue.
async fn expect_attributes(queue: &TestQueue, fifo: bool) {
    let source = attributes(queue, &queue.url).await;
    let dead = attributes(queue, &queue.dead_letter_url).await;
    let redrive =
        json!({ "deadLetterTargetArn": dead[&Name::QueueArn], "maxReceiveCount": MAX_RECEIVE_COUNT });
    assert_eq!(json(&source[&Name::RedrivePolicy]), redrive);
    let allow = json!({ "redrivePermission": "byQueue", "sourceQueueArns": [source[&Name::QueueArn]] });
    assert_eq!(json(&dead[&Name::RedriveAllowPolicy]), allow);
    assert_eq!(source[&Name::VisibilityTimeout], "900");
    assert_eq!(source[&Name::MessageRetentionPeriod], "345600");
    assert_eq!(dead[&Name::MessageRetentionPeriod], "1209600");
    for attributes in [&source, &dead] {
        assert_eq!(attributes[&Name::ReceiveMessageWaitTimeSeconds], "20");
        assert_eq!(attributes[&Name::SqsManagedSseEnabled], "true");
        assert_eq!(attributes.get(&Name::FifoQueue).is_some_and(|value| value == "true"), fifo);
        let policy = json(&attributes[&Name::Policy]);
        let statement = &policy["Statement"][0];
        assert_eq!(
            (&statement["Effect"], &statement["Action"]),
            (&json!("Deny"), &json!("sqs:*")),
            "{policy}"
        );
        assert_eq!(statement["Condition"], json!({ "Bool": { "aws:SecureTransport": "false" } }));
        assert_eq!(statement["Resource"], attributes[&Name::QueueArn]);
    }
}

/// Answers by the body: poisoned messages fail permanently.
async fn tasting_app() -> App {
    App::start(|call| async move {
        if call.body == "poison" { Answer::status(422).body("inedible") } else { Answer::ok() }
    })
    .await
}

#[tokio::test]
async fn a_worker_drains_a_deployed_queue_and_poison_ends_in_its_dlq() {
    let stack = Stack::deploy("queue.yaml", &[FEW_RECEIVES]).await;
    let queue = stack.queue("");
    expect_attributes(&queue, false).await;
    let app = tasting_app().await;
    let mut ids = Vec::new();
    for body in ["one", "poison", "three", "four"] {
        ids.push(queue.send(body).await);
    }
    let worker = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    eventually("all are through", async || {
        app.count() >= ids.len() && queue.dead_count().await == 1 && queue.is_empty().await
    })
    .await;
    let dead = queue.take_dead().await;
    assert_eq!(dead[0].message_id(), Some(&*ids[1]), "the original itself");
    assert_eq!(app.count(), 4, "each ran once, the poisoned one too");
    let facts = &worker.logged("consuming")[0];
    assert_eq!(facts["max_receive_count"], MAX_RECEIVE_COUNT);
    assert_eq!(facts["lease_secs"], 900, "the template's visibility timeout");
    assert_eq!(worker.stop().await.status, Some(0));
}

#[tokio::test]
async fn what_always_fails_is_tried_as_often_as_the_template_says() {
    let stack = Stack::deploy("queue.yaml", &[FEW_RECEIVES]).await;
    let queue = stack.queue("");
    let app = App::start(|_| async { Answer::status(503).header("retry-after", "0") }).await;
    let id = queue.send("late").await;
    let worker = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    eventually("it is in the DLQ", async || queue.dead_count().await == 1).await;
    assert_eq!(app.ids(), vec![id; MAX_RECEIVE_COUNT as usize]);
    assert_eq!(worker.stop().await.status, Some(0));
}

#[tokio::test]
async fn a_deployed_fifo_queue_keeps_the_order_of_its_groups() {
    let stack =
        Stack::deploy("queue-fifo.yaml", &[FEW_RECEIVES, ("DeadLetterBreaksOrder", "accepted")]).await;
    let queue = stack.queue("");
    expect_attributes(&queue, true).await;
    let app = tasting_app().await;
    let sent = [("a1", "a"), ("poison", "a"), ("b1", "b"), ("a3", "a"), ("b2", "b")];
    queue.send_grouped(&sent.map(|(body, group)| (body.to_owned(), group.to_owned()))).await;
    let worker = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    eventually("all are through", async || {
        app.count() >= sent.len() && queue.dead_count().await == 1 && queue.is_empty().await
    })
    .await;
    let bodies: Vec<String> = app.calls().into_iter().map(|call| call.body).collect();
    let of_group = |group: &[&str]| -> Vec<String> {
        bodies.iter().filter(|body| group.contains(&&***body)).cloned().collect()
    };
    assert_eq!(of_group(&["a1", "poison", "a3"]), ["a1", "poison", "a3"]);
    assert_eq!(of_group(&["b1", "b2"]), ["b1", "b2"]);
    assert_eq!(worker.stop().await.status, Some(0));
}

/// Returns the names of the queues that start with a stack's name.
async fn queues_of(name: &str) -> Vec<String> {
    let found = client(&localstack()).list_queues().queue_name_prefix(name).send().await.unwrap();
    found.queue_urls.unwrap_or_default()
}

/// LocalStack shows that no resource is left in the way. It cannot show that AWS refuses to create a queue that exists.
#[tokio::test]
async fn a_failed_first_deployment_can_be_repeated_with_its_name() {
    for (template, parameters, queues) in [
        ("queue.yaml", &[][..], 2),
        ("queue-fifo.yaml", &[("DeadLetterBreaksOrder", "accepted")], 2),
        ("fan-out.yaml", &[], 4),
    ] {
        let name = Stack::fail(template, parameters).await;
        assert_eq!(queues_of(&name).await, Vec::<String>::new(), "{template} leaves queues");
        let stack = Stack::deploy_as(&name, template, parameters).await;
        assert_eq!(queues_of(&name).await.len(), queues, "{template}");
        drop(stack);
    }
}
