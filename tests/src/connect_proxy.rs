//! An HTTPS proxy that forwards nothing: it records the host that each client requests, and the host that the client then
//! expects behind TLS.

use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rustls::server::Acceptor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A tunnel requested by a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    /// The host and port of the `CONNECT` request.
    pub target: String,
    /// The server name in the client's first TLS message.
    pub server_name: Option<String>,
    /// The header `Proxy-Authorization`.
    pub authorization: Option<String>,
}

/// The proxy. It ends when dropped.
pub struct ConnectProxy {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<Tunnel>>>,
    server: JoinHandle<()>,
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl ConnectProxy {
    /// Starts a proxy on a free port of the loopback interface.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Tunnel>>>::default();
        let server = tokio::spawn(serve(listener, Arc::clone(&seen)));
        Self { addr, seen, server }
    }

    /// Returns the address for `HTTPS_PROXY`, without a protocol.
    pub fn address(&self) -> String {
        self.addr.to_string()
    }

    /// Returns the URL for `HTTPS_PROXY`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Returns the tunnels so far.
    pub fn seen(&self) -> Vec<Tunnel> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, seen: Arc<Mutex<Vec<Tunnel>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            if let Ok(tunnel) = open(stream).await {
                seen.lock().unwrap().push(tunnel);
            }
        });
    }
}

/// Accepts a tunnel, and closes it after the client's first message.
async fn open(mut stream: TcpStream) -> std::io::Result<Tunnel> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let authorization = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("proxy-authorization").then(|| value.trim().to_owned())
    });
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    let mut acceptor = Acceptor::default();
    let mut bytes = [0; 4096];
    let server_name = loop {
        let count = stream.read(&mut bytes).await?;
        if count == 0 {
            break None;
        }
        acceptor.read_tls(&mut Cursor::new(&bytes[..count]))?;
        if let Ok(Some(accepted)) = acceptor.accept() {
            break accepted.client_hello().server_name().map(str::to_owned);
        }
    };
    Ok(Tunnel { target, server_name, authorization })
}
