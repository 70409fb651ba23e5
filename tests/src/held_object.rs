//! An S3 with one object, which arrives as far as the test allows.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The object. It is the response to every request, from the requested byte on. The server ends when dropped.
pub struct HeldObject {
    addr: SocketAddr,
    arrived: watch::Sender<usize>,
    server: JoinHandle<()>,
}

impl Drop for HeldObject {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl HeldObject {
    /// Serves an object of which no bytes arrive yet, on a free port of the loopback interface.
    pub async fn serve(bytes: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (arrived, arriving) = watch::channel(0);
        let bytes: Arc<[u8]> = bytes.into();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&bytes), arriving.clone()));
            }
        });
        Self { addr, arrived, server }
    }

    /// Returns the value for `AWS_ENDPOINT_URL_S3`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Lets the first `bytes` of the object arrive, for this request and all later ones.
    pub fn let_arrive(&self, bytes: usize) {
        self.arrived.send_replace(bytes);
    }
}

/// Responds to the one request of a connection. `None` if the client closes it first.
async fn answer(mut stream: TcpStream, bytes: Arc<[u8]>, mut arriving: watch::Receiver<usize>) -> Option<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.ok()?);
    }
    let request = String::from_utf8_lossy(&request).to_ascii_lowercase();
    let range = request.split_once("\r\nrange: bytes=").and_then(|(_, range)| range.split_once("-\r\n"));
    let first = range.map_or(0, |(first, _)| first.parse().unwrap());
    let (size, rest) = (bytes.len(), bytes.len() - first);
    let status = if first == 0 { "200 OK" } else { "206 Partial Content" };
    let head = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {rest}\r\n\
         Content-Range: bytes {first}-{}/{size}\r\nETag: \"v1\"\r\n\r\n",
        size - 1
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut sent = first;
    while sent < size {
        let to = *arriving.wait_for(|&to| to > sent).await.ok()?;
        stream.write_all(&bytes[sent..to]).await.ok()?;
        sent = to;
    }
    Some(())
}
