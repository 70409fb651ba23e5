#![allow(clippy::unwrap_used)]
use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use aws_config::Region;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::BehaviorVersion;
use drumline::Job;
use drumline::message::Attribute;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::error::ProduceError;
use crate::producer::Producer;
use crate::unique::Unique;

const JOBS: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs";
const ORDERS: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders.fifo";
const ELSEWHERE: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/jobs";
const ROLE: &str = "arn:aws:iam::123456789012:role/path/scheduler";
const CREATED: (u16, &str, &str) =
    (200, "", r#"{"ScheduleArn":"arn:aws:scheduler:eu-west-1:123456789012:schedule/jobs/1"}"#);

#[derive(serde::Serialize, serde::Deserialize)]
struct Greet {
    name: String,
}

impl Job for Greet {
    const TYPE: &'static str = "greet";
}

fn greet() -> Greet {
    Greet { name: "Ada".to_owned() }
}

/// A server in place of EventBridge Scheduler. It keeps each request and sends the next of these responses, the last one
/// repeatedly; a response without a status means no response.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<(String, Value)>>>,
}

async fn serve(answers: &[(u16, &'static str, &'static str)]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requests: Arc<Mutex<Vec<_>>> = Arc::default();
    let (answers, seen) = (answers.to_vec(), Arc::clone(&requests));
    tokio::spawn(async move {
        for index in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut body).await.unwrap();
            seen.lock().unwrap().push((head, serde_json::from_slice(&body).unwrap()));
            let (status, kind, body) = answers[index.min(answers.len() - 1)];
            if status == 0 {
                continue;
            }
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} X\r\nx-amzn-errortype: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    Server { address, requests }
}

impl Server {
    fn scheduler(&self) -> EventBridgeScheduler {
        let keys = Credentials::from_keys("a", "s", None);
        let config = SdkConfig::builder()
            .region(Region::from_static("eu-west-1"))
            .endpoint_url(&self.address)
            .credentials_provider(SharedCredentialsProvider::new(keys));
        EventBridgeScheduler::new(&config.build(), ROLE).unwrap()
    }

    fn producer(&self) -> Producer {
        let config = aws_sdk_sqs::Config::builder().behavior_version(BehaviorVersion::latest());
        Producer::new(Client::from_conf(config.build()), JOBS)
            .queue_for("order", ORDERS)
            .scheduler(self.scheduler())
    }

    fn requests(&self) -> Vec<(String, Value)> {
        self.requests.lock().unwrap().clone()
    }

    /// Returns the only request's body, and the message in it.
    fn schedule(&self) -> (Value, Value) {
        let [(_, body)] = &self.requests()[..] else { panic!("{:?}", self.requests()) };
        (body.clone(), serde_json::from_str(body["Target"]["Input"].as_str().unwrap()).unwrap())
    }
}

/// Returns 2027-01-01T09:00:00Z.
fn new_year() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_798_794_000)
}

#[tokio::test]
async fn a_schedule_has_the_whole_message() {
    let server = serve(&[CREATED]).await;
    let job = server.producer().send(&greet()).at(new_year()).attribute("tenant", "acme");
    let job =
        job.attribute("size", Attribute::new("Number", drumline::message::AttributeValue::Text("7".into())));
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let receipt = job.correlation("c-1").traceparent(trace).await.unwrap();
    assert_eq!((receipt.message_id, receipt.due), (None, Some(new_year())));
    let (head, _) = server.requests().remove(0);
    assert!(head.starts_with(&format!("POST /schedules/{} HTTP/1.1\r\n", receipt.job_id)), "{head}");
    assert!(head.contains("/eu-west-1/scheduler/aws4_request"), "{head}");
    assert!(head.contains("content-type: application/json\r\n"), "{head}");

    let (mut schedule, message) = server.schedule();
    schedule["Target"]["Input"] = Value::Null;
    let expected = json!({
        "ActionAfterCompletion": "DELETE",
        "ClientToken": receipt.job_id,
        "FlexibleTimeWindow": { "Mode": "OFF" },
        "ScheduleExpression": "at(2027-01-01T09:00:00)",
        "ScheduleExpressionTimezone": "UTC",
        "Target": {
            "Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage",
            "Input": null,
            "RetryPolicy": { "MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185 },
            "RoleArn": ROLE,
        },
    });
    assert_eq!(schedule, expected);
    assert_eq!(message["QueueUrl"], JOBS);
    let body: Value = serde_json::from_str(message["MessageBody"].as_str().unwrap()).unwrap();
    assert_eq!((&body["jobId"], &body["correlationId"]), (&json!(receipt.job_id), &json!("c-1")));
    assert_eq!(body["payload"], json!({ "name": "Ada" }));
    let attributes = json!({
        "tenant": { "DataType": "String", "StringValue": "acme" },
        "size": { "DataType": "Number", "StringValue": "7" },
        "traceparent": { "DataType": "String", "StringValue": trace },
    });
    assert_eq!(message["MessageAttributes"], attributes);
    let header = &message["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"];
    assert!(header.as_str().unwrap().starts_with("Root=1-0af76519-"), "{header}");
    assert_eq!(
        (&message["MessageGroupId"], &message["MessageDeduplicationId"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn a_job_of_a_fifo_queue_has_its_group_and_deduplication_id() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Order {}
    impl Job for Order {
        const TYPE: &'static str = "order";
    }
    for dedup in [None, Some("d-1")] {
        let server = serve(&[CREATED]).await;
        let scheduler =
            server.scheduler().group("jobs").dead_letter_queue("arn:aws:sqs:eu-west-1:123456789012:dlq");
        let job =
            server.producer().scheduler(scheduler).send(&Order {}).group("g").delay(Duration::from_secs(5));
        let job = dedup.map_or_else(|| job.clone(), |id| job.clone().dedup(id));
        let receipt = job.await.unwrap();
        let (schedule, message) = server.schedule();
        assert_eq!(schedule["GroupName"], "jobs");
        assert_eq!(schedule["Target"]["DeadLetterConfig"]["Arn"], "arn:aws:sqs:eu-west-1:123456789012:dlq");
        assert_eq!(message["MessageGroupId"], "g");
        assert_eq!(message["MessageDeduplicationId"], dedup.unwrap_or(&receipt.job_id));
    }
}

#[test]
fn times_are_rounded_up_to_the_second() {
    let plan = Plan::new(ROLE.replace("aws:iam", "aws-cn:iam")).unwrap();
    let at = |due: SystemTime| {
        let text = body(&plan, &Outgoing::default(), JOBS, due)?;
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["Target"]["Arn"], "arn:aws-cn:scheduler:::aws-sdk:sqs:sendMessage");
        Ok::<_, Refused>(value["ScheduleExpression"].as_str().unwrap().to_owned())
    };
    assert_eq!(at(new_year()).unwrap(), "at(2027-01-01T09:00:00)");
    assert_eq!(at(new_year() + Duration::from_millis(1)).unwrap(), "at(2027-01-01T09:00:01)");
    assert_eq!(at(new_year() - Duration::from_nanos(1)).unwrap(), "at(2027-01-01T09:00:00)");
    let end = UNIX_EPOCH + Duration::from_secs(253_402_300_800);
    assert_eq!(at(end).unwrap_err().1, "it is due after the year 9999");
}

#[tokio::test]
async fn what_cannot_be_scheduled_is_refused_and_nothing_is_asked() {
    let server = serve(&[CREATED]).await;
    let producer = || server.producer();
    let day = Duration::from_secs(86_400);
    let long = Greet { name: "x".repeat(262_000) };
    let table = [
        (
            producer().send(&long).delay(day),
            "payload",
            "keeps 262144 bytes of a message, and this one has 262",
        ),
        (
            producer().send(&greet()).delay(day).attribute("a", Attribute::binary([1])),
            "attributes",
            "a is of bytes",
        ),
        (
            producer().queue_for("greet", ELSEWHERE).send(&greet()).delay(day),
            "queue",
            "jobs is in us-east-1, and EventBridge Scheduler in eu-west-1 sends to queues of its own region",
        ),
        (producer().send(&greet()).unique(Unique::within(day)), "unique", "set DRUMLINE_OUTBOX_URL"),
        (producer().send(&greet()).delay(Duration::MAX), "delay", "after the year 9999"),
    ];
    for (job, field, says) in table {
        let Err(ProduceError::Refused(refusal)) = job.await else { panic!("{field}") };
        assert_eq!(refusal.field, field, "{refusal}");
        assert!(refusal.reason.contains(says), "{refusal}");
    }
    assert_eq!(server.requests(), []);
    for role in ["", "arn:aws:iam::123456789012:user/x", "role/scheduler"] {
        assert!(Plan::new(role.to_owned()).unwrap_err().contains("not the ARN of a role"), "{role}");
    }
}

#[tokio::test]
async fn what_sqs_can_do_itself_and_what_is_past_goes_to_the_queue() {
    let server = serve(&[CREATED]).await;
    let job = || server.producer().send(&greet());
    let past = SystemTime::now() - Duration::from_secs(1);
    for (job, delay_secs) in [(job().delay(Duration::from_secs(900)), Some(900)), (job().at(past), None)] {
        let prepared = job.prepare().unwrap();
        assert_eq!((prepared.outgoing.delay_secs, prepared.wait.is_some()), (delay_secs, false));
    }
}

#[tokio::test(start_paused = true)]
async fn answers_are_distinguished() {
    const BUSY: (u16, &str, &str) = (429, "ThrottlingException", r#"{"Message":"Rate exceeded"}"#);
    const CONFLICT: (u16, &str, &str) =
        (409, "ConflictException:http://x", r#"{"Message":"Schedule exists"}"#);
    const WRONG: (u16, &str, &str) = (400, "ValidationException", r#"{"Message":"Invalid RoleArn"}"#);
    const DENIED: (u16, &str, &str) = (403, "AccessDeniedException", r#"{"message":"no iam:PassRole"}"#);
    const NO_GROUP: (u16, &str, &str) = (404, "ResourceNotFoundException", r#"{"Message":"no group"}"#);
    const QUOTA: (u16, &str, &str) = (402, "ServiceQuotaExceededException", "");
    const DOWN: (u16, &str, &str) = (500, "InternalServerException", "");
    const LOST: (u16, &str, &str) = (0, "", "");
    let table: [(&[_], usize, &str); 12] = [
        (&[CONFLICT], 1, "ok"),
        (&[BUSY, DOWN, CREATED], 3, "ok"),
        (&[LOST, CONFLICT], 2, "ok"),
        (&[WRONG], 1, "refused: EventBridge Scheduler answers 400 ValidationException Invalid RoleArn"),
        (
            &[DENIED],
            1,
            "unavailable: EventBridge Scheduler answers 403 AccessDeniedException no iam:PassRole",
        ),
        (&[NO_GROUP], 1, "unavailable: EventBridge Scheduler answers 404 ResourceNotFoundException no group"),
        (&[QUOTA], 1, "unavailable: EventBridge Scheduler answers 402 ServiceQuotaExceededException"),
        (&[BUSY], 4, "unavailable: EventBridge Scheduler answers 429 ThrottlingException Rate exceeded"),
        (&[DOWN, BUSY], 4, "in doubt: EventBridge Scheduler answers 429"),
        (&[LOST, DENIED], 2, "in doubt: EventBridge Scheduler answers 403"),
        (&[LOST, WRONG], 2, "in doubt: EventBridge Scheduler answers 400"),
        (&[LOST, BUSY], 4, "in doubt: EventBridge Scheduler answers 429"),
    ];
    for (answers, requests, expected) in table {
        let server = serve(answers).await;
        let result = server.producer().send(&greet()).at(new_year()).await;
        let said = match result {
            Ok(_) => "ok".to_owned(),
            Err(ProduceError::Refused(refusal)) => {
                assert_eq!(refusal.field, "EventBridge Scheduler");
                format!("refused: {}", refusal.reason)
            }
            Err(ProduceError::Unavailable(unsent)) => format!("unavailable: {}", unsent.reason),
            Err(ProduceError::InDoubt(unsent)) => {
                assert_eq!(unsent.queue, "EventBridge Scheduler");
                format!("in doubt: {}", unsent.reason)
            }
            Err(other) => panic!("{other:?}"),
        };
        assert!(said.starts_with(expected), "{said}");
        let seen = server.requests();
        assert_eq!(seen.len(), requests, "{expected}");
        assert!(seen.iter().all(|(_, body)| *body == seen[0].1), "each try is the same request");
    }
}
