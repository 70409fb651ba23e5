//! A server that answers like SQS by a script, connection by connection.

#![allow(clippy::unwrap_used)]
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use drumline_aws::Environment;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::{ClientConfig, SqsClient};

/// The reaction to a request that has been read.
pub(crate) enum Step {
    /// Writes these bytes.
    Answer(String),
    /// Writes these bytes and closes the connection.
    AnswerAndClose(String),
    /// Writes this head, and then so many bytes.
    Endless(&'static str, usize),
    /// Closes the connection.
    Close,
    /// Resets the connection.
    Reset,
    /// Sends no answer until the client ends the connection.
    Silence,
}

/// A request as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The position of its connection.
    pub(crate) connection: usize,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// The server. It accepts as many connections as its script has.
pub(crate) struct Scripted {
    pub(crate) endpoint: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    ended: Option<oneshot::Receiver<()>>,
}

impl Scripted {
    pub(crate) async fn start(script: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let shown = Arc::clone(&seen);
        let (end, ended) = oneshot::channel();
        tokio::spawn(async move {
            let mut serving = Vec::new();
            for (connection, steps) in script.into_iter().enumerate() {
                let (stream, _) = listener.accept().await.unwrap();
                serving.push(tokio::spawn(serve(stream, connection, steps, Arc::clone(&shown))));
            }
            drop(listener);
            for serving in serving {
                serving.await.unwrap();
            }
            let _ = end.send(());
        });
        Self { endpoint, seen, ended: Some(ended) }
    }

    pub(crate) fn client(&self) -> SqsClient {
        self.client_with(SharedCredentialsProvider::new(credentials("AKID", None)))
    }

    pub(crate) fn client_with(&self, credentials: SharedCredentialsProvider) -> SqsClient {
        let config = ClientConfig {
            endpoint: self.endpoint.clone(),
            region: "eu-west-1".to_owned(),
            credentials,
            user_agent: "test",
        };
        SqsClient::new(config, &Environment::from([("AWS_REGION", "eu-west-1")])).unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Returns the connections of the requests, in order.
    pub(crate) fn connections(&self) -> Vec<usize> {
        self.seen().iter().map(|seen| seen.connection).collect()
    }

    /// Waits until all connections of the script are closed.
    pub(crate) async fn ended(&mut self) {
        let ended = self.ended.take().unwrap();
        tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap().unwrap();
    }
}

pub(crate) fn credentials(access_key: &str, token: Option<&str>) -> Credentials {
    Credentials::new(access_key, "secret", token.map(str::to_owned), None, "test")
}

/// Returns an answer with this status, these headers, each of which ends with a line break, and this body.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Step {
    Step::Answer(text(status, headers, body))
}

pub(crate) fn text(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

pub(crate) fn ok(body: &str) -> Step {
    answer("200 OK", "", body)
}

async fn serve(mut stream: TcpStream, connection: usize, steps: Vec<Step>, seen: Arc<Mutex<Vec<Seen>>>) {
    for step in steps {
        let Some((head, body)) = request(&mut stream).await else { return };
        seen.lock().unwrap().push(Seen { connection, head, body });
        match step {
            Step::Answer(text) => stream.write_all(text.as_bytes()).await.unwrap(),
            Step::AnswerAndClose(text) => return stream.write_all(text.as_bytes()).await.unwrap(),
            Step::Endless(head, bytes) => {
                stream.write_all(head.as_bytes()).await.unwrap();
                let piece = vec![b'0'; 64 * 1024];
                for _ in 0..bytes.div_ceil(piece.len()) {
                    if stream.write_all(&piece).await.is_err() {
                        return;
                    }
                }
            }
            Step::Close => return,
            Step::Reset => return stream.set_zero_linger().unwrap(),
            Step::Silence => {
                // The read ends with the client's connection.
                let _ = stream.read(&mut [0; 1]).await;
                return;
            }
        }
    }
}

/// Reads a request. Returns `None` if the client has ended the connection.
async fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.unwrap().parse().unwrap();
            if bytes.len() >= end + 4 + length {
                return Some((head, String::from_utf8(bytes.split_off(end + 4)).unwrap()));
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}
