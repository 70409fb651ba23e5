#![allow(clippy::unwrap_used)]

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Config, Region};
use drumline::run::FailureKind;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;

/// Starts an S3 server that sends one response to every request, and reports the requests.
async fn s3(status: &str, headers: &str, body: &str) -> (Objects, mpsc::Receiver<String>) {
    let answer = format!("{status}\r\nConnection: close\r\n{headers}\r\n{body}");
    s3_that_says(&[&answer]).await
}

/// Starts an S3 server that sends these responses one after the other, the last one to all further requests. Each closes its
/// connection.
pub(in crate::storage) async fn s3_that_says(answers: &[&str]) -> (Objects, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (report, requests) = mpsc::channel(8);
    let answers: Vec<String> = answers.iter().map(|&answer| answer.to_owned()).collect();
    tokio::spawn(async move {
        for given in answers.iter().chain(std::iter::repeat_with(|| answers.last().unwrap())) {
            let (stream, _) = listener.accept().await.unwrap();
            let request = answer(stream, format!("HTTP/1.1 {given}")).await;
            report.send(request).await.unwrap();
        }
    });
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::from_static("eu-central-1"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .allow_no_auth()
        // The SDK's own retries are not tested here, and take seconds.
        .retry_config(RetryConfig::disabled())
        .build();
    (Objects { client: OnceCell::new_with(Some(Client::from_conf(config))) }, requests)
}

/// Reads a request with its body, and responds.
async fn answer(stream: TcpStream, answer: String) -> String {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        assert_ne!(stream.read_line(&mut request).await.unwrap(), 0);
    }
    let length = request.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.unwrap();
    stream.write_all(answer.as_bytes()).await.unwrap();
    request + &String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn objects_are_read_up_to_their_limit() {
    let (objects, mut requests) = s3("200 OK", "Content-Length: 5\r\n", "12345").await;
    assert_eq!(objects.read("photos", "a b/ü.jpg", 5).await.unwrap(), "12345");
    assert!(requests.recv().await.unwrap().starts_with("GET /photos/a%20b/%C3%BC.jpg"));
    let failure = objects.read("photos", "a", 4).await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Reject);
    assert!(failure.reason().contains("s3://photos/a is larger than 4 bytes"), "{failure}");
}

#[tokio::test]
async fn an_object_that_hides_its_length_is_bounded_as_well() {
    let body = "3\r\n123\r\n2\r\n45\r\n0\r\n\r\n";
    let (objects, _requests) = s3("200 OK", "Transfer-Encoding: chunked\r\n", body).await;
    assert_eq!(objects.read("photos", "a", 5).await.unwrap(), "12345");
    assert_eq!(objects.read("photos", "a", 4).await.unwrap_err().kind(), FailureKind::Reject);
}

#[tokio::test]
async fn an_object_that_breaks_off_is_retried() {
    let (objects, _requests) = s3("200 OK", "Content-Length: 9\r\n", "123").await;
    let failure = objects.read("photos", "a", 99).await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Retry);
    assert!(failure.reason().contains("broke off"), "{failure}");
}

#[tokio::test]
async fn objects_are_written_with_their_type() {
    let (objects, mut requests) = s3("200 OK", "Content-Length: 0\r\n", "").await;
    objects.write("photos", "a.webp", b"bytes".to_vec(), "image/webp").await.unwrap();
    let request = requests.recv().await.unwrap();
    assert!(request.starts_with("PUT /photos/a.webp"), "{request}");
    assert!(request.contains("\r\ncontent-type: image/webp\r\n"), "{request}");
    assert!(request.contains("\r\ncontent-length: 5\r\n") && request.ends_with("bytes"), "{request}");
}

#[tokio::test]
async fn s3s_answer_decides() {
    for (status, code, wish) in [
        ("404 Not Found", "NoSuchKey", FailureKind::Reject),
        ("404 Not Found", "NoSuchBucket", FailureKind::Reject),
        ("400 Bad Request", "InvalidBucketName", FailureKind::Reject),
        ("403 Forbidden", "InvalidObjectState", FailureKind::Reject),
        ("403 Forbidden", "AccessDenied", FailureKind::Retry),
        ("403 Forbidden", "ExpiredToken", FailureKind::Retry),
        ("503 Slow Down", "SlowDown", FailureKind::Retry),
        ("500 Internal", "InternalError", FailureKind::Retry),
        ("400 Bad Request", "SomethingNew", FailureKind::Retry),
    ] {
        let body = format!("<Error><Code>{code}</Code><Message>in words</Message></Error>");
        let (objects, _requests) = s3(status, "Content-Type: application/xml\r\n", &body).await;
        let read = objects.read("photos", "a", 9).await.unwrap_err();
        let write = objects.write("photos", "a", Vec::new(), "image/png").await.unwrap_err();
        for failure in [read, write] {
            assert_eq!(failure.kind(), wish, "{code}: {failure}");
            assert!(failure.reason().contains(&format!("s3://photos/a: {code}: in words")), "{failure}");
        }
    }
}

#[tokio::test]
async fn an_unreachable_s3_is_tried_again() {
    let (objects, _requests) = s3("garbage", "", "").await;
    assert_eq!(objects.read("photos", "a", 9).await.unwrap_err().kind(), FailureKind::Retry);
    assert_eq!(
        objects.write("photos", "a", Vec::new(), "image/png").await.unwrap_err().kind(),
        FailureKind::Retry
    );
}
