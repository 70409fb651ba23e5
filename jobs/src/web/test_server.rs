//! A test server with scripted reactions.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// The reaction of the server to one request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// Responds with the rest of a status line, more headers, and a body.
    Answer(&'static str, &'static str, &'static str),
    /// Closes the connection without a response.
    HangUp,
    /// Responds, and closes the connection within the body.
    BreakOff,
    /// Keeps the connection open without a response.
    Silence,
}

/// A server with scripted reactions, which repeats the last one. It reports the received requests.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    requests: mpsc::UnboundedReceiver<String>,
}

impl TestServer {
    pub(crate) async fn new(acts: &'static [Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (report, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut acts = acts.iter().copied();
            let mut act = acts.next().unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, act, report.clone()));
                act = acts.next().unwrap_or(act);
            }
        });
        Self { address, requests }
    }

    /// Returns the next request, head and body.
    pub(crate) async fn request(&mut self) -> String {
        self.requests.recv().await.unwrap()
    }

    /// Returns true if there is another request.
    pub(crate) fn has_request(&mut self) -> bool {
        self.requests.try_recv().is_ok()
    }
}

/// Handles one request on a connection.
async fn serve(stream: TcpStream, act: Act, report: mpsc::UnboundedSender<String>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        stream.read_line(&mut request).await.ok()?;
    }
    let length = request.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let mut body = vec![0; length.parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    report.send(request + &String::from_utf8(body).ok()?).ok()?;
    let answer = match act {
        Act::Answer(status, headers, body) => {
            let length = body.len();
            format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
            )
        }
        Act::HangUp => return None,
        Act::BreakOff => "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"id\":".to_owned(),
        Act::Silence => return std::future::pending().await,
    };
    stream.write_all(answer.as_bytes()).await.ok()
}
