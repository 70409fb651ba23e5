#![allow(clippy::unwrap_used)]
use super::*;
use crate::decode::any_json;

const MESSAGE: &str = r#"{"MessageId":"m-1","ReceiptHandle":"r==","MD5OfBody":"x","Body":"{\"a\":1}","Attributes":{"SentTimestamp":
"1700000000123","ApproximateFirstReceiveTimestamp":"?","ApproximateReceiveCount":"3","SenderId":"AID","MessageGroupId":"g",
"MessageDeduplicationId":"d","SequenceNumber":"18","AWSTraceHeader":"Root=1"},"MD5OfMessageAttributes":"x","MessageAttributes":
{"n":{"StringValue":"7","DataType":"Number"}}}"#;

fn answer(message: &str) -> String {
    format!(r#"{{"Messages":[{message},{{"MessageId":"m-2","Body":"b"}}]}}"#).replace('\n', "")
}

fn of_body(body: &str) -> String {
    answer(&format!(r#"{{"Body":"{body}"}}"#))
}

#[test]
fn usual_answers_have_the_meaning_that_they_have_for_serde_json() {
    let bodies = [
        "",
        "a",
        "é😀",
        r"a\\b",
        r#"\"b\\\""#,
        r"\\",
        r"\/\b\f\n\r\t",
        r"\u00e9\u0000x",
        r"x\uFFFF",
        "\u{7f}",
    ];
    let bodies = bodies.map(of_body);
    let spaced = answer(MESSAGE).replace("\":", "\": ").replace(',', ", ").replace("[{", " [ {") + " ";
    for text in bodies.into_iter().chain([answer(MESSAGE), spaced]) {
        let messages = messages(&text);
        assert_eq!(messages.as_ref().map(Vec::len), Some(2), "{text}");
        assert_eq!(messages, any_json(&text), "{text}");
    }
    let text = r#"{"Successful": [{"Id": "0"}, {"Id": "1"}]}"#;
    assert_eq!(batch(text).unwrap().successful.len(), 2);
    let others = [
        r#"{"Failed":[],"Successful":[{"Id":"0"}]}"#,
        r#"{"Successful":[{"Id":"0","Id":"1"}],"Failed":[ ]}"#,
        r#"{"Successful":[]}"#,
    ];
    for text in others.into_iter().chain([text]) {
        assert!(batch(text).is_some(), "{text}");
        assert_eq!(batch(text), any_json(text), "{text}");
    }
    assert_eq!(messages(r#"{"Messages":[]}"#), Some(Vec::new()));
}

#[test]
fn other_text_is_left_to_serde_json() {
    let bodies = [r"\q", r"\u12", r"\u+123", r"\ud83d\ude00", r"\ud800", "a\nb", r#"a" "#, r#"a"b"#, r"a\"];
    let whole = answer(MESSAGE);
    let cut = (0..whole.len()).map(|length| whole[..length].to_owned());
    let changed = [
        (",", ",,"),
        (",", " "),
        (":", ""),
        ("{", "{,"),
        ("[", "[,"),
        ("]", ",]"),
        ("]", "}"),
        ("}}", ",}}"),
        ("\"g\"", "null"),
        ("\"g\"", "7"),
        ("SenderId", "Other"),
        ("StringValue", "BinaryValue"),
        ("MD5OfBody", "Other"),
        ("]}", "]}}"),
        ("]}", "]} x"),
    ];
    let changed = changed.map(|(from, to)| whole.replacen(from, to, 1));
    for text in bodies
        .map(|body| format!(r#"{{"Messages":[{{"Body":"{body}"}}]}}"#))
        .into_iter()
        .chain(cut)
        .chain(changed)
    {
        assert_eq!(messages(&text), None, "{text}");
    }
    let neither = [
        "",
        "null",
        "{}",
        "[]",
        r#"{"Other":[]}"#,
        r#"{"Successful":[{"Id":"0","MessageId":"m"}]}"#,
        r#"{"Successful":[],"Failed":[{"Id":"0"}]}"#,
    ];
    for text in neither {
        assert_eq!((messages(text), batch(text)), (None, None), "{text}");
    }
}
