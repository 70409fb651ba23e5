#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use serde_json::json;

use crate::{Options, Template, check};

const TEMPLATE: &str = "
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Timeout: 30
    Environment: { Variables: { DRUMLINE_LOG_FORMAT: json } }
Resources:
  Queue: { Type: AWS::SQS::Queue, Properties: { VisibilityTimeout: 60 } }
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: provided.al2023
      Environment: { Variables: { DRUMLINE_CONCURRENCY: '4' } }
      Policies: [SQSPollerPolicy: { QueueName: !GetAtt Queue.QueueName }]
      Events:
        Jobs: { Type: SQS, Properties: { Queue: !GetAtt Queue.Arn, BatchSize: 5 } }
        Web: { Type: Api, Properties: { Path: /, Method: get } }
";

#[test]
fn a_sam_function_has_a_role_and_a_mapping_for_each_queue() {
    let stack = Template::parse("sam.yaml", TEMPLATE).unwrap().stack(&BTreeMap::new());
    let worker = &stack.resources["Worker"];
    assert_eq!(worker.kind, "AWS::Lambda::Function");
    assert_eq!(worker.get("/Timeout"), Some(&json!(30)), "from the globals");
    let variables = json!({ "DRUMLINE_LOG_FORMAT": "json", "DRUMLINE_CONCURRENCY": "4" });
    assert_eq!(worker.get("/Environment/Variables"), Some(&variables));
    assert_eq!(stack.resources["WorkerRole"].kind, "AWS::IAM::Role");
    let mapping = &stack.resources["WorkerJobs"];
    assert_eq!(mapping.get("/BatchSize"), Some(&json!(5)));
    assert!(mapping.refers_to("/EventSourceArn", "Queue") && mapping.refers_to("/FunctionName", "Worker"));
    assert!(!stack.resources.contains_key("WorkerWeb"));
}

#[test]
fn the_content_of_a_policy_template_is_not_guessed() {
    let findings = check(&[Template::parse("sam.yaml", TEMPLATE).unwrap()], &Options::default());
    let found = |rule| findings.iter().find(|finding| finding.rule == rule);
    assert!(found("I04").is_none(), "{:?}", found("I04"));
    let mapping = found("L01").expect("60 s are less than 6 × 30 s");
    assert_eq!((mapping.place.name.as_deref(), mapping.place.line), (Some("WorkerJobs"), Some(16)));
}
