#![allow(clippy::unwrap_used)]
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::config::loader;

/// A server that sends the next of these responses to each request, and the last one repeatedly.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

async fn serve(answers: &[(u16, &'static str, &'static str)]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requests: Arc<Mutex<Vec<String>>> = Arc::default();
    let (answers, seen, next) = (answers.to_vec(), Arc::clone(&requests), AtomicUsize::new(0));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            seen.lock().unwrap().push(String::from_utf8(head).unwrap());
            let (status, headers, body) =
                answers[next.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1)];
            let length = body.len();
            let text = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
            );
            stream.write_all(text.as_bytes()).await.unwrap();
        }
    });
    Server { address, requests }
}

impl Server {
    async fn get(&self, max_bytes: usize) -> Result<Bytes, S3Error> {
        self.send(Method::GET, max_bytes).await
    }

    async fn send(&self, method: Method, max_bytes: usize) -> Result<Bytes, S3Error> {
        let environment = Environment::from([
            ("AWS_ENDPOINT_URL_S3", &*self.address),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
        ]);
        let config = loader(&environment).unwrap().load().await;
        let s3 = S3::new(&config, &environment, Duration::from_secs(5)).unwrap();
        let path = object_path("a key");
        let request =
            S3Request { method, bucket: "b", path: &path, headers: &[], body: Bytes::new(), max_bytes };
        s3.send(&request).await.map(Response::into_body)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

const MISSING: &str = "<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>";

#[tokio::test]
async fn answers_are_distinguished() {
    let said = |text: &str| text.to_owned();
    let table = [
        ((200, "", "text"), Ok(Bytes::from_static(b"text"))),
        ((404, "", MISSING), Err(S3Error::NoSuchKey(said("S3 answers 404 NoSuchKey: gone")))),
        ((404, "", "<Code>NoSuchVersion</Code>"), Err(S3Error::Other(said("S3 answers 404 NoSuchVersion")))),
        ((404, "", "<Code>NoSuchBucket</Code>"), Err(S3Error::Other(said("S3 answers 404 NoSuchBucket")))),
        ((403, "", "<Code>AccessDenied</Code>"), Err(S3Error::Denied(said("S3 answers 403 AccessDenied")))),
        ((412, "", ""), Err(S3Error::Exists(said("S3 answers 412")))),
        ((400, "", "<Code>ExpiredToken</Code>"), Err(S3Error::Other(said("S3 answers 400 ExpiredToken")))),
    ];
    for (answer, expected) in table {
        let server = serve(&[answer]).await;
        assert_eq!(server.get(0).await, expected);
        let requests = server.requests();
        assert_eq!(requests.len(), 1, "an answer is an answer");
        assert!(requests[0].starts_with("GET /b/a%20key HTTP/1.1"), "{}", requests[0]);
    }
}

#[tokio::test]
async fn a_transient_error_is_retried_and_the_region_is_followed() {
    let server = serve(&[
        (503, "", "<Code>SlowDown</Code>"),
        (301, "x-amz-bucket-region: eu-north-1\r\n", ""),
        (200, "", "text"),
    ])
    .await;
    assert_eq!(server.get(0).await, Ok(Bytes::from_static(b"text")));
    let requests = server.requests();
    assert!(requests[1].contains("/eu-west-1/s3/aws4_request"), "{}", requests[1]);
    assert!(requests[2].contains("/eu-north-1/s3/aws4_request"), "{}", requests[2]);
}

#[tokio::test]
async fn a_404_that_is_not_from_s3_says_nothing_about_an_object() {
    for page in ["", "<html>The page of a proxy</html>"] {
        let server = serve(&[(404, "", page), (200, "", "text")]).await;
        assert_eq!(server.get(0).await, Ok(Bytes::from_static(b"text")), "{page}");
    }
    let server = serve(&[(404, "", "<html></html>")]).await;
    assert_eq!(server.get(0).await, Err(S3Error::Unavailable("S3 answers 404".to_owned())));
    assert_eq!(server.requests().len(), TRIES as usize);
    // The response to a HEAD request has no body.
    let server = serve(&[(404, "", "")]).await;
    let answer = server.send(Method::HEAD, 0).await;
    assert_eq!(answer, Err(S3Error::NoSuchKey("S3 answers 404".to_owned())));
}

#[tokio::test]
async fn an_outage_ends_after_the_last_try() {
    let server = serve(&[(500, "", "")]).await;
    assert_eq!(server.get(0).await, Err(S3Error::Unavailable("S3 answers 500".to_owned())));
    assert_eq!(server.requests().len(), TRIES as usize);
    let closed = Server { address: "http://127.0.0.1:1".to_owned(), requests: Arc::default() };
    let error = closed.get(0).await.unwrap_err();
    assert!(matches!(&error, S3Error::Unavailable(text) if text.starts_with("127.0.0.1: ")), "{error:?}");
}

#[tokio::test]
async fn an_object_beyond_the_bound_is_not_read() {
    let length: &'static str = "x-test: 1\r\n";
    let long: &'static str = Box::leak("x".repeat(crate::MAX_ANSWER_BYTES + 1).into_boxed_str());
    let server = serve(&[(200, length, long)]).await;
    assert_eq!(server.get(10).await, Err(S3Error::TooLarge));
    assert_eq!(server.get(long.len()).await.map(|body| body.len()), Ok(long.len()));
}
