//! The request that schedules a message with EventBridge Scheduler.
//!
//! Its target is SQS's `SendMessage` request itself, a [universal
//! target](https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html). The templated target for
//! queues supports no attributes, and sends to FIFO queues only with content-based deduplication.

use std::collections::BTreeMap;
use std::time::SystemTime;

use drumline::message::AttributeValue;
use jiff::Timestamp;
use serde::Serialize;

use crate::error::Refused;
use crate::pack::Outgoing;

/// The longest input of a target, in bytes. See
/// [Quotas](https://docs.aws.amazon.com/scheduler/latest/UserGuide/scheduler-quotas.html).
const MAX_INPUT_BYTES: usize = 256 * 1024;

/// The longest time in which EventBridge Scheduler can retry, which is a day, with as many attempts as possible.
const RETRIES: Retries = Retries { maximum_event_age_in_seconds: 86_400, maximum_retry_attempts: 185 };

/// The parameters that all schedules of a producer share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    role_arn: String,
    partition: String,
    pub(crate) group: Option<String>,
    pub(crate) dead_letter_arn: Option<String>,
}

impl Plan {
    /// # Errors
    ///
    /// Returns an error if it is not the ARN of a role.
    pub(crate) fn new(role_arn: String) -> Result<Self, String> {
        let parts: Vec<&str> = role_arn.split(':').collect();
        match parts[..] {
            ["arn", partition, "iam", "", _, resource] if resource.starts_with("role/") => {
                let partition = partition.to_owned();
                Ok(Self { role_arn, partition, group: None, dead_letter_arn: None })
            }
            _ => Err(format!(
                "{role_arn:?} is not the ARN of a role, such as arn:aws:iam::123456789012:role/scheduler"
            )),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CreateSchedule<'a> {
    action_after_completion: &'static str,
    client_token: &'a str,
    flexible_time_window: FlexibleTimeWindow,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_name: Option<&'a str>,
    schedule_expression: String,
    schedule_expression_timezone: &'static str,
    target: Target<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FlexibleTimeWindow {
    mode: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Target<'a> {
    arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter_config: Option<DeadLetterConfig<'a>>,
    input: String,
    retry_policy: Retries,
    role_arn: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DeadLetterConfig<'a> {
    arn: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Retries {
    maximum_event_age_in_seconds: u32,
    maximum_retry_attempts: u32,
}

/// The parameters of `SendMessage`. See
/// [its API](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessage<'a> {
    queue_url: &'a str,
    message_body: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    message_attributes: BTreeMap<&'a str, Text<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    message_system_attributes: BTreeMap<&'static str, Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_group_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_deduplication_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Text<'a> {
    data_type: &'a str,
    string_value: &'a str,
}

/// Returns the request body that schedules a message for a time, which is rounded up to the second.
pub(crate) fn body(
    plan: &Plan,
    message: &Outgoing,
    queue_url: &str,
    due: SystemTime,
) -> Result<String, Refused> {
    let input = input(message, queue_url)?;
    let time = Timestamp::try_from(due)
        .and_then(|time| {
            time.round(jiff::TimestampRound::new().smallest(jiff::Unit::Second).mode(jiff::RoundMode::Ceil))
        })
        .map_err(|_| ("at", "it is due after the year 9999".to_owned()))?;
    let request = CreateSchedule {
        action_after_completion: "DELETE",
        client_token: message.job_id.as_deref().unwrap_or_default(),
        flexible_time_window: FlexibleTimeWindow { mode: "OFF" },
        group_name: plan.group.as_deref(),
        schedule_expression: format!("at({})", time.strftime("%Y-%m-%dT%H:%M:%S")),
        schedule_expression_timezone: "UTC",
        target: Target {
            arn: format!("arn:{}:scheduler:::aws-sdk:sqs:sendMessage", plan.partition),
            dead_letter_config: plan.dead_letter_arn.as_deref().map(|arn| DeadLetterConfig { arn }),
            input,
            retry_policy: RETRIES,
            role_arn: &plan.role_arn,
        },
    };
    Ok(serde_json::to_string(&request).expect("texts and numbers are JSON"))
}

fn input(message: &Outgoing, queue_url: &str) -> Result<String, Refused> {
    let is_fifo = drumline_runtime::aws::is_fifo(drumline_runtime::aws::queue_name(queue_url));
    let mut message_attributes = BTreeMap::new();
    for (name, attribute) in &*message.attributes {
        let AttributeValue::Text(text) = attribute.value() else {
            let reason = format!("{name} is of bytes, and EventBridge Scheduler has texts and numbers only");
            return Err(("attributes", reason));
        };
        let text = Text { data_type: attribute.data_type(), string_value: text };
        message_attributes.insert(&**name, text);
    }
    let trace = message.trace_header.as_deref();
    let trace = trace.map(|header| ("AWSTraceHeader", Text { data_type: "String", string_value: header }));
    let parameters = SendMessage {
        queue_url,
        message_body: &message.body,
        message_attributes,
        message_system_attributes: trace.into_iter().collect(),
        message_group_id: message.group.as_deref(),
        message_deduplication_id: is_fifo.then_some(&*message.deduplication_id),
    };
    let input = serde_json::to_string(&parameters).expect("texts are JSON");
    if input.len() > MAX_INPUT_BYTES {
        let reason = format!(
            "EventBridge Scheduler keeps {MAX_INPUT_BYTES} bytes of a message, and this one has {}: put the data into S3 and send a \
             reference, or let the job wait in an outbox",
            input.len()
        );
        return Err(("payload", reason));
    }
    Ok(input)
}

/// Returns the region in a queue's URL, if its host is one of AWS's usual ones.
pub(crate) fn region_of(queue_url: &str) -> Option<&str> {
    let host = queue_url.strip_prefix("https://")?.split('/').next()?;
    let (region, domain) = host.strip_prefix("sqs.")?.split_once('.')?;
    domain.starts_with("amazonaws.com").then_some(region)
}
