//! A fuzz target for the decoder that runs on stable Rust: answers of SQS that are cut, spliced and damaged at random, compared
//! with a naive decoder.
//!
//! By default it is a quick test. `PROPTEST_CASES=5000000 cargo test --release -p drumline-sqs --lib fuzz` runs for minutes.
#![allow(clippy::unwrap_used)]
use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Answers of SQS with all possible fields.
const SEEDS: [&str; 7] = [
    r#"{"Messages":[{"MessageId":"5c0ffee0-0000-4000-8000-000000000002","ReceiptHandle":"AQEB/wJn+3==","MD5OfBody":"0",
    "Body":"{\"type\":\"a.b\",\"payload\":{\"n\":1}}","Attributes":{"ApproximateReceiveCount":"3","SentTimestamp":"1700000000123",
    "MessageGroupId":"g","SenderId":"AID","AWSTraceHeader":"Root=1","SequenceNumber":"18"},"MessageAttributes":
    {"n":{"StringValue":"7","DataType":"Number.int"},"b":{"BinaryValue":"aGk=","DataType":"Binary"}}},
    {"MessageId":"m-2","Body":"\u00e9\ud83d\ude00 \\ \/ \b\f\n\r\t"},{"MessageId":null,"Body":null},{}]}"#,
    r#"{"Messages":null,"Later":[1,2.5e3,{"a":[null,true,false]}]}"#,
    r#"{"Successful":[{"Id":"0","MessageId":"m","SequenceNumber":"9"},{"Id":"1"}],"Failed":[{"Id":"2","SenderFault":true,
    "Code":"ReceiptHandleIsInvalid","Message":"old"}]}"#,
    r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}"#,
    "{}",
    r#"{"Messages":[{"MessageId":"1","ReceiptHandle":"AQEB==","MD5OfBody":"0","Body":"{\"a\":\"\\n\u00e9\"}","Attributes":
    {"SentTimestamp":"1700000000123"},"MessageAttributes":{"n":{"StringValue":"7","DataType":"Number"}}},{"Body":"b"}]}"#,
    r#"{"Successful":[{"Id":"0"},{"Id":"1"}],"Failed":[]}"#,
];

/// Pieces that change the meaning of the text into which they are inserted.
const PIECES: [&str; 20] = [
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "7",
    "-1e999",
    "\\ud800",
    "\\u0000",
    "\u{e9}",
    "\u{1f600}",
    "{\"Body\":7},",
    "\"MessageId\":\"x\",",
    "\"Attributes\":[],",
    "[[[[[[[[",
    "\u{7f}",
];

#[derive(Debug, Clone)]
enum Damage {
    Put(usize, usize),
    Replace(usize, u8),
    Cut(usize, usize),
    Copy(usize, usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        3 => (any::<usize>(), 0..PIECES.len()).prop_map(|(at, piece)| Damage::Put(at, piece)),
        3 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        1 => (any::<usize>(), 1_usize..40).prop_map(|(at, length)| Damage::Cut(at, length)),
        1 => (any::<usize>(), 1_usize..80, any::<usize>()).prop_map(|(from, length, to)| Damage::Copy(from, length, to)),
    ]
}

fn damaged(seed: &str, damages: &[Damage]) -> Vec<u8> {
    let mut bytes = seed.as_bytes().to_vec();
    for damage in damages {
        let at = |place: usize, bytes: &[u8]| place % (bytes.len() + 1);
        match *damage {
            Damage::Put(place, piece) => {
                let place = at(place, &bytes);
                bytes.splice(place..place, PIECES[piece].bytes());
            }
            Damage::Replace(place, byte) => {
                let place = at(place, &bytes);
                if let Some(old) = bytes.get_mut(place) {
                    *old = byte;
                }
            }
            Damage::Cut(place, length) => {
                let place = at(place, &bytes);
                let end = (place + length).min(bytes.len());
                bytes.drain(place..end);
            }
            Damage::Copy(from, length, to) => {
                let from = at(from, &bytes);
                let piece = bytes[from..(from + length).min(bytes.len())].to_vec();
                let to = at(to, &bytes);
                bytes.splice(to..to, piece);
            }
        }
    }
    bytes
}

/// Returns the id and the body of each message of an answer as any JSON parser reads it; `None` for a message whose id or body
/// is no text. Returns `None` if the answer is not JSON or not the answer to a receive.
fn naive(answer: &[u8]) -> Option<Vec<Option<(String, String)>>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let messages = match answer.as_object()?.get("Messages") {
        None | Some(Value::Null) => return Some(Vec::new()),
        Some(messages) => messages.as_array()?,
    };
    let text = |message: &Value, name: &str| match message.as_object()?.get(name) {
        None | Some(Value::Null) => Some(String::new()),
        Some(value) => value.as_str().map(str::to_owned),
    };
    Some(messages.iter().map(|message| Some((text(message, "MessageId")?, text(message, "Body")?))).collect())
}

/// Returns true if an object repeats a field, because parsers differ about that.
fn repeats_a_field(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    ["\"Messages\"", "\"MessageId\"", "\"Body\"", "\"Attributes\"", "\"MessageAttributes\""]
        .iter()
        .any(|name| text.matches(name).count() > SEEDS[0].matches(name).count())
}

proptest! {
    #[test]
    fn fuzzed_answers_lose_no_message_that_can_be_read(
        seed in 0..SEEDS.len(),
        is_in_one_line in any::<bool>(),
        damages in proptest::collection::vec(damage(), 0..6),
    ) {
        let seed = if is_in_one_line { SEEDS[seed].replace('\n', "") } else { SEEDS[seed].to_owned() };
        let answer = damaged(&seed, &damages);
        let decoded = received(&answer);
        // Neither panics, and the error's reason shows no part of a message.
        drop((batch(&answer), error(&answer)));
        let text = utf8(&answer);
        // The fast decoder is only faster.
        if let Some(messages) = usual::messages(&text) {
            prop_assert_eq!(Some(messages), any_json(&text));
        }
        if let Some(answer) = usual::batch(&text) {
            prop_assert_eq!(Some(answer), any_json(&text));
        }
        if let (Some(expected), false) = (naive(&answer), repeats_a_field(&answer)) {
            let decoded = decoded.expect("an answer that any parser reads");
            prop_assert_eq!(decoded.messages.len() + decoded.undecodable.len(), expected.len());
            let mut readable = expected.iter().flatten();
            for message in &decoded.messages {
                let found = readable.any(|(id, body)| *id == *message.id && *body == message.body);
                prop_assert!(found, "{:?} in {:?}", message, expected);
            }
        }
    }
}
