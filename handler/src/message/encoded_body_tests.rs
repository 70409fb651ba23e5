#![allow(clippy::unwrap_used)]
use serde_json::json;

use super::*;

const POINTER: &str =
    r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"k"}]"#;

fn message(body: &str, attributes: &[(&str, &str)]) -> Message {
    let attributes =
        attributes.iter().map(|(name, value)| ((*name).to_owned(), Attribute::text(*value))).collect();
    Message { id: "m".into(), body: body.to_owned(), attributes, ..Message::default() }
}

fn notification(text: &str, attributes: &[(&str, &str)]) -> String {
    let attributes: serde_json::Map<_, _> = attributes
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!({ "Type": "String", "Value": value })))
        .collect();
    json!({
        "Type": "Notification",
        "MessageId": "n",
        "TopicArn": "arn:aws:sns:eu-west-1:1:orders",
        "Message": text,
        "MessageAttributes": attributes,
    })
    .to_string()
}

/// A body and its attributes; and if it is encoded, whether it is a pointer, the size, and the compression.
type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, Option<(bool, Option<u64>, Option<ContentEncoding>)>);

#[test]
fn only_marked_bodies_are_encoded() {
    let pointer = || PayloadPointer::parse(POINTER).unwrap();
    let gzip = Some(ContentEncoding::Gzip);
    let marked = ("ExtendedPayloadSize", "300000");
    let table: Vec<Case<'_>> = vec![
        (POINTER, vec![], None),
        (POINTER, vec![("other", "1")], None),
        ("{}", vec![marked], None),
        ("[1,2]", vec![marked], None),
        (POINTER, vec![marked], Some((true, Some(300_000), None))),
        (POINTER, vec![("SQSLargePayloadSize", "7")], Some((true, Some(7), None))),
        (POINTER, vec![("ExtendedPayloadSize", "many")], Some((true, None, None))),
        (POINTER, vec![marked, ("contentEncoding", "gzip")], Some((true, Some(300_000), gzip))),
        ("H4sI", vec![("contentEncoding", "GZIP")], Some((false, None, gzip))),
        ("KLUv", vec![("contentEncoding", "zstd")], Some((false, None, Some(ContentEncoding::Zstd)))),
        // Only with the marker is it more than an array.
        (POINTER, vec![("contentEncoding", "gzip")], Some((false, None, gzip))),
        ("H4sI", vec![("contentEncoding", "identity")], None),
        ("H4sI", vec![("contentEncoding", "br")], None),
    ];
    for (body, attributes, expected) in table {
        for wrapped in [false, true] {
            let message = if wrapped {
                message(&notification(body, &attributes), &[("tenant", "a")])
            } else {
                message(body, &attributes)
            };
            let found = EncodedBody::of(&message).unwrap();
            let found = found.as_ref().map(|found| {
                assert_eq!(found.text(&message), body);
                (found.pointer.clone(), found.size, found.encoding)
            });
            let expected = expected.map(|(has_pointer, size, encoding)| {
                (if has_pointer { pointer() } else { None }, size, encoding)
            });
            assert_eq!(found, expected, "{body} {attributes:?} {wrapped}");
        }
    }
}

#[test]
fn a_marked_pointer_to_nothing_is_an_error() {
    let body = r#"["a.PayloadS3Pointer",{"s3BucketName":"b"}]"#;
    let marked = [("ExtendedPayloadSize", "1")];
    assert!(EncodedBody::of(&message(body, &marked)).is_err());
    assert!(EncodedBody::of(&message(&notification(body, &marked), &[])).is_err());
    assert_eq!(EncodedBody::of(&message(body, &[])), Ok(None));
}

#[test]
fn an_opened_message_does_not_show_how_it_was_encoded() {
    let attributes =
        [("ExtendedPayloadSize", "9"), ("contentEncoding", "gzip"), ("contentType", "x"), ("tenant", "a")];
    let source = Message {
        receive_count: 3,
        group: Some("g".into()),
        sent_at: Some(std::time::Duration::from_secs(1)),
        ..message(POINTER, &attributes)
    };
    let opened = EncodedBody::of(&source).unwrap().unwrap().open(&source, "text".into());
    let mut expected = Message { body: "text".into(), ..source };
    expected.attributes.retain(|name, _| name == "contentType" || name == "tenant");
    assert_eq!(expected.attributes.len(), 2);
    assert!(opened == expected);

    // An attribute of that name that describes nothing stays.
    let plain = message(POINTER, &[("ExtendedPayloadSize", "9"), ("contentEncoding", "identity")]);
    let opened = EncodedBody::of(&plain).unwrap().unwrap().open(&plain, "text".into());
    assert_eq!(opened.attributes.keys().collect::<Vec<_>>(), ["contentEncoding"]);
}

#[test]
fn an_opened_notification_has_the_text_in_its_place() {
    let marked = [("SQSLargePayloadSize", "9"), ("tenant", "a")];
    let source = message(&notification(POINTER, &marked), &[("SQSLargePayloadSize", "own")]);
    let opened = EncodedBody::of(&source).unwrap().unwrap().open(&source, "{\"a\":1}".into());
    let body: Value = serde_json::from_str(&opened.body).unwrap();
    assert_eq!(body["Message"], "{\"a\":1}");
    assert_eq!(body["MessageId"], "n");
    assert_eq!(body["MessageAttributes"], json!({ "tenant": { "Type": "String", "Value": "a" } }));
    assert!(opened.attributes == source.attributes, "they describe the notification");
}
