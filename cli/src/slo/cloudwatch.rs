//! A CloudFormation template of CloudWatch alarms on the metrics that a worker or a function writes to its log.
//!
//! An alarm has one period, so the two windows of a burn rate are two alarms, and a composite alarm fires if both do. See
//! [periods and their limits](https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html) and
//! [statistics such as `TC`](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html).

use std::collections::BTreeMap;

use drumline_consumer::ExitError;
use serde_json::{Map, Value, json};

use super::burn::{Burn, Window, number};
use super::prometheus::FAILING;
use super::target::Target;
use super::yaml::yaml;

/// The longest period: one day. Longer windows have no alarm.
const LONGEST_PERIOD: u32 = 86_400;

/// The namespace of Drumline's metrics.
const NAMESPACE: &str = "Drumline";

type Resources = BTreeMap<String, Value>;

/// Returns the template of the alarms for the targets and their queue.
pub(super) fn template(targets: &[Target], queue: &str) -> Result<String, ExitError> {
    let mut resources = Resources::new();
    for (index, target) in targets.iter().enumerate() {
        // Types may differ only in characters that resource names cannot contain.
        let name = if targets.len() == 1 { String::new() } else { (index + 1).to_string() };
        of_target(target, &format!("{}{name}", logical(&target.job_type)), &mut resources);
    }
    resources.insert("PollingStalledAlarm".to_owned(), stalled());
    resources.insert("DeadLettersGrowAlarm".to_owned(), growing());
    let template = json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Drumline: alarms on targets for the time from a job's sending to its success",
        "Parameters": {
            "QueueName": {
                "Type": "String",
                "Default": queue,
                "AllowedPattern": "^[A-Za-z0-9_-]{1,80}([.]fifo)?$",
                "Description": "Output QueueName of the queue's stack.",
            },
            "DeadLetterQueueName": {
                "Type": "String",
                "AllowedPattern": "^[A-Za-z0-9_-]{1,80}([.]fifo)?$",
                "Description": "Output DeadLetterQueueName of the queue's stack.",
            },
            "AlarmTopicArn": {
                "Type": "String",
                "AllowedPattern": "^arn:[a-z0-9-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$",
                "Description": "The SNS topic that gets a message when an alarm begins and when it ends.",
            },
        },
        "Resources": resources,
    });
    yaml("CloudWatch alarms of `drumline slo` for these targets:", targets, &template)
}

fn of_target(target: &Target, name: &str, resources: &mut Resources) {
    let burns: Vec<Burn> =
        target.burns().into_iter().filter(|burn| burn.long.seconds <= LONGEST_PERIOD).collect();
    for burn in &burns {
        let windows = [burn.long, burn.short];
        let keys = windows.map(|window| format!("{name}Missed{}Alarm", window.text.to_uppercase()));
        for (window, key) in windows.into_iter().zip(&keys) {
            // These alarms have no actions: the composite alarm has them.
            resources.insert(key.clone(), window_alarm(target, name, burn, window));
        }
        let rule = format!("ALARM(${{{}}}) AND ALARM(${{{}}})", keys[0], keys[1]);
        let properties = json!({
            "AlarmName": sub(&format!("${{QueueName}}-{name}-burn-{}", burn.long.text)),
            "AlarmDescription": format!(
                "{}: jobs of {} spend the target's budget {} times too fast: they are late, or become dead letters. {target}",
                burn.severity.label(), target.job_type, number(burn.factor)
            ),
            "AlarmRule": sub(&rule),
            "AlarmActions": topic(),
            "OKActions": topic(),
        });
        let key = format!("{name}Burn{}Alarm", burn.long.text.to_uppercase());
        resources.insert(key, json!({ "Type": "AWS::CloudWatch::CompositeAlarm", "Properties": properties }));
    }
    resources.insert(format!("{name}FailAlarm"), failing(target, name));
}

fn window_alarm(target: &Target, name: &str, burn: &Burn, window: Window) -> Value {
    let job_type = ascii(&target.job_type);
    let of_type = ("type", &*job_type);
    let dwell =
        |id: &str, stat: &str| own(id, "drumline_job_dwell_seconds", &[of_type], window.seconds, stat);
    let metrics = json!([
        // A job type that never fails has no dead letters, and a type whose jobs all fail has no dwell times.
        expression(
            "missed",
            "(FILL(done, 0) - FILL(intime, 0) + FILL(dead, 0)) / (FILL(done, 0) + FILL(dead, 0))"
        ),
        dwell("done", "SampleCount"),
        dwell("intime", &format!("TC(:{})", number(target.bound))),
        own("dead", "drumline_jobs_total", &[of_type, ("outcome", "dead_letter")], window.seconds, "Sum"),
    ]);
    alarm(&json!({
        "AlarmName": sub(&format!("${{QueueName}}-{name}-missed-{}-of-{}", window.text, burn.long.text)),
        "AlarmDescription": format!("Part of the alarm for {} of {target}", burn.long.text),
        "Metrics": metrics,
        "EvaluationPeriods": 1,
        "Threshold": threshold(burn.limit),
    }))
}

fn failing(target: &Target, name: &str) -> Value {
    let job_type = ascii(&target.job_type);
    let of_type = ("type", &*job_type);
    let metric =
        |id: &str, label: &str| own(id, "drumline_jobs_total", &[of_type, ("outcome", label)], 300, "Sum");
    let failed = "(FILL(retried, 0) + FILL(dead, 0))";
    ringing(json!({
        "AlarmName": sub(&format!("${{QueueName}}-{name}-fail")),
        "AlarmDescription": format!("page: more than 10 % of the attempts of {} have failed in five minutes", target.job_type),
        "Metrics": [
            // A few failures in a quiet hour raise no alarm.
            expression("failing", &format!("IF({failed} >= 5, {failed} / ({failed} + FILL(done, 0)), 0)")),
            metric("retried", "retry"),
            metric("dead", "dead_letter"),
            metric("done", "ack"),
        ],
        "EvaluationPeriods": 1,
        "Threshold": FAILING,
    }))
}

fn stalled() -> Value {
    let of_queue = |id: &str, name: &str, stat: &str| sqs(id, name, "QueueName", 300, stat);
    ringing(json!({
        "AlarmName": sub("${QueueName}-polling-stalled"),
        "AlarmDescription": sub("page: messages of ${QueueName} wait, and for ten minutes none was received or in flight"),
        "Metrics": [
            expression("stalled", "IF(waiting > 0 AND inflight == 0 AND received == 0, 1, 0)"),
            of_queue("waiting", "ApproximateNumberOfMessagesVisible", "Minimum"),
            of_queue("inflight", "ApproximateNumberOfMessagesNotVisible", "Maximum"),
            of_queue("received", "NumberOfMessagesReceived", "Sum"),
        ],
        "EvaluationPeriods": 2,
        "Threshold": 0,
    }))
}

fn growing() -> Value {
    ringing(json!({
        "AlarmName": sub("${QueueName}-dead-letters-grow"),
        "AlarmDescription": sub("ticket: ${DeadLetterQueueName} has more messages than 15 minutes before"),
        "Metrics": [
            expression("growth", "DIFF(depth)"),
            // SQS does not count messages that a redrive policy moves as sent, so the alarm watches the depth.
            sqs("depth", "ApproximateNumberOfMessagesVisible", "DeadLetterQueueName", 900, "Maximum"),
        ],
        "EvaluationPeriods": 1,
        "Threshold": 0,
    }))
}

/// Adds the topic's notification to an alarm.
fn ringing(mut properties: Value) -> Value {
    properties["AlarmActions"] = topic();
    properties["OKActions"] = topic();
    alarm(&properties)
}

fn alarm(properties: &Value) -> Value {
    let mut alarm = json!({ "Type": "AWS::CloudWatch::Alarm", "Properties": properties });
    alarm["Properties"]["ComparisonOperator"] = "GreaterThanThreshold".into();
    // A queue without jobs misses no target.
    alarm["Properties"]["TreatMissingData"] = "notBreaching".into();
    alarm
}

fn expression(id: &str, expression: &str) -> Value {
    json!({ "Id": id, "Expression": expression, "Label": id, "ReturnData": true })
}

/// Returns a metric of Drumline for the queue, with these additional labels.
fn own(id: &str, name: &str, labels: &[(&str, &str)], period: u32, stat: &str) -> Value {
    let queue = json!({ "Name": "queue", "Value": { "Ref": "QueueName" } });
    let labels = labels.iter().map(|(label, value)| json!({ "Name": label, "Value": value }));
    let dimensions: Value = std::iter::once(queue).chain(labels).collect();
    metric(id, NAMESPACE, name, &dimensions, period, stat)
}

fn sqs(id: &str, name: &str, queue: &str, period: u32, stat: &str) -> Value {
    let dimensions = json!([{ "Name": "QueueName", "Value": { "Ref": queue } }]);
    metric(id, "AWS/SQS", name, &dimensions, period, stat)
}

fn metric(id: &str, namespace: &str, name: &str, dimensions: &Value, period: u32, stat: &str) -> Value {
    json!({
        "Id": id,
        "MetricStat": {
            "Metric": { "Namespace": namespace, "MetricName": name, "Dimensions": dimensions },
            "Period": period,
            "Stat": stat,
        },
        "ReturnData": false,
    })
}

fn topic() -> Value {
    json!([{ "Ref": "AlarmTopicArn" }])
}

fn sub(text: &str) -> Value {
    Value::Object(Map::from_iter([("Fn::Sub".to_owned(), text.into())]))
}

/// Rounds a limit to a readable number of decimals.
fn threshold(limit: f64) -> Value {
    number(limit).parse::<f64>().map_or(Value::Null, Value::from)
}

/// Returns the resource name for a type: `EmailSend` for `email.send`.
fn logical(job_type: &str) -> String {
    let words = job_type.split(|c: char| !c.is_ascii_alphanumeric());
    let capital = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    };
    words.map(capital).collect()
}

/// Returns a type as a dimension value: workers replace characters that CloudWatch does not accept with `?`.
fn ascii(job_type: &str) -> String {
    job_type.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect()
}
