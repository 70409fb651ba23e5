//! The payload of a `webhook.deliver` job.

use drumline::Job;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::name::Name;

/// An event for an endpoint, without the endpoint's address and secret.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Delivery {
    /// The name of the endpoint.
    pub(crate) endpoint: Name,
    /// The id of the event, which is the same each time it is sent.
    pub(crate) event_id: Name,
    /// The type of the event, such as `order.paid`.
    event_type: Name,
    /// The time of the event, in the format of RFC 3339.
    timestamp: String,
    /// The event's own data, which is sent unchanged.
    #[schemars(with = "Value")]
    data: Box<RawValue>,
}

/// The body that receivers get.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    event_type: &'a Name,
    timestamp: &'a str,
    data: &'a RawValue,
}

impl Delivery {
    /// Returns the body for the receiver, with the same bytes at every attempt.
    pub(crate) fn body(&self) -> Vec<u8> {
        let body = Body { event_type: &self.event_type, timestamp: &self.timestamp, data: &self.data };
        serde_json::to_vec(&body).expect("texts and JSON are JSON")
    }
}

impl Job for Delivery {
    const TYPE: &'static str = "webhook.deliver";

    /// Returns a key with which an event is sent once to each endpoint.
    fn idempotency_key(&self) -> Option<String> {
        Some(format!("webhook:{}:{}", self.endpoint, self.event_id))
    }

    fn schema(_: u32) -> Option<Value> {
        Some(schema_for!(Self).to_value())
    }
}
