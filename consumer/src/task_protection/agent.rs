//! The ECS agent beside the container.

use std::time::Duration;

use bytes::Bytes;
use drumline_runtime::variable;
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::protector::{EXPIRES_IN_MINUTES, ProtectError, Protector};

/// The variable in which ECS passes the agent's address to a container.
const AGENT_URI: &str = "ECS_AGENT_URI";

/// The time limit of a response. The agent calls ECS before it responds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum size of an answer. Answers have a few hundred bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The agent of a task.
pub(super) struct Agent {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
}

/// An answer, with one of these fields.
#[derive(Deserialize)]
struct Answer {
    failure: Option<Failure>,
    error: Option<AgentError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    reason: String,
    detail: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AgentError {
    code: String,
    message: String,
}

impl Agent {
    pub(super) fn of_this_task() -> Result<Self, String> {
        let agent = variable(AGENT_URI).ok_or_else(|| {
            format!("task_protection is on, but {AGENT_URI} is not set: only tasks on ECS have it")
        })?;
        let uri = format!("{}/task-protection/v1/state", agent.trim_end_matches('/'));
        let uri = uri.parse().map_err(|error| format!("{AGENT_URI} = {agent:?}: {error}"))?;
        Ok(Self { client: Client::builder(TokioExecutor::new()).build_http(), uri })
    }

    async fn ask(&self, body: String) -> Result<(), ProtectError> {
        let request = Request::builder()
            .method(Method::PUT)
            .uri(&self.uri)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| ProtectError::Refused(error.to_string()))?;
        let (status, body) = self.send(request).await.map_err(ProtectError::Unanswered)?;
        let failed = |reason| {
            // The agent also answers 5xx if ECS did not answer it in time.
            if status.is_server_error() {
                ProtectError::Unanswered(reason)
            } else {
                ProtectError::Refused(reason)
            }
        };
        match serde_json::from_slice(&body) {
            Ok(Answer { failure: Some(Failure { reason, detail }), .. }) => {
                Err(failed(format!("{reason}: {}", detail.unwrap_or_default())))
            }
            Ok(Answer { error: Some(AgentError { code, message }), .. }) => {
                Err(failed(format!("{code}: {message}")))
            }
            _ if !status.is_success() => Err(failed(format!("the agent answers {status}"))),
            Ok(_) => Ok(()),
            Err(error) => {
                Err(ProtectError::Unanswered(format!("the agent answers what is not JSON: {error}")))
            }
        }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), String> {
        let response = self.client.request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
    }
}

impl Protector for Agent {
    async fn protect(&self, protected: bool) -> Result<(), ProtectError> {
        let body = if protected {
            json!({ "ProtectionEnabled": true, "ExpiresInMinutes": EXPIRES_IN_MINUTES })
        } else {
            json!({ "ProtectionEnabled": false })
        };
        let asked = timeout(TIMEOUT, self.ask(body.to_string())).await;
        asked.unwrap_or_else(|_| {
            Err(ProtectError::Unanswered(format!("no answer within {} s", TIMEOUT.as_secs())))
        })
    }
}
