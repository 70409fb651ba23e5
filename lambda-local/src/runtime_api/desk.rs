//! The state of the server: queued and open invocations, and the actions of the process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot, watch};

use super::invocation::{End, Ended, InitError, Invocation};

/// The maximum number of entries in each record that only grows.
const MOST_ENTRIES: usize = 10_000;

/// An invocation that is not delivered yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) request_id: String,
    pub(super) invocation: Invocation,
    pub(super) end: oneshot::Sender<Ended>,
}

/// The response to a request for an invocation.
#[derive(Debug)]
pub(super) enum Next {
    Invocation(Waiting),
    Odd(Response<Bytes>),
}

/// An invocation that was delivered to a process.
#[derive(Debug)]
struct Running {
    begun: Instant,
    end: oneshot::Sender<Ended>,
}

#[derive(Debug)]
pub(super) struct Desk {
    function_arn: String,
    queue: mpsc::UnboundedSender<Next>,
    waiting: AsyncMutex<mpsc::UnboundedReceiver<Next>>,
    /// The number of open requests for an invocation.
    open: watch::Sender<usize>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    running: HashMap<String, Running>,
    pub(super) asked: Vec<Instant>,
    pub(super) init_errors: Vec<InitError>,
    pub(super) faults: Vec<String>,
    pub(super) post_status: Option<StatusCode>,
}

impl Desk {
    pub(super) fn new(function_arn: &str) -> Self {
        let (queue, waiting) = mpsc::unbounded_channel();
        Self {
            function_arn: function_arn.to_owned(),
            queue,
            waiting: AsyncMutex::new(waiting),
            open: watch::Sender::new(0),
            state: Mutex::default(),
        }
    }

    pub(super) fn queue(&self, next: Next) {
        // This cannot fail: the desk holds both ends of its queue.
        let _ = self.queue.send(next);
    }

    pub(super) async fn until_asked(&self) {
        // This cannot fail: the desk holds the sender.
        let _ = self.open.subscribe().wait_for(|open| *open > 0).await;
    }

    pub(super) fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next invocation and returns it.
    pub(super) async fn next(&self) -> Response<Bytes> {
        push(&mut self.lock().asked, Instant::now());
        let open = Open::new(&self.open);
        let next = self.waiting.lock().await.recv().await;
        drop(open);
        match next.expect("the desk holds the sender") {
            Next::Odd(response) => response,
            Next::Invocation(waiting) => self.hand_out(waiting),
        }
    }

    fn hand_out(&self, Waiting { request_id, invocation, end }: Waiting) -> Response<Bytes> {
        let Invocation { event, timeout, deadline } = invocation;
        let deadline = deadline.unwrap_or_else(|| {
            let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            (epoch + timeout).as_millis().to_string()
        });
        let response = Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", &request_id)
            .header("lambda-runtime-deadline-ms", deadline)
            .header("lambda-runtime-invoked-function-arn", &self.function_arn)
            .header("lambda-runtime-trace-id", crate::id::trace())
            .body(event);
        let response = match response {
            Ok(response) => response,
            Err(error) => return self.refuse(500, format!("the invocation has no valid headers: {error}")),
        };
        self.lock().running.insert(request_id, Running { begun: Instant::now(), end });
        response
    }

    pub(super) fn end(&self, id: &str, end: End, error_type: Option<String>, body: Bytes) -> Response<Bytes> {
        let Some(running) = self.lock().running.remove(id) else {
            return self.refuse(400, format!("{end:?} for {id}, which is not running"));
        };
        let after = running.begun.elapsed();
        // The caller may have stopped waiting.
        let _ = running.end.send(Ended { request_id: id.to_owned(), end, body, error_type, after });
        match self.lock().post_status {
            Some(status) => answer(status, Bytes::new()),
            None => accepted(),
        }
    }

    pub(super) fn init_failed(&self, error: InitError) -> Response<Bytes> {
        push(&mut self.lock().init_errors, error);
        accepted()
    }

    pub(super) fn refuse(&self, status: u16, fault: String) -> Response<Bytes> {
        let body = json!({ "errorType": "InvalidRequest", "errorMessage": fault }).to_string();
        push(&mut self.lock().faults, fault);
        answer(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), body.into())
    }
}

/// An open request for an invocation. It counts while its connection is open.
struct Open<'a>(&'a watch::Sender<usize>);

impl<'a> Open<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

fn push<T>(entries: &mut Vec<T>, entry: T) {
    if entries.len() < MOST_ENTRIES {
        entries.push(entry);
    }
}

fn accepted() -> Response<Bytes> {
    answer(StatusCode::ACCEPTED, Bytes::from_static(br#"{"status":"OK"}"#))
}

fn answer(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
