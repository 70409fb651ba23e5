//! An application behind forward mode. It answers as the test defines, and records the requests.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

/// An answer of the application.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Answer {
    /// Returns a status with an empty body.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    /// Returns status 200.
    pub fn ok() -> Self {
        Self::status(200)
    }

    /// Sets the body.
    pub fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// The end of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The application answered with this status.
    Answered(u16),
    /// The worker closed the connection before there was an answer.
    Dropped,
}

/// One request, as the application saw it.
#[derive(Debug, Clone)]
pub struct Call {
    /// The request line without its version: method and path.
    pub line: String,
    /// The message's id.
    pub message_id: String,
    /// The number of receives of the message.
    pub receive_count: u32,
    /// The message's body.
    pub body: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The time at which it arrived.
    pub begun: Instant,
    /// Its end, with the time, after it has ended.
    pub ended: Option<(Instant, Ended)>,
}

impl Call {
    fn new(head: &Parts, body: &Bytes) -> Self {
        let text = |name: &str| head.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        Self {
            line: format!("{} {}", head.method, head.uri),
            message_id: text("x-aws-sqsd-msgid"),
            receive_count: text("x-aws-sqsd-receive-count").parse().unwrap_or(0),
            body: String::from_utf8(body.to_vec()).expect("SQS's bodies are UTF-8"),
            headers: head.headers.clone(),
            begun: Instant::now(),
            ended: None,
        }
    }

    /// Returns the text of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[derive(Debug, Default)]
struct Record(Mutex<Vec<Call>>);

impl Record {
    fn end(&self, index: usize, how: Ended) {
        self.0.lock().unwrap()[index].ended.get_or_insert((Instant::now(), how));
    }
}

/// Records a request as dropped unless it was answered before: HTTP servers drop the work for a closed connection.
struct Open {
    record: Arc<Record>,
    index: usize,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.record.end(self.index, Ended::Dropped);
    }
}

/// The application. It ends when dropped.
pub struct App {
    addr: SocketAddr,
    record: Arc<Record>,
    server: JoinHandle<()>,
}

impl Drop for App {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl App {
    /// Serves `answer` on a free port of the loopback interface.
    pub async fn start<F>(answer: impl Fn(Call) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0)), answer).await
    }

    /// Serves `answer` on this address.
    pub async fn start_on<F>(addr: SocketAddr, answer: impl Fn(Call) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let record = Arc::<Record>::default();
        let server = tokio::spawn(serve(listener, Arc::clone(&record), Arc::new(answer)));
        Self { addr, record, server }
    }

    /// Starts an application that answers every request with 200.
    pub async fn always_ok() -> Self {
        Self::start(|_| async { Answer::ok() }).await
    }

    /// Starts an application whose requests end once the semaphore has a permit for each, or is closed.
    pub async fn held() -> (Self, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        let shared = Arc::clone(&gate);
        let app = Self::start(move |_| {
            let gate = Arc::clone(&shared);
            async move {
                if let Ok(permit) = gate.acquire().await {
                    permit.forget();
                }
                Answer::ok()
            }
        })
        .await;
        (app, gate)
    }

    /// Ends it like a process: closes its connections and frees its port.
    pub async fn shut_down(mut self) {
        self.server.abort();
        drop((&mut self.server).await);
    }

    /// Returns the URL for forward mode.
    pub fn url(&self) -> String {
        format!("{}/jobs", self.root())
    }

    /// Returns its address as a URL.
    pub fn root(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Returns all requests so far, in the order of their arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.record.0.lock().unwrap().clone()
    }

    /// Returns the number of requests so far.
    pub fn count(&self) -> usize {
        self.record.0.lock().unwrap().len()
    }

    /// Returns the IDs of the messages of all requests, in order.
    pub fn ids(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.message_id).collect()
    }
}

async fn serve<A, F>(listener: TcpListener, record: Arc<Record>, answer: Arc<A>)
where
    A: Fn(Call) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    // They end with the application.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let (record, answer) = (Arc::clone(&record), Arc::clone(&answer));
        let service = service_fn(move |request: Request<Incoming>| {
            let (record, answer) = (Arc::clone(&record), Arc::clone(&answer));
            async move { Ok::<_, Infallible>(respond(request, record, &*answer).await) }
        });
        // Some tests end the worker on purpose, so a broken connection is not an error here.
        connections.spawn(async move {
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn respond<A, F>(request: Request<Incoming>, record: Arc<Record>, answer: &A) -> Response<Full<Bytes>>
where
    A: Fn(Call) -> F,
    F: Future<Output = Answer>,
{
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Response::new(Full::default()) };
    let call = Call::new(&head, &body.to_bytes());
    let index = {
        let mut calls = record.0.lock().unwrap();
        calls.push(call.clone());
        calls.len() - 1
    };
    let open = Open { record: Arc::clone(&record), index };
    let answer = answer(call).await;
    record.end(index, Ended::Answered(answer.status));
    drop(open);
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Full::from(answer.body)).unwrap()
}
