//! The interface for callers: findings with their places, and the caller's own parser for environments.

#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use drumline_infra_rules::{Host, Options, Template, check};
use serde_json::json;

const SHORT: &str = "\
Parameters:
  Timeout: { Type: Number, Default: 60, MinValue: 30, MaxValue: 90000, Description: How long }
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: !Ref Timeout
      ReceiveMessageWaitTimeSeconds: 5
";

fn template(file: &str) -> Template {
    Template::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../cloudformation").join(file)).unwrap()
}

#[test]
fn a_finding_has_place_problem_reason_and_fix() {
    let findings = check(&[Template::parse("short.yaml", SHORT).unwrap()], &Options::default());
    let polling = findings.iter().find(|finding| finding.rule == "Q11").unwrap();
    let json = serde_json::to_value(polling).unwrap();
    assert_eq!(json["place"], json!({ "name": "Queue", "path": "ReceiveMessageWaitTimeSeconds", "line": 8 }));
    assert_eq!((&json["file"], &json["found"]), (&json!("short.yaml"), &json!("it is 5")));
    let text = polling.to_string();
    assert!(text.starts_with("short.yaml:8: Q11 Queue.ReceiveMessageWaitTimeSeconds: it is 5\n"), "{text}");
    assert!(text.contains(polling.reason) && text.contains(polling.fix), "{text}");
}

#[test]
fn what_is_wrong_at_a_bound_names_the_bound() {
    let findings = check(&[Template::parse("short.yaml", SHORT).unwrap()], &Options::default());
    let of_rule: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.rule == "Q10")
        .map(|finding| finding.problem.as_str())
        .collect();
    assert_eq!(of_rule, ["90000 s is out of SQS's range (where Timeout is 90000)"]);
}

/// Returns the findings of one rule: places and problems.
fn found(text: &str, rule: &str) -> Vec<String> {
    let findings = check(&[Template::parse("t.yaml", text).unwrap()], &Options::default());
    let of_rule = findings.iter().filter(|finding| finding.rule == rule);
    of_rule.map(|finding| format!("{}: {}", finding.place.path, finding.problem)).collect()
}

const OPTIONAL_KEY: &str = "\
Parameters:
  KmsKeyArn: { Type: String, Default: '', AllowedPattern: '^(arn:.+)?$', Description: A key }
Conditions:
  HasKey: !Not [!Equals [!Ref KmsKeyArn, '']]
Resources:
  Key:
    Type: AWS::KMS::Alias
    Condition: HasKey
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      SqsManagedSseEnabled: !If [HasKey, !Ref 'AWS::NoValue', true]
      KmsMasterKeyId: !If [HasKey, !Ref KmsKeyArn, !Ref 'AWS::NoValue']
";

const SAMPLE_KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef";

#[test]
fn an_optional_part_is_checked_when_on_and_when_off() {
    assert!(found(OPTIONAL_KEY, "Q09").is_empty());
    let always = OPTIONAL_KEY.replace("!If [HasKey, !Ref 'AWS::NoValue', true]", "true");
    let expected =
        format!("KmsMasterKeyId: both kinds of encryption are set (where KmsKeyArn is {SAMPLE_KEY:?})");
    assert_eq!(found(&always, "Q09"), [expected]);
    let never = OPTIONAL_KEY.replace("!Ref 'AWS::NoValue', true]", "true, !Ref 'AWS::NoValue']");
    assert_eq!(found(&never, "Q09")[0], "SqsManagedSseEnabled: encryption is not set");
}

#[test]
fn an_optional_parameter_without_default_is_checked_both_ways() {
    let asked = OPTIONAL_KEY.replace("Default: '', ", "");
    assert!(found(&asked, "Q09").is_empty());
    let always = asked.replace("!If [HasKey, !Ref 'AWS::NoValue', true]", "true");
    assert_eq!(found(&always, "Q09").len(), 1, "with the key");
    let never = asked.replace("!Ref 'AWS::NoValue', true]", "true, !Ref 'AWS::NoValue']");
    assert_eq!(found(&never, "Q09")[0], "SqsManagedSseEnabled: encryption is not set", "empty");
}

#[test]
fn a_reference_to_a_part_left_out_by_a_condition_is_found() {
    let refers = format!("{OPTIONAL_KEY}      Tags: [{{ Key: key, Value: !Ref Key }}]\n");
    assert_eq!(found(&refers, "T02"), ["Tags.0.Value: Key is left out by its condition"]);
    let only_with = refers.replace("Value: !Ref Key", "Value: !If [HasKey, !Ref Key, none]");
    assert!(found(&only_with, "T02").is_empty());
    let output = format!("{OPTIONAL_KEY}Outputs: {{ Key: {{ Value: !Ref Key }} }}\n");
    assert_eq!(found(&output, "T02"), [": output Key refers to Key, which is left out by its condition"]);
}

const COMPOSITE: &str = r#"
Parameters:
  TopicArn: { Type: String, Description: A topic }
Resources:
  LateAlarm: { Type: AWS::CloudWatch::Alarm, Properties: { Namespace: AWS/SQS, MetricName: SentMessageSize } }
  FullAlarm: { Type: AWS::CloudWatch::Alarm, Properties: { Namespace: AWS/SQS, MetricName: SentMessageSize } }
  BothAlarm:
    Type: AWS::CloudWatch::CompositeAlarm
    Properties:
      AlarmRule: !Sub 'ALARM("${LateAlarm}") AND ALARM("${FullAlarm}")'
      AlarmActions: [!Ref TopicArn]
      OKActions: [!Ref TopicArn]
Outputs:
  BothAlarmName: { Value: !Ref BothAlarm }
"#;

#[test]
fn a_composite_alarm_notifies_for_its_parts() {
    for rule in ["A07", "T01"] {
        assert_eq!(found(COMPOSITE, rule), Vec::<String>::new());
    }
    let silent = COMPOSITE.replace("      OKActions: [!Ref TopicArn]\n", "");
    assert_eq!(found(&silent, "A07"), ["OKActions: it goes to no topic"]);
    let without = COMPOSITE.replace("!Ref BothAlarm }", "!Ref TopicArn }");
    assert_eq!(found(&without, "T01"), [": its name is no output"]);
    let alone = COMPOSITE.replace(r#" AND ALARM("${FullAlarm}")"#, "");
    assert_eq!(found(&alone, "A07").len(), 2, "the actions of the alarm that is no part any more");
    assert_eq!(found(&alone, "T01").len(), 1);
}

#[test]
fn the_callers_parser_gets_environments_at_defaults_and_bounds() {
    let seen = RefCell::new(Vec::new());
    let environment = |variables: &BTreeMap<String, String>, host: Host| {
        seen.borrow_mut().push((host, variables.clone()));
        Ok(())
    };
    let options = Options { environment: Some(&environment) };
    assert_eq!(check(&[template("worker-fargate.yaml"), template("worker-lambda.yaml")], &options).len(), 0);
    let seen = seen.into_inner();
    let values = |host: Host, name: &str| {
        let of_host = seen.iter().filter(|(of, _)| *of == host);
        let mut values: Vec<&str> = of_host.map(|(_, variables)| variables[name].as_str()).collect();
        values.sort_unstable();
        values.dedup();
        values
    };
    assert_eq!(values(Host::Consumer, "DRUMLINE_VISIBILITY_TIMEOUT"), ["30s", "43200s", "900s"]);
    assert_eq!(values(Host::Lambda, "DRUMLINE_CONCURRENCY"), ["1", "256", "32"]);
    let url = ["https://sqs.eu-central-1.amazonaws.com/000000000000/jobs"];
    assert_eq!(
        values(Host::Consumer, "DRUMLINE_QUEUE_URL"),
        url,
        "made up, because it is known only after the deployment"
    );
    assert_eq!(values(Host::Lambda, "DRUMLINE_QUEUE_URL"), url);
}

#[test]
fn every_problem_of_the_callers_parser_is_a_finding() {
    let environment = |_: &BTreeMap<String, String>, host: Host| match host {
        Host::Consumer => Err(vec!["one".to_owned(), "two".to_owned()]),
        Host::Lambda => Ok(()),
    };
    let findings = check(&[template("worker-fargate.yaml")], &Options { environment: Some(&environment) });
    let found: Vec<(&str, &str)> =
        findings.iter().map(|finding| (finding.rule, finding.problem.as_str())).collect();
    assert_eq!(found, [("E09", "one"), ("E09", "two")], "reported once, although it occurs at every bound");
}

#[test]
fn a_template_about_something_else_has_no_findings() {
    let text = "Resources: { Role: { Type: AWS::IAM::Role, Properties: { RoleName: 'arn:aws:x' } } }";
    assert_eq!(check(&[Template::parse("other.yaml", text).unwrap()], &Options::default()).len(), 0);
    assert!(Template::parse("none.yaml", "a: b").is_err());
    assert!(Template::load(Path::new("/nowhere/none.yaml")).is_err());
}
