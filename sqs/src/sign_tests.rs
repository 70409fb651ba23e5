#![allow(clippy::unwrap_used, clippy::similar_names)]
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use proptest::prelude::*;

use super::*;

/// A request that is to be signed.
struct Signable<'a> {
    host: &'a str,
    path: &'a str,
    target: &'a str,
    body: &'a [u8],
}

/// The date and the signature by this crate.
fn by_us(
    credentials: &Credentials,
    region: &str,
    now: SystemTime,
    request: &Signable<'_>,
) -> (String, String) {
    let identity = Identity::new(credentials.clone()).unwrap();
    let signer = Signer::new(region.to_owned(), request.host, request.path);
    let signed = || {
        let signed = signer.sign(now, &identity, request.target, request.body).unwrap();
        let text = |header: HeaderValue| header.to_str().unwrap().to_owned();
        (text(signed.date), text(signed.authorization))
    };
    // The second time, the key is a kept one.
    assert_eq!(signed(), signed());
    signed()
}

/// The signature by all of AWS's own code.
fn by_aws(
    credentials: &Credentials,
    region: &str,
    now: SystemTime,
    request: &Signable<'_>,
) -> (String, String) {
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let uri = format!("http://{}{}", request.host, request.path);
    let headers = [
        ("content-type", CONTENT_TYPE),
        ("host", request.host),
        ("x-amz-target", request.target),
        ("x-amzn-query-mode", "true"),
    ];
    let signable =
        SignableRequest::new("POST", &uri, headers.into_iter(), SignableBody::Bytes(request.body)).unwrap();
    let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
    let mut signed = http::Request::new(());
    instructions.apply_to_request_http1x(&mut signed);
    let header = |name: &str| signed.headers()[name].to_str().unwrap().to_owned();
    (header("x-amz-date"), header("authorization"))
}

proptest! {
    #[test]
    fn signatures_are_those_of_awss_own_signer(
        body in proptest::collection::vec(any::<u8>(), 0..2_000),
        secret in "[ -~]{1,60}",
        token in proptest::option::of("[!-~]{1,200}"),
        access_key in "[A-Z0-9]{4,20}",
        host in prop_oneof![Just("sqs.eu-west-1.amazonaws.com".to_owned()), Just("127.0.0.1:9324".to_owned())],
        path in prop_oneof![Just("/"), Just("/proxy/sqs/"), Just("/a%20b/c~d/")],
        seconds in 0u64..4_000_000_000,
    ) {
        let now = UNIX_EPOCH + Duration::from_secs(seconds);
        let credentials = Credentials::new(access_key, secret, token, None, "test");
        let request = Signable { host: &host, path, target: "AmazonSQS.ReceiveMessage", body: &body };
        let signed = by_us(&credentials, "eu-west-1", now, &request);
        prop_assert_eq!(signed, by_aws(&credentials, "eu-west-1", now, &request));
    }
}

#[test]
fn a_kept_key_is_replaced_with_the_day() {
    let signer = Signer::new("us-east-1".to_owned(), "h", "/");
    let credentials = Credentials::new("A", "s", None, None, "test");
    let identity = Identity::new(credentials.clone()).unwrap();
    let request = Signable { host: "h", path: "/", target: "t", body: b"{}" };
    for day in [1, 2, 2, 1] {
        let now = UNIX_EPOCH + Duration::from_secs(day * 24 * 60 * 60 + 3_725);
        let signed = signer.sign(now, &identity, "t", b"{}").unwrap();
        let (date, authorization) = by_aws(&credentials, "us-east-1", now, &request);
        assert_eq!([signed.date, signed.authorization], [date, authorization]);
    }
}

#[test]
fn no_secret_is_in_what_is_printed() {
    let signer = Signer::new("us-east-1".to_owned(), "h", "/");
    let identity = Identity::new(Credentials::new("AKID", "secret", None, None, "test")).unwrap();
    let signed = signer.sign(UNIX_EPOCH, &identity, "t", b"{}").unwrap();
    assert_eq!(format!("{:?}", signed.authorization), "Sensitive");
    assert_eq!(format!("{signer:?}"), r#"Signer { region: "us-east-1", .. }"#);
}
