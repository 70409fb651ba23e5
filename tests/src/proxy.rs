//! A proxy before SQS that makes chosen actions fail as they do in practice. Requests to S3 pass through it too: they belong to
//! [every action](EVERY_ACTION).

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::http::exchange;

/// A name that stands for all actions.
pub const EVERY_ACTION: &str = "*";

/// A kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// SQS throttles: status 400, `RequestThrottled`.
    Throttled,
    /// Status 500.
    Internal,
    /// No permission for this action: status 403, `AccessDeniedException`.
    Denied,
    /// The connection is closed without a response, and SQS has not seen the request.
    Dropped,
    /// SQS carries out the request, and its response is lost with the connection.
    AnswerLost,
    /// There is never a response.
    Hangs,
    /// Status 200, and every entry of the batch in its `Failed` list.
    EntriesFail,
    /// The same, and SQS refuses them permanently.
    EntriesRefused,
    /// Status 200, and the response mentions no entry of the batch.
    EntriesOmitted,
    /// SQS accepts all entries of the batch except the last, which is in the `Failed` list.
    LastEntryFails,
    /// The same with the first one.
    FirstEntryFails,
    /// SQS accepts every second entry of the batch. The others are in the `Failed` list.
    EverySecondEntryFails,
    /// Each entry fails with a probability of one half: half of these with a transient error, half by the sender's fault. SQS
    /// accepts the others.
    HalfOfEntriesFail,
    /// The response arrives one second late.
    SlowAnswer,
    /// Status 200 and a page, only for the lean client: to a worker this looks like a fault of that client.
    PageToLeanClient,
}

/// The delay of a slow response: well above that of any other.
const SLOW: Duration = Duration::from_secs(1);

/// Changes the JSON of a successful response.
type Rewrite = Box<dyn Fn(&mut Value) + Send>;

/// The treatment of the requests of one action.
#[derive(Default)]
struct Plan {
    /// The faults of the next requests. `None` lets a request pass.
    next: VecDeque<Option<Fault>>,
    always: Option<Fault>,
    /// The percentage of requests that fail at random.
    share: Option<(Fault, u8)>,
    rewrite: Option<Rewrite>,
    seen: Vec<(Instant, Value)>,
    /// The requests that SQS has carried out, with their responses, including lost ones.
    answered: Vec<(Value, Value)>,
}

impl Plan {
    fn next_fault(&mut self) -> Option<Fault> {
        let by_chance = || self.share.filter(|(_, percent)| fastrand::u8(..100) < *percent);
        let later = || self.always.or_else(|| by_chance().map(|(fault, _)| fault));
        let next = self.next.pop_front();
        next.unwrap_or_else(later)
    }
}

#[derive(Default)]
struct Plans {
    by_action: Mutex<HashMap<String, Plan>>,
    /// Keeps no requests, and ends failed connections with a reset.
    is_long_running: bool,
}

impl Plans {
    fn with<T>(&self, action: &str, change: impl FnOnce(&mut Plan) -> T) -> T {
        change(self.by_action.lock().unwrap().entry(action.to_owned()).or_default())
    }

    /// Records a request, and returns its fault: by the plan for its action, or else by that for every action.
    fn next_fault(&self, action: &str, request: &Value) -> Option<Fault> {
        let fault = self.with(action, |plan| {
            if !self.is_long_running {
                plan.seen.push((Instant::now(), request.clone()));
            }
            plan.next_fault()
        });
        fault.or_else(|| self.with(EVERY_ACTION, Plan::next_fault))
    }
}

/// The proxy. It ends when dropped.
pub struct Proxy {
    addr: SocketAddr,
    plans: Arc<Plans>,
    server: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Proxy {
    /// Starts a proxy before the SQS endpoint at `upstream`, on a free port of the loopback interface.
    pub async fn start(upstream: &str) -> Self {
        Self::start_with(upstream, Plans::default()).await
    }

    /// Does the same for runs of hours: it keeps no requests, and connections end with a reset.
    pub async fn start_long_running(upstream: &str) -> Self {
        Self::start_with(upstream, Plans { is_long_running: true, ..Plans::default() }).await
    }

    async fn start_with(upstream: &str, plans: Plans) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let plans = Arc::new(plans);
        let server = tokio::spawn(serve(listener, upstream.to_owned(), Arc::clone(&plans)));
        Self { addr, plans, server }
    }

    /// Returns the URL that the worker should use for SQS.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Makes the next `times` requests of `action` fail.
    pub fn fail(&self, action: &str, fault: Fault, times: usize) {
        self.plans.with(action, |plan| plan.next.extend(std::iter::repeat_n(Some(fault), times)));
    }

    /// Lets the next `times` requests of `action` pass, before further faults.
    pub fn pass(&self, action: &str, times: usize) {
        self.plans.with(action, |plan| plan.next.extend(std::iter::repeat_n(None, times)));
    }

    /// Makes all further requests of `action` fail.
    pub fn fail_always(&self, action: &str, fault: Fault) {
        self.plans.with(action, |plan| plan.always = Some(fault));
    }

    /// Makes further requests of `action` fail at random, `percent` of a hundred.
    pub fn fail_share(&self, action: &str, fault: Fault, percent: u8) {
        self.plans.with(action, |plan| plan.share = Some((fault, percent)));
    }

    /// Lets requests of `action` pass again.
    pub fn heal(&self, action: &str) {
        self.plans.with(action, |plan| {
            plan.next.clear();
            plan.always = None;
            plan.share = None;
        });
    }

    /// Changes SQS's responses to `action`.
    pub fn rewrite(&self, action: &str, rewrite: impl Fn(&mut Value) + Send + 'static) {
        self.plans.with(action, |plan| plan.rewrite = Some(Box::new(rewrite)));
    }

    /// Returns the times and bodies of the requests of `action`.
    pub fn requests(&self, action: &str) -> Vec<(Instant, Value)> {
        self.plans.with(action, |plan| plan.seen.clone())
    }

    /// Returns the requests of `action` that SQS has carried out, with its responses, in the order of the responses. Requests
    /// without the entries that a plan made fail.
    pub fn answers(&self, action: &str) -> Vec<(Value, Value)> {
        self.plans.with(action, |plan| plan.answered.clone())
    }

    /// Returns the number of requests of `action`.
    pub fn count(&self, action: &str) -> usize {
        self.plans.with(action, |plan| plan.seen.len())
    }
}

/// Ends a connection without a response.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed on purpose")
    }
}

impl std::error::Error for Closed {}

async fn serve(listener: TcpListener, upstream: String, plans: Arc<Plans>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (upstream, plans) = (upstream.clone(), Arc::clone(&plans));
        if plans.is_long_running {
            stream.set_zero_linger().unwrap();
        }
        let service = service_fn(move |request| pass(request, upstream.clone(), Arc::clone(&plans)));
        // Closing connections is the purpose of this proxy.
        tokio::spawn(async move {
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn pass(
    request: Request<Incoming>,
    upstream: String,
    plans: Arc<Plans>,
) -> Result<Response<Full<Bytes>>, Closed> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let action = action(&head.headers);
    let mut json: Value = serde_json::from_slice(&body).unwrap_or_default();
    let fault = plans.next_fault(&action, &json);
    match fault {
        Some(Fault::Throttled) => return Ok(error(400, "com.amazonaws.sqs#RequestThrottled")),
        Some(Fault::Internal) => return Ok(error(500, "com.amazonaws.sqs#InternalFailure")),
        Some(Fault::Denied) => return Ok(error(403, "com.amazon.coral.service#AccessDeniedException")),
        Some(Fault::EntriesFail) => return Ok(answer(200, &failed_entries(&json, false))),
        Some(Fault::EntriesRefused) => return Ok(answer(200, &failed_entries(&json, true))),
        Some(Fault::EntriesOmitted) => {
            return Ok(answer(200, &json!({ "Successful": [], "Failed": [] })));
        }
        Some(Fault::PageToLeanClient) if is_lean(&head.headers) => {
            return Ok(Response::new(Full::from("<html></html>")));
        }
        Some(Fault::Dropped) => return Err(Closed),
        Some(Fault::Hangs) => std::future::pending().await,
        Some(
            Fault::AnswerLost
            | Fault::LastEntryFails
            | Fault::FirstEntryFails
            | Fault::EverySecondEntryFails
            | Fault::HalfOfEntriesFail
            | Fault::SlowAnswer
            | Fault::PageToLeanClient,
        )
        | None => {}
    }
    let failed = fault.map(|fault| take_failing(fault, &mut json)).unwrap_or_default();
    if !failed.is_empty() && json["Entries"].as_array().is_none_or(Vec::is_empty) {
        return Ok(answer(200, &json!({ "Successful": [], "Failed": failed })));
    }
    let body = if failed.is_empty() { body } else { Bytes::from(json.to_string()) };
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let uri = format!("{upstream}{path}").parse::<Uri>().unwrap();
    let mut forwarded = Request::builder().method(head.method).uri(uri);
    *forwarded.headers_mut().unwrap() = head.headers;
    for name in [header::HOST, header::CONTENT_LENGTH] {
        forwarded.headers_mut().unwrap().remove(name);
    }
    let response = exchange(forwarded.body(Full::from(body)).unwrap()).await.map_err(|_| Closed)?;
    if response.status().is_success() && !plans.is_long_running {
        let said = serde_json::from_slice(response.body()).unwrap_or_default();
        plans.with(&action, |plan| plan.answered.push((json, said)));
    }
    match fault {
        Some(Fault::AnswerLost) => return Err(Closed),
        Some(Fault::SlowAnswer) => tokio::time::sleep(SLOW).await,
        _ => {}
    }
    let mut said: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let rewritten = response.status().is_success()
        && plans.with(&action, |plan| plan.rewrite.as_ref().map(|rewrite| rewrite(&mut said)).is_some());
    if !failed.is_empty() {
        said["Failed"] = Value::Array(failed);
        return Ok(answer(200, &said));
    }
    if rewritten {
        return Ok(answer(200, &said));
    }
    let mut response = response.map(Full::from);
    // The body was read whole, so its framing no longer matters.
    for name in [header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        response.headers_mut().remove(name);
    }
    Ok(response)
}

/// Returns true for the lean client. The SDK names itself first.
fn is_lean(headers: &HeaderMap) -> bool {
    headers.get(header::USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"drumline/"))
}

/// Returns `DeleteMessageBatch` for `X-Amz-Target: AmazonSQS.DeleteMessageBatch`.
fn action(headers: &HeaderMap) -> String {
    let target = headers.get("x-amz-target").map_or("", |target| target.to_str().unwrap_or_default());
    target.rsplit('.').next().unwrap_or_default().to_owned()
}

/// Removes the failing entries from a request, and returns them as SQS lists them in its response.
fn take_failing(fault: Fault, request: &mut Value) -> Vec<Value> {
    let Some(entries) = request["Entries"].as_array_mut() else { return Vec::new() };
    match fault {
        Fault::LastEntryFails => entries.pop().map(|entry| failed_entry(&entry, false)).into_iter().collect(),
        Fault::FirstEntryFails if !entries.is_empty() => vec![failed_entry(&entries.remove(0), false)],
        Fault::EverySecondEntryFails => {
            let mut index = 0;
            let failing = entries.extract_if(.., |_| {
                index += 1;
                index % 2 == 0
            });
            failing.map(|entry| failed_entry(&entry, false)).collect()
        }
        Fault::HalfOfEntriesFail => {
            let failing = entries.extract_if(.., |_| fastrand::bool());
            failing.map(|entry| failed_entry(&entry, fastrand::bool())).collect()
        }
        _ => Vec::new(),
    }
}

fn failed_entries(request: &Value, for_good: bool) -> Value {
    let entries = request["Entries"].as_array().into_iter().flatten();
    let failed: Vec<_> = entries.map(|entry| failed_entry(entry, for_good)).collect();
    json!({ "Successful": [], "Failed": failed })
}

fn failed_entry(entry: &Value, for_good: bool) -> Value {
    json!({ "Id": entry["Id"], "SenderFault": for_good, "Code": "InternalError", "Message": "made to fail" })
}

fn error(status: u16, code: &str) -> Response<Full<Bytes>> {
    answer(status, &json!({ "__type": code, "message": "made to fail" }))
}

fn answer(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let response =
        Response::builder().status(status).header(header::CONTENT_TYPE, "application/x-amz-json-1.0");
    response.body(Full::from(body.to_string())).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_s_own_plan_comes_before_that_of_every_action() {
        let plans = Plans::default();
        let fault = |action| plans.next_fault(action, &Value::Null);
        assert_eq!(fault("ReceiveMessage"), None);
        plans.with(EVERY_ACTION, |plan| plan.share = Some((Fault::Internal, 100)));
        plans.with("ReceiveMessage", |plan| plan.share = Some((Fault::Dropped, 0)));
        assert_eq!(fault("ReceiveMessage"), Some(Fault::Internal), "none of a hundred is none");
        plans.with("ReceiveMessage", |plan| plan.next.extend([None, Some(Fault::Throttled)]));
        assert_eq!(fault("ReceiveMessage"), Some(Fault::Internal));
        assert_eq!(fault("ReceiveMessage"), Some(Fault::Throttled));
        assert_eq!(fault("DeleteMessage"), Some(Fault::Internal));
    }
}
