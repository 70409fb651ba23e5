#![allow(clippy::unwrap_used)]
use super::*;
use crate::message::Attribute;

fn decode(body: &str) -> Result<Envelope, Undecodable> {
    Envelope::decode(&Message { body: body.to_owned(), ..Message::default() })
}

fn decode_raw(body: &str, job_type: &str) -> Envelope {
    let attributes = [(TYPE_ATTRIBUTE.to_owned(), Attribute::Text(job_type.to_owned()))].into();
    Envelope::decode(&Message { body: body.to_owned(), attributes, ..Message::default() }).unwrap()
}

#[test]
fn the_native_envelope_needs_type_and_payload_only() {
    let full = decode(
        r#"{"jobId":"01J","type":"a.b","schemaVersion":3,"idempotencyKey":"k","correlationId":"c",
            "createdAt":"2026-11-21T10:00:00Z","payload":{"x":[1, 2]},"more":true}"#,
    )
    .unwrap();
    assert_eq!(full.job_type, "a.b");
    assert_eq!(full.version, 3);
    assert_eq!(full.job_id.as_deref(), Some("01J"));
    assert_eq!(full.idempotency_key.as_deref(), Some("k"));
    assert_eq!(full.correlation_id.as_deref(), Some("c"));
    assert_eq!(full.payload.get(), r#"{"x":[1, 2]}"#);

    let short = decode(r#"{"type":"a","payload":null,"jobId":null}"#).unwrap();
    assert_eq!((short.version, short.job_id, short.payload.get()), (1, None, "null"));
}

#[test]
fn cloud_events_are_understood() {
    let event = decode(
        r#"{"specversion":"1.0","type":"order.paid","source":"/shop","id":"e1","time":"2026-01-01T00:00:00Z",
            "correlationid":"c1","data":{"order":5}}"#,
    )
    .unwrap();
    assert_eq!(event.job_type, "order.paid");
    assert_eq!(event.job_id.as_deref(), Some("e1"));
    assert_eq!(event.correlation_id.as_deref(), Some("c1"));
    assert_eq!(event.payload.get(), r#"{"order":5}"#);

    let binary =
        decode(r#"{"specversion":"1.0","type":"t","source":"s","id":"1","data_base64":"AAE="}"#).unwrap();
    assert_eq!(binary.payload.get(), r#""AAE=""#);
}

#[test]
fn a_raw_body_takes_its_type_from_the_attribute() {
    assert_eq!(decode_raw(r#"{"a":1}"#, "t").payload.get(), r#"{"a":1}"#);
    assert_eq!(decode_raw("plain \"text\"", "t").payload.get(), r#""plain \"text\"""#);
    assert_eq!(decode_raw(r#"{"type":5}"#, "t").payload.get(), r#"{"type":5}"#);
    // A whole envelope speaks for itself, even where a producer sets the attribute as well.
    assert_eq!(decode_raw(r#"{"type":"inner","payload":1}"#, "outer").job_type, "inner");
}

#[test]
fn sns_event_bridge_and_s3_frames_are_opened() {
    let inner = r#"{"type":"a.b","payload":{"x":1}}"#;
    let sns = |message: &str, attributes: &str| {
        let message = serde_json::to_string(message).unwrap();
        format!(
            r#"{{"Type":"Notification","MessageId":"n1","TopicArn":"arn:x","Message":{message},"MessageAttributes":{attributes}}}"#
        )
    };
    let job = decode(&sns(inner, "{}")).unwrap();
    assert_eq!((job.job_type.as_str(), job.job_id.as_deref()), ("a.b", Some("n1")));
    let job = decode(&sns("hello", r#"{"messageType":{"Type":"String","Value":"greet"}}"#)).unwrap();
    assert_eq!((job.job_type.as_str(), job.payload.get()), ("greet", r#""hello""#));

    let bus = |detail: &str| {
        format!(r#"{{"version":"0","id":"b1","detail-type":"Paid","time":"T","detail":{detail}}}"#)
    };
    let job = decode(&bus(r#"{"order":1}"#)).unwrap();
    assert_eq!((job.job_type.as_str(), job.payload.get()), ("Paid", r#"{"order":1}"#));
    assert_eq!(job.job_id.as_deref(), Some("b1"));
    assert_eq!(decode(&sns(&bus(inner), "{}")).unwrap().job_type, "a.b");

    let s3 = r#"{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"a+b%2Fc","size":3}}}]}"#;
    let job = decode(&sns(s3, "{}")).unwrap();
    assert_eq!(job.job_type, S3_EVENT_TYPE);
    let payload: Value = serde_json::from_str(job.payload.get()).unwrap();
    assert_eq!(payload["records"][0]["key"], "a b/c");
    let test = decode(r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}"#).unwrap();
    assert_eq!(test.job_type, S3_TEST_EVENT_TYPE);
}

#[test]
fn what_is_no_job_says_why() {
    let table = [
        ("", "not a JSON object"),
        ("hello", "messageType"),
        ("[1]", "messageType"),
        ("{\"type\":", "not a JSON object"),
        ("{}", "no `type`"),
        (r#"{"payload":1}"#, "no `type`"),
        (r#"{"type":"a"}"#, "no `payload`"),
        (r#"{"type":5,"payload":1}"#, "`type`"),
        (r#"{"type":"","payload":1}"#, "empty"),
        (r#"{"type":"a","schemaVersion":"x","payload":1}"#, "`schemaVersion`"),
        (r#"{"specversion":"0.3","type":"t","id":"1"}"#, "CloudEvents 0.3"),
        (r#"{"specversion":"1.0","type":"t"}"#, "not a CloudEvent"),
        (r#"{"Type":"SubscriptionConfirmation","TopicArn":"a"}"#, "SubscriptionConfirmation"),
        (r#"{"Records":[{"kinesis":{}}]}"#, "not an S3 event"),
    ];
    for (body, says) in table {
        let error = decode(body).unwrap_err().to_string();
        assert!(error.contains(says), "{body}: {error}");
    }
}

#[test]
fn wrappings_end_somewhere() {
    let mut body = r#"{"type":"a","payload":1}"#.to_owned();
    for _ in 0..6 {
        body = format!(
            r#"{{"Type":"Notification","MessageId":"n","TopicArn":"t","Message":{}}}"#,
            Value::String(body)
        );
    }
    assert!(decode(&body).is_err());
}

proptest::proptest! {
    #[test]
    fn no_body_panics(body in "\\PC*|[{}\\[\\]\":,a-zTyp0-9]{0,200}") {
        let _ = decode(&body);
    }
}
