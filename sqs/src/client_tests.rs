#![allow(clippy::unwrap_used)]
use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use aws_credential_types::Credentials;
use aws_credential_types::provider::{self, ProvideCredentials, future};

use super::*;
use crate::scripted::{Scripted, Step, answer, credentials, ok, text};

const LIMIT: Duration = Duration::from_secs(10);
const URL: &str = "http://sqs.test/0/jobs";
const RECEIVE: ReceiveRequest<'_> =
    ReceiveRequest { max: 10, wait_secs: 0, visibility_secs: None, system_attributes: &["All"] };

async fn receive(client: &SqsClient) -> Result<Received, RequestError> {
    client.receive(URL, &RECEIVE, LIMIT).await
}

async fn delete(client: &SqsClient) -> Result<BatchAnswer, RequestError> {
    client.delete(URL, &[DeleteEntry { receipt: "r" }], LIMIT).await
}

async fn hide(client: &SqsClient) -> Result<BatchAnswer, RequestError> {
    client.change_visibility(URL, &[VisibilityEntry { receipt: "r", visibility_secs: 5 }], LIMIT).await
}

async fn send(client: &SqsClient) -> Result<BatchAnswer, RequestError> {
    let entry = SendEntry {
        body: "b",
        attributes: &std::collections::BTreeMap::new(),
        delay_secs: None,
        group: None,
        deduplication_id: None,
        trace_header: None,
    };
    client.send(URL, &[entry], LIMIT).await
}

fn refused(code: &str, headers: &str) -> Step {
    answer(
        "403 Forbidden",
        headers,
        &format!(r#"{{"__type":"com.amazon.coral.service#{code}","message":"no"}}"#),
    )
}

/// Returns one credential after the other.
#[derive(Debug)]
struct InTurn(Mutex<Vec<Credentials>>);

impl ProvideCredentials for InTurn {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let next = self.0.lock().unwrap().pop();
        let none = || provider::error::CredentialsError::not_loaded("no more");
        future::ProvideCredentials::ready(next.ok_or_else(none))
    }
}

fn in_turn(mut credentials: Vec<Credentials>) -> SharedCredentialsProvider {
    credentials.reverse();
    SharedCredentialsProvider::new(InTurn(Mutex::new(credentials)))
}

#[tokio::test]
async fn requests_share_a_connection_and_have_the_protocols_headers() {
    let server = Scripted::start(vec![vec![ok(r#"{"Messages":[{"MessageId":"1"}]}"#), ok("{}")]]).await;
    let client = server.client_with(in_turn(vec![credentials("AKID", Some("token"))]));
    assert_eq!(&*receive(&client).await.unwrap().messages[0].id, "1");
    delete(&client).await.unwrap();
    assert_eq!(server.connections(), [0, 0]);
    let seen = &server.seen()[0];
    assert!(seen.head.starts_with("POST / HTTP/1.1\r\n"), "{}", seen.head);
    for (name, value) in [
        ("host", &server.endpoint["http://".len()..]),
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", "AmazonSQS.ReceiveMessage"),
        ("x-amzn-query-mode", "true"),
        ("x-amz-security-token", "token"),
        ("user-agent", "test"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    let authorization = seen.header("authorization").unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"), "{authorization}");
    assert!(seen.body.starts_with(r#"{"QueueUrl":"http://sqs.test/0/jobs","MaxNumberOfMessages":10"#));
}

#[tokio::test]
async fn an_answer_may_come_in_chunks() {
    let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                  d\r\n{\"Messages\":[\r\n10\r\n{\"MessageId\":\"1\"\r\n3\r\n}]}\r\n0\r\n\r\n";
    let server = Scripted::start(vec![vec![Step::Answer(chunks.into()), ok("{}")]]).await;
    let client = server.client();
    assert_eq!(&*receive(&client).await.unwrap().messages[0].id, "1");
    receive(&client).await.unwrap();
    assert_eq!(server.connections(), [0, 0]);
}

#[tokio::test]
async fn an_answer_with_more_than_64_mib_is_refused() {
    const MIB: usize = 1024 * 1024;
    let promised = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{{", 64 * MIB + 1);
    for step in [Step::Answer(promised), Step::Endless("HTTP/1.1 200 OK\r\n\r\n", 65 * MIB)] {
        let server = Scripted::start(vec![vec![step]]).await;
        let error = receive(&server.client()).await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Unanswered(_)), "{error:?}");
        assert!(error.text.contains("67108864 bytes"), "{error}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_error_and_is_not_followed() {
    let elsewhere = "location: http://127.0.0.1:1/\r\n";
    let server = Scripted::start(vec![vec![answer("307 Temporary Redirect", elsewhere, "")]]).await;
    let error = delete(&server.client()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Service { status: 307, .. }), "{error:?}");
    assert_eq!(server.connections(), [0]);
}

#[tokio::test]
async fn deletes_and_changes_without_an_answer_are_repeated_once() {
    for end in [|| Step::Close, || Step::Reset] {
        let server = Scripted::start(vec![vec![end()], vec![ok("{}")], vec![end()], vec![ok("{}")]]).await;
        // A client for each request, so that each has its own connection.
        delete(&server.client()).await.unwrap();
        hide(&server.client()).await.unwrap();
        assert_eq!(server.connections(), [0, 1, 2, 3]);
    }
    let server = Scripted::start(vec![vec![Step::Close], vec![Step::Close], vec![ok("{}")]]).await;
    let error = delete(&server.client()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Unanswered(_)), "{error:?}");
    assert_eq!(server.connections(), [0, 1]);
}

#[tokio::test]
async fn a_receive_and_a_send_are_not_repeated_once_they_are_written() {
    let broken = || Step::AnswerAndClose("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".into());
    for end in [|| Step::Close, || Step::Reset, broken] {
        let server = Scripted::start(vec![vec![end()], vec![end()], vec![ok("{}")]]).await;
        let error = receive(&server.client()).await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Unanswered(_)), "{error:?}");
        let error = send(&server.client()).await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Unanswered(_)), "{error:?}");
        assert_eq!(server.connections(), [0, 1]);
    }
}

#[tokio::test]
async fn a_connection_that_has_ended_is_replaced_for_every_request() {
    for request in 0..3 {
        let closing = || Step::AnswerAndClose(text("200 OK", "", "{}"));
        let mut server = Scripted::start(vec![vec![closing()], vec![ok("{}")]]).await;
        let client = server.client();
        receive(&client).await.unwrap();
        client.pool.until_all_are_closed().await;
        match request {
            0 => drop(receive(&client).await.unwrap()),
            1 => drop(send(&client).await.unwrap()),
            _ => drop(delete(&client).await.unwrap()),
        }
        drop(client);
        server.ended().await;
        assert_eq!(server.connections(), [0, 1]);
    }
}

#[tokio::test]
async fn a_connection_takes_no_request_that_is_old_or_was_long_unused() {
    let server = Scripted::start((0..3).map(|_| vec![ok("{}"), ok("{}")]).collect()).await;
    let client = server.client();
    receive(&client).await.unwrap();
    client.pool.let_time_pass(Duration::from_secs(50), Duration::from_secs(50));
    receive(&client).await.unwrap();
    client.pool.let_time_pass(Duration::from_secs(250), Duration::ZERO);
    receive(&client).await.unwrap();
    client.pool.let_time_pass(Duration::from_secs(55), Duration::from_secs(55));
    receive(&client).await.unwrap();
    assert_eq!(server.connections(), [0, 0, 1, 2]);
}

#[tokio::test]
async fn the_limit_ends_a_request_and_its_connection() {
    let mut server = Scripted::start(vec![vec![Step::Silence], vec![Step::Silence]]).await;
    let client = server.client();
    let limit = Duration::from_millis(50);
    let error = client.receive(URL, &RECEIVE, limit).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Unanswered(_)), "{error:?}");
    assert_eq!(error.text, "no answer within 0.05 s");
    client.delete(URL, &[], limit).await.unwrap_err();
    // The script waits until both connections have ended.
    server.ended().await;
    assert_eq!(server.connections(), [0, 1]);
}

#[tokio::test]
async fn without_a_connection_there_is_no_doubt() {
    let mut server = Scripted::start(vec![]).await;
    server.ended().await;
    let error = send(&server.client()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NoConnection(_)), "{error:?}");
}

#[derive(Debug)]
struct Never;

impl ProvideCredentials for Never {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_ends_before_anything_is_written_leaves_no_doubt() {
    let server = Scripted::start(vec![]).await;
    let error = send(&server.client_with(SharedCredentialsProvider::new(Never))).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NoConnection(_)), "{error:?}");
}

#[tokio::test]
async fn credentials_that_have_ended_are_replaced_once() {
    for code in ["ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId"] {
        let refused = || refused(code, "");
        let server = Scripted::start(vec![vec![refused(), ok("{}"), refused(), refused(), ok("{}")]]).await;
        // The key id stays the same, as with session tokens for one key.
        let client = server.client_with(in_turn(
            ["1", "2", "3", "4"].map(|token| credentials("AKID", Some(token))).to_vec(),
        ));
        send(&client).await.unwrap();
        let error = send(&client).await.unwrap_err();
        assert_eq!(error.code(), Some(code));
        let seen = server.seen();
        let tokens: Vec<_> = seen.iter().map(|seen| seen.header("x-amz-security-token").unwrap()).collect();
        assert_eq!(tokens, ["1", "2", "2", "3"]);
        assert_eq!(server.connections(), [0; 4]);
    }
}

#[tokio::test]
async fn without_credentials_nothing_is_sent() {
    let server = Scripted::start(vec![vec![ok("{}")]]).await;
    let error = receive(&server.client_with(in_turn(vec![]))).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Credentials(_)), "{error:?}");
    let odd = in_turn(vec![credentials("AKID", Some("a\nb"))]);
    let error = receive(&server.client_with(odd)).await.unwrap_err();
    assert!(error.text.contains("session token"), "{error}");
    assert!(server.seen().is_empty());
}

/// Returns the time of a request's signature, in seconds since the epoch by `format`.
fn signed_at(seen: &crate::scripted::Seen) -> String {
    seen.header("x-amz-date").unwrap().to_owned()
}

#[tokio::test]
async fn the_clock_is_corrected_after_an_error_about_it_only() {
    let theirs = SystemTime::now() + Duration::from_secs(2 * 60 * 60);
    let date = format!("date: {}\r\n", httpdate::fmt_http_date(theirs));
    let script = vec![
        // A different date alone is no reason.
        answer("200 OK", &date, "{}"),
        refused("InvalidSignatureException", &date),
        ok("{}"),
        ok("{}"),
        // The clocks now agree: the error has another reason.
        refused("SignatureDoesNotMatch", &date),
        ok("{}"),
    ];
    let server = Scripted::start(vec![script]).await;
    let client = server.client();
    for _ in 0..3 {
        send(&client).await.unwrap();
    }
    assert_eq!(send(&client).await.unwrap_err().code(), Some("SignatureDoesNotMatch"));
    let is_ahead: Vec<bool> = server
        .seen()
        .iter()
        .map(|seen| {
            let hour = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_secs() / 3600 % 24;
            let signed: u64 = signed_at(seen)[9..11].parse().unwrap();
            signed != hour(SystemTime::now()) && signed != hour(SystemTime::now() - Duration::from_secs(60))
        })
        .collect();
    assert_eq!(is_ahead, [false, false, true, true, true]);
}

#[tokio::test]
async fn errors_have_the_code_that_the_sdk_has() {
    let table = [
        (
            answer(
                "400 Bad Request",
                "x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender\r\n",
                r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"gone"}"#,
            ),
            ("AWS.SimpleQueueService.NonExistentQueue", Some("gone"), 400),
        ),
        (
            answer(
                "400 Bad Request",
                "",
                r#"{"__type":"com.amazonaws.sqs#OverLimit","Message":"x","message":"y"}"#,
            ),
            ("OverLimit", Some("y"), 400),
        ),
        (
            answer("500 Oops", "x-amzn-errortype: InternalFailure:http://internal\r\n", r#"{"message":7}"#),
            ("InternalFailure", None, 500),
        ),
        (answer("503 Busy", "", "<html>"), ("", None, 503)),
    ];
    for (step, (code, message, status)) in table {
        let server = Scripted::start(vec![vec![step]]).await;
        let error = receive(&server.client()).await.unwrap_err();
        let ErrorKind::Service { code: known, message: text, status: number, .. } = &error.kind else {
            panic!("{error:?}");
        };
        assert_eq!((&**known, text.as_deref(), *number), (code, message, status));
    }
}

#[tokio::test]
async fn an_answer_may_name_the_time_until_the_next_request() {
    let busy = answer("503 Busy", "x-amz-retry-after: 1500\r\n", "{}");
    let server = Scripted::start(vec![vec![busy]]).await;
    let error = receive(&server.client()).await.unwrap_err();
    let ErrorKind::Service { retry_after, .. } = error.kind else { panic!("{error:?}") };
    assert_eq!(retry_after, Some(Duration::from_millis(1500)));
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_reported() {
    let server = Scripted::start(vec![vec![ok("<html>"), ok("[]")]]).await;
    let client = server.client();
    for error in [receive(&client).await.unwrap_err(), delete(&client).await.unwrap_err()] {
        assert!(matches!(error.kind, ErrorKind::Undecodable), "{error:?}");
    }
}

#[test]
fn a_client_shows_its_endpoint_without_a_password_or_secret() {
    let config = |endpoint: &str| ClientConfig {
        endpoint: endpoint.to_owned(),
        region: "eu-west-1".to_owned(),
        credentials: SharedCredentialsProvider::new(credentials("AKID", Some("token"))),
        user_agent: "test",
    };
    let environment = Environment::from([("AWS_REGION", "eu-west-1")]);
    let table = [
        ("http://127.0.0.1:9324", "127.0.0.1:9324", "/"),
        ("http://h:80/", "h", "/"),
        ("http://[::1]:4566/proxy/", "[::1]:4566", "/proxy/"),
        ("http://user:hidden@h/proxy", "h", "/proxy/"),
    ];
    for (endpoint, host, path) in table {
        let client = SqsClient::new(config(endpoint), &environment).unwrap();
        assert_eq!((client.host.to_str().unwrap(), client.uri.path()), (host, path));
        let shown = format!("{client:?}");
        assert!(!["AKID", "secret", "token", "hidden"].iter().any(|text| shown.contains(text)), "{shown}");
    }
    assert!(SqsClient::new(config("/only-a-path"), &environment).is_err());
}
