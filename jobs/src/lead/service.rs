//! A service that processes leads.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drumline::{Context, Failure};
use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::payload::CreatedId;
use crate::settings::SecretUri;
use crate::web::{Answer, NoAnswer, USER_AGENT, Web};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A service that processes leads.
pub(super) struct Service {
    name: &'static str,
    /// The variable of its URL.
    variable: &'static str,
    url: Option<SecretUri>,
    timeout: Duration,
    web: Arc<Web>,
}

/// The response of a service that has created something.
#[derive(Deserialize)]
pub(super) struct Created {
    pub(super) id: CreatedId,
}

impl Service {
    pub(super) fn new(
        name: &'static str,
        variable: &'static str,
        url: Option<SecretUri>,
        timeout: Duration,
        web: Arc<Web>,
    ) -> Self {
        Self { name, variable, url, timeout, web }
    }

    /// Posts a body under this key. Returns the response if it is a 2xx, or a 404, which the caller may handle.
    pub(super) async fn post(
        &self,
        ctx: &Context,
        key: &str,
        body: &impl Serialize,
    ) -> Result<Answer, Failure> {
        let Self { name, variable, .. } = self;
        let unset = || Failure::retry(format_args!("{name} has nowhere to go: {variable} is not set"));
        let url = self.url.as_ref().ok_or_else(unset)?;
        // This is the last moment at which stopping costs nothing.
        if let Some(reason) = ctx.cancel_reason() {
            return Err(Failure::retry(format_args!("stopped before {name} was asked ({reason:?})")));
        }
        let request = Request::post(url.expose().clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .header(http::header::USER_AGENT, USER_AGENT)
            .header(IDEMPOTENCY_KEY, key)
            .body(Full::new(Bytes::from(serde_json::to_vec(body)?)))?;
        let answer = self.web.send(ctx, request, self.timeout).await;
        let unanswered = |error: NoAnswer| {
            let hint = if error.was_sent { "; another try has the same key" } else { "" };
            Failure::retry(format_args!("{name}: {}{hint}", error.reason))
        };
        let answer = answer.map_err(unanswered)?;
        self.accept(&answer)?;
        Ok(answer)
    }

    /// Decides by the status. Failures that the lead itself has caused are permanent; all others may be fixed without it.
    fn accept(&self, answer: &Answer) -> Result<(), Failure> {
        let (name, status) = (self.name, answer.status);
        match status.as_u16() {
            200..=299 | 404 => Ok(()),
            400 | 410 | 413 | 415 | 422 => {
                Err(Failure::reject(format_args!("{name}: {status}: {}", answer.words())))
            }
            // Each step has its own service.
            429 => Err(answer.throttled(&format!("{name}: {status}: {}", answer.words()))),
            _ => Err(answer.again(&format!("{name}: {status}: {}", answer.words()))),
        }
    }

    /// Reads the body of a 2xx.
    pub(super) fn read<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, Failure> {
        let (name, status) = (self.name, answer.status);
        if !status.is_success() {
            return Err(answer.again(&format!(
                "{name}: {status}: {}; is {} right?",
                answer.words(),
                self.variable
            )));
        }
        serde_json::from_value(answer.json())
            .map_err(|error| Failure::retry(format_args!("{name}: an answer that cannot be read: {error}")))
    }
}
