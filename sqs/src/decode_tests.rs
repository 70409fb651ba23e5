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
        r#"{"Attributes":{"MessageGroupId":null,"ApproximateReceiveCount":null},"MessageAttributes":{"n":null}}"#,
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
fn an_undecodable_message_does_not_affect_the_others() {
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
    for bad in ["null", "7", "[]", r#""text""#] {
        let received = one(&format!(r#"{{"MessageId":"1"}},{bad}"#));
        assert_eq!((received.messages.len(), received.undecodable.len()), (1, 1), "{bad}");
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

#[test]
fn bytes_that_are_no_text_cost_no_neighbour() {
    let mut body = br#"{"Messages":[{"MessageId":"1","Body":"\u00e9"},{"MessageId":"2","Body":"a"#.to_vec();
    body.extend_from_slice(b"\xff\xfe");
    body.extend_from_slice(br#"b"},{"MessageId":"3","Body":"c"}]}"#);
    let answer = received(&body).unwrap();
    let ids: Vec<&str> = answer.messages.iter().map(|message| &*message.id).collect();
    assert_eq!((ids, &*answer.messages[0].body), (vec!["1", "3"], "\u{e9}"));
    assert_eq!(answer.undecodable[0].message_id.as_deref(), Some("2"));
    // A backslash before it does not change the text.
    let body = b"{\"Messages\":[{\"MessageId\":\"1\",\"Body\":\"a\\\xff\"}]}";
    assert_eq!(received(body), None);
}

#[test]
fn an_undecodable_batch_entry_does_not_affect_the_others() {
    for bad in [r#"{"Id":7}"#, r#"{"Id":"1","MessageId":"\ud800"}"#, "null", "[]"] {
        let body =
            format!(r#"{{"Successful":[{{"Id":"0"}},{bad}],"Failed":[{{"Id":"2","Code":"c"}},{bad}]}}"#);
        let answer = batch(body.as_bytes()).unwrap();
        let successful: Vec<&str> = answer.successful.iter().map(|entry| &*entry.id).collect();
        assert_eq!((successful, answer.failed[0].id.as_str()), (vec!["0"], "2"), "{bad}");
    }
}
