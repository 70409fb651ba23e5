#![allow(clippy::unwrap_used)]
use drumline::message::TYPE_ATTRIBUTE;

use super::*;

const NATIVE: &str = r#"{ "type":"email.send", "payload":{"userId":12345678901234567890123,"b":1.0}}"#;
const NAMED: &str = r#"{"type":"email.send","jobId":"j-1","payload":{}}"#;
const KEYED: &str = r#"{"type":"email.send","idempotencyKey":"k-1","payload":{}}"#;
const EMPTY_ID: &str = r#"{"type":"email.send","jobId":"","payload":{}}"#;
const CLOUD_EVENT: &str =
    r#"{"specversion":"1.0","type":"email.send","source":"/shop","id":"e-1","data":{}}"#;
const NAMELESS_EVENT: &str = r#"{"specversion":"1.0","type":"email.send","source":"/shop","data":{}}"#;
const SNS: &str = r#"{"Type":"Notification","TopicArn":"arn:aws:sns:eu-west-1:1:t","MessageId":"s-1","Message":"{\"type\":\"email.send\",\"payload\":{}}"}"#;
const EXTENDED: &str =
    r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"k"}]"#;

fn letter(body: &str, attributes: &[(&str, Attribute)]) -> Letter {
    let message = Message {
        id: "m-2".into(),
        body: body.to_owned(),
        attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        ..Message::default()
    };
    Letter::new(message, &Intake::default())
}

/// Returns ten attributes of the producer.
fn full() -> Vec<(&'static str, Attribute)> {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", TYPE_ATTRIBUTE];
    names.into_iter().map(|name| (name, Attribute::text("email.send"))).collect()
}

fn replay(letter: &Letter) -> Result<Replayed, NoRoom> {
    outgoing(letter, &Fixed::default(), &Intake::default())
}

/// The body, its attributes, the added id with its data type, and the job's id.
type Row<'a> = (&'a str, Vec<(&'a str, Attribute)>, Option<(&'a str, &'a str)>, &'a str);

#[test]
fn a_job_without_an_id_gets_that_of_its_first_message() {
    let attribute = |id: &str| Attribute::text(id);
    let changed = Attribute::new(CHANGED_DATA_TYPE, AttributeValue::Text("m-0".into()));
    let bytes = Attribute::binary(*b"m-0");
    let long = attribute(&"x".repeat(MAX_JOB_ID_BYTES + 1));
    let table: Vec<Row<'_>> = vec![
        (NATIVE, vec![], Some(("m-2", "String")), "m-2"),
        (KEYED, vec![], Some(("m-2", "String")), "m-2"),
        (EMPTY_ID, vec![], Some(("m-2", "String")), "m-2"),
        (NAMELESS_EVENT, vec![], Some(("m-2", "String")), "m-2"),
        ("raw", vec![(TYPE_ATTRIBUTE, attribute("email.send"))], Some(("m-2", "String")), "m-2"),
        ("no job", vec![], Some(("m-2", "String")), "m-2"),
        (EXTENDED, vec![], Some(("m-2", "String")), "m-2"),
        (NATIVE, vec![(ORIGINAL_ATTRIBUTE, attribute("m-1"))], Some(("m-1", "String")), "m-1"),
        (NATIVE, vec![(JOB_ID_ATTRIBUTE, attribute("m-0"))], Some(("m-0", "String")), "m-0"),
        // A replayed job that died again, as a copy of its second message.
        (
            NATIVE,
            vec![(ORIGINAL_ATTRIBUTE, attribute("m-1")), (JOB_ID_ATTRIBUTE, attribute("m-0"))],
            Some(("m-0", "String")),
            "m-0",
        ),
        (NATIVE, vec![(JOB_ID_ATTRIBUTE, changed)], Some(("m-0", CHANGED_DATA_TYPE)), "m-0"),
        (NATIVE, vec![(JOB_ID_ATTRIBUTE, bytes)], Some(("m-2", "String")), "m-2"),
        (NATIVE, vec![(ORIGINAL_ATTRIBUTE, long)], Some(("m-2", "String")), "m-2"),
        (NAMED, vec![], None, "j-1"),
        (CLOUD_EVENT, vec![], None, "e-1"),
        (SNS, vec![], None, "s-1"),
    ];
    for (body, attributes, expected, job_id) in table {
        let replayed = replay(&letter(body, &attributes)).unwrap();
        let added = replayed.attributes.get(JOB_ID_ATTRIBUTE);
        assert_eq!(
            added.and_then(|it| Some((it.as_text()?, it.data_type()))),
            expected,
            "{body} {attributes:?}"
        );
        let placed = if expected.is_some() { Placed::Attribute } else { Placed::Own };
        assert_eq!((&*replayed.body, &*replayed.job_id, replayed.placed), (body, job_id, placed));
    }
}

#[test]
fn the_attributes_of_its_death_are_removed_and_all_others_stay() {
    let number = Attribute::new("Number.custom", AttributeValue::Text("7".into()));
    let attributes = [
        ("n", number.clone()),
        ("b", Attribute::binary([0, 1, 255])),
        (REASON_ATTRIBUTE, Attribute::text("why")),
        (ORIGINAL_ATTRIBUTE, Attribute::text("m-1")),
        (SOURCE_QUEUE_ATTRIBUTE, Attribute::text("jobs")),
        (ORIGIN_ATTRIBUTE, Attribute::text("arn:aws:sqs:eu-west-1:1:jobs")),
    ];
    let replayed = replay(&letter(NAMED, &attributes)).unwrap();
    let expected = [("n".to_owned(), number), ("b".to_owned(), Attribute::binary([0, 1, 255]))];
    assert_eq!(replayed.attributes, expected.into());
    assert_eq!(replayed.job_type.as_deref(), Some("email.send"));
}

#[test]
fn without_room_for_an_attribute_a_native_envelope_gets_the_id() {
    let with_id = |body: &str| body.replacen('{', r#"{"jobId":"m-2","#, 1);
    let marked = format!("\u{feff}\n{NATIVE}");
    let table = [
        (NATIVE, Some(with_id(NATIVE))),
        (&*marked, Some(with_id(&marked))),
        (KEYED, Some(with_id(KEYED))),
        (EMPTY_ID, Some(EMPTY_ID.replacen("\"\"", "\"m-2\"", 1))),
        (NAMELESS_EVENT, None),
        ("raw", None),
        ("{}", None),
        (r#"{"userId":7}"#, None),
        (EXTENDED, None),
        (r#"{"type":"email.send","payload":{}"#, None),
    ];
    for (body, expected) in table {
        let replayed = replay(&letter(body, &full()));
        match (replayed, expected) {
            (Ok(replayed), Some(expected)) => {
                assert_eq!((&*replayed.body, replayed.placed), (&*expected, Placed::Envelope), "{body}");
                assert!(!replayed.attributes.contains_key(JOB_ID_ATTRIBUTE));
            }
            (Err(no_room), None) => {
                assert_eq!(no_room, NoRoom { attributes: MAX_ATTRIBUTES, bytes: body.len() }, "{body}");
            }
            (result, expected) => panic!("{body}: {result:?} {expected:?}"),
        }
    }
}

#[test]
fn a_message_never_becomes_larger_than_sqs_takes() {
    let attribute = attributes_bytes(&[(JOB_ID_ATTRIBUTE.to_owned(), Attribute::text("m-2"))].into());
    let key = r#""jobId":"m-2","#.len();
    let table = [
        (attribute, Some(Placed::Attribute)),
        (attribute - 1, Some(Placed::Envelope)),
        (key, Some(Placed::Envelope)),
        (key - 1, None),
        (0, None),
    ];
    for (room, expected) in table {
        let frame = r#"{"type":"a.b","payload":""}"#.len();
        let text = "x".repeat(MAX_MESSAGE_BYTES - frame - room);
        let letter = letter(&format!(r#"{{"type":"a.b","payload":"{text}"}}"#), &[]);
        assert_eq!(replay(&letter).ok().map(|replayed| replayed.placed), expected, "{room}");
    }
}

#[test]
fn a_changed_body_is_marked_and_may_have_its_own_id() {
    let letter = letter(NATIVE, &[]);
    let fixed = |body: &str| Fixed { body: Some(body.to_owned()), attributes: None };
    let same_id = outgoing(&letter, &fixed(KEYED), &Intake::default()).unwrap();
    assert_eq!(same_id.attributes[JOB_ID_ATTRIBUTE].data_type(), CHANGED_DATA_TYPE);
    let own_id = outgoing(&letter, &fixed(NAMED), &Intake::default()).unwrap();
    assert_eq!((&*own_id.job_id, own_id.placed, own_id.attributes.len()), ("j-1", Placed::Own, 0));
}

#[test]
fn a_payload_elsewhere_stays_where_it_is() {
    let marked = |more: usize| -> Vec<(&str, Attribute)> {
        let own = full().into_iter().take(more);
        own.chain([("ExtendedPayloadSize", Attribute::new("Number", AttributeValue::Text("300000".into())))])
            .collect()
    };
    let opened = |letter: &Letter, body: &str| {
        let message = letter.message().clone();
        let payload = letter.encoded().unwrap().open(&message, body.to_owned());
        Letter::with_payload(message, Ok(payload), &Intake::default())
    };
    // The number of attributes besides the marker, the payload if it was opened, and the added id.
    let table = [
        (0, None, Ok(Some("m-2"))),
        (9, None, Err(())),
        (0, Some(NATIVE), Ok(Some("m-2"))),
        (0, Some(NAMED), Ok(None)),
        (9, Some(NAMED), Ok(None)),
        (9, Some(NATIVE), Err(())),
    ];
    for (more, payload, expected) in table {
        let received = letter(EXTENDED, &marked(more));
        let letter = match payload {
            Some(body) => opened(&received, body),
            None => received,
        };
        let replayed = replay(&letter);
        let added = replayed.as_ref().map_err(|_| ()).map(|replayed| {
            assert_eq!(replayed.body, EXTENDED);
            let mut attributes = replayed.attributes.clone();
            let id = attributes.remove(JOB_ID_ATTRIBUTE);
            assert!(attributes == letter.message().attributes, "the marker is kept, with its data type");
            id
        });
        let added = added.as_ref().map(|id| id.as_ref().and_then(Attribute::as_text)).map_err(|(): &()| ());
        assert_eq!(added, expected, "{more} {payload:?}");
    }
}
