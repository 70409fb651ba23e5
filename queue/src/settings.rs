//! A queue's attributes: parsed and checked once, shown again as SQS shows them.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::checks::FIFO_SUFFIX;
use crate::error::{ErrorCode, SqsError};
use crate::limits::{DELAY_SECS, KMS_REUSE_SECS, MESSAGE_BYTES, RETENTION_SECS, VISIBILITY_SECS, WAIT_SECS};
use crate::redrive::{RedriveAllowPolicy, RedrivePolicy};

/// Attributes that are computed or fixed, so nobody can set them.
pub(crate) const COMPUTED: [&str; 6] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
];

/// Attributes that were set, by name, in their text form, and the same parsed.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    text: BTreeMap<String, String>,
    pub(crate) fifo: bool,
    pub(crate) visibility: Duration,
    pub(crate) delay: Duration,
    pub(crate) retention: Duration,
    pub(crate) wait: Duration,
    pub(crate) max_message_bytes: usize,
    pub(crate) content_deduplication: bool,
    /// Deduplication ids count per message group, not for the whole queue.
    pub(crate) deduplicate_per_group: bool,
    pub(crate) redrive: Option<RedrivePolicy>,
    pub(crate) redrive_allow: RedriveAllowPolicy,
}

impl Settings {
    /// The settings of a new queue called `name`.
    pub(crate) fn new(name: &str, attributes: &BTreeMap<String, String>) -> Result<Self, SqsError> {
        let fifo = name.ends_with(FIFO_SUFFIX);
        let mut text: BTreeMap<String, String> = [
            ("DelaySeconds", "0"),
            ("MaximumMessageSize", "1048576"),
            ("MessageRetentionPeriod", "345600"),
            ("ReceiveMessageWaitTimeSeconds", "0"),
            ("SqsManagedSseEnabled", "true"),
            ("VisibilityTimeout", "30"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        match attributes.get("FifoQueue").map(String::as_str) {
            None if fifo => {
                return Err(SqsError::new(
                    ErrorCode::InvalidParameterValue,
                    "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length. A name that \
                     ends in .fifo needs the attribute FifoQueue=true.",
                ));
            }
            Some("true") if !fifo => {
                return Err(SqsError::new(
                    ErrorCode::InvalidParameterValue,
                    "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must \
                     end with .fifo suffix and be 1 to 80 in length.",
                ));
            }
            _ => {}
        }
        if fifo {
            for (name, value) in [
                ("ContentBasedDeduplication", "false"),
                ("DeduplicationScope", "queue"),
                ("FifoQueue", "true"),
                ("FifoThroughputLimit", "perQueue"),
            ] {
                text.insert(name.to_owned(), value.to_owned());
            }
        }
        Self::parse(fifo, text, attributes)
    }

    /// These settings with `attributes` changed; on an error nothing has changed.
    pub(crate) fn changed(&self, attributes: &BTreeMap<String, String>) -> Result<Self, SqsError> {
        Self::parse(self.fifo, self.text.clone(), attributes)
    }

    fn parse(
        fifo: bool,
        mut text: BTreeMap<String, String>,
        changes: &BTreeMap<String, String>,
    ) -> Result<Self, SqsError> {
        for (name, value) in changes {
            check(fifo, name, value)?;
            // Empty removes the attributes that are documents; SQS does the same.
            if value.is_empty() {
                text.remove(name);
            } else {
                text.insert(name.clone(), value.clone());
            }
        }
        let limit = text.get("FifoThroughputLimit").map(String::as_str);
        let scope = text.get("DeduplicationScope").map(String::as_str);
        if limit == Some("perMessageGroupId") && scope != Some("messageGroup") {
            let reason =
                "FifoThroughputLimit can be perMessageGroupId only when DeduplicationScope is messageGroup.";
            return Err(SqsError::new(ErrorCode::InvalidAttributeValue, reason));
        }
        let seconds = |name: &str| Duration::from_secs(number(&text, name));
        Ok(Self {
            fifo,
            visibility: seconds("VisibilityTimeout"),
            delay: seconds("DelaySeconds"),
            retention: seconds("MessageRetentionPeriod"),
            wait: seconds("ReceiveMessageWaitTimeSeconds"),
            max_message_bytes: usize::try_from(number(&text, "MaximumMessageSize"))
                .expect("checked to be at most 1 MiB"),
            content_deduplication: text.get("ContentBasedDeduplication").is_some_and(|v| v == "true"),
            deduplicate_per_group: scope == Some("messageGroup"),
            redrive: text.get("RedrivePolicy").map(|text| RedrivePolicy::parse(text)).transpose()?,
            redrive_allow: text
                .get("RedriveAllowPolicy")
                .map(|text| RedriveAllowPolicy::parse(text))
                .transpose()?
                .unwrap_or(RedriveAllowPolicy::AllowAll),
            text,
        })
    }

    /// The attributes that are set or have a default, by name.
    pub(crate) fn shown(&self) -> &BTreeMap<String, String> {
        &self.text
    }

    /// The first of `attributes` that this queue has another value for.
    pub(crate) fn first_difference<'a>(&self, attributes: &'a BTreeMap<String, String>) -> Option<&'a str> {
        let differs =
            |(name, value): &(&String, &String)| self.text.get(*name).map_or("", |v| v) != value.as_str();
        attributes.iter().find(differs).map(|(name, _)| name.as_str())
    }
}

/// Whether `name` is an attribute one can ask `GetQueueAttributes` for.
pub(crate) fn is_known(name: &str) -> bool {
    COMPUTED.contains(&name) || rule(name).is_some()
}

/// What values an attribute takes.
enum Rule {
    Number(RangeInclusive<i64>),
    OneOf(&'static [&'static str]),
    /// Stored as given; checked, if at all, when parsed.
    Text,
}

const BOOLEAN: &[&str] = &["true", "false"];

fn rule(name: &str) -> Option<Rule> {
    Some(match name {
        "DelaySeconds" => Rule::Number(DELAY_SECS),
        "MaximumMessageSize" => Rule::Number(MESSAGE_BYTES),
        "MessageRetentionPeriod" => Rule::Number(RETENTION_SECS),
        "ReceiveMessageWaitTimeSeconds" => Rule::Number(WAIT_SECS),
        "VisibilityTimeout" => Rule::Number(VISIBILITY_SECS),
        "KmsDataKeyReusePeriodSeconds" => Rule::Number(KMS_REUSE_SECS),
        "FifoQueue" => Rule::OneOf(&["true"]),
        "ContentBasedDeduplication" | "SqsManagedSseEnabled" => Rule::OneOf(BOOLEAN),
        "DeduplicationScope" => Rule::OneOf(&["messageGroup", "queue"]),
        "FifoThroughputLimit" => Rule::OneOf(&["perQueue", "perMessageGroupId"]),
        "Policy" | "KmsMasterKeyId" | "RedrivePolicy" | "RedriveAllowPolicy" => Rule::Text,
        _ => return None,
    })
}

fn check(fifo: bool, name: &str, value: &str) -> Result<(), SqsError> {
    let Some(rule) = rule(name) else {
        return Err(SqsError::new(ErrorCode::InvalidAttributeName, format!("Unknown Attribute {name}.")));
    };
    let fifo_only = matches!(
        name,
        "FifoQueue" | "ContentBasedDeduplication" | "DeduplicationScope" | "FifoThroughputLimit"
    );
    if fifo_only && !fifo {
        let message = format!("You can specify the {name} only when FifoQueue is set to true.");
        return Err(SqsError::new(ErrorCode::InvalidAttributeName, message));
    }
    let valid = match rule {
        Rule::Number(range) => value.parse::<i64>().is_ok_and(|number| range.contains(&number)),
        Rule::OneOf(values) => values.contains(&value),
        Rule::Text => true,
    };
    if valid {
        Ok(())
    } else {
        let message = format!("Invalid value for the parameter {name}.");
        Err(SqsError::new(ErrorCode::InvalidAttributeValue, message))
    }
}

/// The value of a numeric attribute that every queue has.
fn number(text: &BTreeMap<String, String>, name: &str) -> u64 {
    text.get(name)
        .and_then(|value| value.parse().ok())
        .expect("numeric attributes have defaults and are checked")
}
