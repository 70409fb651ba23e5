//! The two redrive policies: the target for a queue's failed messages, and the queues that may send their failed messages here.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::error::SqsError;
use crate::limits::{MAX_ALLOWED_SOURCES, MAX_RECEIVE_COUNT};
use crate::object::from_object;

/// A queue's `RedrivePolicy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedrivePolicy {
    pub(crate) dead_letter_target_arn: String,
    pub(crate) max_receive_count: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRedrivePolicy {
    dead_letter_target_arn: String,
    #[serde(deserialize_with = "number_or_text")]
    max_receive_count: i64,
}

/// Accepts the count as a number or as text, as AWS does; templates and SDKs use both.
fn number_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(i64),
        Text(String),
    }
    match Either::deserialize(deserializer)? {
        Either::Number(number) => Ok(number),
        Either::Text(text) => text.parse().map_err(D::Error::custom),
    }
}

impl RedrivePolicy {
    pub(crate) fn parse(text: &str) -> Result<Self, SqsError> {
        let invalid = |reason: &str| SqsError::invalid_value("RedrivePolicy", text, reason);
        let raw: RawRedrivePolicy = from_object(text.as_bytes()).map_err(|error| {
            let reason = format!(
                "Redrive policy is not a valid JSON map with deadLetterTargetArn and maxReceiveCount: {error}."
            );
            invalid(&reason)
        })?;
        if !MAX_RECEIVE_COUNT.contains(&raw.max_receive_count) {
            let reason = format!(
                "Invalid value for maxReceiveCount: {}, valid values are from 1 to 1000 both inclusive.",
                raw.max_receive_count
            );
            return Err(invalid(&reason));
        }
        let max_receive_count = u32::try_from(raw.max_receive_count).expect("checked to be within 1..=1000");
        Ok(Self { dead_letter_target_arn: raw.dead_letter_target_arn, max_receive_count })
    }
}

/// A dead-letter queue's `RedriveAllowPolicy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RedriveAllowPolicy {
    AllowAll,
    DenyAll,
    ByQueue(Vec<String>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRedriveAllowPolicy {
    redrive_permission: String,
    #[serde(default)]
    source_queue_arns: Vec<String>,
}

impl RedriveAllowPolicy {
    pub(crate) fn parse(text: &str) -> Result<Self, SqsError> {
        let invalid = |reason: &str| SqsError::invalid_value("RedriveAllowPolicy", text, reason);
        let raw: RawRedriveAllowPolicy = from_object(text.as_bytes())
            .map_err(|error| invalid(&format!("Redrive allow policy is not valid JSON: {error}.")))?;
        match (raw.redrive_permission.as_str(), raw.source_queue_arns.len()) {
            ("allowAll", 0) => Ok(Self::AllowAll),
            ("denyAll", 0) => Ok(Self::DenyAll),
            ("byQueue", 1..=MAX_ALLOWED_SOURCES) => Ok(Self::ByQueue(raw.source_queue_arns)),
            ("byQueue", _) => Err(invalid("byQueue needs one to ten sourceQueueArns.")),
            ("allowAll" | "denyAll", _) => Err(invalid("sourceQueueArns belong to byQueue only.")),
            _ => Err(invalid("redrivePermission must be allowAll, denyAll or byQueue.")),
        }
    }

    /// Returns true if the queue with this ARN may send its failed messages here.
    pub(crate) fn allows(&self, source_arn: &str) -> bool {
        match self {
            Self::AllowAll => true,
            Self::DenyAll => false,
            Self::ByQueue(arns) => arns.iter().any(|arn| arn == source_arn),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redrive_policy_takes_the_count_as_number_and_as_text() {
        for count in ["5", "\"5\""] {
            let text = format!(r#"{{"deadLetterTargetArn":"arn:x","maxReceiveCount":{count}}}"#);
            let policy = RedrivePolicy::parse(&text).expect("is valid");
            assert_eq!(policy.max_receive_count, 5);
            assert_eq!(policy.dead_letter_target_arn, "arn:x");
        }
    }

    #[test]
    fn broken_redrive_policies_are_refused() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"maxReceiveCount":5}"#,
            r#"{"deadLetterTargetArn":"a"}"#,
            r#"{"deadLetterTargetArn":"a","maxReceiveCount":0}"#,
            r#"{"deadLetterTargetArn":"a","maxReceiveCount":1001}"#,
            r#"{"deadLetterTargetArn":"a","maxReceiveCount":"many"}"#,
        ] {
            assert!(RedrivePolicy::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn redrive_allow_policies() {
        let by_queue =
            RedriveAllowPolicy::parse(r#"{"redrivePermission":"byQueue","sourceQueueArns":["a"]}"#)
                .expect("is valid");
        assert!(by_queue.allows("a") && !by_queue.allows("b"));
        assert!(
            RedriveAllowPolicy::parse(r#"{"redrivePermission":"allowAll"}"#).expect("is valid").allows("a")
        );
        assert!(
            !RedriveAllowPolicy::parse(r#"{"redrivePermission":"denyAll"}"#).expect("is valid").allows("a")
        );
        let eleven = format!(r#"{{"redrivePermission":"byQueue","sourceQueueArns":{:?}}}"#, vec!["a"; 11]);
        for text in [
            r#"{"redrivePermission":"byQueue"}"#,
            r#"{"redrivePermission":"some"}"#,
            r#"{"redrivePermission":"denyAll","sourceQueueArns":["a"]}"#,
            eleven.as_str(),
        ] {
            assert!(RedriveAllowPolicy::parse(text).is_err(), "{text}");
        }
    }
}
