//! The connections of the HTTP endpoint: few and short, so that they take no file descriptor that the worker needs.

use std::fs::File;
use std::io::{Error, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drumline::core::is_out_of_resources;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::routes::Routes;

/// The time limit for the head of a request, from the connection or the previous answer on; also the maximum time for which an
/// idle connection is kept.
pub(super) const HEADER_TIME: Duration = Duration::from_secs(10);

/// The wait after a connection could not be accepted, mostly because no file descriptor is left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(500);

/// Limits of connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) connections: usize,
    pub(super) header_time: Duration,
}

/// A file descriptor that is released for one connection when none is left, so that `/readyz` can name the reason.
#[derive(Clone)]
struct Spare(Arc<Mutex<Option<File>>>);

impl Spare {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(File::open("/dev/null").ok())))
    }

    /// Releases the descriptor. Returns true if there was one.
    fn give_up(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }

    fn take_back(&self) {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.is_none() {
            *spare = File::open("/dev/null").ok();
        }
    }
}

/// Serves `routes` until it is dropped. Connections beyond the limit are closed at once.
pub(super) async fn serve(listener: TcpListener, routes: Routes, bounds: Bounds) {
    let slots = Arc::new(Semaphore::new(bounds.connections));
    let mut connections = JoinSet::new();
    let spare = Spare::new();
    let mut is_last = false;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) if is_out_of_resources(&error) && spare.give_up() => {
                is_last = true;
                continue;
            }
            Err(error) if is_of_one_client(&error) => {
                debug!(%error, "a client has left before its connection was accepted");
                continue;
            }
            Err(error) => {
                warn!(%error, "the HTTP endpoint cannot accept a connection");
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            debug!(limit = bounds.connections, "the HTTP endpoint refuses a connection: there are too many");
            continue;
        };
        let routes = routes.clone();
        let service = service_fn(move |request| TowerToHyperService::new(routes.current()).call(request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.header_time)
            .keep_alive(!std::mem::take(&mut is_last))
            .serve_connection(TokioIo::new(stream), service);
        let spare = spare.clone();
        connections.spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "a connection to the HTTP endpoint has ended");
            }
            drop(slot);
            spare.take_back();
        });
    }
}

/// Returns true for an error of the accepted connection: the next one may be accepted at once.
fn is_of_one_client(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n";

    async fn endpoint(connections: usize, header_time: Duration) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let routes = Router::new().route("/", get(|| async { "here" }));
        tokio::spawn(serve(listener, Routes::new(routes), Bounds { connections, header_time }));
        addr
    }

    /// Sends a request over a connection, and returns the connection after reading the whole answer.
    async fn ask(mut stream: TcpStream) -> TcpStream {
        stream.write_all(REQUEST).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"here") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "it is answered");
        }
        stream
    }

    /// Returns true after the other end has closed the connection.
    async fn is_closed(mut stream: TcpStream) -> bool {
        matches!(stream.read(&mut [0; 64]).await, Ok(0) | Err(_))
    }

    #[tokio::test]
    async fn connections_beyond_the_bound_are_closed_at_once() {
        let addr = endpoint(2, Duration::from_secs(3600)).await;
        let first = ask(TcpStream::connect(addr).await.unwrap()).await;
        let second = ask(TcpStream::connect(addr).await.unwrap()).await;
        assert!(is_closed(TcpStream::connect(addr).await.unwrap()).await);
        drop(first);
        let second = ask(second).await;
        // The place is free after the server has seen the end of the first connection.
        loop {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            if stream.write_all(REQUEST).await.is_ok() && !is_closed(stream).await {
                break;
            }
        }
        drop(second);
    }

    #[test]
    fn only_errors_of_a_single_client_do_not_delay_the_next_accept() {
        let errors = [(ErrorKind::ConnectionAborted, true), (ErrorKind::ConnectionReset, true)];
        for (kind, of_one_client) in errors.into_iter().chain([(ErrorKind::Other, false)]) {
            assert_eq!(is_of_one_client(&kind.into()), of_one_client, "{kind:?}");
        }
        let too_many_open_files = Error::from_raw_os_error(24);
        assert!(!is_of_one_client(&too_many_open_files));
    }

    #[tokio::test]
    async fn a_connection_without_a_request_is_closed_after_its_time() {
        let addr = endpoint(2, Duration::from_millis(100)).await;
        assert!(is_closed(TcpStream::connect(addr).await.unwrap()).await, "no request");
        let mut half = TcpStream::connect(addr).await.unwrap();
        half.write_all(&REQUEST[..10]).await.unwrap();
        // Answered or not, the connection ends.
        while !matches!(half.read(&mut [0; 64]).await, Ok(0) | Err(_)) {}
        let idle = ask(TcpStream::connect(addr).await.unwrap()).await;
        assert!(is_closed(idle).await, "kept alive, and idle");
    }
}
