//! The service's side of Lambda's Runtime API: it hands invocations to a function's process and takes their ends.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>. Unlike Lambda it does not kill a process that is
//! late: a test looks at how long it took.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};
use tokio::task::JoinHandle;

/// How long an invocation may take in a test: thousands of jobs on a slow machine, and then some.
const LONGEST: Duration = Duration::from_secs(120);

/// What all paths begin with: the version of the interface.
const VERSION: &str = "/2018-06-01/runtime/";

/// Where a process says which kind of error it was.
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";

/// An invocation to be.
#[derive(Debug, Clone)]
pub struct Invocation {
    event: Bytes,
    timeout: Duration,
    deadline: Option<String>,
}

impl Invocation {
    /// An invocation with this event and Lambda's longest timeout, 15 minutes.
    pub fn new(event: impl Into<Bytes>) -> Self {
        Self { event: event.into(), timeout: Duration::from_secs(15 * 60), deadline: None }
    }

    /// The same with the function's timeout. It counts from the moment at which the process gets the event.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same with this text for `Lambda-Runtime-Deadline-Ms`, whatever the timeout.
    pub fn deadline_header(mut self, text: &str) -> Self {
        self.deadline = Some(text.to_owned());
        self
    }
}

/// Which of the two ways an invocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With a response.
    Response,
    /// With an error.
    Error,
}

/// The end of an invocation.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The invocation's request id.
    pub request_id: String,
    /// Response or error.
    pub end: End,
    /// What the process posted, to the byte.
    pub body: Bytes,
    /// The header that tells an error's type.
    pub error_type: Option<String>,
    /// How long it took from the event to the end.
    pub after: Duration,
}

impl Answered {
    /// The body's text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("what functions answer is UTF-8")
    }

    /// Expects exactly the batch response that lists these messages, in this order: byte by byte what
    /// [Lambda documents](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
    #[track_caller]
    pub fn expect_failed<S: AsRef<str>>(&self, ids: &[S]) {
        let items = ids.iter().map(|id| format!(r#"{{"itemIdentifier":{}}}"#, json!(id.as_ref())));
        let response = format!(r#"{{"batchItemFailures":[{}]}}"#, items.collect::<Vec<_>>().join(","));
        assert_eq!((self.end, self.text()), (End::Response, &*response));
    }

    /// Expects exactly the batch response of a batch that went well.
    #[track_caller]
    pub fn expect_all_done(&self) {
        self.expect_failed::<&str>(&[]);
    }

    /// Expects an error of this type, and returns its message.
    ///
    /// The type is looked for in the body, which is what callers see: the header is one word for all errors in
    /// `lambda_runtime`.
    #[track_caller]
    pub fn expect_error(&self, error_type: &str) -> String {
        assert_eq!(self.end, End::Error, "{}", self.text());
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(body["errorType"], error_type, "{body}");
        assert!(self.error_type.is_some(), "{body}");
        body["errorMessage"].as_str().unwrap_or_else(|| panic!("no message in {body}")).to_owned()
    }
}

/// An invocation that has not ended yet.
#[derive(Debug)]
pub struct Pending {
    request_id: String,
    end: oneshot::Receiver<Answered>,
}

impl Pending {
    /// The id that the process is told.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When there is none for two minutes.
    pub async fn answered(self) -> Answered {
        let end = tokio::time::timeout(LONGEST, self.end).await;
        end.unwrap_or_else(|_| panic!("invocation {} does not end", self.request_id)).unwrap()
    }
}

/// An error that a process posted about its start.
#[derive(Debug, Clone)]
pub struct InitError {
    /// The header that tells its type.
    pub error_type: Option<String>,
    /// `errorType`, `errorMessage`, …
    pub body: Value,
}

/// The service; it ends when dropped.
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

/// An invocation between the test and the process.
struct Waiting {
    request_id: String,
    invocation: Invocation,
    end: oneshot::Sender<Answered>,
}

/// An invocation that a process has.
struct Running {
    begun: Instant,
    end: oneshot::Sender<Answered>,
}

/// What a question for the next invocation is answered with.
enum Next {
    Invocation(Waiting),
    Odd(Response<Full<Bytes>>),
}

struct Desk {
    queue: mpsc::UnboundedSender<Next>,
    waiting: AsyncMutex<mpsc::UnboundedReceiver<Next>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: HashMap<String, Running>,
    asked: Vec<Instant>,
    init_errors: Vec<InitError>,
    faults: Vec<String>,
    post_status: Option<u16>,
}

impl RuntimeApi {
    /// Serves one process on a free port of the loopback interface.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (queue, waiting) = mpsc::unbounded_channel();
        let desk = Arc::new(Desk { queue, waiting: AsyncMutex::new(waiting), state: Mutex::default() });
        let server = tokio::spawn(serve(listener, Arc::clone(&desk)));
        Self { addr, desk, server }
    }

    /// What `AWS_LAMBDA_RUNTIME_API` is to say: host and port.
    pub fn address(&self) -> String {
        self.addr.to_string()
    }

    /// Hands out an invocation as soon as somebody asks for the next one.
    pub fn invoke(&self, invocation: Invocation) -> Pending {
        let request_id = uuid();
        let (end, ended) = oneshot::channel();
        let waiting = Waiting { request_id: request_id.clone(), invocation, end };
        self.queue(Next::Invocation(waiting));
        Pending { request_id, end: ended }
    }

    /// Answers one question for the next invocation with this in place of one.
    pub fn answer_oddly(&self, answer: Response<&'static str>) {
        self.queue(Next::Odd(answer.map(|body| Full::from(Bytes::from_static(body.as_bytes())))));
    }

    /// Answers what processes post with this status, and takes it all the same.
    pub fn answer_posts_with(&self, status: u16) {
        self.state(|state| state.post_status = Some(status));
    }

    fn queue(&self, next: Next) {
        assert!(self.desk.queue.send(next).is_ok(), "the desk holds both ends of its queue");
    }

    /// When the process asked for the next invocation, each time.
    pub fn asked(&self) -> Vec<Instant> {
        self.state(|state| state.asked.clone())
    }

    /// The errors posted about the start.
    pub fn init_errors(&self) -> Vec<InitError> {
        self.state(|state| state.init_errors.clone())
    }

    /// What a process did that the interface does not allow: answers to nothing, unknown paths.
    pub fn faults(&self) -> Vec<String> {
        self.state(|state| state.faults.clone())
    }

    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.desk.state.lock().unwrap())
    }
}

async fn serve(listener: TcpListener, desk: Arc<Desk>) {
    while let Ok((stream, _)) = listener.accept().await {
        let desk = Arc::clone(&desk);
        let service = service_fn(move |request| {
            let desk = Arc::clone(&desk);
            async move { Ok::<_, Infallible>(desk.respond(request).await) }
        });
        // Processes are killed with their long poll open, so a broken connection is no error.
        tokio::spawn(async move {
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

impl Desk {
    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return Response::new(Full::default()) };
        let path = head.uri.path().strip_prefix(VERSION).unwrap_or_default();
        let words: Vec<&str> = path.split('/').collect();
        match (&head.method, &*words) {
            (&Method::GET, ["invocation", "next"]) => self.next().await,
            (&Method::POST, ["invocation", id, "response"]) => {
                self.end(id, End::Response, &head.headers, body.to_bytes())
            }
            (&Method::POST, ["invocation", id, "error"]) => {
                self.end(id, End::Error, &head.headers, body.to_bytes())
            }
            (&Method::POST, ["init", "error"]) => {
                let body = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
                let error = InitError { error_type: error_type(&head.headers), body };
                self.state.lock().unwrap().init_errors.push(error);
                accepted()
            }
            _ => self.refuse(404, format!("{} {}", head.method, head.uri)),
        }
    }

    /// The next invocation, however long that takes.
    async fn next(&self) -> Response<Full<Bytes>> {
        self.state.lock().unwrap().asked.push(Instant::now());
        let Waiting { request_id, invocation, end } =
            match self.waiting.lock().await.recv().await.expect("the desk holds the sender") {
                Next::Invocation(waiting) => waiting,
                Next::Odd(answer) => return answer,
            };
        let Invocation { event, timeout, deadline } = invocation;
        let deadline = deadline.unwrap_or_else(|| {
            let epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
            (epoch + timeout).as_millis().to_string()
        });
        let trace_id = format!(
            "Root=1-{:08x}-{:024x};Parent={:016x};Sampled=1",
            fastrand::u32(..),
            fastrand::u128(..) >> 32,
            fastrand::u64(..)
        );
        let response = Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", &request_id)
            .header("lambda-runtime-deadline-ms", deadline)
            .header("lambda-runtime-invoked-function-arn", FUNCTION_ARN)
            .header("lambda-runtime-trace-id", trace_id);
        self.state.lock().unwrap().running.insert(request_id, Running { begun: Instant::now(), end });
        response.body(Full::from(event)).unwrap()
    }

    fn end(&self, id: &str, end: End, headers: &HeaderMap, body: Bytes) -> Response<Full<Bytes>> {
        let Some(running) = self.state.lock().unwrap().running.remove(id) else {
            return self.refuse(400, format!("{end:?} for {id}, which is not running"));
        };
        let after = running.begun.elapsed();
        let answered =
            Answered { request_id: id.to_owned(), end, body, error_type: error_type(headers), after };
        // A test need not wait for the end.
        drop(running.end.send(answered));
        match self.state.lock().unwrap().post_status {
            Some(status) => Response::builder().status(status).body(Full::default()).unwrap(),
            None => accepted(),
        }
    }

    fn refuse(&self, status: u16, fault: String) -> Response<Full<Bytes>> {
        let body = json!({ "errorType": "InvalidRequest", "errorMessage": fault }).to_string();
        self.state.lock().unwrap().faults.push(fault);
        Response::builder().status(status).body(Full::from(body)).unwrap()
    }
}

/// The ARN that functions are told to be invoked by.
pub const FUNCTION_ARN: &str = "arn:aws:lambda:eu-central-1:000000000000:function:drumline";

fn accepted() -> Response<Full<Bytes>> {
    Response::builder().status(202).body(Full::from(r#"{"status":"OK"}"#)).unwrap()
}

fn error_type(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(ERROR_TYPE)?.to_str().ok()?.to_owned())
}

/// A random UUID, as request ids and message ids are.
pub(crate) fn uuid() -> String {
    let hex = format!("{:032x}", fastrand::u128(..));
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}
