#![allow(clippy::unwrap_used)]
use drumline::message::{Attribute, ContentEncoding, payload_size_attribute};
use futures_util::FutureExt as _;

use super::*;

fn message(body: &str, attributes: &[(&str, Attribute)]) -> Arc<Message> {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Arc::new(Message { body: body.to_owned(), attributes, ..Message::default() })
}

fn pointer(bucket: &str, size: usize) -> Arc<Message> {
    let body = PayloadPointer { bucket: bucket.to_owned(), key: "k".to_owned() }.to_body();
    message(&body, &[("ExtendedPayloadSize", payload_size_attribute(size))])
}

/// Opens a message without S3, so without waiting.
fn open(settings: PayloadSettings, message: &Arc<Message>) -> Result<Option<Message>, OpenError> {
    let payloads = Payloads::with(settings, Account::None);
    payloads.opened(message).now_or_never().expect("nothing to wait for")
}

#[test]
fn the_usual_message_is_answered_at_once() {
    let payloads = Payloads::default();
    let answer = payloads.open(&message(r#"{"type":"a","payload":1}"#, &[])).at_once();
    assert!(matches!(answer, Some(Ok(None))));
}

#[test]
fn compressed_bodies_need_no_setting() {
    let gzip = ("contentEncoding", Attribute::text("gzip"));
    let stored = compress(ContentEncoding::Gzip, "text");
    let opened = open(PayloadSettings::default(), &message(&stored, std::slice::from_ref(&gzip)));
    let opened = opened.unwrap().unwrap();
    assert_eq!((&*opened.body, opened.attributes.len()), ("text", 0));
    let Err(OpenError::Permanent(reason)) =
        open(PayloadSettings::default(), &message("***", std::slice::from_ref(&gzip)))
    else {
        panic!("it is damaged");
    };
    assert!(reason.starts_with("the body is not base64"), "{reason}");
    let small = PayloadSettings { max_bytes: 3, ..PayloadSettings::default() };
    let Err(OpenError::Permanent(reason)) = open(small, &message(&stored, &[gzip])) else {
        panic!("it is too large");
    };
    assert!(reason.contains("DRUMLINE_MAX_PAYLOAD_SIZE (3 bytes)"), "{reason}");
}

#[test]
fn objects_wait_for_a_place_and_bodies_do_not() {
    let opening: &'static Semaphore = Box::leak(Box::new(Semaphore::new(0)));
    let settings = PayloadSettings { buckets: allowed_buckets("b").unwrap(), ..PayloadSettings::default() };
    let payloads = Payloads(Arc::new(Inner { settings, opening, ..Inner::default() }));
    let body =
        message(&compress(ContentEncoding::Gzip, "text"), &[("contentEncoding", Attribute::text("gzip"))]);
    assert!(matches!(payloads.opened(&body).now_or_never(), Some(Ok(Some(_)))));
    let refused = payloads.opened(&pointer("other", 10)).now_or_never();
    assert!(matches!(refused, Some(Err(OpenError::Retry(_)))), "{refused:?}");
    let object = pointer("b", 10);
    assert!(payloads.opened(&object).now_or_never().is_none(), "no place is free");
    opening.add_permits(1);
    for _ in 0..2 {
        // Allowed, so it reaches S3, and then releases its permit.
        let opened = payloads.opened(&object).now_or_never();
        assert!(matches!(opened, Some(Err(OpenError::Retry(_)))), "{opened:?}");
    }
}

#[test]
fn a_pointer_is_followed_only_where_the_settings_allow() {
    let settings = |buckets: &str| PayloadSettings {
        buckets: allowed_buckets(buckets).unwrap(),
        max_bytes: 1_000,
        ..PayloadSettings::default()
    };
    let table = [
        ("", 10, "DRUMLINE_PAYLOAD_BUCKETS"),
        ("other", 10, "not among DRUMLINE_PAYLOAD_BUCKETS"),
        ("b/x", 10, "not among DRUMLINE_PAYLOAD_BUCKETS"),
        // Allowed, so it reaches S3.
        ("b", 10, "no AWS account"),
    ];
    for (buckets, size, says) in table {
        let Err(OpenError::Retry(reason)) = open(settings(buckets), &pointer("b", size)) else {
            panic!("{buckets}: a fault of the setup");
        };
        assert!(reason.contains(says), "{buckets}: {reason}");
    }
    let Err(OpenError::Permanent(reason)) = open(settings("b"), &pointer("b", 1_001)) else {
        panic!("it is too large");
    };
    assert_eq!(reason, "the payload s3://b/k is larger than DRUMLINE_MAX_PAYLOAD_SIZE (1000 bytes)");
}
