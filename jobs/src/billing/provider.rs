//! One request to the payment provider.

use std::time::Duration;

use bytes::Bytes;
use drumline::{Context, Failure};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request};
use http_body_util::Full;

use super::answer::{AMBIGUOUS, Receipt, verdict};
use super::payload::Charge;
use crate::settings::{BillingSettings, SecretUri, Token};
use crate::web::{Answer, NoAnswer, USER_AGENT, Web};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The payment provider. It is not connected before the first charge.
pub(super) struct Provider {
    url: SecretUri,
    token: Option<Token>,
    timeout: Duration,
    web: Web,
}

impl Provider {
    /// `None` if no provider is set.
    pub(super) fn new(settings: &BillingSettings) -> Option<Self> {
        Some(Self {
            url: settings.url.clone()?,
            token: settings.token.clone(),
            timeout: settings.timeout,
            web: Web::default(),
        })
    }

    /// Sends the charge, and waits for the provider's response.
    ///
    /// After the request is sent, only the provider knows if the customer was charged. Any failure from then on is retried
    /// under the same key, for which the provider charges only once.
    pub(super) async fn charge(&self, ctx: &Context, charge: &Charge) -> Result<Receipt, Failure> {
        let request = self.request(charge)?;
        let answer = self.web.send(ctx, request, self.timeout).await;
        verdict(&self.without_token(answer.map_err(|error| unanswered(&error))?))
    }

    fn request(&self, charge: &Charge) -> Result<Request<Full<Bytes>>, Failure> {
        let body = Full::new(Bytes::from(serde_json::to_vec(charge)?));
        let mut request = Request::post(self.url.expose().clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .header(http::header::USER_AGENT, USER_AGENT)
            .header(IDEMPOTENCY_KEY, charge.key())
            .body(body)?;
        if let Some(token) = &self.token {
            let value: HeaderValue = token.header();
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(request)
    }

    /// Hides the token in the response, because some providers repeat an unknown key.
    fn without_token(&self, answer: Answer) -> Answer {
        match &self.token {
            Some(token) => Answer { body: answer.body.map(|text| token.hide_in(&text)), ..answer },
            None => answer,
        }
    }
}

fn unanswered(error: &NoAnswer) -> Failure {
    let NoAnswer { reason, was_sent } = error;
    if *was_sent {
        Failure::retry(format_args!("the provider did not answer: {reason}; {AMBIGUOUS}"))
    } else {
        Failure::retry(format_args!("the provider cannot be reached: {reason}"))
    }
}
