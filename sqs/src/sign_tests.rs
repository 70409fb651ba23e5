#![allow(clippy::unwrap_used, clippy::similar_names)]
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use proptest::prelude::*;

use super::*;

/// A request to sign.
struct Signable<'a> {
    host: &'a str,
    path: &'a str,
    target: &'a str,
    body: &'a [u8],
}

/// Returns the date and the signature that this crate makes.
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
    // The second time, the kept key is used.
    assert_eq!(signed(), signed());
    signed()
}

/// Returns the signature that AWS's code makes.
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

/// A POST request without a query from AWS's published test suite, with its signature.
struct Published {
    name: &'static str,
    /// The path, as the request has it.
    path: &'static str,
    /// The canonical headers.
    headers: &'static [&'static str],
    body: &'static str,
    signature: &'static str,
}

const DATE: &str = "x-amz-date:20150830T123600Z";
const HOST: &str = "host:example.amazonaws.com";
const BODY_HASH: &str =
    "x-amz-content-sha256:9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e";
const TOKEN: &str = concat!(
    "x-amz-security-token:AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeo",
    "IYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6",
    "fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLx",
    "BA=="
);

/// The POST requests without a query of `tests/aws-signing-test-suite/v4` in awslabs/aws-c-auth v0.9.0 (Apache-2.0).
const PUBLISHED: [Published; 7] = [
    Published {
        name: "post-vanilla",
        path: "/",
        headers: &[HOST, DATE],
        body: "",
        signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    },
    Published {
        name: "post-sts-header-before",
        path: "/",
        headers: &[HOST, DATE, TOKEN],
        body: "",
        signature: "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
    },
    Published {
        name: "post-header-key-sort",
        path: "/",
        headers: &[HOST, "my-header1:value1", DATE],
        body: "",
        signature: "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
    },
    Published {
        name: "post-header-value-case",
        path: "/",
        headers: &[HOST, "my-header1:VALUE1", DATE],
        body: "",
        signature: "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
    },
    Published {
        name: "post-x-www-form-urlencoded",
        path: "/",
        headers: &[
            "content-length:13",
            "content-type:application/x-www-form-urlencoded",
            HOST,
            BODY_HASH,
            DATE,
        ],
        body: "Param1=value1",
        signature: "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
    },
    Published {
        name: "post-x-www-form-urlencoded-parameters",
        path: "/",
        headers: &[
            "content-length:13",
            "content-type:application/x-www-form-urlencoded; charset=utf-8",
            HOST,
            BODY_HASH,
            DATE,
        ],
        body: "Param1=value1",
        signature: "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422",
    },
    // A GET request, except the one about characters of a path that stay unencoded.
    Published {
        name: "get-unreserved",
        path: "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        headers: &[HOST, DATE],
        body: "",
        signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    },
];

#[test]
fn signatures_match_those_that_aws_publishes() {
    let credentials =
        Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, None, "test");
    for Published { name, path, headers, body, signature } in PUBLISHED {
        let method = if name.starts_with("get") { "GET" } else { "POST" };
        let names: Vec<&str> = headers.iter().filter_map(|header| header.split(':').next()).collect();
        let (names, headers, path) = (names.join(";"), headers.join("\n"), encoded(path));
        let hash = hexadecimal(&Sha256::digest(body).into());
        let mut canonical = Sha256::new_with_prefix(format!("{method}\n{path}\n\n{headers}\n\n{names}\n"));
        canonical.update(hash);
        // 2015-08-30T12:36:00Z
        let seconds = 1_440_938_160;
        let key = KeptKey::default().of_day(seconds, ("us-east-1", "service"), &credentials, &names);
        let date = date(&key.date, seconds);
        assert_eq!(format!("x-amz-date:{date}"), DATE);
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={names}, Signature={signature}"
        );
        assert_eq!(key.authorization(&date, canonical), expected, "{name}");
    }
}

#[test]
fn paths_are_encoded_as_aws_publishes() {
    // The cases `double-encode-path` and `double-url-encode` of the test suite of `aws-sigv4`.
    let table = [
        ("/test/@connections/JBDvjfGEIAMCERw%3D", "/test/%40connections/JBDvjfGEIAMCERw%253D"),
        (
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-west-2%3A1%3Afunction%3Amy-rusty-fun/invocations",
            "/2015-03-31/functions/arn%253Aaws%253Alambda%253Aus-west-2%253A1%253Afunction%253Amy-rusty-fun/invocations",
        ),
    ];
    for (path, expected) in table {
        assert_eq!(encoded(path), expected);
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
