//! Records in every form that occurs: with fields missing, null, unknown or of another type.

use drumline_tests::{Record, Setup, ids};
use serde_json::{Value, json};

use crate::apps::{bodies, run, scene};

const OPTIONAL: [&str; 7] = [
    "receiptHandle",
    "attributes",
    "messageAttributes",
    "md5OfBody",
    "eventSource",
    "eventSourceARN",
    "awsRegion",
];

/// Expects that each record runs and a failed one is listed, even if fields are missing.
async fn expect_handled(make: impl Fn(Record) -> Record) {
    let (app, queue, function) = scene(Setup::default()).await;
    let batch: Vec<Record> =
        queue.batch(&["200 a", "503 b", "422 c", "200 d"]).await.into_iter().map(make).collect();
    run(&function, &batch).await.expect_failed(&ids(&batch[1..3]));
    assert_eq!(app.count(), 4);
}

#[tokio::test]
async fn without_any_one_of_the_fields_that_may_be_missing() {
    for field in OPTIONAL {
        expect_handled(|record| record.without(field)).await;
    }
}

#[tokio::test]
async fn with_null_for_any_one_of_them() {
    for field in OPTIONAL {
        expect_handled(|record| record.with(field, Value::Null)).await;
    }
}

#[tokio::test]
async fn with_nothing_but_an_id_and_a_body() {
    expect_handled(|record| OPTIONAL.into_iter().fold(record, Record::without)).await;
}

#[tokio::test]
async fn with_fields_that_are_not_known_yet() {
    expect_handled(|record| {
        record
            .with("newField", json!({ "deep": [1, 2, { "er": null }] }))
            .attribute("NewAttribute", "x")
            .with("messageAttributes", json!({ "New": { "dataType": "Vector", "vectorValue": [1, 2] } }))
    })
    .await;
}

#[tokio::test]
async fn with_values_of_another_type() {
    expect_handled(|record| record.with("attributes", json!({ "ApproximateReceiveCount": 1 }))).await;
    expect_handled(|record| record.with("attributes", json!({ "ApproximateReceiveCount": "many" }))).await;
    expect_handled(|record| record.with("attributes", json!({ "SentTimestamp": "-5" }))).await;
    expect_handled(|record| record.with("attributes", "none")).await;
    expect_handled(|record| record.with("messageAttributes", json!({ "Bytes": { "binaryValue": "%" } })))
        .await;
    expect_handled(|record| record.with("eventSourceARN", "not an ARN")).await;
    expect_handled(|record| record.with("md5OfBody", "0")).await;
}

#[tokio::test]
async fn a_body_may_be_missing_or_empty() {
    let (app, _queue, function) = scene(Setup::default()).await;
    let batch = [
        Record::hand_made("x").without("body"),
        Record::hand_made(""),
        Record::hand_made("x").with("body", Value::Null),
        Record::hand_made("200 a"),
    ];
    run(&function, &batch).await.expect_all_done();
    assert_eq!(bodies(&app).iter().filter(|body| body.is_empty()).count(), 3);
    assert_eq!(app.count(), 4);
}

#[tokio::test]
async fn a_body_that_is_no_text_is_passed_on_as_its_json() {
    let (app, _queue, function) = scene(Setup::default()).await;
    let body = json!({ "type": "a.b" });
    let batch = [Record::hand_made("x").with("body", body.clone()), Record::hand_made("503 b")];
    run(&function, &batch).await.expect_failed(&ids(&batch[1..]));
    assert!(bodies(&app).iter().any(|sent| serde_json::from_str::<Value>(sent).ok() == Some(body.clone())));
}

/// Returns the example record of the crate `aws_lambda_events`.
fn example() -> Record {
    let record = Record::hand_made("Message Body");
    record
        .with("messageId", "MessageID_1")
        .with("receiptHandle", "MessageReceiptHandle")
        .with("md5OfMessageAttributes", "582c92c5c5b6ac403040a4f3ab3115c9")
        .with("eventSourceARN", "arn:aws:sqs:us-west-2:123456789012:SQSQueue")
        .with("awsRegion", "us-west-2")
        .attribute("ApproximateReceiveCount", "2")
        .attribute("SentTimestamp", "1520621625029")
        .attribute("SenderId", "AROAIWPX5BD2BHG722MW4:sender")
        .attribute("ApproximateFirstReceiveTimestamp", "1520621634884")
        .with(
            "messageAttributes",
            json!({
                "Attribute3": {
                    "binaryValue": "MTEwMA==",
                    "stringListValues": ["abc", "123"],
                    "binaryListValues": ["MA==", "MQ==", "MA=="],
                    "dataType": "Binary"
                },
                "Attribute2": {
                    "stringValue": "123",
                    "stringListValues": [],
                    "binaryListValues": ["MQ==", "MA=="],
                    "dataType": "Number"
                },
                "Attribute1": {
                    "stringValue": "AttributeValue1",
                    "stringListValues": [],
                    "binaryListValues": [],
                    "dataType": "String"
                },
            }),
        )
}

#[tokio::test]
async fn the_aws_lambda_events_example_reaches_the_application_whole() {
    let (app, _queue, function) = scene(Setup::default()).await;
    run(&function, &[example()]).await.expect_all_done();
    let call = app.calls().remove(0);
    assert_eq!((&*call.message_id, &*call.body, call.receive_count), ("MessageID_1", "Message Body", 2));
    assert_eq!(call.header("x-aws-sqsd-queue"), Some("SQSQueue"));
    assert_eq!(call.header("x-aws-sqsd-first-received-at"), Some("2018-03-09T18:53:54.884Z"));
    assert_eq!(call.header("x-aws-sqsd-attr-attribute1"), Some("AttributeValue1"));
    assert_eq!(call.header("x-aws-sqsd-attr-attribute2"), Some("123"));
    assert_eq!(call.header("x-aws-sqsd-attr-attribute3"), Some("MTEwMA=="), "bytes are base64");

    let json = r#"{"a":"Test","b":123}"#;
    run(&function, &[example().with("messageId", "MessageID_2").with("body", json)]).await.expect_all_done();
    assert_eq!(bodies(&app)[1], json);
}

#[tokio::test]
async fn the_response_equals_the_example_of_aws_lambda_events() {
    let (_app, _queue, function) = scene(Setup::default()).await;
    let batch = [(1, 200), (2, 503), (3, 200), (4, 503), (5, 200)]
        .map(|(id, status)| Record::hand_made(&status.to_string()).with("messageId", format!("id{id}")));
    let answered = run(&function, &batch).await;
    let expected = r#"{"batchItemFailures":[{"itemIdentifier":"id2"},{"itemIdentifier":"id4"}]}"#;
    assert_eq!(answered.text(), expected);
}
