#![allow(clippy::unwrap_used)]
use drumline::message::{AttributeValue, Message, TYPE_ATTRIBUTE};
use proptest::prelude::*;

use super::*;
use crate::diff::changes;

const BODY: &str = r#"{"type":"email.send", "payload":{"userId":17,"amount":1.50,"big":12345678901234567890123,"list":[1,2],"none":null}}"#;
const SNS: &str = r#"{"Type":"Notification","TopicArn":"arn:aws:sns:eu-west-1:1:t","MessageId":"s-1","Message":"{\"type\":\"email.send\",\"payload\":{\"userId\":17}}"}"#;
const POINTER: &str =
    r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"k"}]"#;

fn letter(body: &str, job_type: Option<&str>) -> Letter {
    let attributes = job_type.map(|job_type| (TYPE_ATTRIBUTE.to_owned(), Attribute::text(job_type)));
    let message =
        Message { body: body.to_owned(), attributes: attributes.into_iter().collect(), ..Message::default() };
    Letter::new(message, &Intake::default())
}

fn fix(body: &str, fix: Fix) -> Result<Option<String>, FixError> {
    apply(&letter(body, None), &[fix], &Intake::default()).map(|fixed| fixed.body)
}

#[test]
fn a_value_is_set_and_all_other_bytes_stay() {
    let no_place = |pointer: &str| Err(FixError::NoPlace(pointer.to_owned()));
    let table = [
        (BODY, "/payload/userId=7", Ok(Some(BODY.replace(":17,", ":7,")))),
        (BODY, "/payload/userId=007", Ok(Some(BODY.replace(":17,", ":\"007\",")))),
        (BODY, "/payload/userId= 7.00 ", Ok(Some(BODY.replace(":17,", ":7.00,")))),
        (BODY, "/payload/userId=Ann \"x\"", Ok(Some(BODY.replace(":17,", ":\"Ann \\\"x\\\"\",")))),
        (BODY, "/payload/userId=17", Ok(None)),
        (BODY, "/type=email.send", Ok(None)),
        (BODY, "/payload/list/1=3", Ok(Some(BODY.replace("[1,2]", "[1,3]")))),
        (BODY, "/payload/none/a/b=1", Ok(Some(BODY.replace("null", r#"{"a":{"b":1}}"#)))),
        (BODY, "/payload/new/a=1", Ok(Some(BODY.replace("null}", r#"null,"new":{"a":1}}"#)))),
        (BODY, "/payload/list/2=3", no_place("/payload/list/2")),
        (BODY, "/payload/list/-=3", no_place("/payload/list/-")),
        (BODY, "/payload/userId/x=3", no_place("/payload/userId/x")),
        (BODY, "/type/x=3", no_place("/type/x")),
        (SNS, "/Message/payload/userId=7", Ok(Some(SNS.replace(":17", ":7")))),
        (SNS, "/Message/payload/userId=17", Ok(None)),
        (r#"{"a":1,"a":2}"#, "/a=3", Err(FixError::RepeatedKey("a".to_owned()))),
        ("not JSON", "/a=3", Err(FixError::NotJson)),
        (POINTER, "/1/s3Key=x", Err(FixError::InS3)),
    ];
    for (body, text, expected) in table {
        assert_eq!(fix(body, Fix::set(text).unwrap()), expected, "{text}");
    }
}

#[test]
fn a_patch_changes_what_it_names_and_loses_no_digit() {
    let moved = r#"{"type":"email.send", "payload":{"userId":17,"amount":1.50,"list":[1,2],"none":null,"was":12345678901234567890123}}"#;
    let table = [
        (r#"[{"op":"replace","path":"/payload/userId","value":7}]"#, Ok(Some(BODY.replace(":17,", ":7,")))),
        (r#"[{"op":"test","path":"/payload/userId","value":17}]"#, Ok(None)),
        (
            r#"[{"op":"test","path":"/payload/big","value":12345678901234567890123},{"op":"move","from":"/payload/big","path":"/payload/was"}]"#,
            Ok(Some(moved.to_owned())),
        ),
        (r#"[{"op":"add","path":"/payload/list/0","value":0}]"#, Ok(Some(BODY.replace("[1,2]", "[0,1,2]")))),
        (
            r#"[{"op":"test","path":"/payload/userId","value":8}]"#,
            Err(FixError::TestFailed("/payload/userId".to_owned())),
        ),
        (r#"[{"op":"remove","path":"/payload/x"}]"#, Err(FixError::NoPlace("/payload/x".to_owned()))),
        (r#"{"payload":{"userId":7}}"#, Ok(Some(BODY.replace(":17,", ":7,")))),
        (r#"{"payload":{"none":null}}"#, Ok(Some(BODY.replace(",\"none\":null", "")))),
        (r#"{"payload":{"x":{"y":1e400}}}"#, Ok(Some(BODY.replace("null}", r#"null,"x":{"y":1e400}}"#)))),
        ("[]", Ok(None)),
        ("{}", Ok(None)),
    ];
    for (patch, expected) in table {
        let patch = Fix::patch(patch).unwrap();
        assert_eq!(fix(BODY, patch.clone()), expected, "{patch}");
        assert_eq!(fix(POINTER, patch), Err(FixError::InS3));
    }
}

#[test]
fn what_is_no_patch_is_refused_in_words() {
    let table = [
        ("{", "no JSON"),
        ("7", "an array (RFC 6902) or an object (RFC 7396)"),
        (r#"{"op":"remove","path":"/a"}"#, "belongs into an array"),
        (r#"[{"op":"delete","path":"/a"}]"#, "RFC 6902"),
        (r#"[{"op":"add","path":"a","value":1}]"#, "RFC 6902"),
    ];
    for (text, hint) in table {
        let error = Fix::patch(text).unwrap_err();
        assert!(error.contains(hint), "{text}: {error}");
    }
    for text in ["payload/userId=7", "/payload/userId", ""] {
        assert!(Fix::set(text).unwrap_err().contains("/payload/userId"), "{text}");
    }
}

#[test]
fn a_type_is_changed_where_the_worker_finds_it() {
    let event = r#"{"specversion":"1.0","type":"a.b","id":"e","source":"/s","data":{}}"#;
    let native = r#"{"type":"a.b","payload":{}}"#;
    let changed = |body: &str| Some(body.replace("a.b", "c.d"));
    let bridge = r#"{"detail-type":"a.b","source":"s","id":"e","detail":{}}"#;
    let s3 = r#"{"Records":[{"eventName":"x","s3":{"bucket":{"name":"b"},"object":{"key":"k"}}}]}"#;
    let table = [
        (native, None, Ok((changed(native), false))),
        (native, Some("a.b"), Ok((changed(native), true))),
        // The body is the payload of another type.
        (native, Some("x.y"), Ok((None, true))),
        (r#"{"type":"c.d","payload":{}}"#, Some("x.y"), Err(FixError::WrappedType)),
        (event, None, Ok((changed(event), false))),
        ("raw", Some("a.b"), Ok((None, true))),
        ("raw", None, Ok((None, true))),
        (POINTER, Some("a.b"), Ok((None, true))),
        (SNS, None, Err(FixError::WrappedType)),
        (bridge, None, Err(FixError::WrappedType)),
        (s3, None, Err(FixError::WrappedType)),
        (r#"{"type":"c.d","payload":{}}"#, None, Ok((None, false))),
    ];
    for (body, given, expected) in table {
        let fixed = apply(&letter(body, given), &[Fix::type_to("c.d")], &Intake::default());
        let shown = fixed.map(|fixed| {
            let attribute = fixed.attributes.map(|attributes| attributes[TYPE_ATTRIBUTE].clone());
            assert!(attribute.as_ref().is_none_or(|attribute| attribute.as_text() == Some("c.d")));
            (fixed.body, attribute.is_some())
        });
        assert_eq!(shown, expected, "{body} {given:?}");
    }
}

#[test]
fn fixes_are_applied_in_their_order() {
    let fixes = [
        Fix::patch(r#"{"payload":{"userId":1}}"#).unwrap(),
        Fix::set("/payload/userId=2").unwrap(),
        Fix::type_to("a.b"),
    ];
    let result = apply(&letter(BODY, None), &fixes, &Intake::default()).unwrap();
    assert_eq!(result.body, Some(BODY.replace(":17,", ":2,").replace("email.send", "a.b")));
    let there_and_back = [Fix::type_to("a.b"), Fix::type_to("email.send")];
    assert!(!apply(&letter(BODY, None), &there_and_back, &Intake::default()).unwrap().is_changed());
}

#[test]
fn sqs_has_to_take_the_result() {
    let large = Fix::set(&format!("/payload/x={}", "x".repeat(MAX_MESSAGE_BYTES))).unwrap();
    assert!(matches!(fix(BODY, large), Err(FixError::TooLarge(_))));
    // In JSON, a control character is escaped.
    assert!(fix(BODY, Fix::set("/payload/x=\u{7}").unwrap()).is_ok());
    assert_eq!(fix(BODY, Fix::set("/payload/x=\u{fffe}").unwrap()), Err(FixError::BadCharacter('\u{fffe}')));
    let full = (0..10).map(|n| (n.to_string(), Attribute::new("Number", AttributeValue::Text("1".into()))));
    let message = Message { body: "raw".into(), attributes: full.collect(), ..Message::default() };
    let letter = Letter::new(message, &Intake::default());
    let result = apply(&letter, &[Fix::type_to("a.b")], &Intake::default());
    assert_eq!(result, Err(FixError::TooManyAttributes));
}

#[test]
fn an_edit_of_one_letter_changes_others_like_it() {
    let edited = BODY.replace(":17,", ":7,").replace("1.50", "1.5");
    let edit = Fix::edit(BODY, &edited).unwrap();
    assert_eq!(fix(BODY, edit.clone()), Ok(Some(BODY.replace(":17,", ":7,"))));
    let other = r#"{"payload":{"userId":18},"type":"email.send"}"#;
    assert_eq!(fix(other, edit.clone()), Ok(Some(other.replace("18", "7"))));
    assert_eq!(
        fix(r#"{"type":"x","payload":{}}"#, edit),
        Err(FixError::NoPlace("/payload/userId".to_owned()))
    );
    assert_eq!(Fix::edit(BODY, &format!(" {BODY} \n")), None);
    let raw = Fix::edit("raw", "other").unwrap();
    assert_eq!(fix("raw", raw.clone()), Ok(Some("other".to_owned())));
    assert_eq!(fix("rare", raw), Err(FixError::NotJson));
}

#[test]
fn a_journal_keeps_fixes() {
    let fixes = [
        Fix::set("/payload/userId=7.00").unwrap(),
        Fix::patch(r#"[{"op":"add","path":"/a","value":12345678901234567890123}]"#).unwrap(),
        Fix::patch(r#"{"a":"\u0000n7"}"#).unwrap(),
        Fix::edit("a", "b").unwrap(),
        Fix::type_to("a.b"),
    ];
    for fix in fixes {
        let text = serde_json::to_string(&fix).unwrap();
        assert_eq!(serde_json::from_str::<Fix>(&text).unwrap(), fix, "{text}");
    }
    for (old, new) in [("the old body", "another"), (r#"{"a":"the old body"}"#, r#"{"a":1}"#)] {
        let text = serde_json::to_string(&Fix::edit(old, new)).unwrap();
        assert!(!text.contains("the old body"), "{text}");
    }
}

#[test]
fn the_changes_of_a_letter_are_lines_with_places() {
    let lines = |body: &str, given: Option<&str>, fixes: &[&str]| {
        let letter = letter(body, given);
        let fixes: Vec<Fix> =
            fixes.iter().map(|fix| Fix::set(fix).unwrap()).chain([Fix::type_to("a.b")]).collect();
        let result = apply(&letter, &fixes, &Intake::default()).unwrap();
        changes(&letter, &result).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(
        lines(BODY, Some("email.send"), &["/payload/userId=7", "/payload/list/0=[]", "/payload/a~1b=x"]),
        "- /payload/list/0: 1\n+ /payload/list/0: []\n- /payload/userId: 17\n+ /payload/userId: 7\n\
         + /payload/a~1b: \"x\"\n- /type: \"email.send\"\n+ /type: \"a.b\"\n\
         - attribute messageType: \"email.send\"\n+ attribute messageType: \"a.b\""
    );
    let sns = letter(SNS, None);
    let fixed = apply(&sns, &[Fix::set("/Message/payload/userId=7").unwrap()], &Intake::default()).unwrap();
    let shown: Vec<String> = changes(&sns, &fixed).iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["- /Message/payload/userId: 17\n+ /Message/payload/userId: 7"]);
}

proptest! {
    #[test]
    fn a_set_value_is_found_at_its_place(keys in proptest::collection::vec("[a-c~/]{1,2}", 1..4), value in -9i64..9) {
        let keys: Vec<String> = keys.iter().map(|key| key.replace('~', "~0").replace('/', "~1")).collect();
        let place = format!("/{}", keys.join("/"));
        let set = Fix::set(&format!("{place}={value}")).unwrap();
        let body = fix(r#"{ "a": null, "b" : {} }"#, set).unwrap().unwrap();
        let found = place.parse::<Pointer>().unwrap().find(&body).map(std::borrow::Cow::into_owned);
        prop_assert_eq!(found, Some(value.to_string()), "{}", body);
    }
}

#[test]
fn a_payload_that_is_not_in_the_message_is_not_changed() {
    let letter = |body: &str, name: &str, value: &str| {
        let attributes = [(name.to_owned(), Attribute::text(value))].into();
        let message = Message { body: body.to_owned(), attributes, ..Message::default() };
        Letter::new(message, &Intake::default())
    };
    let shaded = POINTER.replace("software.", "shaded.software.");
    let table = [
        (letter(&shaded, "SQSLargePayloadSize", "7"), FixError::InS3),
        (letter("H4sI", "contentEncoding", "gzip"), FixError::Compressed),
    ];
    for (letter, expected) in table {
        let fixes = [Fix::set("/1/s3Key=x").unwrap(), Fix::patch("[]").unwrap(), Fix::type_to("other")];
        for fix in fixes {
            assert_eq!(apply(&letter, &[fix], &Intake::default()), Err(expected.clone()));
        }
        assert_eq!(apply(&letter, &[], &Intake::default()), Ok(Fixed::default()));
    }
}
