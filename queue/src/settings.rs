//! A queue's attributes: parsed and checked once, and returned in SQS's format.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::checks::FIFO_SUFFIX;
use crate::error::{ErrorCode, SqsError};
use crate::limits::{DELAY_SECS, KMS_REUSE_SECS, MESSAGE_BYTES, RETENTION_SECS, VISIBILITY_SECS, WAIT_SECS};
use crate::redrive::{RedriveAllowPolicy, RedrivePolicy};

/// Attributes that are computed or fixed and cannot be set.
pub(crate) const COMPUTED: [&str; 6] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
];

/// The attributes that were set, by name in their text form, and their parsed values.
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
    /// True if deduplication ids apply per message group instead of the whole queue.
    pub(crate) deduplicate_per_group: bool,
    pub(crate) redrive: Option<RedrivePolicy>,
    pub(crate) redrive_allow: RedriveAllowPolicy,
}

impl Settings {
    /// Returns the settings of a new queue called `name`.
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

    /// Returns these settings with `attributes` changed; after an error nothing has changed.
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
            // An empty value removes an attribute that is a document, like in SQS.
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

    /// Returns the attributes that are set or have a default, by name.
    pub(crate) fn shown(&self) -> &BTreeMap<String, String> {
        &self.text
    }

    /// Returns the first of `attributes` for which this queue has another value.
    pub(crate) fn first_difference<'a>(&self, attributes: &'a BTreeMap<String, String>) -> Option<&'a str> {
        let differs =
            |(name, value): &(&String, &String)| self.text.get(*name).map_or("", |v| v) != value.as_str();
        attributes.iter().find(differs).map(|(name, _)| name.as_str())
    }
}

/// Returns true if `GetQueueAttributes` accepts the attribute `name`.
pub(crate) fn is_known(name: &str) -> bool {
    COMPUTED.contains(&name) || rule(name).is_some()
}

/// The allowed values of an attribute.
enum Rule {
    Number(RangeInclusive<i64>),
    OneOf(&'static [&'static str]),
    /// Stored as given; checked during parsing, if at all.
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

/// Returns the value of a numeric attribute that every queue has.
fn number(text: &BTreeMap<String, String>, name: &str) -> u64 {
    text.get(name)
        .and_then(|value| value.parse().ok())
        .expect("numeric attributes have defaults and are checked")
}
