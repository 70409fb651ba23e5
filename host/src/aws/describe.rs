//! The facts about its queue that a consumer needs before it starts.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName as Name;
use serde::Deserialize;

use super::errors::explain;
use drumline::core::SqsErrorKind;
use drumline::message::from_json;

use crate::sqs::SqsError;

/// SQS's own default, for an emulator that does not report it.
const DEFAULT_VISIBILITY_SECS: u64 = 30;

/// The same for the retention period: four days.
const DEFAULT_RETENTION_SECS: u64 = 345_600;

/// The facts that SQS reports about a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueFacts {
    /// The queue's ARN; `None` from an emulator that does not report it.
    pub arn: Option<String>,
    /// The visibility timeout of a receive that sets none.
    pub visibility_timeout: Duration,
    /// The age at which SQS deletes a message.
    pub retention: Duration,
    /// The redrive policy, if there is one and it is known.
    pub redrive: Option<Redrive>,
    /// True if SQS has reported the redrive policy or its absence, and the report could be read.
    pub redrive_is_known: bool,
}

impl QueueFacts {
    /// Returns the facts of a queue that may not be read: SQS's defaults, and no redrive policy.
    pub fn unreadable() -> Self {
        Self {
            arn: None,
            visibility_timeout: Duration::from_secs(DEFAULT_VISIBILITY_SECS),
            retention: Duration::from_secs(DEFAULT_RETENTION_SECS),
            redrive: None,
            redrive_is_known: false,
        }
    }

    /// Returns true if the queue has no DLQ, so that only its retention limits its retries.
    pub fn is_unbounded(&self) -> bool {
        self.redrive.is_none() && self.redrive_is_known
    }
}

/// A queue's redrive policy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Redrive {
    /// The DLQ.
    pub dead_letter_target_arn: String,
    /// The number of receives after which SQS moves a message there.
    #[serde(deserialize_with = "number_or_text")]
    pub max_receive_count: u32,
}

/// Reads a number or a string: templates often write the number as a string, and SQS keeps that form.
fn number_or_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u32),
        Text(String),
    }
    match Either::deserialize(deserializer)? {
        Either::Number(number) => Ok(number),
        Either::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

/// Requests a queue's facts from SQS.
pub(super) async fn describe(client: &Client, queue_url: &str) -> Result<QueueFacts, SqsError> {
    let names = [Name::QueueArn, Name::VisibilityTimeout, Name::MessageRetentionPeriod, Name::RedrivePolicy];
    let request =
        client.get_queue_attributes().queue_url(queue_url).set_attribute_names(Some(names.to_vec()));
    let reply = request.send().await.map_err(|error| explain("GetQueueAttributes", &error))?;
    let attributes = reply.attributes.unwrap_or_default();
    let secs = |name: Name, default: u64| {
        let told = attributes.get(&name).and_then(|text| text.parse().ok());
        Duration::from_secs(told.unwrap_or(default))
    };
    let redrive = attributes.get(&Name::RedrivePolicy).map(|policy| from_json(policy).ok());
    Ok(QueueFacts {
        arn: attributes.get(&Name::QueueArn).filter(|arn| !arn.is_empty()).cloned(),
        visibility_timeout: secs(Name::VisibilityTimeout, DEFAULT_VISIBILITY_SECS),
        retention: secs(Name::MessageRetentionPeriod, DEFAULT_RETENTION_SECS),
        redrive_is_known: !matches!(redrive, Some(None)),
        redrive: redrive.flatten(),
    })
}

/// Returns the URL of the DLQ with this ARN.
pub async fn url_by_arn(client: &Client, arn: &str) -> Result<String, SqsError> {
    let mut parts = arn.rsplit(':');
    let (name, account) = (parts.next().unwrap_or(arn), parts.next().map(str::to_owned));
    let request = client.get_queue_url().queue_name(name).set_queue_owner_aws_account_id(account);
    let reply = request.send().await.map_err(|error| match explain("GetQueueUrl of the DLQ", &error) {
        // The usual advice is about the queue itself.
        SqsError { kind: kind @ SqsErrorKind::NoQueue, .. } => SqsError::new(
            kind,
            format!("the DLQ {arn} does not exist; create it, or correct the redrive policy"),
        ),
        error => error,
    })?;
    Ok(reply.queue_url.unwrap_or_default())
}

/// Returns true if a queue with this name or URL is FIFO. Only the suffix, which SQS reserves, decides that. See [FIFO queue
/// naming](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-message-identifiers.html).
#[allow(
    clippy::case_sensitive_file_extension_comparisons,
    reason = "not a file, and SQS takes no other case"
)]
pub fn is_fifo(name: &str) -> bool {
    name.ends_with(".fifo")
}

/// Returns the last part of a queue's URL.
pub fn queue_name(queue_url: &str) -> &str {
    // A colon is part of a URL that stands for a queue's name, but not of a name.
    queue_url.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or(queue_url)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn redrive_policies_are_read_in_both_notations() {
        for count in ["5", "\"5\""] {
            let policy = format!(
                r#"{{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:123:jobs-dlq","maxReceiveCount":{count}}}"#
            );
            let redrive: Redrive = serde_json::from_str(&policy).unwrap();
            assert_eq!(redrive.max_receive_count, 5);
        }
    }

    #[test]
    fn the_name_is_the_urls_last_part() {
        assert_eq!(queue_name("https://sqs.eu-west-1.amazonaws.com/123/jobs.fifo"), "jobs.fifo");
        assert_eq!(queue_name("http://127.0.0.1:9324/000000000000/jobs/"), "jobs");
    }
}
