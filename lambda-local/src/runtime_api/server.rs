//! The HTTP server: connections, paths and bodies.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::desk::Desk;
use super::invocation::{End, InitError};

/// The prefix of all paths: the version of the interface.
const VERSION: &str = "/2018-06-01/runtime/";

/// The header with the type of an error.
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";

/// The pause after a connection could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(10);

/// Accepts connections until it is dropped, which also ends the connections.
pub(super) async fn serve(listener: TcpListener, desk: Arc<Desk>) {
    let mut connections = JoinSet::new();
    loop {
        // Cancel-safe: a connection that is not accepted yet is not lost.
        let accepted = tokio::select! {
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Usually the client has closed the connection, or there are too many open files.
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let desk = Arc::clone(&desk);
        let service = service_fn(move |request| {
            let desk = Arc::clone(&desk);
            async move { Ok::<_, Infallible>(respond(&desk, request).await.map(Full::<Bytes>::from)) }
        });
        // Processes are killed with their long poll open, so a broken connection is not an error.
        connections.spawn(async move {
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn respond(desk: &Desk, request: Request<Incoming>) -> Response<Bytes> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Response::new(Bytes::new()) };
    let body = body.to_bytes();
    let path = head.uri.path().strip_prefix(VERSION).unwrap_or_default();
    let words: Vec<&str> = path.split('/').collect();
    let error_type = error_type(&head.headers);
    match (&head.method, &*words) {
        (&Method::GET, ["invocation", "next"]) => desk.next().await,
        (&Method::POST, ["invocation", id, "response"]) => desk.end(id, End::Response, error_type, body),
        (&Method::POST, ["invocation", id, "error"]) => desk.end(id, End::Error, error_type, body),
        (&Method::POST, ["init", "error"]) => {
            let body = serde_json::from_slice(&body).unwrap_or_default();
            desk.init_failed(InitError { error_type, body })
        }
        _ => desk.refuse(404, format!("{} {}", head.method, head.uri)),
    }
}

fn error_type(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(ERROR_TYPE)?.to_str().ok()?.to_owned())
}
