//! The payload of an `email.send` job.

use drumline::Job;
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;
use serde_json::Value;

use crate::name::Name;

/// The template and the user of a mail. It contains only references: no address and no text goes through the queue.
#[expect(clippy::struct_field_names, reason = "the payload's own words")]
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EmailSend {
    /// The id that identifies this mail when it is sent again.
    pub(crate) delivery_id: Name,
    pub(crate) template_id: Name,
    pub(crate) user_id: String,
}

impl EmailSend {
    /// Returns the key under which the mail is sent once: one mail for each `deliveryId`, even if several jobs request it.
    /// Another template or user under the same id is a producer's mistake, and fails permanently.
    fn key(&self) -> String {
        format!("delivery:{}", self.delivery_id)
    }
}

impl Job for EmailSend {
    const TYPE: &'static str = "email.send";

    fn idempotency_key(&self) -> Option<String> {
        Some(self.key())
    }

    fn schema(_: u32) -> Option<Value> {
        Some(schema_for!(Self).to_value())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline::core::MAX_KEY_BYTES;
    use serde_json::json;

    use super::*;

    fn key(delivery: &str, template: &str, user: &str) -> String {
        let payload = json!({ "deliveryId": delivery, "templateId": template, "userId": user });
        let mail: EmailSend = serde_json::from_value(payload).unwrap();
        mail.idempotency_key().unwrap()
    }

    #[test]
    fn the_delivery_alone_makes_a_mail_the_same_mail() {
        assert_eq!(key("d-1", "hello", "7"), "delivery:d-1");
        for (delivery, template, user, is_same) in [
            ("d-1", "hello", "7", true),
            // Rejected as another payload after the first mail is sent.
            ("d-1", "goodbye", "7", true),
            ("d-1", "hello", "8", true),
            ("d-2", "hello", "7", false),
            ("D-1", "hello", "7", false),
            ("d-1.", "hello", "7", false),
        ] {
            let key = key(delivery, template, user);
            assert_eq!(key == "delivery:d-1", is_same, "{delivery}, {template}, {user}: {key}");
        }
        assert!(key(&"x".repeat(128), "hello", "7").len() <= MAX_KEY_BYTES);
    }
}
