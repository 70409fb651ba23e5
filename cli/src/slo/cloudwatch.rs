//! A CloudFormation template of CloudWatch alarms on the metrics that a worker or a function writes to its log.
//!
//! An alarm has one period, so the two windows of a burn rate are two alarms, and a composite alarm fires if both do. See
//! [periods and their limits](https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html): a
//! period times the evaluation periods is seven days at most, so a window of three days is one period. See also
//! [statistics such as `TC`](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html).
//!
//! A worker writes a counter only after it has grown, and SQS may leave out zeros, so each metric may have no points at all.
//! Sums are therefore `SUM` of an array, which skips series without a point: the result of `a + b` is open then. `FILL` is
//! around whole expressions only: without jobs an alarm ends, and does not keep the state of the last job.

use std::collections::{BTreeMap, BTreeSet};

use drumline_consumer::ExitError;
use serde_json::{Map, Value, json};

use super::burn::{Burn, Window, number};
use super::prometheus::{FAILING, LEAST_FAILURES};
use super::target::Target;
use super::yaml::yaml;

/// The namespace of Drumline's metrics.
const NAMESPACE: &str = "Drumline";

/// CloudFormation accepts this many resources in a template.
const MOST_RESOURCES: usize = 500;

/// Smaller numbers have an exponent in YAML.
const LEAST_PLAIN: f64 = 0.0001;

/// The part of a job type that is used in names, which CloudFormation limits to 255 characters.
const MOST_NAME_CHARS: usize = 100;

type Resources = BTreeMap<String, Value>;

/// Returns the template of the alarms for the targets and their queue.
pub(super) fn template(targets: &[Target], queue: &str) -> Result<String, ExitError> {
    let mut resources = Resources::new();
    let mut names = BTreeSet::new();
    for (index, target) in targets.iter().enumerate() {
        // Types may differ only in characters that resource names cannot contain.
        let number = if targets.len() == 1 { String::new() } else { (index + 1).to_string() };
        let mut name = format!("{}{number}", logical(&target.job_type));
        // The first of `job1` and the eleventh of `job` are both `Job11`.
        while !names.insert(name.clone()) {
            name.push_str("Target");
        }
        of_target(target, &name, &mut resources);
    }
    resources.insert("PollingStalledAlarm".to_owned(), stalled());
    resources.insert("DeadLettersGrowAlarm".to_owned(), growing());
    if resources.len() > MOST_RESOURCES {
        return Err(ExitError::usage(format!(
            "{} targets have {} alarms, and a CloudFormation template holds {MOST_RESOURCES} resources: list fewer targets for this queue",
            targets.len(),
            resources.len()
        )));
    }
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
        "Outputs": outputs(&resources),
        "Resources": resources,
    });
    yaml("CloudWatch alarms of `drumline slo` for these targets:", targets, &template)
}

/// Returns the names of the alarms that notify the topic.
fn outputs(resources: &Resources) -> Map<String, Value> {
    let notifying = resources.iter().filter(|(_, alarm)| !alarm["Properties"]["AlarmActions"].is_null());
    let output = |(id, _): (&String, &Value)| {
        (format!("{id}Name"), json!({ "Description": "Name of an alarm", "Value": { "Ref": id } }))
    };
    notifying.map(output).collect()
}

fn of_target(target: &Target, name: &str, resources: &mut Resources) {
    for burn in &target.burns() {
        let windows = [burn.long, burn.short];
        let keys = windows.map(|window| {
            let key = format!("{name}Missed{}", window.text.to_uppercase());
            // Two rates have a window of six hours.
            let of = format!("{key}Of{}Alarm", burn.long.text.to_uppercase());
            Some(key + "Alarm").filter(|key| !resources.contains_key(key)).unwrap_or(of)
        });
        for (window, key) in windows.into_iter().zip(&keys) {
            // These alarms have no actions: the composite alarm has them.
            resources.insert(key.clone(), window_alarm(target, name, burn, window));
        }
        let rule = format!("ALARM(\"${{{}}}\") AND ALARM(\"${{{}}}\")", keys[0], keys[1]);
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
        // A type that never fails has no dead letters, and a type whose jobs all fail has no dwell times.
        expression("missed", "FILL(SUM([late, dead]) / SUM([done, dead]), 0)"),
        dwell("done", "SampleCount"),
        // The lower bound is not counted, as in a bucket.
        dwell("late", &format!("TC({}:)", number(target.bound))),
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
    // A few failures in a quiet hour raise no alarm.
    let share = format!("FILL(IF(failed >= {LEAST_FAILURES}, failed / SUM([retried, dead, done]), 0), 0)");
    ringing(json!({
        "AlarmName": sub(&format!("${{QueueName}}-{name}-fail")),
        "AlarmDescription": format!("page: more than 10 % of the attempts of {} have failed in five minutes", target.job_type),
        "Metrics": [
            metric("retried", "retry"),
            metric("dead", "dead_letter"),
            metric("done", "ack"),
            step("failed", "SUM([retried, dead])"),
            expression("failing", &share),
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
            of_queue("waiting", "ApproximateNumberOfMessagesVisible", "Minimum"),
            of_queue("inflight", "ApproximateNumberOfMessagesNotVisible", "Maximum"),
            of_queue("received", "NumberOfMessagesReceived", "Sum"),
            // The 0 is for queues of which SQS reports no other metric.
            step("activity", "SUM([waiting * 0, inflight, received])"),
            step("idle", "IF(activity < 1, 1, 0)"),
            expression("stalled", "IF(waiting > 0, idle, 0)"),
        ],
        "EvaluationPeriods": 2,
        "Threshold": 0,
    }))
}

fn growing() -> Value {
    ringing(json!({
        "AlarmName": sub("${QueueName}-dead-letters-grow"),
        "AlarmDescription": sub("ticket: ${DeadLetterQueueName} has grown in the last half an hour"),
        "Metrics": [
            // SQS does not count messages that a redrive policy moves as sent, so the alarm watches the depth. It reports none of
            // a queue that was empty and unused for six hours.
            sqs("depth", "ApproximateNumberOfMessagesVisible", "DeadLetterQueueName", 900, "Maximum"),
            expression("growth", "DIFF(FILL(FILL(depth, REPEAT), 0))"),
        ],
        // The first of the periods has no difference.
        "EvaluationPeriods": 2,
        "DatapointsToAlarm": 1,
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

/// Returns the expression that an alarm watches.
fn expression(id: &str, expression: &str) -> Value {
    json!({ "Id": id, "Expression": expression, "Label": id, "ReturnData": true })
}

/// Returns an expression that others use.
fn step(id: &str, expression: &str) -> Value {
    json!({ "Id": id, "Expression": expression, "Label": id, "ReturnData": false })
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

/// Rounds a limit to a readable number of decimals. A small one is a text, which CloudFormation reads as a number: YAML would write
/// it with an exponent, which some readers take for a text.
fn threshold(limit: f64) -> Value {
    let text = number(limit);
    text.parse::<f64>().ok().filter(|value| *value >= LEAST_PLAIN).map_or(Value::String(text), Value::from)
}

/// Returns the resource name for a type: `EmailSend` for `email.send`.
fn logical(job_type: &str) -> String {
    let words = job_type.split(|c: char| !c.is_ascii_alphanumeric());
    let capital = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    };
    words.map(capital).collect::<String>().chars().take(MOST_NAME_CHARS).collect()
}

/// Returns a type as a dimension value: workers replace characters that CloudWatch does not accept with `?`.
fn ascii(job_type: &str) -> String {
    job_type.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect()
}
