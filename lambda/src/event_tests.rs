#![allow(clippy::unwrap_used)]
use super::*;

fn event(json: &str) -> Event {
    serde_json::from_str(json).unwrap()
}

fn messages(json: &str) -> Vec<Message> {
    event(json).into_records().unwrap().into_iter().map(|record| record.message).collect()
}

#[test]
fn a_record_becomes_a_message() {
    let json = r#"{"Records":[{"messageId":"m1","receiptHandle":"r1","body":"b","attributes":{
        "ApproximateReceiveCount":"3","SentTimestamp":"1545082649183","ApproximateFirstReceiveTimestamp":"1545082649185",
        "MessageGroupId":"g","MessageDeduplicationId":"d","SequenceNumber":"7","SenderId":"AIDAX","AWSTraceHeader":"Root=1",
        "DeadLetterQueueSourceArn":"arn:aws:sqs:eu-west-1:1:origin"},
        "messageAttributes":{"text":{"stringValue":"t","dataType":"String"},"bytes":{"binaryValue":"AQI=","dataType":"Binary.Protobuf"},"n":{"stringValue":"7","dataType":"Number.int"}},
        "md5OfBody":"x","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-west-1:1:jobs","awsRegion":"eu-west-1"}]}"#;
    let record = event(json).into_records().unwrap().remove(0);
    assert_eq!(record.queue_arn.as_deref(), Some("arn:aws:sqs:eu-west-1:1:jobs"));
    let expected = Message {
        id: "m1".into(),
        receipt: "r1".into(),
        body: "b".into(),
        receive_count: 3,
        sent_at: Some(Duration::from_millis(1_545_082_649_183)),
        first_received_at: Some(Duration::from_millis(1_545_082_649_185)),
        group: Some("g".into()),
        deduplication_id: Some("d".into()),
        sequence_number: Some("7".into()),
        sender_id: Some("AIDAX".into()),
        trace_header: Some("Root=1".into()),
        dead_letter_source: Some("arn:aws:sqs:eu-west-1:1:origin".into()),
        attributes: [
            ("text".into(), Attribute::text("t")),
            ("n".into(), Attribute::new("Number.int", AttributeValue::Text("7".into()))),
            ("bytes".into(), Attribute::new("Binary.Protobuf", AttributeValue::Binary(vec![1, 2]))),
        ]
        .into(),
    };
    assert_eq!(record.message, expected);
}

#[test]
fn what_a_record_leaves_out_is_empty() {
    assert_eq!(messages(r#"{"Records":[{}]}"#), [Message::default()]);
    assert_eq!(messages(r#"{"Records":[]}"#), []);
}

#[test]
fn a_record_of_an_odd_shape_spoils_no_other() {
    let found = messages(
        r#"{"Records":[
            {"messageId":"good","body":"b","attributes":{"ApproximateReceiveCount":"2"}},
            {"messageId":"object","receiptHandle":"r","body":{"type":"a"},"attributes":{"ApproximateReceiveCount":4}},
            {"messageId":"attributes","body":"b","messageAttributes":{"bad":{"binaryValue":"%"},"good":{"stringValue":"x"}}},
            {"messageId":7,"body":null}]}"#,
    );
    let facts: Vec<_> = found.iter().map(|m| (&*m.id, m.body.as_str(), m.receive_count)).collect();
    assert_eq!(
        facts,
        [("good", "b", 2), ("object", r#"{"type":"a"}"#, 0), ("attributes", "b", 0), ("", "null", 0)]
    );
    assert_eq!(found[2].attribute("good"), Some("x"));
}

#[test]
fn an_event_of_another_kind_is_reported() {
    let table = [
        ("{}", "no list called Records"),
        (r#""text""#, "no list called Records"),
        ("7", "no list called Records"),
        ("null", "no list called Records"),
        ("[]", "no list called Records"),
        ("[[]]", "no list called Records"),
        ("[[{}]]", "no list called Records"),
        (r#"{"Records":[["m1"]]}"#, "one of its Records is no object"),
        (r#"{"Records":{}}"#, "no list called Records"),
        (r#"{"Records":["a"]}"#, "one of its Records is a text"),
        (r#"{"Records":[{"EventSource":"aws:sns","Sns":{"Message":"m"}}]}"#, "come from aws:sns"),
        (r#"{"Records":[{"eventSource":"aws:s3","s3":{}}]}"#, "come from aws:s3"),
        (r#"{"requestContext":{"http":{}},"rawPath":"/"}"#, "no list called Records"),
    ];
    for (json, says) in table {
        let error = event(json).into_records().map(|records| records.len());
        assert!(error.as_ref().is_err_and(|error| error.contains(says)), "{json}: {error:?}");
    }
}
