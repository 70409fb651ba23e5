//! Tests how far expressions are evaluated.

use drumline_infra_rules::{Options, check, terraform};
use serde_json::{Value, json};

use crate::stack;

/// Evaluates an expression beside these declarations.
fn value(declarations: &str, expression: &str) -> Value {
    let text = format!("{declarations}\noutput \"it\" {{\n  value = {expression}\n}}\n");
    stack(&text).outputs["It"].value.clone()
}

const DECLARATIONS: &str = r#"
variable "service_name" {
  default = "jobs"
}

variable "queue_arn" {
  type = string
}

variable "tasks" {
  type    = number
  default = 4
}

locals {
  name  = "${var.service_name}-worker"
  tags  = { service = var.service_name, team = "core" }
  ports = [443, 8443]
}

data "aws_partition" "here" {}
data "aws_region" "here" {}
data "aws_caller_identity" "here" {}

resource "aws_sqs_queue" "jobs" {
  name = "${local.name}-queue"
}

resource "aws_iam_role" "worker" {
  name_prefix = "worker-"
}
"#;

#[test]
fn expressions_are_worked_out_as_far_as_they_are_known() {
    let cases = [
        ("local.name", json!("jobs-worker")),
        (r#""${local.name}""#, json!("jobs-worker")),
        (r#""${var.tasks}""#, json!(4)),
        (r#""up to ${var.tasks * 2 + 1} tasks""#, json!("up to 9 tasks")),
        ("var.tasks / 8", json!(0.5)),
        ("-var.tasks", json!(-4)),
        ("var.tasks > 3 && !(var.tasks == 5)", json!(true)),
        ("var.tasks > 3 ? \"many\" : \"few\"", json!("many")),
        ("var.queue_arn", json!("${QueueArn}")),
        (r#""${var.queue_arn}/*""#, json!("${QueueArn}/*")),
        ("[for port in local.ports : port + 1]", json!([444, 8444])),
        ("[for port in local.ports : port if port > 443]", json!([8443])),
        ("{ for key, tag in local.tags : upper(key) => tag }", json!({ "SERVICE": "jobs", "TEAM": "core" })),
        ("local.ports[1]", json!(8443)),
        ("local.tags[\"team\"]", json!("core")),
        ("merge(local.tags, { team = \"other\" })", json!({ "service": "jobs", "team": "other" })),
        ("concat(local.ports, [1])", json!([443, 8443, 1])),
        ("concat(local.ports, var.queue_arn == \"\" ? [] : [1], [2])", json!([443, 8443, "${Fn::if}", 2])),
        ("join(\",\", [var.queue_arn, \"x\"])", json!("${QueueArn},x")),
        ("format(\"%s has %d%%\", local.name, var.tasks)", json!("jobs-worker has 4%")),
        ("lookup(local.tags, \"missing\", \"none\")", json!("none")),
        ("replace(local.name, \"-\", \"_\")", json!("jobs_worker")),
        ("jsondecode(jsonencode({ a = [1, true, null] }))", json!({ "a": [1, true, null] })),
        ("max(var.tasks, 10, 2)", json!(10)),
        (
            "\"arn:${data.aws_partition.here.partition}:sqs:${data.aws_region.here.id}:${data.aws_caller_identity.here.account_id}:x\"",
            json!("arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:x"),
        ),
        (
            "aws_sqs_queue.jobs.arn",
            json!("arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:jobs-worker-queue"),
        ),
        ("aws_sqs_queue.jobs.url", json!("${aws_sqs_queue.jobs}")),
        ("aws_sqs_queue.jobs.name", json!("jobs-worker-queue")),
        ("aws_iam_role.worker.arn", json!("${aws_iam_role.worker.Arn}")),
        ("aws_iam_role.worker.id", json!("${aws_iam_role.worker}")),
        ("<<-EOT\n    a ${var.tasks}\n    b\n  EOT", json!("a 4\nb\n")),
        ("\"%{ if var.tasks > 3 }many%{ else }few%{ endif }\"", json!("many")),
    ];
    for (expression, expected) in cases {
        assert_eq!(value(DECLARATIONS, expression), expected, "{expression}");
    }
}

#[test]
fn what_cannot_be_worked_out_says_so() {
    let unknown = [
        "module.queue.queue_arn",
        "timestamp()",
        "file(\"policy.json\")",
        "var.queue_arn == \"x\" ? 1 : 2",
        "[for part in split(\":\", var.queue_arn) : part]",
        "data.aws_sqs_queue.other.arn",
        "each.value",
    ];
    for expression in unknown {
        let value = value(
            &format!(
                "{DECLARATIONS}\ndata \"aws_sqs_queue\" \"other\" {{}}\nmodule \"queue\" {{\n  source = \"vendor/queue/aws\"\n}}"
            ),
            expression,
        );
        assert!(value.as_str().is_some_and(|text| text.starts_with("${Fn::")), "{expression} is {value}");
    }
}

#[test]
fn names_that_go_in_circles_come_to_an_end() {
    let text = "locals {\n  a = local.b\n  b = \"${local.a}x\"\n}\n";
    assert!(value(text, "local.a").as_str().unwrap().contains("${Fn::circle}"));
}

#[test]
fn texts_and_lists_that_multiply_come_to_an_end() {
    let mut lines = vec!["locals {".to_owned(), "t0 = \"aaaaaaaaaaaaaaaaaaaa\"".to_owned()];
    lines.push("l0 = [1, 2, 3, 4, 5, 6, 7, 8]".to_owned());
    for (before, at) in (1..12).enumerate() {
        lines.push(format!("t{at} = replace(local.t{before}, \"a\", local.t{before})"));
        lines.push(format!("l{at} = [for x in local.l{before} : local.l{before}]"));
    }
    lines.push("}".to_owned());
    let text = lines.join("\n");
    for name in ["local.t11", "local.l11"] {
        assert!(value(&text, name).to_string().contains("${Fn::"), "{name}");
    }
}

#[test]
fn expressions_within_each_other_come_to_an_end() {
    for (open, close) in [("(", ")"), ("[", "]"), ("upper(", ")"), ("!", "")] {
        let text = format!("output \"it\" {{\n  value = {}1{}\n}}\n", open.repeat(5000), close.repeat(5000));
        if let Ok(template) = terraform::parse("deep", &[("main.tf".to_owned(), text)]) {
            check(&[template], &Options::default());
        }
    }
}
