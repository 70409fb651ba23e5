//! The payloads of a lead's four steps.

use drumline::Job;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::name::Name;

/// The longest address that a mail server accepts, in bytes.
const MAX_EMAIL_BYTES: usize = 254;

/// The longest text of a form or a response, in bytes.
const MAX_TEXT_BYTES: usize = 500;

/// Someone who may become a customer.
#[expect(clippy::struct_field_names, reason = "the payload's own words")]
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Lead {
    /// The id from the form: the same if the form is sent again.
    pub(super) lead_id: Name,
    pub(super) email: Email,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Text>,
}

/// A form that was sent.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Received {
    pub(super) lead: Lead,
}

/// A lead to look up.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Enrich {
    pub(super) lead: Lead,
}

/// A lead for the CRM, which receives this JSON unchanged.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AddToCrm {
    pub(super) lead: Lead,
    #[serde(default)]
    pub(super) enrichment: Enrichment,
}

/// The known facts about a lead's company.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Enrichment {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    company: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    employees: Option<u32>,
}

/// A new entry of the CRM for sales, which receives this JSON unchanged.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Notify {
    pub(super) lead_id: Name,
    pub(super) crm_id: CreatedId,
}

/// The longest id that a service may return, in bytes.
const MAX_ID_BYTES: usize = 255;

/// An id that a service returns, in the service's own format.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(!try_from)]
pub(super) struct CreatedId(#[schemars(length(min = 1, max = MAX_ID_BYTES))] String);

#[derive(Debug, thiserror::Error)]
#[error("an id of a service has 1 to {MAX_ID_BYTES} bytes")]
pub(super) struct NoId;

impl TryFrom<String> for CreatedId {
    type Error = NoId;

    fn try_from(text: String) -> Result<Self, NoId> {
        if (1..=MAX_ID_BYTES).contains(&text.len()) { Ok(Self(text)) } else { Err(NoId) }
    }
}

/// Returns the key of each step: a form that is sent twice is one lead.
fn key(lead_id: &Name) -> String {
    format!("lead:{lead_id}")
}

impl Job for Received {
    const TYPE: &'static str = "lead.received";

    fn idempotency_key(&self) -> Option<String> {
        Some(key(&self.lead.lead_id))
    }

    fn schema(_: u32) -> Option<Value> {
        Some(schema_for!(Self).to_value())
    }
}

impl Job for Enrich {
    const TYPE: &'static str = "lead.enrich";

    fn idempotency_key(&self) -> Option<String> {
        Some(key(&self.lead.lead_id))
    }

    fn schema(_: u32) -> Option<Value> {
        Some(schema_for!(Self).to_value())
    }
}

impl Job for AddToCrm {
    const TYPE: &'static str = "lead.crm";

    fn idempotency_key(&self) -> Option<String> {
        Some(key(&self.lead.lead_id))
    }

    fn schema(_: u32) -> Option<Value> {
        Some(schema_for!(Self).to_value())
    }
}

impl Job for Notify {
    const TYPE: &'static str = "lead.notify";

    fn idempotency_key(&self) -> Option<String> {
        Some(key(&self.lead_id))
    }

    fn schema(_: u32) -> Option<Value> {
        Some(schema_for!(Self).to_value())
    }
}

/// A mail address, validated as far as possible without sending mail.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(!try_from)]
pub(super) struct Email(#[schemars(length(max = MAX_EMAIL_BYTES))] String);

#[derive(Debug, thiserror::Error)]
#[error("an e-mail address is NAME@HOST, without spaces, of at most {MAX_EMAIL_BYTES} bytes")]
pub(super) struct NoEmail;

impl TryFrom<String> for Email {
    type Error = NoEmail;

    fn try_from(text: String) -> Result<Self, NoEmail> {
        let is_clean = !text.contains(|c: char| c.is_control() || c.is_whitespace());
        match text.rsplit_once('@') {
            Some((name, host)) if is_clean && text.len() <= MAX_EMAIL_BYTES => {
                if name.is_empty() || host.is_empty() { Err(NoEmail) } else { Ok(Self(text)) }
            }
            _ => Err(NoEmail),
        }
    }
}

/// A text that a person has written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(!try_from)]
struct Text(#[schemars(length(max = MAX_TEXT_BYTES))] String);

#[derive(Debug, thiserror::Error)]
#[error("a text has at most {MAX_TEXT_BYTES} bytes, not {0}")]
struct TooLong(usize);

impl TryFrom<String> for Text {
    type Error = TooLong;

    fn try_from(text: String) -> Result<Self, TooLong> {
        if text.len() <= MAX_TEXT_BYTES { Ok(Self(text)) } else { Err(TooLong(text.len())) }
    }
}
