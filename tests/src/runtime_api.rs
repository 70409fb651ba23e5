//! Lambda's Runtime API with the patience and the expectations of a test.
//!
//! The service is `drumline_lambda_local`'s. It does not kill a process that is late: a test looks at how long it took.

use std::ops::Deref;
use std::time::{Duration, Instant};

use bytes::Bytes;
use drumline_lambda_local::runtime_api;
use http::{Response, StatusCode};
use serde_json::{Value, json};

pub use drumline_lambda_local::runtime_api::{End, InitError, Invocation};

/// How long an invocation may take in a test: thousands of jobs on a slow machine, and then some.
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
pub struct Pending(runtime_api::Pending);

impl Pending {
    /// The id that the process gets.
    pub fn request_id(&self) -> &str {
        self.0.request_id()
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When there is none for two minutes.
    pub async fn answered(mut self) -> Answered {
        let end = tokio::time::timeout(LONGEST, self.0.ended()).await;
        Answered(end.unwrap_or_else(|_| panic!("invocation {} does not end", self.request_id())).unwrap())
    }
}

/// The service; it ends when dropped.
pub struct RuntimeApi(runtime_api::RuntimeApi);

impl RuntimeApi {
    /// Serves one process on a free port of the loopback interface.
    pub async fn start() -> Self {
        Self(runtime_api::RuntimeApi::start(FUNCTION_ARN).await.unwrap())
    }

    /// The value of `AWS_LAMBDA_RUNTIME_API`: host and port.
    pub fn address(&self) -> String {
        self.0.address()
    }

    /// Hands out an invocation as soon as the process asks for the next one.
    pub fn invoke(&self, invocation: Invocation) -> Pending {
        Pending(self.0.invoke(invocation))
    }

    /// Answers one request for an invocation with this in place of one.
    pub fn answer_oddly(&self, answer: Response<&'static str>) {
        self.0.answer_next_with(answer.map(|body| Bytes::from_static(body.as_bytes())));
    }

    /// Answers what processes post with this status, and takes it all the same.
    pub fn answer_posts_with(&self, status: u16) {
        self.0.answer_posts_with(StatusCode::from_u16(status).unwrap());
    }

    /// When the process asked for the next invocation, each time.
    pub fn asked(&self) -> Vec<Instant> {
        self.0.asked()
    }

    /// The errors posted about the start.
    pub fn init_errors(&self) -> Vec<InitError> {
        self.0.init_errors()
    }

    /// The requests that the interface does not allow: answers to nothing, unknown paths.
    pub fn faults(&self) -> Vec<String> {
        self.0.faults()
    }
}

/// A random UUID, as message ids are.
pub(crate) fn uuid() -> String {
    let hex = format!("{:032x}", fastrand::u128(..));
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}
