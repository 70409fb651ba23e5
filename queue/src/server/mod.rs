//! The HTTP front: an SQS endpoint on a socket.

mod clock;
mod endpoint;
mod http;
mod waiting;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

pub use endpoint::Endpoint;

use crate::sqs::Identity;

/// Connections served at once; further ones wait in the operating system's backlog. An SDK client keeps about as many
/// connections as it has requests in the air, so this is ten busy consumers.
pub const MAX_CONNECTIONS: usize = 1_024;

/// How long [`Server::shutdown`] lets requests finish. Without long polls they take milliseconds.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// A running SQS endpoint.
///
/// It accepts any credentials and has no TLS, so bind it to a loopback address. Dropping it stops it at once;
/// [`Server::shutdown`] lets requests finish.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let server = drumline_queue::Server::bind("127.0.0.1:9324").await?;
/// let url = server.endpoint().create_queue("jobs", &[("VisibilityTimeout", "30")])?;
/// server.endpoint().send(&url, "hello")?;
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    local_addr: SocketAddr,
    endpoint: Endpoint,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Listens on `addr` (port 0 takes a free one) and serves from then on, on the current tokio runtime.
    ///
    /// Only the address given is bound: nothing but loopback unless the caller says so.
    ///
    /// # Errors
    ///
    /// Those of binding the socket.
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let local_addr = listener.local_addr()?;
        let endpoint = Endpoint::new(Identity::at(format!("http://{local_addr}")));
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, endpoint.clone(), stopped));
        Ok(Self { local_addr, endpoint, stop, accepting })
    }

    /// The address that is listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The URL to give to an SDK as its endpoint, such as `http://127.0.0.1:9324`.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.local_addr)
    }

    /// The queues, for use in the same process.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Answers all waiting receives at once with no messages; see [`Endpoint::end_long_polls`].
    pub fn end_long_polls(&self) {
        self.endpoint.end_long_polls();
    }

    /// Stops accepting, ends long polls, lets running requests finish (five seconds at most), and returns.
    pub async fn shutdown(mut self) {
        self.endpoint.end_long_polls();
        self.stop.send_replace(true);
        if tokio::time::timeout(SHUTDOWN_GRACE, &mut self.accepting).await.is_err() {
            self.accepting.abort();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The connections belong to this task and end with it.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, endpoint: Endpoint, mut stopped: watch::Receiver<bool>) {
    let mut alarm = JoinSet::new();
    alarm.spawn(endpoint.clone().ring());
    let mut connections = JoinSet::new();
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let permit = Arc::clone(&free).acquire_owned();
        // Cancel-safe: a permit or a connection that is not yet there is not lost, `join_next` and `changed` are
        // documented to be.
        let accepted = tokio::select! {
            _ = stopped.changed() => break,
            Some(_) = connections.join_next() => continue,
            accepted = async { (permit.await, listener.accept().await) } => accepted,
        };
        match accepted {
            (Ok(permit), Ok((stream, _))) => {
                let serving = serve(stream, endpoint.clone(), stopped.clone());
                connections.spawn(async move {
                    serving.await;
                    drop(permit);
                });
            }
            // The semaphore is never closed. Accepting fails when the process has no file descriptor left or the client
            // was faster to leave; both pass, and yielding keeps this from starving what frees descriptors.
            (_, Err(_)) | (Err(_), _) => tokio::task::yield_now().await,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Serves one connection until the client closes it or the server stops.
async fn serve(stream: TcpStream, endpoint: Endpoint, mut stopped: watch::Receiver<bool>) {
    // Answers are written whole, so waiting for more to send only adds delay. If the option cannot be set the
    // connection is broken, and serving it will say so.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| http::answer(endpoint.clone(), request));
    // No timeout on idle connections: clients keep them for their next request, and closing one races with that request.
    let connection = hyper::server::conn::http1::Builder::new()
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // A connection's error concerns its client alone, who sees it as well.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
