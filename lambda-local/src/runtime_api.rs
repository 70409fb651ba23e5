//! The server side of Lambda's Runtime API: delivers invocations to a function's process and accepts its responses and errors.
//!
//! [The interface](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html) is served to one process on a free port of
//! the loopback interface. The caller enforces timeouts: see [`ExecutionEnvironment`](crate::ExecutionEnvironment).
//! [`RuntimeApi::answer_next_with`] and [`RuntimeApi::answer_posts_with`] make it misbehave, for tests of a runtime.

mod desk;
mod invocation;
mod server;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::Response;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use desk::{Desk, Next, Waiting};
pub(crate) use invocation::LONGEST_TIMEOUT;
pub use invocation::{End, Ended, InitError, Invocation};

/// An invocation without a result yet.
#[derive(Debug)]
pub struct Pending {
    request_id: String,
    end: oneshot::Receiver<Ended>,
}

impl Pending {
    /// Returns the request id that the process gets.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Waits for the result. Returns `None` if the server has ended. Cancel-safe.
    pub async fn ended(&mut self) -> Option<Ended> {
        (&mut self.end).await.ok()
    }
}

/// The server. It ends when dropped.
#[derive(Debug)]
pub struct RuntimeApi {
    addr: SocketAddr,
    desk: Arc<Desk>,
    server: JoinHandle<()>,
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl RuntimeApi {
    /// Serves one process on a free port of the loopback interface. Invocations contain this function ARN.
    pub async fn start(function_arn: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let desk = Arc::new(Desk::new(function_arn));
        let server = tokio::spawn(server::serve(listener, Arc::clone(&desk)));
        Ok(Self { addr, desk, server })
    }

    /// Returns host and port: the value of `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> String {
        self.addr.to_string()
    }

    /// Queues an invocation for the next request.
    pub fn invoke(&self, invocation: Invocation) -> Pending {
        let request_id = crate::id::uuid();
        let (end, ended) = oneshot::channel();
        self.desk.queue(Next::Invocation(Waiting { request_id: request_id.clone(), invocation, end }));
        Pending { request_id, end: ended }
    }

    /// Waits until a request for an invocation is open. Cancel-safe.
    pub async fn until_asked(&self) {
        self.desk.until_asked().await;
    }

    /// Sends this response to one request for an invocation, instead of an invocation.
    pub fn answer_next_with(&self, response: Response<Bytes>) {
        self.desk.queue(Next::Odd(response));
    }

    /// Responds to posted results with this status from now on. The results still count.
    pub fn answer_posts_with(&self, status: http::StatusCode) {
        self.desk.state(|state| state.post_status = Some(status));
    }

    /// Returns the times of the first 10,000 requests for an invocation.
    pub fn asked(&self) -> Vec<Instant> {
        self.desk.state(|state| state.asked.clone())
    }

    /// Returns the errors that the process reported about its start.
    pub fn init_errors(&self) -> Vec<InitError> {
        self.desk.state(|state| state.init_errors.clone())
    }

    /// Returns the requests that violate the interface: results for invocations that are not open, and unknown paths.
    pub fn faults(&self) -> Vec<String> {
        self.desk.state(|state| state.faults.clone())
    }
}
