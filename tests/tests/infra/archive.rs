//! The archive's template: its task, as written in the template, runs on a real queue and a real bucket. LocalStack has no ECS,
//! and its scheduler does not fire.

use std::collections::BTreeMap;
use std::path::Path;

use drumline_infra_rules::Template;
use drumline_infra_rules::model::Stack as Judged;
use drumline_tests::{
    Answer, App, Fault, Finished, Launch, Proxy, Stack, TestQueue, create_bucket, eventually, localstack,
    objects,
};
use serde_json::Value;

/// Actions of SQS that commands for dead letters use, by their permissions.
const ACTIONS: [(&str, &str); 9] = [
    ("GetQueueUrl", "sqs:GetQueueUrl"),
    ("ListDeadLetterSourceQueues", "sqs:ListDeadLetterSourceQueues"),
    ("GetQueueAttributes", "sqs:GetQueueAttributes"),
    ("ReceiveMessage", "sqs:ReceiveMessage"),
    ("ChangeMessageVisibility", "sqs:ChangeMessageVisibility"),
    ("ChangeMessageVisibilityBatch", "sqs:ChangeMessageVisibility"),
    ("DeleteMessage", "sqs:DeleteMessage"),
    ("DeleteMessageBatch", "sqs:DeleteMessage"),
    ("SendMessageBatch", "sqs:SendMessage"),
];

/// The template with these values of its parameters.
fn template(values: &[(&str, &str)]) -> Judged {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/cloudformation/dlq-archive.yaml");
    let values: BTreeMap<String, Value> =
        values.iter().map(|&(name, value)| (name.to_owned(), Value::from(value))).collect();
    Template::load(&path).unwrap().stack(&values)
}

/// Runs the container of the task definition with the permissions of its role.
async fn run(archive: &Judged) -> Finished {
    let container = &archive.resources["TaskDefinition"].properties["ContainerDefinitions"][0];
    let command: Vec<&str> =
        container["Command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let statements = &archive.resources["TaskRole"].properties["Policies"][0]["PolicyDocument"]["Statement"];
    let allowed = statements.to_string();
    let proxy = Proxy::start(&localstack()).await;
    for (action, _) in ACTIONS.iter().filter(|(_, permission)| !allowed.contains(&format!("{permission:?}")))
    {
        proxy.fail_always(action, Fault::Denied);
    }
    let mut launch = Launch::new(&command)
        .env("AWS_ENDPOINT_URL", &localstack())
        .env("AWS_ENDPOINT_URL_SQS", &proxy.url());
    for pair in container["Environment"].as_array().unwrap() {
        launch = launch.env(pair["Name"].as_str().unwrap(), pair["Value"].as_str().unwrap());
    }
    launch.finish().await
}

/// Makes these messages fail permanently.
async fn bury(queue: &TestQueue, bodies: &[&str]) {
    let app = App::start(|_| async { Answer::status(422).body("no such customer") }).await;
    let worker = Launch::run(queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    for body in bodies {
        queue.send(body).await;
    }
    eventually("they are dead", async || queue.dead_count().await as usize == bodies.len()).await;
    worker.stop().await;
}

#[tokio::test]
async fn its_task_moves_dead_letters_into_the_bucket() {
    let stack = Stack::deploy("queue.yaml", &[]).await;
    let queue = stack.queue("");
    let bodies = [r#"{"type":"a.b","payload":"first"}"#, r#"{"type":"a.b","payload":"ä second"}"#];
    bury(&queue, &bodies).await;
    let bucket = create_bucket().await;
    let parameters = [
        ("DeadLetterQueueArn", stack.output("DeadLetterQueueArn")),
        ("DeadLetterQueueUrl", stack.output("DeadLetterQueueUrl")),
        ("ArchiveBucket", &*bucket),
        ("StoreTableName", ""),
        ("OlderThanDays", "0"),
    ];

    let keeping = template(&[&parameters[..], &[("DeleteExported", "off")]].concat());
    let finished = run(&keeping).await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!((queue.dead_count().await, objects(&bucket).await.len()), (2, 1), "they are still there");

    let finished = run(&template(&parameters)).await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!(queue.dead_count().await, 0);
    let written = objects(&bucket).await;
    assert_eq!(written.len(), 2, "each run writes a separate object");
    for (key, text) in &written {
        assert!(key.starts_with("dead-letters/jobs/export-"), "{key}");
        let found: Vec<String> = text
            .lines()
            .skip(1)
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["body"].as_str().unwrap().to_owned())
            .collect();
        assert!(
            found.len() == 2 && bodies.iter().all(|body| found.iter().any(|found| found == body)),
            "{text}"
        );
    }

    // A run without letters is not a failure, and a young letter is left.
    bury(&queue, &bodies[..1]).await;
    let finished = run(&template(&parameters[..4])).await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!((queue.dead_count().await, objects(&bucket).await.len()), (1, 2));
}

#[test]
fn it_is_off_until_it_is_switched_on() {
    let state = |archive: &Judged| archive.resources["ExportSchedule"].properties["State"].clone();
    assert_eq!(state(&template(&[])), "DISABLED");
    assert_eq!(state(&template(&[("Schedule", "on")])), "ENABLED");
}
