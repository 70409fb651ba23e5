#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::time::Duration;

use drumline::message::{Attribute, AttributeValue, Intake, Message};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::letter::{Cause, CauseSource, Letter};

fn header() -> Header {
    Header {
        drumline_dead_letters: FORMAT_VERSION,
        name: "INC-42".into(),
        dlq: "jobs-dlq".into(),
        dlq_arn: Some("arn:aws:sqs:eu-west-1:123456789012:jobs-dlq".into()),
        exported_at: "2026-11-29T03:04:05Z".into(),
        program: "drumline 1.0.0".into(),
    }
}

fn export(letters: &[Letter]) -> String {
    let mut text = serde_json::to_string(&header()).unwrap() + "\n";
    for letter in letters {
        text +=
            &serde_json::to_string(&Line::of(letter, Some(serde_json::json!({ "state": "dead" })))).unwrap();
        text.push('\n');
    }
    text
}

fn attributes() -> impl Strategy<Value = BTreeMap<String, Attribute>> {
    let text = ("(String|Number)(\\.[a-z]{1,5})?", "\\PC{0,20}");
    let text = text.prop_map(|(kind, text)| Attribute::new(&kind, AttributeValue::Text(text)));
    let binary = ("Binary(\\.[a-z]{1,5})?", vec(any::<u8>(), 0..20));
    let binary = binary.prop_map(|(kind, bytes)| Attribute::new(&kind, AttributeValue::Binary(bytes)));
    btree_map("[A-Za-z0-9_.-]{1,10}", prop_oneof![text, binary], 0..10)
}

prop_compose! {
    fn message()(
        (id, body) in ("[0-9a-f-]{1,36}", "(?s).{0,200}"),
        receive_count in any::<u32>(),
        (sent, first) in (option::of(any::<u64>()), option::of(any::<u64>())),
        (group, deduplication_id, sequence_number) in (option::of("\\PC{1,9}"), option::of("\\PC{1,9}"), option::of("[0-9]{20}")),
        (sender_id, trace_header) in (option::of("[A-Z0-9:]{1,9}"), option::of("Root=[0-9a-f]{1,9}")),
        dead_letter_source in option::of("arn:aws:sqs:[a-z]{1,9}"),
        attributes in attributes(),
    ) -> Message {
        Message {
            id: id.into(),
            receipt: String::new(),
            body,
            receive_count,
            sent_at: sent.map(Duration::from_millis),
            first_received_at: first.map(Duration::from_millis),
            group,
            deduplication_id,
            sequence_number,
            sender_id,
            trace_header,
            dead_letter_source,
            attributes,
        }
    }
}

proptest! {
    #[test]
    fn a_message_is_read_back_byte_for_byte(messages in vec(message(), 0..4)) {
        let letters: Vec<Letter> =
            messages.iter().map(|message| Letter::new(message.clone(), &Intake::default())).collect();
        let text = export(&letters);
        let (found, lines) = Lines::open(text.as_bytes()).unwrap();
        prop_assert_eq!(found, header());
        let lines: Vec<Exported> = lines.map(Result::unwrap).collect();
        prop_assert_eq!(lines.iter().map(|line| line.message.clone()).collect::<Vec<_>>(), messages);
        prop_assert!(lines.iter().enumerate().all(|(index, line)| line.line == index as u64 + 2));
    }
}

#[test]
fn a_letter_keeps_its_cause_and_its_type() {
    let message = Message { id: "m-1".into(), body: "no job".into(), ..Message::default() };
    let mut letter = Letter::new(message, &Intake::default());
    let cause =
        Cause { reason: "no such user".into(), class: Some("rejected".into()), from: CauseSource::History };
    letter.learn(Some(cause.clone()), Some("email.send".into()));
    let text = export(&[letter]);
    let (_, mut lines) = Lines::open(text.as_bytes()).unwrap();
    let exported = lines.next().unwrap().unwrap();
    assert_eq!(exported.history.as_deref().map(ToString::to_string).as_deref(), Some(r#"{"state":"dead"}"#));
    let letter = exported.into_letter(&Intake::default());
    assert_eq!((letter.why(), letter.job_type()), (cause, Some("email.send")));
    assert!(lines.next().is_none());
    assert_eq!(lines.bytes_read(), text.len() as u64);
}

#[test]
fn a_line_is_what_the_documentation_says() {
    let message = Message {
        id: "m-1".into(),
        body: "{\"type\":\"a.b\",\"payload\":{}}\n".into(),
        receive_count: 4,
        sent_at: Some(Duration::from_millis(1_700_000_000_123)),
        dead_letter_source: Some("arn:aws:sqs:eu-west-1:123456789012:jobs".into()),
        attributes: [
            ("n".to_owned(), Attribute::new("Number.custom", AttributeValue::Text("7".into()))),
            ("b".to_owned(), Attribute::binary(vec![0, 1, 255])),
        ]
        .into(),
        ..Message::default()
    };
    let letter = Letter::new(message, &Intake::default());
    let line = serde_json::to_string(&Line::of(&letter, None::<()>)).unwrap();
    let expected = concat!(
        r#"{"messageId":"m-1","body":"{\"type\":\"a.b\",\"payload\":{}}\n","#,
        r#""attributes":{"b":{"type":"Binary","base64":"AAH/"},"n":{"type":"Number.custom","text":"7"}},"#,
        r#""system":{"ApproximateReceiveCount":"4","DeadLetterQueueSourceArn":"arn:aws:sqs:eu-west-1:123456789012:jobs","#,
        r#""SentTimestamp":"1700000000123"},"origin":"arn:aws:sqs:eu-west-1:123456789012:jobs","jobId":"m-1","type":"a.b","#,
        r#""why":{"reason":"no history: received 3 times","from":"nothing"}}"#,
    );
    assert_eq!(line, expected);
}

#[test]
fn exports_may_be_concatenated_and_a_hand_made_line_is_enough() {
    let letter = Letter::new(Message { id: "m-1".into(), ..Message::default() }, &Intake::default());
    let one = export(&[letter]);
    let text = format!("{one}{one}\n{{\"messageId\":\"m-2\",\"body\":\"b\"}}\n");
    let (_, lines) = Lines::open(text.as_bytes()).unwrap();
    let ids: Vec<(u64, String)> =
        lines.map(Result::unwrap).map(|line| (line.line, line.message.id.to_string())).collect();
    assert_eq!(ids, [(2, "m-1".into()), (4, "m-1".into()), (6, "m-2".into())]);
}

#[test]
fn what_is_no_export_is_named() {
    let head = serde_json::to_string(&header()).unwrap();
    let later = head.replace(":1,", ":2,");
    let table = [
        (String::new(), "it is empty"),
        ("{}\n".into(), "no header"),
        (head.clone(), "line 1 is not complete"),
        (format!("{later}\n"), "format version 2"),
        (format!("{head}\n{{\"messageId\":\"m\"}}\n"), "line 2: it is no letter: missing field `body`"),
        (format!("{head}\n{{\"messageId\":\"m\",\"body\""), "line 2 is not complete"),
        (format!("{head}\n\u{feff}x\n"), "line 2: it is no letter"),
        (
            format!(
                "{head}\n{{\"messageId\":\"m\",\"body\":\"\",\"attributes\":{{\"a\":{{\"type\":\"Binary\",\"base64\":\"!\"}}}}}}\n"
            ),
            "line 2: attribute a: its base64 is damaged",
        ),
        (
            format!(
                "{head}\n{{\"messageId\":\"m\",\"body\":\"\",\"attributes\":{{\"a\":{{\"type\":\"String\"}}}}}}\n"
            ),
            "line 2: attribute a: it needs either text or base64",
        ),
    ];
    for (text, words) in table {
        let error = match Lines::open(text.as_bytes()) {
            Ok((_, mut lines)) => lines.next().unwrap().unwrap_err(),
            Err(error) => error,
        };
        assert!(error.to_string().contains(words), "{error} for {text:?}");
    }
}
