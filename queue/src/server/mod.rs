//! The HTTP server: an SQS endpoint on a socket.

mod clock;
mod connections;
mod endpoint;
mod http;
mod in_process;
mod waiting;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use endpoint::Endpoint;
pub use in_process::InProcess;

use crate::sqs::Identity;

/// The largest number of connections served at once. Beyond it, the connection that has been idle longest is closed for the
/// next one; if all are busy, the next one waits in the operating system's backlog. An SDK client keeps about as many
/// connections as it has requests in flight, so this is enough for ten busy consumers.
pub const MAX_CONNECTIONS: usize = 1_024;

/// The time that [`Server::shutdown`] lets requests finish. Without long polls they take milliseconds.
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
    /// Listens on `addr` (port 0 takes a free one) and serves on the current tokio runtime.
    ///
    /// Only the given address is bound: only loopback unless the caller gives another address.
    ///
    /// # Errors
    ///
    /// Returns the error of binding the socket.
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Self::bind_with(addr, MAX_CONNECTIONS).await
    }

    async fn bind_with(addr: impl ToSocketAddrs, connections: usize) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let local_addr = listener.local_addr()?;
        let endpoint = Endpoint::new(Identity::at(format!("http://{local_addr}")));
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(connections::accept(listener, endpoint.clone(), connections, stopped));
        Ok(Self { local_addr, endpoint, stop, accepting })
    }

    /// Returns the address on which the server listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Returns the URL to configure as an SDK's endpoint, such as `http://127.0.0.1:9324`.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.local_addr)
    }

    /// Returns the handle to the queues for use in the same process.
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
