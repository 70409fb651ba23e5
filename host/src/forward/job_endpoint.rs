//! The endpoint for the application's reports of progress, checkpoints and a result, in any language. It listens only on the
//! loopback interface.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::attempts::{Attempts, MAX_BODY, OpenAttempt, Reply, text};
use drumline::Context;

/// The time limit for the head of a request. A connection has one request, so that idle ones do not use up connections.
const HEADER_TIME: Duration = Duration::from_secs(2);

/// The time limit for the body of a request.
const BODY_TIME: Duration = Duration::from_secs(5);

/// The maximum number of concurrent connections: each takes a file descriptor. Reports are short.
const MOST_CONNECTIONS: usize = 64;

/// The wait after a connection could not be accepted, mostly because no file descriptor is left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(500);

/// The endpoint of a process, which listens from the first message on.
#[derive(Default)]
pub(super) struct JobEndpoint {
    attempts: Attempts,
    addr: OnceCell<SocketAddr>,
    /// True after a warning was logged.
    has_warned: AtomicBool,
}

impl JobEndpoint {
    /// Opens an attempt, and returns it with its URL. Returns `None` if the endpoint cannot listen, which is logged once: jobs
    /// run without it, and the next one tries again.
    pub(super) async fn open(&self, context: &Context) -> Option<(OpenAttempt, String)> {
        let addr = self.addr(listen(self.attempts.clone())).await?;
        let attempt = self.attempts.open(context)?;
        let url = format!("http://{addr}/attempt/{}", attempt.token);
        Some((attempt, url))
    }

    /// Returns the address. Calls `listen` until it returns one.
    async fn addr(&self, listen: impl Future<Output = io::Result<SocketAddr>>) -> Option<SocketAddr> {
        match self.addr.get_or_try_init(|| listen).await {
            Ok(addr) => Some(*addr),
            Err(error) => {
                if !self.has_warned.swap(true, Ordering::Relaxed) {
                    warn!(%error, "requests have no X-Drumline-Job-Url: nothing can listen on the loopback interface");
                }
                None
            }
        }
    }
}

async fn listen(attempts: Attempts) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let addr = listener.local_addr()?;
    tokio::spawn(serve(listener, attempts));
    Ok(addr)
}

async fn serve(listener: TcpListener, attempts: Attempts) {
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection = serve_connection(stream, attempts.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(slot);
                });
            }
            Err(error) => {
                debug!(%error, "the job endpoint cannot accept a connection");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, attempts: Attempts) {
    let service = service_fn(move |request: Request<Incoming>| {
        let attempts = attempts.clone();
        async move { Ok::<_, Infallible>(response(answer(request, &attempts).await)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .header_read_timeout(HEADER_TIME)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        debug!(%error, "a connection to the job endpoint has ended");
    }
}

async fn answer(request: Request<Incoming>, attempts: &Attempts) -> Reply {
    let (head, body) = request.into_parts();
    match timeout(BODY_TIME, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => attempts.answer(&head.method, head.uri.path(), &body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            text(StatusCode::PAYLOAD_TOO_LARGE, &format!("at most {MAX_BODY} bytes fit"))
        }
        Ok(Err(_)) => text(StatusCode::BAD_REQUEST, "the body is broken off"),
        Err(_) => text(StatusCode::REQUEST_TIMEOUT, "the body takes too long"),
    }
}

fn response((status, body): Reply) -> Response<Full<Bytes>> {
    let content_type =
        if status == StatusCode::OK { "application/json" } else { "text/plain; charset=utf-8" };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_endpoint_that_cannot_listen_retries_with_the_next_job() {
        let endpoint = JobEndpoint::default();
        let fails = async || Err(io::Error::from_raw_os_error(24));
        assert_eq!(endpoint.addr(fails()).await, None);
        let addr = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(endpoint.addr(async { Ok(addr) }).await, Some(addr));
        assert_eq!(endpoint.addr(fails()).await, Some(addr), "it listens once");
    }
}
