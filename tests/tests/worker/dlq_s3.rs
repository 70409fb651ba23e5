//! `drumline dlq export s3://…` against LocalStack's S3: signatures, conditional writes, and objects that are exports.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use drumline_dlq::line::Lines;
use drumline_tests::{Finished, Launch, REGION, Setup, TestQueue, localstack};
use serde_json::json;

const LETTERS: usize = 25;

/// A client of the test's own, and a new bucket.
async fn bucket() -> (Client, String) {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(REGION))
        .credentials_provider(Credentials::from_keys("test", "test", None))
        .endpoint_url(localstack())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .force_path_style(true);
    let client = Client::from_conf(config.build());
    let name = format!("letters-{}-{}", std::process::id(), fastrand::u32(..));
    let place = CreateBucketConfiguration::builder();
    let place = place.location_constraint(BucketLocationConstraint::from(REGION)).build();
    client.create_bucket().bucket(&name).create_bucket_configuration(place).send().await.unwrap();
    (client, name)
}

/// A queue with dead letters. What is sent to a DLQ is one.
async fn dead(name: &str) -> TestQueue {
    let queue = TestQueue::create(name, Setup::default()).await;
    for n in 0..LETTERS {
        let body =
            json!({ "jobId": format!("j-{n}"), "type": "email.send", "payload": { "ü": n } }).to_string();
        let send = queue.client.send_message().queue_url(&queue.dead_letter_url).message_body(body);
        send.send().await.unwrap();
    }
    queue
}

async fn export(queue: &TestQueue, bucket: &str) -> Finished {
    let target = format!("s3://{bucket}/dead/jobs");
    let args = ["dlq", "export", &target, "--name", "INC-42", "--delete", "--queue-url", &queue.url];
    Launch::new(&args).env("AWS_ENDPOINT_URL", &localstack()).finish().await
}

#[tokio::test]
async fn letters_are_deleted_once_s3_has_them_and_no_object_is_overwritten() {
    let (s3, bucket) = bucket().await;
    let queue = dead("archived").await;
    let finished = export(&queue, &bucket).await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!(queue.dead_count().await, 0);
    let key = "dead/jobs/INC-42/000001.jsonl";
    let object = async || {
        let reply = s3.get_object().bucket(&bucket).key(key).send().await.unwrap();
        reply.body.collect().await.unwrap().into_bytes()
    };
    let content = object().await;
    let (header, lines) = Lines::open(&content[..]).unwrap();
    let bodies: Vec<String> = lines.map(|letter| letter.unwrap().message.body).collect();
    assert_eq!((&*header.name, bodies.len()), ("INC-42", LETTERS));
    assert!(bodies.iter().all(|body| body.contains("\"ü\":")), "{bodies:?}");

    let other = dead("second").await;
    let refused = export(&other, &bucket).await;
    assert_eq!(refused.status, Some(64), "{}", refused.errors());
    assert!(refused.errors().contains("is there already"), "{}", refused.errors());
    assert_eq!((other.dead_count().await as usize, object().await), (LETTERS, content));
}
