//! The connections of a server. Their number is limited; if the limit is reached, the longest idle one is closed for a new one.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;

use super::endpoint::Endpoint;
use super::http;

/// The time limit for the head of a request, from the connection or the previous response on; also the longest time for which
/// an idle connection is kept. Clients close idle connections earlier, mostly after 90 s, so this does not conflict with their
/// requests.
const HEADER_TIME: Duration = Duration::from_secs(120);

/// The wait after a connection could not be accepted, mostly because no file descriptor is available.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// The wait until an evicted connection is closed.
const EVICTED: Duration = Duration::from_millis(1);

/// Accepts connections and serves them until the server stops. At most `most` are open at once.
pub(super) async fn accept(
    listener: TcpListener,
    endpoint: Endpoint,
    most: usize,
    mut stopped: watch::Receiver<bool>,
) {
    let mut alarm = JoinSet::new();
    alarm.spawn(endpoint.clone().ring());
    let mut connections = JoinSet::new();
    let free = Arc::new(Semaphore::new(most));
    let idle = Arc::<Idle>::default();
    loop {
        // Cancel-safe: a connection that is not yet accepted is not lost; `join_next` and `changed` are documented as
        // cancel-safe.
        let accepted = tokio::select! {
            _ = stopped.changed() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            // The client has already closed the connection.
            Err(error) if is_of_one_client(&error) => continue,
            // Mostly no file descriptor is available: closing an idle connection frees one.
            Err(_) => {
                let wait = if idle.evict_oldest() { EVICTED } else { ACCEPT_AGAIN };
                tokio::time::sleep(wait).await;
                continue;
            }
        };
        if free.available_permits() == 0 {
            idle.evict_oldest();
        }
        // If all connections are busy, this one waits, and those behind it wait in the operating system's backlog.
        let slot = tokio::select! {
            _ = stopped.changed() => break,
            slot = Arc::clone(&free).acquire_owned() => slot,
        };
        let serving = serve(stream, endpoint.clone(), Connection::new(&idle), stopped.clone());
        connections.spawn(async move {
            serving.await;
            drop(slot);
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Returns true for an error of only the connection being accepted: the next one may be accepted at once.
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// Serves one connection until the client closes it, it is evicted, or the server stops.
async fn serve(
    stream: TcpStream,
    endpoint: Endpoint,
    connection: Arc<Connection>,
    mut stopped: watch::Receiver<bool>,
) {
    // Responses are written as a whole, so waiting for more data only adds delay. If the option cannot be set, the connection
    // is broken, and serving it reports the error.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let (endpoint, connection) = (endpoint.clone(), Arc::clone(&connection));
        async move {
            if !connection.begin() {
                // The connection was evicted at this moment: the request is not executed, because the client will not read the
                // response.
                std::future::pending::<()>().await;
            }
            let answer = http::answer(endpoint, request).await;
            connection.end();
            answer
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    // A connection's error concerns only its client, which sees it, too.
    tokio::select! {
        () = connection.evicted.notified() => return,
        _ = served.as_mut() => return,
        _ = stopped.changed() => {}
    }
    // A connection without a request has nothing to finish.
    if connection.begin() {
        served.as_mut().graceful_shutdown();
        let _ = served.await;
    }
}

/// The connections without a request, longest idle first.
#[derive(Debug, Default)]
struct Idle(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    waiting: BTreeMap<u64, Arc<Notify>>,
}

impl Idle {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the connection that has been idle longest. Returns false if none is idle.
    fn evict_oldest(&self) -> bool {
        let oldest = self.queue().waiting.pop_first();
        oldest.inspect(|(_, evicted)| evicted.notify_one()).is_some()
    }
}

/// A connection's slot among the idle ones. The connection leaves it while it has a request.
#[derive(Debug)]
struct Connection {
    idle: Arc<Idle>,
    evicted: Arc<Notify>,
    /// Its number among the idle ones.
    number: Mutex<Option<u64>>,
}

impl Connection {
    fn new(idle: &Arc<Idle>) -> Arc<Self> {
        let connection = Self { idle: Arc::clone(idle), evicted: Arc::default(), number: Mutex::default() };
        connection.end();
        Arc::new(connection)
    }

    fn number(&self) -> MutexGuard<'_, Option<u64>> {
        self.number.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a request. Returns false if the connection has been evicted.
    fn begin(&self) -> bool {
        let Some(number) = self.number().take() else { return true };
        self.idle.queue().waiting.remove(&number).is_some()
    }

    fn end(&self) {
        let mut queue = self.idle.queue();
        let number = queue.next;
        queue.next += 1;
        queue.waiting.insert(number, Arc::clone(&self.evicted));
        drop(queue);
        *self.number() = Some(number);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.begin();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::server::Server;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n";

    async fn server(most: usize) -> (Server, SocketAddr) {
        let server = Server::bind_with("127.0.0.1:0", most).await.unwrap();
        let addr = server.local_addr();
        (server, addr)
    }

    /// Sends a request over a connection. Returns false if the connection is closed without a response.
    async fn ask(stream: &mut TcpStream) -> bool {
        if stream.write_all(REQUEST).await.is_err() {
            return false;
        }
        let mut answer = Vec::new();
        while !answer.ends_with(b"tests\n") {
            if matches!(stream.read_buf(&mut answer).await, Ok(0) | Err(_)) {
                return false;
            }
        }
        true
    }

    #[tokio::test]
    async fn the_connection_that_is_idle_longest_makes_room() {
        let (server, addr) = server(3).await;
        let mut first = TcpStream::connect(addr).await.unwrap();
        let mut second = TcpStream::connect(addr).await.unwrap();
        assert!(ask(&mut first).await && ask(&mut second).await);
        // A connection that never sends a request is idle, too.
        let mut silent = TcpStream::connect(addr).await.unwrap();
        assert!(ask(&mut first).await, "there is room for three");
        // Now the second connection has been idle longest, then the silent one.
        let mut fourth = TcpStream::connect(addr).await.unwrap();
        assert!(ask(&mut fourth).await);
        assert!(!ask(&mut second).await, "evicted");
        let mut fifth = TcpStream::connect(addr).await.unwrap();
        assert!(ask(&mut fifth).await);
        assert_eq!(silent.read(&mut [0]).await.unwrap_or(0), 0, "evicted");
        assert!(ask(&mut first).await);
        server.shutdown().await;
    }

    #[tokio::test]
    async fn a_connection_with_a_request_is_not_evicted() {
        let (server, addr) = server(2).await;
        let url = server.endpoint().create_queue("q", &[]).unwrap();
        let body = format!(r#"{{"QueueUrl":"{url}","WaitTimeSeconds":20}}"#);
        let mut waiting = TcpStream::connect(addr).await.unwrap();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: here\r\nx-amz-target: AmazonSQS.ReceiveMessage\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        waiting.write_all((head + &body).as_bytes()).await.unwrap();
        while server.endpoint().waiting_receives() == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..10 {
            let mut other = TcpStream::connect(addr).await.unwrap();
            assert!(ask(&mut other).await);
        }
        server.endpoint().send("q", "hello").unwrap();
        let mut answer = vec![0; 4096];
        let read = waiting.read(&mut answer).await.unwrap();
        assert!(String::from_utf8_lossy(&answer[..read]).contains("hello"));
        server.shutdown().await;
    }

    #[tokio::test]
    async fn connections_without_a_request_do_not_delay_the_end() {
        let (server, addr) = server(10).await;
        let mut silent = TcpStream::connect(addr).await.unwrap();
        let mut used = TcpStream::connect(addr).await.unwrap();
        assert!(ask(&mut used).await);
        let begun = tokio::time::Instant::now();
        server.shutdown().await;
        assert!(begun.elapsed() < super::super::SHUTDOWN_GRACE / 2);
        assert_eq!(silent.read(&mut [0]).await.unwrap_or(0), 0);
    }

    #[tokio::test]
    async fn http_2_is_not_spoken() {
        let (_server, addr) = server(10).await;
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{answer:?}");
        let upgrade =
            b"GET / HTTP/1.1\r\nhost: here\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n\
            http2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n";
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(upgrade).await.unwrap();
        let mut answer = vec![0; 64];
        let read = stream.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"), "{answer:?}");
    }
}
