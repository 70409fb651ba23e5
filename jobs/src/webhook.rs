//! `webhook.deliver`: posts a signed event to a receiver's endpoint.
//!
//! Headers and signature follow [Standard Webhooks](https://www.standardwebhooks.com/), so that receivers can verify them with
//! its libraries.

mod endpoints;
mod payload;
mod signature;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use drumline::{Context, Failure, Handler};
use http::Request;
use http::header::CONTENT_TYPE;
use http_body_util::Full;
use serde_json::json;

use crate::name::Name;
use crate::settings::{Settings, WEBHOOK_ENDPOINTS};
use crate::web::{Answer, NoAnswer, USER_AGENT, Web};
use endpoints::{Endpoint, Endpoints};
use payload::Delivery;

/// The handler of `webhook.deliver`.
///
/// A receiver may get an event twice if its response was lost: the header `webhook-id` is the same each time, so it can
/// recognize the duplicate.
pub(crate) struct Deliverer {
    endpoints: Option<Endpoints>,
    timeout: Duration,
    web: Web,
}

impl Deliverer {
    pub(crate) fn new(settings: &Settings) -> Self {
        let settings = &settings.webhook;
        let endpoints = settings.endpoints.clone().map(Endpoints::new);
        Self { endpoints, timeout: settings.timeout, web: Web::default() }
    }
}

impl Handler<Delivery> for Deliverer {
    async fn handle(&self, ctx: Context, delivery: Delivery) -> Result<(), Failure> {
        let unset =
            || Failure::retry(format_args!("webhooks have nowhere to go: {WEBHOOK_ENDPOINTS} is not set"));
        let endpoints = self.endpoints.clone().ok_or_else(unset)?;
        let name = delivery.endpoint.to_string();
        let endpoint = ctx.blocking(move || endpoints.find(&name)).await?;
        let request = request(&endpoint, &delivery, SystemTime::now())?;
        // This is the last moment at which stopping costs nothing.
        if let Some(reason) = ctx.cancel_reason() {
            return Err(Failure::retry(format_args!("stopped before the event was sent ({reason:?})")));
        }
        let name = &delivery.endpoint;
        match self.web.send(&ctx, request, self.timeout).await {
            Ok(answer) => {
                accepted(name, &answer)?;
                ctx.set_result(&json!({ "status": answer.status.as_u16() }))
            }
            Err(NoAnswer { reason, was_sent: true }) => {
                Err(Failure::retry(format_args!("endpoint {name}: {reason}; it may have the event")))
            }
            Err(NoAnswer { reason, .. }) => Err(Failure::retry(format_args!("endpoint {name}: {reason}"))),
        }
    }
}

fn request(
    endpoint: &Endpoint,
    delivery: &Delivery,
    now: SystemTime,
) -> Result<Request<Full<Bytes>>, Failure> {
    let body = delivery.body();
    let id = delivery.event_id.to_string();
    let timestamp = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let signature = signature::header(&endpoint.secrets, &id, timestamp, &body);
    let request = Request::post(endpoint.url.expose().clone())
        .header(CONTENT_TYPE, "application/json")
        .header(http::header::USER_AGENT, USER_AGENT)
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signature)
        .body(Full::new(Bytes::from(body)))?;
    Ok(request)
}

/// Decides by the status. With a 2xx the receiver accepts an event; a 410 ends its subscription. The receiver may fix any other
/// problem without the producer sending the event again, so it is retried: after `Retry-After`, if that is present.
fn accepted(endpoint: &Name, answer: &Answer) -> Result<(), Failure> {
    let status = answer.status;
    let reason = match status.as_u16() {
        200..=299 => return Ok(()),
        410 => {
            let reason = format_args!("endpoint {endpoint}: its receiver wants no more events ({status})");
            return Err(Failure::reject(reason));
        }
        300..=399 => format!("endpoint {endpoint}: {status}: redirects are not followed; is its URL right?"),
        _ => format!("endpoint {endpoint}: {status}: {}", answer.words()),
    };
    Err(answer.again(&reason))
}

#[cfg(test)]
#[path = "webhook/webhook_tests.rs"]
mod tests;
