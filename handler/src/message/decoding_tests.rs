#![allow(clippy::unwrap_used)]
use serde_json::Value;

use super::*;
use crate::message::sqs_message::Attribute;

fn decode(body: &str) -> Result<Envelope, InvalidPayload> {
    Envelope::decode(&Message { body: body.to_owned(), ..Message::default() })
}

fn decode_raw(body: &str, job_type: &str) -> Envelope {
    let attributes = [(TYPE_ATTRIBUTE.to_owned(), Attribute::text(job_type))].into();
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
    assert_eq!(
        decode_raw("[0,1,2,3,4,5,6,7,8,9,10,11,12,13]", "t").payload.get(),
        "[0,1,2,3,4,5,6,7,8,9,10,11,12,13]"
    );
}

#[test]
fn the_attribute_wins_over_the_type_that_a_body_seems_to_have() {
    let inner = r#"{"type":"inner","jobId":"j","payload":1}"#;
    let cloud = r#"{"specversion":"1.0","type":"inner","source":"/s","id":"c","data":1}"#;
    let event = r#"{"id":"e","source":"shop","detail-type":"inner","detail":1}"#;
    let sns = format!(r#"{{"Type":"Notification","TopicArn":"arn:t","MessageId":"n","Message":{inner:?}}}"#);
    for (body, id) in [(inner, "j"), (cloud, "c"), (event, "e"), (&sns, "j")] {
        let opened = decode_raw(body, "inner");
        assert_eq!((opened.payload.get(), opened.job_id.as_deref()), ("1", Some(id)), "{body}");
        let raw = decode_raw(body, "outer");
        assert_eq!((raw.job_type.as_str(), raw.payload.get(), raw.job_id), ("outer", body, None), "{body}");
    }
    // A mistake in an envelope of the given type is an error; the body is not taken as a payload.
    let attributes = [(TYPE_ATTRIBUTE.to_owned(), Attribute::text("a"))].into();
    let body = r#"{"type":"a","schemaVersion":"x","payload":1}"#.to_owned();
    assert!(Envelope::decode(&Message { body, attributes, ..Message::default() }).is_err());
    let empty = decode_raw(inner, "");
    assert_eq!((empty.job_type.as_str(), empty.payload.get()), ("inner", "1"), "an empty attribute is none");
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
        (r#"{"type":"","payload":1}"#, "no `type`"),
        (r#"{"type":null,"payload":1}"#, "no `type`"),
        (r#"{"type":"a","schemaVersion":"x","payload":1}"#, "`schemaVersion`"),
        (r#"{"specversion":"0.3","type":"t","id":"1"}"#, "CloudEvents 0.3"),
        (r#"{"specversion":"1.0","id":"t"}"#, "not a CloudEvent"),
        (r#"{"specversion":"1.0","id":"t","type":""}"#, "not a CloudEvent"),
        (r#"{"id":"b","detail-type":"","detail":{}}"#, "not an EventBridge event"),
        (r#"{"Type":"SubscriptionConfirmation","TopicArn":"a"}"#, "SubscriptionConfirmation"),
        (r#"{"Records":[{"kinesis":{}}]}"#, "not an S3 event"),
    ];
    for (body, says) in table {
        let error = decode(body).unwrap_err().to_string();
        assert!(error.contains(says), "{body}: {error}");
    }
}

/// An id for each kind of envelope, as JSON or left out.
fn with_id(kind: &str, id: Option<&str>) -> String {
    let member = |name: &str| id.map_or_else(String::new, |id| format!("{name:?}:{id},"));
    match kind {
        "native" => format!(r#"{{{}"type":"t","payload":1}}"#, member("jobId")),
        "key" => format!(r#"{{{}"type":"t","payload":1}}"#, member("idempotencyKey")),
        "cloud event" => {
            format!(r#"{{{}"specversion":"1.0","type":"t","source":"/s","data":1}}"#, member("id"))
        }
        "sns" => {
            let message = r#"{\"type\":\"t\",\"payload\":1}"#;
            format!(
                r#"{{{}"Type":"Notification","TopicArn":"arn:t","Message":"{message}"}}"#,
                member("MessageId")
            )
        }
        _ => format!(r#"{{{}"source":"shop","detail-type":"t","detail":1}}"#, member("id")),
    }
}

#[test]
fn an_empty_id_is_no_id_in_every_envelope() {
    for kind in ["native", "key", "cloud event", "sns", "event bridge"] {
        let id = |text: Option<&str>| {
            let job = decode(&with_id(kind, text)).unwrap();
            assert_eq!((job.job_type.as_str(), job.payload.get()), ("t", "1"), "{kind}");
            job.idempotency_key.or(job.job_id)
        };
        assert_eq!(id(Some("\"x\"")).as_deref(), Some("x"), "{kind}");
        for absent in [None, Some("\"\""), Some("null")] {
            assert_eq!(id(absent), None, "{kind} {absent:?}");
        }
    }
    let job = decode(
        r#"{"type":"t","jobId":"","idempotencyKey":null,"correlationId":"","createdAt":"","payload":1}"#,
    );
    let job = job.unwrap();
    assert_eq!((job.correlation_id, job.created_at, job.source), (None, None, None));
    let job = decode(r#"{"specversion":"1.0","type":"t","source":"","id":"","correlationid":"","data":1}"#);
    let job = job.unwrap();
    assert_eq!((job.correlation_id, job.source), (None, None));
}

#[test]
fn an_array_of_any_length_is_never_an_envelope() {
    for length in 0..=20 {
        let body = serde_json::to_string(&vec!["x"; length]).unwrap();
        let error = decode(&body).unwrap_err().to_string();
        assert!(error.contains("not a JSON object") && !error.contains("struct"), "{error}");
        assert_eq!(decode_raw(&body, "t").payload.get(), body);
    }
    let parts = [
        r#"{"Type":"Notification","TopicArn":"t","Message":"{}","MessageAttributes":{"messageType":["String","t"]}}"#,
        r#"{"Type":"Notification","TopicArn":"t","Message":"{}","MessageAttributes":[["messageType",["String","t"]]]}"#,
        r#"{"Records":[["ObjectCreated:Put",{"bucket":{"name":"b"},"object":{"key":"k"}}]]}"#,
        r#"{"Records":[{"eventName":"Put","s3":[["b"],["k"]]}]}"#,
    ];
    for body in parts {
        let error = decode(body).unwrap_err().to_string();
        assert!(!error.contains("element"), "{error}");
    }
}

#[test]
fn the_origin_is_known_of_every_envelope() {
    let source = |body: &str| decode(body).unwrap().source.map(|source| source.to_string());
    assert_eq!(source(&with_id("native", None)), None);
    assert_eq!(source(&with_id("cloud event", None)).as_deref(), Some("/s"));
    assert_eq!(source(&with_id("sns", None)).as_deref(), Some("arn:t"));
    assert_eq!(source(&with_id("event bridge", None)).as_deref(), Some("shop"));
    let s3 = r#"{"Records":[{"eventName":"Put","s3":{"bucket":{"name":"b"},"object":{"key":"k"}}}]}"#;
    assert_eq!(source(s3).as_deref(), Some("b"));
    // The innermost origin counts.
    let cloud = with_id("cloud event", None);
    let sns = format!(r#"{{"Type":"Notification","TopicArn":"arn:t","Message":{cloud:?}}}"#);
    assert_eq!(source(&sns).as_deref(), Some("/s"));
}

#[test]
fn what_an_envelope_carries_reaches_the_job() {
    let sns = r#"{"Type":"Notification","TopicArn":"arn:t","Message":"{\"type\":\"t\",\"payload\":1}",
        "MessageAttributes":{"tenant":{"Type":"String","Value":"a"},"n":{"Type":"Number","Value":"7"}}}"#;
    let job = decode(sns).unwrap();
    assert_eq!((job.attribute("tenant"), job.attribute("n")), (Some("a"), Some("7")));
    assert_eq!(job.attributes["n"].data_type(), "Number");
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let cloud = format!(
        r#"{{"specversion":"1.0","type":"t","id":"1","traceparent":"{trace}","n":7,"flag":true,"odd":[1],"data":1}}"#
    );
    let job = decode(&cloud).unwrap();
    assert_eq!((job.attribute("traceparent"), job.attribute("n")), (Some(trace), Some("7")));
    assert_eq!(
        (job.attribute("flag"), job.attribute("odd"), job.attribute("id")),
        (Some("true"), None, None)
    );
}

#[test]
fn replays_are_recognised() {
    let replayed = [
        r#"{"id":"1","source":"s","detail-type":"t","replay-name":"r","detail":1}"#,
        r#"{"Type":"Notification","TopicArn":"arn:t","MessageId":"n","Message":"{\"type\":\"t\",\"payload\":1}",
            "MessageAttributes":{"Replayed":{"Type":"String","Value":"true"}}}"#,
        r#"{"Type":"Notification","TopicArn":"arn:t","MessageId":"n","Replayed":true,
            "Message":"{\"type\":\"t\",\"payload\":1}"}"#,
    ];
    for body in replayed {
        assert!(decode(body).unwrap().is_replay, "{body}");
    }
    for kind in ["native", "cloud event", "sns", "event bridge"] {
        assert!(!decode(&with_id(kind, None)).unwrap().is_replay, "{kind}");
    }
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let job = decode("\u{feff}{\"type\":\"t\",\"payload\":1}").unwrap();
    assert_eq!(job.job_type, "t");
    assert_eq!(decode_raw("\u{feff}{\"a\":1}", "t").payload.get(), r#"{"a":1}"#);
}

#[test]
fn the_default_type_takes_bodies_that_name_none() {
    let mut intake = Intake::new("arn:jobs");
    intake.default_type = Some("report".into());
    let decode = |body: &str| intake.decode(&Message { body: body.to_owned(), ..Message::default() });
    let plain = [
        r#"{"day":"2026-11-28"}"#,
        r#"{"type":"sedan","wheels":4}"#,
        r#"{"type":5}"#,
        r#"{"Records":[{"kinesis":{}}]}"#,
        "[1,2]",
        "3",
    ];
    for body in plain {
        let job = decode(body).unwrap();
        assert_eq!((job.job_type.as_str(), job.payload.get()), ("report", body));
    }
    assert_eq!(decode("plain text").unwrap().payload.get(), r#""plain text""#);
    let own = [
        (r#"{"type":"own","payload":1}"#, "own"),
        (r#"{"specversion":"1.0","type":"own","id":"1"}"#, "own"),
        (r#"{"id":"1","source":"s","detail-type":"own","detail":{"a":1}}"#, "own"),
        (
            r#"{"Records":[{"eventName":"Put","s3":{"bucket":{"name":"b"},"object":{"key":"k"}}}]}"#,
            "s3.event",
        ),
        (r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}"#, "s3.testEvent"),
        (r#"{"Type":"Notification","TopicArn":"arn:t","Message":"text"}"#, "report"),
    ];
    for (body, job_type) in own {
        assert_eq!(decode(body).unwrap().job_type, job_type, "{body}");
    }
    assert!(
        decode(r#"{"type":"a","schemaVersion":"x","payload":1}"#).is_err(),
        "a broken envelope is no payload"
    );
}

#[test]
fn events_get_their_types_from_the_settings() {
    let mut intake = Intake::new("arn:jobs");
    let names = [
        ("arn:aws:sns:eu-west-1:1:orders", "order.placed"),
        ("audit", "audit.entry"),
        ("OrderPaid", "order.paid"),
        ("com.shop", "shop.event"),
        ("uploads", "file.uploaded"),
    ];
    intake.event_types =
        names.iter().map(|(name, job_type)| ((*name).to_owned(), (*job_type).into())).collect();
    let sns = |topic: &str, message: &str| {
        format!(
            r#"{{"Type":"Notification","TopicArn":"arn:aws:sns:eu-west-1:1:{topic}","MessageId":"n","Message":{message:?}}}"#
        )
    };
    let event = |kind: &str, source: &str| {
        format!(r#"{{"id":"e","source":"{source}","detail-type":"{kind}","detail":{{"a":1}}}}"#)
    };
    let s3 = |bucket: &str| {
        format!(
            r#"{{"Records":[{{"eventName":"Put","s3":{{"bucket":{{"name":"{bucket}"}},"object":{{"key":"k"}}}}}}]}}"#
        )
    };
    let table = [
        (sns("orders", r#"{"id":1}"#), "order.placed", r#"{"id":1}"#),
        (sns("orders", "text"), "order.placed", r#""text""#),
        (sns("audit", r#"{"id":1}"#), "audit.entry", r#"{"id":1}"#),
        (sns("orders", r#"{"type":"order.placed","payload":2}"#), "order.placed", "2"),
        (sns("other", r#"{"type":"own","payload":2}"#), "own", "2"),
        (event("OrderPaid", "com.shop"), "order.paid", r#"{"a":1}"#),
        (event("OrderSent", "com.shop"), "shop.event", r#"{"a":1}"#),
        (event("OrderSent", "com.other"), "OrderSent", r#"{"a":1}"#),
        (sns("orders2", &event("OrderPaid", "x")), "order.paid", r#"{"a":1}"#),
    ];
    for (body, job_type, payload) in table {
        let job = intake.decode(&Message { body: body.clone(), ..Message::default() }).unwrap();
        assert_eq!((job.job_type.as_str(), job.payload.get()), (job_type, payload), "{body}");
    }
    let job = |body: String| intake.decode(&Message { body, ..Message::default() }).unwrap();
    assert_eq!(job(s3("uploads")).job_type, "file.uploaded");
    assert_eq!(job(s3("other")).job_type, S3_EVENT_TYPE);
    assert_eq!(job(sns("orders", r#"{"id":1}"#)).job_id.as_deref(), Some("n"));
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
