//! For tests: the lean client and the SDK's, against a server that records their requests and sends a test's answers.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use drumline::core::{Action, Replies};
use drumline::message::Message;
use drumline::run::NoopObserver;
use serde_json::Value;
use tokio::net::TcpListener;
use url::Url;

use super::client::{Clients, connect_in};
use super::lean::{SqsClientChoice, SqsClientSwitch};
use super::queue::AwsQueue;
use crate::sqs::{Queue as _, SqsError};

const WAIT: Duration = Duration::ZERO;

/// The relevant parts of a request: the body, and the headers that SQS reads.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recorded {
    headers: BTreeMap<&'static str, String>,
    /// The key, day, region and service of the signature.
    scope: String,
    body: Value,
}

#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into() }
    }
}

#[derive(Clone)]
pub(super) struct Server {
    answer: Arc<Mutex<Answer>>,
    /// The answer to the lean client, if it differs.
    pub(super) to_lean: Arc<Mutex<Option<Answer>>>,
    recorded: Arc<Mutex<Vec<Recorded>>>,
    url: Url,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/123456789012/jobs", listener.local_addr().unwrap()).parse().unwrap();
        let answer = Arc::new(Mutex::new(Answer::ok("{}")));
        let server = Self { answer, to_lean: Arc::default(), recorded: Arc::default(), url };
        let routes = axum::Router::new().fallback(Self::handle).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        server
    }

    #[allow(clippy::unused_async, reason = "axum takes async functions")]
    async fn handle(
        State(server): State<Self>,
        headers: HeaderMap,
        body: Bytes,
    ) -> (StatusCode, HeaderMap, Vec<u8>) {
        let header =
            |name: &'static str| headers.get(name).map(|value| (name, value.to_str().unwrap().to_owned()));
        let authorization = headers["authorization"].to_str().unwrap();
        let scope = authorization.split("Credential=").nth(1).unwrap().split(',').next().unwrap().to_owned();
        assert!(headers.contains_key("x-amz-date") && authorization.contains("x-amz-target"), "{headers:?}");
        let names = [
            "content-type",
            "host",
            "x-amz-target",
            "x-amz-security-token",
            "content-length",
            "x-amzn-query-mode",
        ];
        let recorded = Recorded {
            headers: names.into_iter().filter(|name| *name != "content-length").filter_map(header).collect(),
            scope,
            body: serde_json::from_slice(&body).unwrap(),
        };
        server.recorded.lock().unwrap().push(recorded);
        let is_lean = headers["user-agent"].to_str().unwrap().starts_with("drumline/");
        let to_lean = server.to_lean.lock().unwrap().clone().filter(|_| is_lean);
        let answer = to_lean.unwrap_or_else(|| server.answer.lock().unwrap().clone());
        let mut sent = HeaderMap::new();
        for (name, value) in answer.headers {
            sent.insert(name, value.parse().unwrap());
        }
        (StatusCode::from_u16(answer.status).unwrap(), sent, answer.body)
    }

    pub(super) async fn clients(&self) -> Clients {
        let variables = [
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "token/with+signs=="),
            ("AWS_REGION", "eu-west-1"),
        ];
        connect_in(&variables.into(), None, &self.url, WAIT).await.unwrap()
    }

    pub(super) async fn queue(&self, choice: SqsClientChoice) -> AwsQueue {
        let queue = self.queue_by(&SqsClientSwitch::new(choice)).await;
        assert_eq!(queue.clients.lean().is_some(), choice != SqsClientChoice::Sdk);
        queue
    }

    pub(super) async fn queue_by(&self, switch: &SqsClientSwitch) -> AwsQueue {
        let clients = self.clients().await.by(switch);
        AwsQueue::new(clients, self.url.to_string(), Arc::new(NoopObserver))
            .receiving(WAIT, Duration::from_secs(30))
    }

    pub(super) fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub(super) fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.recorded.lock().unwrap())
    }
}

/// Both clients of one server.
pub(super) struct Both {
    pub(super) server: Server,
    pub(super) lean: AwsQueue,
    pub(super) sdk: AwsQueue,
}

impl Both {
    pub(super) async fn start() -> Self {
        let server = Server::start().await;
        let lean = server.queue(SqsClientChoice::Lean).await;
        let sdk = server.queue(SqsClientChoice::Sdk).await;
        Self { server, lean, sdk }
    }

    /// Receives with both, and returns the common result.
    pub(super) async fn receive(&self) -> Result<Vec<Message>, SqsError> {
        let (lean, sdk) = (self.lean.receive(10).await, self.sdk.receive(10).await);
        let of_error = |error: &SqsError| (error.kind, error.retry_after, error.is_in_doubt);
        assert_eq!(lean.as_ref().map_err(of_error), sdk.as_ref().map_err(of_error), "{lean:?} {sdk:?}");
        self.assert_same_requests();
        lean
    }

    pub(super) async fn perform(&self, action: Action) -> Replies {
        let (lean, sdk) = (self.lean.perform(action.clone()).await, self.sdk.perform(action).await);
        assert_eq!(lean, sdk);
        self.assert_same_requests();
        lean
    }

    fn assert_same_requests(&self) {
        let recorded = self.server.take();
        let [lean, sdk] = &recorded[..] else { panic!("{recorded:?}") };
        assert_eq!(lean, sdk);
    }
}
