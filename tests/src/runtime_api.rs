//! Lambda's Runtime API with the timeouts and expectations of a test.
//!
//! The server is that of `drumline_lambda_local`. It does not kill a process that is late: a test checks the time itself.

use std::ops::Deref;
use std::time::{Duration, Instant};

use bytes::Bytes;
use drumline_lambda_local::runtime_api;
use http::{Response, StatusCode};
use serde_json::{Value, json};

pub use drumline_lambda_local::runtime_api::{End, InitError, Invocation};

/// The time limit of an invocation in a test: enough for thousands of jobs on a slow machine.
const LONGEST: Duration = Duration::from_secs(120);

/// The ARN in the headers of invocations.
pub const FUNCTION_ARN: &str = "arn:aws:lambda:eu-central-1:000000000000:function:drumline";

/// The end of an invocation.
#[derive(Debug, Clone)]
pub struct Answered(runtime_api::Ended);

impl Deref for Answered {
    type Target = runtime_api::Ended;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Answered {
    /// Returns the body's text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("what functions answer is UTF-8")
    }

    /// Expects exactly the batch response that lists these messages, in this order, with the bytes that
    /// [Lambda documents](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
    #[track_caller]
    pub fn expect_failed<S: AsRef<str>>(&self, ids: &[S]) {
        let items = ids.iter().map(|id| format!(r#"{{"itemIdentifier":{}}}"#, json!(id.as_ref())));
        let response = format!(r#"{{"batchItemFailures":[{}]}}"#, items.collect::<Vec<_>>().join(","));
        assert_eq!((self.end, self.text()), (End::Response, &*response));
    }

    /// Expects exactly the response of a successful batch.
    #[track_caller]
    pub fn expect_all_done(&self) {
        self.expect_failed::<&str>(&[]);
    }

    /// Expects an error of this type, and returns its message.
    ///
    /// The type is read from the body, which callers see: `lambda_runtime` sends the same header for all errors.
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
pub struct Pending(runtime_api::Pending);

impl Pending {
    /// Returns the ID that the process gets.
    pub fn request_id(&self) -> &str {
        self.0.request_id()
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// If the invocation does not end within two minutes.
    pub async fn answered(mut self) -> Answered {
        let end = tokio::time::timeout(LONGEST, self.0.ended()).await;
        Answered(end.unwrap_or_else(|_| panic!("invocation {} does not end", self.request_id())).unwrap())
    }
}

/// The server. It ends when dropped.
pub struct RuntimeApi(runtime_api::RuntimeApi);

impl RuntimeApi {
    /// Serves one process on a free port of the loopback interface.
    pub async fn start() -> Self {
        Self(runtime_api::RuntimeApi::start(FUNCTION_ARN).await.unwrap())
    }

    /// Returns the value of `AWS_LAMBDA_RUNTIME_API`: host and port.
    pub fn address(&self) -> String {
        self.0.address()
    }

    /// Delivers an invocation when the process requests the next one.
    pub fn invoke(&self, invocation: Invocation) -> Pending {
        Pending(self.0.invoke(invocation))
    }

    /// Responds to one request for an invocation with this instead.
    pub fn answer_oddly(&self, answer: Response<&'static str>) {
        self.0.answer_next_with(answer.map(|body| Bytes::from_static(body.as_bytes())));
    }

    /// Responds to posted results with this status, and still accepts them.
    pub fn answer_posts_with(&self, status: u16) {
        self.0.answer_posts_with(StatusCode::from_u16(status).unwrap());
    }

    /// Returns the times at which the process requested the next invocation.
    pub fn asked(&self) -> Vec<Instant> {
        self.0.asked()
    }

    /// Returns the errors posted about the start.
    pub fn init_errors(&self) -> Vec<InitError> {
        self.0.init_errors()
    }

    /// Returns the requests that the interface does not allow: results for no invocation, and unknown paths.
    pub fn faults(&self) -> Vec<String> {
        self.0.faults()
    }
}

/// Returns a random UUID, like those of message IDs.
pub(crate) fn uuid() -> String {
    let hex = format!("{:032x}", fastrand::u128(..));
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}
