//! Events of other services, and payloads that are not events: the function returns a descriptive error, and the process
//! continues.

use drumline_tests::{End, Invocation, Record, Setup};
use serde_json::{Value, json};

use crate::apps::{run, scene};

fn foreign() -> Vec<(&'static str, Value)> {
    let sns = json!({ "Records": [{
        "EventVersion": "1.0",
        "EventSubscriptionArn": "arn:aws:sns:eu-central-1:000000000000:topic:1",
        "EventSource": "aws:sns",
        "Sns": { "Type": "Notification", "MessageId": "m1", "Message": "Hello", "MessageAttributes": {} }
    }]});
    let s3 = json!({ "Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-central-1",
        "eventName": "ObjectCreated:Put",
        "s3": { "bucket": { "name": "b" }, "object": { "key": "k" } }
    }]});
    let kinesis = json!({ "Records": [{
        "eventSource": "aws:kinesis",
        "eventID": "shardId-000000000006:49590338271490256608559692538361571095921575989136588898",
        "kinesis": { "partitionKey": "1", "sequenceNumber": "4", "data": "aGk=" }
    }]});
    let api_gateway = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/", "headers": {}, "isBase64Encoded": false,
        "requestContext": { "http": { "method": "POST", "path": "/" } }, "body": "hello"
    });
    let scheduled = json!({
        "version": "0", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {},
        "resources": ["arn:aws:events:eu-central-1:000000000000:rule/r"]
    });
    let sqs_api = json!({ "Messages": [{
        "Body": "{}", "Md5OfBody": "x", "MessageId": "m", "ReceiptHandle": "r"
    }]});
    vec![
        ("SNS", sns),
        ("S3", s3),
        ("Kinesis", kinesis),
        ("API gateway", api_gateway),
        ("a schedule", scheduled),
        ("the SQS API's own answer", sqs_api),
        ("the console's test event", json!({ "key1": "value1", "key2": "value2", "key3": "value3" })),
        ("an empty object", json!({})),
        ("a text", json!("hello")),
        ("a number", json!(7)),
        ("null", Value::Null),
        ("a list", json!([{ "messageId": "m1", "body": "200" }])),
        ("Records that are no list", json!({ "Records": "none" })),
        ("Records of texts", json!({ "Records": ["a", "b"] })),
        ("Records of null", json!({ "Records": [null] })),
    ]
}

#[tokio::test]
async fn they_are_errors_in_clear_words_and_nothing_runs() {
    let (app, _queue, function) = scene(Setup::default()).await;
    for (count, (what, event)) in foreign().into_iter().enumerate() {
        let answered = function.invoke(Invocation::new(event.to_string())).await;
        assert_eq!(answered.end, End::Error, "{what}: {}", answered.text());
        let message = answered.expect_error("NotAnSqsEvent");
        assert!(message.contains("not an SQS event"), "{what}: {message}");
        assert!(message.contains("event source mapping"), "{what}: it has advice: {message}");
        assert!(!message.contains("serde") && !message.contains("panicked"), "{what}: {message}");
        assert_eq!(app.count(), count, "{what}");
        // The same process still works.
        run(&function, &[Record::hand_made("200 a")]).await.expect_all_done();
    }
    let errors: Vec<String> = function.stderr();
    assert!(!errors.iter().any(|line| line.contains("panicked")), "{errors:?}");
}

#[tokio::test]
async fn the_service_is_named_that_the_event_comes_from() {
    let (_app, _queue, function) = scene(Setup::default()).await;
    for (what, event) in foreign() {
        let source = match what {
            "SNS" => "aws:sns",
            "S3" => "aws:s3",
            "Kinesis" => "aws:kinesis",
            _ => continue,
        };
        let message = function.invoke(Invocation::new(event.to_string())).await.expect_error("NotAnSqsEvent");
        assert!(message.contains(source), "{message}");
    }
}

#[tokio::test]
async fn what_is_not_even_json_is_an_error_too() {
    let (app, _queue, function) = scene(Setup::default()).await;
    for event in ["", "{", "not JSON", "{\"Records\":[{\"messageId\":\"m1\""] {
        let answered = function.invoke(Invocation::new(event)).await;
        assert_eq!(answered.end, End::Error, "{event:?}: {}", answered.text());
        assert!(!answered.body.is_empty());
    }
    assert_eq!(app.count(), 0);
    run(&function, &[Record::hand_made("200 a")]).await.expect_all_done();
}
