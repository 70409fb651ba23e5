//! Any file can be a template: it is checked or refused, and the code does not panic.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::Path;

use drumline_infra_rules::{Options, Template, check};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Types and properties that rules read, so that unusual values reach them.
const TYPES: [&str; 21] = [
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::EC2::SecurityGroup",
    "AWS::ECS::Cluster",
    "AWS::ECS::Service",
    "AWS::ECS::TaskDefinition",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Function",
    "AWS::Logs::LogGroup",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
    "AWS::Serverless::Function",
    "Custom::Thing",
    "",
];

const KEYS: [&str; 62] = [
    "Action",
    "AlarmActions",
    "AllowedPattern",
    "Condition",
    "ContainerDefinitions",
    "CustomizedMetricSpecification",
    "DashboardBody",
    "Default",
    "DependsOn",
    "Dimensions",
    "Effect",
    "Environment",
    "EventSourceArn",
    "Events",
    "Expression",
    "FifoQueue",
    "Fn::Equals",
    "Fn::FindInMap",
    "Fn::GetAtt",
    "Fn::If",
    "Fn::Join",
    "Fn::Select",
    "Fn::Split",
    "Fn::Sub",
    "FunctionName",
    "Id",
    "Image",
    "MaxCapacity",
    "MaxValue",
    "MessageRetentionPeriod",
    "MetricName",
    "MetricStat",
    "Metrics",
    "MinCapacity",
    "MinValue",
    "Name",
    "Namespace",
    "Policies",
    "PolicyDocument",
    "Principal",
    "Properties",
    "QueueName",
    "Queues",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "Ref",
    "Resource",
    "Role",
    "ScalingTargetId",
    "Statement",
    "StopTimeout",
    "TargetTrackingScalingPolicyConfiguration",
    "TaskDefinition",
    "TaskRoleArn",
    "Threshold",
    "Timeout",
    "Type",
    "Value",
    "Variables",
    "VisibilityTimeout",
    "deadLetterTargetArn",
    "maxReceiveCount",
];

const NAMES: [&str; 6] = ["A", "B", "C", "Queue", "Ünïcode", "a/b~c"];

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(&NAMES[..]).prop_map(Value::from),
        prop::sample::select(&TYPES[..]).prop_map(Value::from),
        "(\\$\\{[A-C!.é]{0,4}\\}?|/|:|arn:aws:sqs:|IF\\(|\\*|é|DRUMLINE_QUEUE_URL){0,6}"
            .prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(6, 64, 6, |inner| {
        let key = prop_oneof![prop::sample::select(&KEYS[..]).prop_map(str::to_owned), any::<String>()];
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(key, inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn section() -> impl Strategy<Value = Value> {
    let entry = (prop::sample::select(&TYPES[..]), value(), value());
    vec((prop::sample::select(&NAMES[..]), entry), 0..6).prop_map(|entries| {
        let entries = entries.into_iter().map(|(name, (kind, properties, more))| {
            let mut entry = json!({ "Type": kind, "Properties": properties });
            for (key, value) in more.as_object().into_iter().flatten() {
                entry[key] = value.clone();
            }
            (name.to_owned(), entry)
        });
        Value::Object(entries.collect::<Map<_, _>>())
    })
}

fn judge(text: &str) {
    if let Ok(template) = Template::parse("any.yaml", text) {
        for finding in check(&[template], &Options::default()) {
            assert!(!finding.to_string().is_empty());
        }
    }
}

/// Returns this repository's templates, which contain something for every rule.
fn templates() -> Vec<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cloudformation");
    let files = ["queue-fifo.yaml", "worker-fargate.yaml", "worker-lambda.yaml", "dashboard.yaml"];
    let texts = files.map(|file| std::fs::read_to_string(folder.join(file)).unwrap());
    texts.iter().map(|text| text.lines().map(str::to_owned).collect()).collect()
}

proptest! {
    #[test]
    fn any_text(text in any::<String>()) {
        judge(&text);
    }

    #[test]
    fn any_text_that_looks_like_yaml(text in "([A-C]|: |\n|  |- |\\[|\\]|\\{|\\}|,|!Sub |!Ref |!GetAtt |&a |\\*a|<<|'|\"|#|\\||>|é|\t|Resources:\n|%|---\n|\\? ){0,40}") {
        judge(&text);
        judge(&format!("Resources:\n  A: {text}"));
    }

    #[test]
    fn any_value_in_place_of_a_good_one(
        mut lines in prop::sample::select(templates()),
        at in any::<prop::sample::Index>(),
        odd in prop_oneof![value().prop_map(|value| value.to_string()), "(!Ref |!Sub |!GetAtt |- ){0,2}[A-C.${}0-9-]{0,5}"],
    ) {
        let line = at.get(&lines).clone();
        let at = at.index(lines.len());
        let key = line.split_once(": ").map_or("X", |(key, _)| key);
        lines[at] = format!("{key}: {odd}");
        judge(&lines.join("\n"));
    }

    #[test]
    fn any_values(resources in section(), parameters in section(), more in value()) {
        let mut template = json!({ "Resources": resources, "Parameters": parameters });
        for key in ["Conditions", "Outputs", "Globals", "Metadata", "Mappings"] {
            template[key] = more.clone();
        }
        judge(&template.to_string());
    }
}

#[test]
fn endless_nesting_and_expansion_are_refused() {
    let deep = format!("Resources: {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Template::parse("deep.yaml", &deep).is_err());
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(laughs, "a{level}: &a{level} [{aliases}]").unwrap();
    }
    laughs.push_str("Resources: { A: *a11 }\n");
    assert!(Template::parse("laughs.yaml", &laughs).is_err());
}

#[test]
fn names_that_multiply_come_to_an_end() {
    let mut resources = Map::new();
    for level in 0..20 {
        let name = format!("${{Q{}}}", level + 1).replace('}', ".QueueName}").repeat(20);
        resources.insert(
            format!("Q{level}"),
            json!({ "Type": "AWS::SQS::Queue", "Properties": { "QueueName": { "Fn::Sub": name } } }),
        );
    }
    judge(&json!({ "Resources": resources }).to_string());
}
