#![allow(clippy::unwrap_used)]
use super::*;

fn one(json: &str) -> Received {
    received(format!(r#"{{"Messages":[{json}]}}"#).as_bytes()).unwrap()
}

#[test]
fn a_message_is_decoded_with_all_that_handlers_see() {
    let received = one(
        r#"{"MessageId":"m-1","ReceiptHandle":"r==","MD5OfBody":"x","Body":"{\"a\":\"\\u00e9\\n\"}","New":{"a":[1,{}]},
        "Attributes":{"ApproximateReceiveCount":"3","SentTimestamp":"1700000000123","MessageGroupId":"g","SenderId":"AID",
        "AWSTraceHeader":"Root=1","SequenceNumber":"18","Unknown":"x","ApproximateFirstReceiveTimestamp":"not a time"},
        "MessageAttributes":{"n":{"StringValue":"7","DataType":"Number.int"},"b":{"BinaryValue":"aGk=","DataType":"Binary"}}}"#,
    );
    let mut expected = Message {
        id: "m-1".into(),
        receipt: "r==".into(),
        body: "{\"a\":\"\\u00e9\\n\"}".into(),
        receive_count: 3,
        sent_at: Some(Duration::from_millis(1_700_000_000_123)),
        group: Some("g".into()),
        sender_id: Some("AID".into()),
        trace_header: Some("Root=1".into()),
        sequence_number: Some("18".into()),
        ..Message::default()
    };
    expected.attributes.insert("n".into(), Attribute::new("Number.int", AttributeValue::Text("7".into())));
    expected.attributes.insert("b".into(), Attribute::binary(b"hi".to_vec()));
    assert_eq!(received.messages, [expected]);
    assert_eq!(received.undecodable, []);
}

#[test]
fn what_is_missing_or_null_is_absent() {
    for json in [
        "{}",
        r#"{"MessageId":null,"ReceiptHandle":null,"Body":null,"Attributes":null,"MessageAttributes":null}"#,
        r#"{"Attributes":{"SentTimestamp":null},"MessageAttributes":{}}"#,
    ] {
        assert_eq!(one(json).messages, [Message::default()], "{json}");
    }
    for body in ["{}", r#"{"Messages":null}"#, r#"{"Messages":[]}"#, r#"{"More":1}"#] {
        assert_eq!(received(body.as_bytes()), Some(Received::default()), "{body}");
    }
    for body in ["", "null", "[]", "<html>", r#"{"Messages":{}}"#, r#"{"Messages":[{"#] {
        assert_eq!(received(body.as_bytes()), None, "{body}");
    }
}

#[test]
fn a_message_that_cannot_be_decoded_costs_no_neighbour() {
    let bad = [
        r#"{"MessageId":"bad","Body":7}"#,
        r#"{"MessageId":"bad","Body":"\ud800"}"#,
        r#"{"MessageId":"bad","Attributes":[]}"#,
        r#"{"MessageId":"bad","MessageAttributes":{"b":{"BinaryValue":"?","DataType":"Binary"}}}"#,
    ];
    for bad in bad {
        let body = format!(r#"{{"Messages":[{{"MessageId":"1"}},{bad},{{"MessageId":"2"}}]}}"#);
        let received = received(body.as_bytes()).unwrap();
        let ids: Vec<&str> = received.messages.iter().map(|message| &*message.id).collect();
        assert_eq!(ids, ["1", "2"], "{bad}");
        assert_eq!(received.undecodable.len(), 1, "{bad}");
        assert!(!received.undecodable[0].reason.contains("bad"), "{received:?}");
    }
    let received = one(r#"{"MessageId":7}"#);
    assert_eq!((received.messages.len(), received.undecodable[0].message_id.as_deref()), (0, None));
}

#[test]
fn the_answer_to_a_batch_names_each_entry() {
    let answer = batch(
        br#"{"Successful":[{"Id":"0","MessageId":"m","MD5OfMessageBody":"x","SequenceNumber":"9"}],
        "Failed":[{"Id":"1","SenderFault":true,"Code":"ReceiptHandleIsInvalid","Message":"old"}]}"#,
    );
    let sent = SentEntry { id: "0".into(), message_id: Some("m".into()), sequence_number: Some("9".into()) };
    let failed = FailedEntry {
        id: "1".into(),
        code: "ReceiptHandleIsInvalid".into(),
        message: Some("old".into()),
        sender_fault: true,
    };
    assert_eq!(answer, Some(BatchAnswer { successful: vec![sent], failed: vec![failed] }));
    assert_eq!(batch(br#"{"Successful":[]}"#), Some(BatchAnswer::default()));
    assert_eq!(batch(b"{}"), Some(BatchAnswer::default()));
    assert_eq!(batch(b"[]"), None);
}
