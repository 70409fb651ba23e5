//! The client against a server that follows a script, connection by connection.
#![allow(clippy::unwrap_used)]
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError, future};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const LIMIT: Duration = Duration::from_secs(10);
const URL: &str = "http://127.0.0.1/1/jobs";

/// What the server does once it has read a request, or at the beginning of a connection.
#[derive(Debug, Clone)]
enum Step {
    /// Answers with these bytes.
    Answer(String),
    /// Answers with this head, and then so many zeros.
    Endless(&'static str, usize),
    /// Closes the connection without an answer.
    Close,
    /// Answers, and closes the connection.
    Last(String),
    /// Never answers.
    Hang,
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

fn ok(body: &str) -> Step {
    Step::Answer(answer("200 OK", "", body))
}

fn error(status: &str, headers: &str, code: &str) -> Step {
    Step::Answer(answer(status, headers, &format!(r#"{{"__type":"{code}","message":"why"}}"#)))
}

/// The requests that a server has read: the number of the connection, and the text.
type Read = Arc<Mutex<Vec<(usize, String)>>>;

/// Serves each connection in turn by its own steps, and closes it behind them.
async fn serve(script: Vec<Vec<Step>>) -> (String, Read) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let read = Read::default();
    let requests = Arc::clone(&read);
    tokio::spawn(async move {
        for (number, steps) in script.into_iter().enumerate() {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(connection(stream, number, steps, Arc::clone(&requests)));
        }
    });
    (endpoint, read)
}

async fn connection(mut stream: TcpStream, number: usize, steps: Vec<Step>, requests: Read) {
    for step in steps {
        let Some(request) = request(&mut stream).await else { return };
        requests.lock().unwrap().push((number, request));
        match step {
            Step::Answer(text) => stream.write_all(text.as_bytes()).await.unwrap(),
            Step::Endless(head, bytes) => {
                stream.write_all(head.as_bytes()).await.unwrap();
                let piece = vec![b'0'; 64 * 1024];
                for _ in 0..bytes.div_ceil(piece.len()) {
                    if stream.write_all(&piece).await.is_err() {
                        return;
                    }
                }
            }
            Step::Last(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                return;
            }
            Step::Close => return,
            Step::Hang => std::future::pending().await,
        }
    }
    // Kept open until the client closes it.
    let _ = stream.read(&mut [0]).await;
}

/// Reads a request whole. `None` if the connection ends.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text);
            }
        }
    }
}

/// Gives each of these credentials in turn, and the last one from then on.
#[derive(Debug)]
struct Rotating(Mutex<VecDeque<Credentials>>);

impl ProvideCredentials for Rotating {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let mut left = self.0.lock().unwrap();
        let credentials = if left.len() > 1 { left.pop_front() } else { left.front().cloned() };
        future::ProvideCredentials::ready(credentials.ok_or_else(|| CredentialsError::not_loaded("none")))
    }
}

fn credentials(access_key: &str) -> Credentials {
    Credentials::new(access_key, "secret", None, None, "test")
}

fn client_with(endpoint: &str, credentials: impl IntoIterator<Item = Credentials>) -> SqsClient {
    let credentials = SharedCredentialsProvider::new(Rotating(Mutex::new(credentials.into_iter().collect())));
    let config = ClientConfig {
        endpoint: endpoint.to_owned(),
        region: "eu-west-1".to_owned(),
        credentials,
        user_agent: "drumline/test",
    };
    SqsClient::new(config, &Environment::from([("", ""); 0])).unwrap()
}

fn client(endpoint: &str) -> SqsClient {
    client_with(endpoint, [credentials("AKID")])
}

async fn receive(client: &SqsClient) -> Result<Received, RequestError> {
    let request =
        ReceiveRequest { max: 10, wait_secs: 20, visibility_secs: None, system_attributes: &["All"] };
    client.receive(URL, &request, LIMIT).await
}

async fn delete(client: &SqsClient) -> Result<BatchAnswer, RequestError> {
    client.delete(URL, &[DeleteEntry { receipt: "r" }], LIMIT).await
}

async fn send(client: &SqsClient) -> Result<BatchAnswer, RequestError> {
    let (body, attributes) = ("b", &std::collections::BTreeMap::new());
    let entry = SendEntry {
        body,
        attributes,
        delay_secs: None,
        group: None,
        deduplication_id: None,
        trace_header: None,
    };
    client.send(URL, &[entry], LIMIT).await
}

fn connections(read: &Read) -> Vec<usize> {
    read.lock().unwrap().iter().map(|(connection, _)| *connection).collect()
}

#[tokio::test]
async fn one_connection_serves_requests_in_turn() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n".to_owned();
    let (endpoint, read) =
        serve(vec![vec![ok("{}"), Step::Answer(chunked), ok(r#"{"Successful":[{"Id":"0"}]}"#)]]).await;
    let client = client(&endpoint);
    assert_eq!(receive(&client).await.unwrap(), Received::default());
    assert_eq!(receive(&client).await.unwrap(), Received::default());
    assert_eq!(delete(&client).await.unwrap().successful.len(), 1);
    assert_eq!(connections(&read), [0, 0, 0]);
    let host = endpoint.strip_prefix("http://").unwrap();
    let (_, first) = &read.lock().unwrap()[0];
    assert!(
        first.starts_with("POST / HTTP/1.1\r\n") && first.contains(&format!("\r\nhost: {host}\r\n")),
        "{first}"
    );
}

#[tokio::test]
async fn a_connection_that_ends_before_an_answer_repeats_only_what_does_no_harm_twice() {
    for kept in [false, true] {
        // A new connection, or one that has served another request.
        let script = |then: Step| {
            let first = if kept { vec![ok("{}"), Step::Close] } else { vec![Step::Close] };
            vec![first, vec![then]]
        };
        let (endpoint, read) = serve(script(ok("{}"))).await;
        let tried = client(&endpoint);
        if kept {
            receive(&tried).await.unwrap();
        }
        delete(&tried).await.unwrap();
        assert_eq!(connections(&read), if kept { vec![0, 0, 1] } else { vec![0, 1] });

        let (endpoint, read) = serve(script(Step::Close)).await;
        let tried = client(&endpoint);
        if kept {
            receive(&tried).await.unwrap();
        }
        let error = delete(&tried).await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Unanswered(_)), "once only: {error:?}");
        assert_eq!(connections(&read).len(), if kept { 3 } else { 2 });

        for is_send in [false, true] {
            let (endpoint, read) = serve(script(ok("{}"))).await;
            let tried = client(&endpoint);
            if kept {
                receive(&tried).await.unwrap();
            }
            let error =
                if is_send { send(&tried).await.unwrap_err() } else { receive(&tried).await.unwrap_err() };
            assert!(
                matches!(error.kind, ErrorKind::Unanswered(_)),
                "it may have been carried out: {error:?}"
            );
            assert_eq!(connections(&read).len(), if kept { 2 } else { 1 });
        }
    }
}

#[tokio::test]
async fn a_connection_that_ended_between_requests_is_replaced() {
    let (endpoint, read) = serve(vec![vec![Step::Last(answer("200 OK", "", "{}"))], vec![ok("{}")]]).await;
    let client = client(&endpoint);
    receive(&client).await.unwrap();
    // Until the end has arrived: nothing of the next request is written to the old connection then.
    while client.pool.has_idle() {
        tokio::task::yield_now().await;
    }
    send(&client).await.unwrap();
    assert_eq!(connections(&read), [0, 1]);
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_has_received_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = send(&client(&endpoint)).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NoConnection(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_not_waited_for_without_end() {
    let (endpoint, _) = serve(vec![vec![Step::Hang]]).await;
    let begun = tokio::time::Instant::now();
    let error = receive(&client(&endpoint)).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Unanswered(_)), "{error:?}");
    assert_eq!(begun.elapsed(), LIMIT);
}

#[tokio::test]
async fn a_connection_serves_for_five_minutes_at_most() {
    let (endpoint, read) = serve(vec![vec![ok("{}"), ok("{}"), ok("{}")], vec![ok("{}")]]).await;
    let client = client(&endpoint);
    receive(&client).await.unwrap();
    client.pool.age_by(Duration::from_secs(4 * 60), Duration::ZERO);
    receive(&client).await.unwrap();
    client.pool.age_by(Duration::from_secs(60), Duration::ZERO);
    receive(&client).await.unwrap();
    assert_eq!(connections(&read), [0, 0, 1]);
}

#[tokio::test]
async fn an_answer_of_more_than_64_mebibytes_is_refused() {
    const MIB: usize = 1024 * 1024;
    let head = "HTTP/1.1 200 OK\r\n\r\n";
    let (endpoint, _) = serve(vec![vec![Step::Endless(head, 65 * MIB)]]).await;
    let error = receive(&client(&endpoint)).await.unwrap_err();
    assert!(error.text.contains("more than 67108864 bytes"), "{error:?}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let away = answer("307 Temporary Redirect", "location: http://127.0.0.1:1/\r\n", "");
    let (endpoint, read) = serve(vec![vec![Step::Answer(away)]]).await;
    let error = receive(&client(&endpoint)).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Service { status: 307, .. }), "{error:?}");
    assert_eq!(connections(&read), [0]);
}

#[tokio::test]
async fn refused_credentials_are_asked_for_once_more() {
    let expired = || error("403 Forbidden", "", "com.amazon.coral.service#ExpiredTokenException");
    let (endpoint, read) = serve(vec![vec![expired(), ok("{}"), expired(), expired()]]).await;
    let client = client_with(&endpoint, [credentials("FIRST"), credentials("SECOND"), credentials("THIRD")]);
    receive(&client).await.unwrap();
    let error = receive(&client).await.unwrap_err();
    assert_eq!(error.code(), Some("ExpiredTokenException"), "once only");
    let read = read.lock().unwrap();
    let keys: Vec<&str> = read
        .iter()
        .map(|(_, text)| text.split("Credential=").nth(1).unwrap().split('/').next().unwrap())
        .collect();
    assert_eq!(keys, ["FIRST", "SECOND", "SECOND", "THIRD"]);
}

#[tokio::test]
async fn credentials_are_replaced_before_they_end() {
    let (endpoint, read) = serve(vec![vec![ok("{}"), ok("{}"), ok("{}")]]).await;
    let ends = |secs: u64| Some(SystemTime::now() + Duration::from_secs(secs));
    let ending = Credentials::new("ENDING", "secret", None, ends(59), "test");
    let lasting = Credentials::new("LASTING", "secret", None, ends(3600), "test");
    let client = client_with(&endpoint, [ending, lasting, credentials("NEVER")]);
    for _ in 0..3 {
        receive(&client).await.unwrap();
    }
    let read = read.lock().unwrap();
    assert!(read[0].1.contains("Credential=ENDING/") && read[1].1.contains("Credential=LASTING/"));
    assert!(read[2].1.contains("Credential=LASTING/"));
}

#[tokio::test]
async fn without_credentials_nothing_is_sent() {
    let (endpoint, read) = serve(vec![vec![ok("{}")]]).await;
    let error = receive(&client_with(&endpoint, [])).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Credentials(_)), "{error:?}");
    assert_eq!(connections(&read), [0_usize; 0]);
}

#[tokio::test]
async fn a_clock_that_differs_is_corrected_after_sqs_has_refused_it() {
    let now = SystemTime::now();
    let date = format!("date: {}\r\n", httpdate::fmt_http_date(now + Duration::from_secs(60 * 60)));
    let skewed = || error("403 Forbidden", &date, "RequestTimeTooSkewed");
    let well = Step::Answer(answer("200 OK", &date, "{}"));
    let (endpoint, read) = serve(vec![vec![well, skewed(), ok("{}"), ok("{}")]]).await;
    let client = client(&endpoint);
    for _ in 0..3 {
        receive(&client).await.unwrap();
    }
    let between = now + Duration::from_secs(30 * 60);
    let between = sign::date(between.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
    let read = read.lock().unwrap();
    let signed = read.iter().map(|(_, text)| &text.split("x-amz-date: ").nth(1).unwrap()[..between.len()]);
    let is_ahead: Vec<bool> = signed.map(|signed| *signed > *between).collect();
    assert_eq!(is_ahead, [false, false, true, true], "a date alone changes nothing");
}

#[test]
fn neither_secret_nor_token_is_in_what_is_printed() {
    let credentials =
        Credentials::new("AKID", "hidden-secret", Some("hidden-token".to_owned()), None, "test");
    let client = client_with("http://127.0.0.1:1", [credentials]);
    assert!(!format!("{client:?}").contains("hidden"));
}
