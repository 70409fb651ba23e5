//! The API's template: its responses, and the messages that it sends to the queue for a worker.

use std::collections::BTreeMap;
use std::path::Path;

use drumline_infra_rules::Template;
use drumline_infra_rules::model::Target;
use drumline_tests::{App, Counts, Launch, Stack, TestQueue, eventually, get, localstack, post};
use serde_json::{Value, json};

const JSON: &str = "application/json";

/// A deployed API, and its queue.
struct Intake {
    queue: TestQueue,
    url: String,
    _stacks: [Stack; 2],
}

impl Intake {
    async fn deploy() -> Self {
        let queues = Stack::deploy("queue.yaml", &[]).await;
        let api = Stack::deploy("intake.yaml", &[("QueueArn", queues.output("QueueArn"))]).await;
        // The host name of an API does not resolve offline, so the test uses LocalStack's other address for it.
        let path = format!("_aws/execute-api/{}/{}/jobs", api.output("ApiId"), api.output("StageName"));
        assert!(api.output("JobsUrl").ends_with("/v1/jobs"));
        let url = format!("{}/{path}", localstack());
        Self { queue: queues.queue(""), url, _stacks: [queues, api] }
    }

    /// Returns status and body of the response to a request.
    async fn send(&self, body: &str) -> (u16, Value) {
        let (status, text) = post(&self.url, JSON, body.to_owned()).await;
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}")))
    }

    /// Sends a job that is accepted, and returns its id.
    async fn accept(&self, body: &str) -> String {
        let (status, answer) = self.send(body).await;
        assert_eq!(status, 202, "{body}: {answer}");
        answer["jobId"].as_str().unwrap().to_owned()
    }
}

/// Characters with a meaning in JSON, in forms, or in the language of API Gateway's templates.
const TRAPS: [&str; 8] = [
    r#"{"type":"a.b","payload":{"text":"ä € 😀 \u00e4 \ud83d\ude00"}}"#,
    r#"{"type":"a.b","payload":"it's \"quoted\" \\ and \/ \n \t"}"#,
    r#"{"type":"a.b","payload":"$context.requestId ${input.body} #set($x = 1) ## #if(true) $$"}"#,
    r#"{"type":"a.b","payload":"a=b&c=d+e%20f%7B;?#"}"#,
    "\r\n\t {\r\n  \"type\" : \"a.b\",\r\n  \"payload\" : { }\r\n}\r\n\n",
    r#"{"type":"a.b","payload":[1.50,1e2,-0.0,123456789012345678901234567890,null,true]}"#,
    r#"{"payload":{"type":"{{{","jobId":"of the payload"},"type":"a.b"}"#,
    r#"{"type":"a.b","payload":1,"schemaVersion":1,"correlationId":"c","createdAt":"2026-11-21T10:00:00Z"}"#,
];

#[tokio::test]
async fn a_posted_job_runs_once_under_the_id_that_the_answer_names() {
    let intake = Intake::deploy().await;
    let app = App::always_ok().await;
    let worker = Launch::run(&intake.queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    let mut expected = Vec::new();
    for body in TRAPS {
        let id = intake.accept(body).await;
        let rest = body.trim_start().strip_prefix('{').unwrap();
        expected.push((id.clone(), format!(r#"{{"jobId":"{id}",{rest}"#)));
    }
    eventually("all are done", async || app.count() >= expected.len() && intake.queue.is_empty().await).await;
    let bodies: Vec<String> = app.calls().into_iter().map(|call| call.body).collect();
    assert_eq!(bodies.len(), expected.len(), "each runs once");
    for (id, body) in expected {
        assert!(bodies.contains(&body), "{body:?} in {bodies:#?}");
        let (status, job) = get(&worker.endpoint(&format!("/jobs/{id}"))).await.unwrap();
        let job: Value = serde_json::from_str(&job).unwrap();
        assert_eq!((status, &job["state"]), (200, &json!("done")), "{job}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_repeated_request_with_a_key_runs_once() {
    let intake = Intake::deploy().await;
    let app = App::always_ok().await;
    let worker = Launch::run(&intake.queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    let body = r#"{"type":"a.b","payload":{},"idempotencyKey":"order-1"}"#;
    let first = intake.accept(body).await;
    eventually("it is done", async || app.count() == 1 && intake.queue.is_empty().await).await;
    assert_ne!(intake.accept(body).await, first, "each request has an id");
    worker.until_logged("already done: deleted without a run", 1).await;
    eventually("the queue is empty", async || intake.queue.is_empty().await).await;
    assert_eq!(app.count(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn what_is_no_job_is_refused_and_nothing_is_queued() {
    let intake = Intake::deploy().await;
    for body in [
        "",
        "hello",
        "{",
        r#"{"type":"a.b","payload":{}"#,
        "null",
        r#"[{"type":"a.b","payload":{}}]"#,
        "{}",
        r#"{"payload":{}}"#,
        r#"{"type":"a.b"}"#,
        r#"{"type":"","payload":{}}"#,
        r#"{"type":7,"payload":{}}"#,
        r#"{"type":"a.b","payload":{},"schemaVersion":0}"#,
        r#"{"type":"a.b","payload":{},"jobId":"of the client"}"#,
        r#"{"type":"a.b","payload":{},"idempotencykey":"misspelt"}"#,
        "{\"type\":\"a.b\",\"payload\":\"\u{1}\"}",
        // SQS accepts only the characters of XML 1.0.
        "{\"type\":\"a.b\",\"payload\":\"\u{ffff}\"}",
    ] {
        let (status, answer) = intake.send(body).await;
        assert_eq!(status, 400, "{body:?}: {answer}");
        assert!(answer["message"].is_string(), "{body:?}: {answer}");
    }
    let job = r#"{"type":"a.b","payload":{}}"#;
    for content_type in ["text/plain", "application/xml"] {
        let (status, answer) = post(&intake.url, content_type, job).await;
        assert_eq!(status, 415, "{content_type}: {answer}");
    }
    assert_eq!(intake.queue.counts().await, Counts::NONE);
    // The queue is the right one: a job arrives there.
    intake.accept(job).await;
    assert_eq!(intake.queue.counts().await, Counts { visible: 1, ..Counts::NONE });
}

/// The model and the template of an API can match different content types, so that a body could reach the queue unvalidated.
#[tokio::test]
async fn what_is_no_job_is_refused_under_every_content_type() {
    let intake = Intake::deploy().await;
    let content_types = [
        "application/json; charset=utf-8",
        "application/vnd.api+json",
        "application/x-amz-json-1.0",
        "text/plain",
    ];
    for content_type in content_types {
        for body in
            ["hello", "{", r#"{"type":"a.b"}"#, r#"{"type":"a.b","payload":{},"jobId":"of the client"}"#]
        {
            let (status, answer) = post(&intake.url, content_type, body).await;
            assert!([400, 415].contains(&status), "{content_type}, {body}: {status} {answer}");
        }
    }
    assert_eq!(intake.queue.counts().await, Counts::NONE);
}

#[tokio::test]
async fn a_job_that_is_too_large_for_sqs_is_refused() {
    let intake = Intake::deploy().await;
    let job = |bytes: usize| format!(r#"{{"type":"a.b","payload":"{}"}}"#, "x".repeat(bytes));
    let (status, answer) = intake.send(&job(1_048_576)).await;
    assert_eq!(status, 413, "{answer}");
    assert_eq!(intake.queue.counts().await, Counts::NONE);
    intake.accept(&job(1_048_000)).await;
    assert_eq!(intake.queue.counts().await, Counts { visible: 1, ..Counts::NONE });
}

#[tokio::test]
async fn what_sqs_does_not_accept_is_no_success() {
    let intake = Intake::deploy().await;
    intake.queue.client.delete_queue().queue_url(&intake.queue.url).send().await.unwrap();
    let (status, answer) = intake.send(r#"{"type":"a.b","payload":{}}"#).await;
    assert_eq!(status, 502, "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("not queued"), "{answer}");
}

/// A deployment of an API is a copy of it: the stage has to get another one, or an API that was open would stay open.
/// LocalStack does not update stages.
#[test]
fn a_change_of_the_authorization_reaches_the_stage() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/cloudformation/intake.yaml");
    let template = Template::load(&path).unwrap();
    let deployment = |authorization: &str| {
        let stack = template.stack(&BTreeMap::from([("AuthorizationType".to_owned(), authorization.into())]));
        assert_eq!(stack.resources["PostJob"].properties["AuthorizationType"], authorization);
        let mut references = stack.resources["Stage"].references.iter().filter(|to| to.at == "/DeploymentId");
        let Target::Resource { id, .. } = &references.next().unwrap().to else { panic!("no resource") };
        assert!(stack.resources[id].depends_on.contains(&"PostJob".to_owned()), "a copy of the changed API");
        id.clone()
    };
    assert_ne!(deployment("NONE"), deployment("AWS_IAM"));
}
