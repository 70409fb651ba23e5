//! A message that passes a producer's checks is accepted by the queue, and a message that the queue refuses does not pass.

use std::collections::BTreeMap;
use std::sync::Arc;

use drumline::message::{Attribute, AttributeValue};
use drumline_producer::{Checks, Outgoing};
use drumline_queue::api::{MessageAttributeValue, SendMessageBatch, SendMessageBatchEntry};
use drumline_queue::{Identity, Sqs, Timestamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Converts the message to the queue's API, as the producer sends it.
fn entry(message: &Outgoing, is_fifo: bool) -> SendMessageBatchEntry {
    let value = |attribute: &Attribute| match attribute.value() {
        AttributeValue::Text(text) => (Some(text.clone()), None),
        AttributeValue::Binary(bytes) => (None, Some(bytes.clone())),
    };
    let attribute = |(name, attribute): (&String, &Attribute)| {
        let (string_value, binary_value) = value(attribute);
        let data_type = attribute.data_type().to_owned();
        (name.clone(), MessageAttributeValue { data_type, string_value, binary_value })
    };
    let trace = message.trace_header.iter();
    SendMessageBatchEntry {
        id: "0".to_owned(),
        message_body: message.body.clone(),
        delay_seconds: message.delay_secs.map(i64::from),
        message_attributes: message.attributes.iter().map(attribute).collect(),
        message_system_attributes: trace
            .map(|header| ("AWSTraceHeader".to_owned(), MessageAttributeValue::string(header.clone())))
            .collect(),
        message_deduplication_id: is_fifo.then(|| message.deduplication_id.clone()),
        message_group_id: message.group.as_deref().map(str::to_owned),
    }
}

/// Sends the message. Returns the reason if the queue refuses it.
fn send(message: &Outgoing, is_fifo: bool) -> Result<(), String> {
    let now = Timestamp::from_secs(1);
    let mut sqs = Sqs::new(Identity::at("http://localhost"), 1);
    let queue = if is_fifo { "jobs.fifo" } else { "jobs" };
    let fifo = is_fifo.then(|| ("FifoQueue".to_owned(), "true".to_owned()));
    let attributes = fifo.into_iter().collect();
    let create =
        drumline_queue::api::CreateQueue { queue_name: queue.to_owned(), attributes, ..Default::default() };
    let queue_url = sqs.create_queue(now, create).expect("the queue is new").queue_url;
    let entries = vec![entry(message, is_fifo)];
    let reply = sqs
        .send_message_batch(now, SendMessageBatch { queue_url, entries })
        .map_err(|error| error.to_string())?;
    match reply.failed.first() {
        Some(failed) => Err(format!("{}: {}", failed.code, failed.message)),
        None => Ok(()),
    }
}

/// Returns characters that SQS accepts and characters that it does not, raw and as JSON escapes.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => "[ -!#-\\[\\]-~]{0,12}",
        2 => prop::sample::select(vec!["\\u0001", "\\uffff", "\\ud83d\\ude00", "\\n", "\\\"", "é", "😀", "\u{D7FF}", "\u{E000}", "\u{FFFD}", "\u{7f}"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["\u{FFFE}", "\u{FFFF}", "\u{1}", "\u{1f}", "\u{0}"]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

fn any_body() -> impl Strategy<Value = String> {
    let job = (any_text(), any_text(), 0_usize..1_100_000).prop_map(|(name, text, filler)| {
        format!(r#"{{"type":"a.b","payload":{{"{name}":"{text}","filler":"{}"}}}}"#, "x".repeat(filler))
    });
    let small = (any_text(), any_text())
        .prop_map(|(name, text)| format!(r#"{{"type":"a.b","payload":[{{"{name}":"{text}"}}]}}"#));
    prop_oneof![8 => small, 1 => job, 1 => any_text()]
}

fn any_attribute() -> impl Strategy<Value = (String, Attribute)> {
    let name = prop_oneof![
        6 => "[A-Za-z][A-Za-z0-9_-]{0,10}",
        1 => "[A-Za-z0-9._ é-]{0,6}",
        1 => prop::sample::select(vec!["AWS.x", "amazon.x", "Amazonx", ".a", "a.", "a..b", "a.b", ""]).prop_map(str::to_owned),
        1 => (250_usize..260).prop_map(|length| "n".repeat(length)),
    ];
    let data_type = prop_oneof![
        6 => prop::sample::select(vec!["String", "Number", "Binary", "String.json", "Number.int", "Binary.png"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["Text", "string", "String.", ".json", "StringX"]).prop_map(str::to_owned),
        1 => (240_usize..260).prop_map(|length| format!("String.{}", "t".repeat(length))),
    ];
    let value = prop_oneof![
        3 => "[ -~]{0,10}".prop_map(AttributeValue::Text),
        2 => "-?[0-9]{1,10}(\\.[0-9]{1,5})?(e-?[0-9]{1,3})?".prop_map(AttributeValue::Text),
        1 => prop::sample::select(vec!["NaN", "inf", "infinity", "1_0", "+1", ".5", "5.", "1e400", " 1", "\u{1}", "\u{FFFF}", "é"])
            .prop_map(|text| AttributeValue::Text(text.to_owned())),
        2 => prop::collection::vec(any::<u8>(), 0..4).prop_map(AttributeValue::Binary),
    ];
    (name, data_type, value).prop_map(|(name, data_type, value)| (name, Attribute::new(&data_type, value)))
}

fn any_id() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[!-~]{1,20}",
        1 => "[ -~é]{0,4}",
        1 => (126_usize..131).prop_map(|length| "i".repeat(length)),
    ]
}

fn any_message() -> impl Strategy<Value = Outgoing> {
    let attributes = prop_oneof![
        6 => prop::collection::btree_map("[a-z]{1,8}", Just(Attribute::text("x")), 0..4).prop_map(|all| all.into_iter().collect::<Vec<_>>()),
        6 => prop::collection::vec(any_attribute(), 0..3),
        1 => prop::collection::btree_map("[a-z]{1,8}", Just(Attribute::text("x")), 8..13).prop_map(|all| all.into_iter().collect::<Vec<_>>()),
    ];
    let group = prop::option::weighted(0.8, any_id());
    let delay = prop_oneof![4 => Just(None), 1 => Just(Some(0)), 2 => (1_u16..910).prop_map(Some)];
    let trace = prop_oneof![4 => Just(None), 1 => Just(Some("Root=1-5759e988-bd862e3fe1be46a994272793".to_owned())), 1 => any_text().prop_map(Some)];
    (any_body(), attributes, any_id(), group, delay, trace).prop_map(
        |(body, attributes, deduplication_id, group, delay_secs, trace_header)| Outgoing {
            body,
            attributes: Arc::new(attributes.into_iter().collect()),
            deduplication_id,
            group: group.map(Arc::from),
            delay_secs,
            trace_header,
            ..Outgoing::default()
        },
    )
}

/// The properties below would hold if all messages were refused, or all were valid.
#[test]
fn the_messages_of_the_properties_are_of_both_kinds() {
    let mut runner = TestRunner::deterministic();
    let mut passes = |is_fifo| {
        let message = any_message().new_tree(&mut runner).unwrap().current();
        Checks::default().check_message(&message, is_fifo).is_ok()
    };
    let sound = (0..400).filter(|n| passes(n % 2 == 0)).count();
    assert!((60..340).contains(&sound), "{sound} of 400 messages pass");
}

/// Returns a message that passes all checks.
fn sound() -> Outgoing {
    Outgoing {
        body: r#"{"type":"a.b","payload":{}}"#.to_owned(),
        deduplication_id: "d".to_owned(),
        group: Some("g".into()),
        ..Outgoing::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_passes_is_accepted_by_the_queue(message in any_message(), is_fifo: bool) {
        if Checks::default().check_message(&message, is_fifo).is_ok() {
            prop_assert_eq!(send(&message, is_fifo), Ok(()));
        }
    }

    /// The converse, if SQS's rule is known: a job that a worker can decode and that the queue accepts passes.
    #[test]
    fn what_is_refused_is_refused_by_the_queue(message in any_message(), is_fifo: bool) {
        let Err(refused) = Checks::default().check_message(&message, is_fifo) else { return Ok(()) };
        // Not a rule of SQS: a body that is not a job.
        let is_ours = refused.field == "message";
        // SQS accepts more names and numbers than it documents.
        let is_stricter = refused.field.starts_with("attribute ");
        if !is_ours && !is_stricter {
            prop_assert!(send(&message, is_fifo).is_err(), "{}", refused);
        }
    }

    /// JSON has no raw tabs and line ends in texts, and SQS accepts them.
    #[test]
    fn every_character_passes_if_and_only_if_the_queue_accepts_it(c in any::<char>().prop_filter("is no JSON", |c| !"\t\n\r".contains(*c))) {
        let text = if matches!(c, '"' | '\\') { format!("\\{c}") } else { c.to_string() };
        let body = format!(r#"{{"type":"a.b","payload":"{text}"}}"#);
        let message = Outgoing { body, ..sound() };
        prop_assert_eq!(Checks::default().check_message(&message, false).is_ok(), send(&message, false).is_ok());
    }
}

#[test]
fn control_and_plane_end_characters_pass_as_in_the_queue() {
    let all = (0..=0x9F_u32)
        .chain(0xD7F0..=0xD7FF)
        .chain(0xE000..=0xE00F)
        .chain(0xFFF0..=0x1_000F)
        .chain([0x10_FFFF]);
    for c in all.filter_map(char::from_u32).filter(|c| !matches!(c, '"' | '\\')) {
        let message = Outgoing { body: format!(r#"{{"type":"a.b","payload":"{c}"}}"#), ..sound() };
        let (checked, sent) = (Checks::default().check_message(&message, false), send(&message, false));
        // JSON has no raw control characters in texts; SQS accepts three of them.
        let is_json = !matches!(c, '\t' | '\n' | '\r');
        assert_eq!(checked.is_ok(), sent.is_ok() && is_json, "U+{:04X}: {checked:?} {sent:?}", u32::from(c));
    }
}

#[test]
fn sizes_pass_up_to_the_byte_that_the_queue_accepts() {
    let attributes = BTreeMap::from([("tenant".to_owned(), Attribute::text("acme"))]);
    let message = |filler: usize| Outgoing {
        body: format!(r#"{{"type":"a.b","payload":"{}"}}"#, "x".repeat(filler)),
        attributes: Arc::new(attributes.clone()),
        ..sound()
    };
    let largest = 1_048_576 - message(0).bytes();
    for (filler, expected) in [(largest, true), (largest + 1, false)] {
        let message = message(filler);
        assert_eq!(
            Checks::default().check_message(&message, false).is_ok(),
            expected,
            "{} bytes",
            message.bytes()
        );
        assert_eq!(send(&message, false).is_ok(), expected, "{} bytes", message.bytes());
    }
}

#[test]
fn ten_attributes_pass_and_the_queue_accepts_them() {
    for (count, expected) in [(10, true), (11, false)] {
        let attributes = (0..count).map(|n| (format!("a{n}"), Attribute::text("x"))).collect();
        let message = Outgoing { attributes: Arc::new(attributes), ..sound() };
        assert_eq!(Checks::default().check_message(&message, false).is_ok(), expected);
        assert_eq!(send(&message, false).is_ok(), expected);
    }
}
