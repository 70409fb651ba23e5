//! Tests how resources, variables and other modules become a stack.

use std::collections::BTreeMap;

use drumline_infra_rules::model::Target;
use drumline_infra_rules::{Options, check, terraform};
use serde_json::json;

use crate::{parse, stack};

#[test]
fn references_are_where_the_value_is() {
    let stack = stack(
        r#"
        variable "receives" {
          default = 5
        }
        resource "aws_sqs_queue" "dead" {
          name = "dead"
        }
        resource "aws_sqs_queue" "live" {
          name = "live"
          redrive_policy = jsonencode({
            deadLetterTargetArn = aws_sqs_queue.dead.arn
            maxReceiveCount     = var.receives
          })
        }
        "#,
    );
    let live = &stack.resources["aws_sqs_queue.live"];
    assert_eq!(live.kind, "AWS::SQS::Queue");
    assert!(live.refers_to("/RedrivePolicy/deadLetterTargetArn", "aws_sqs_queue.dead"));
    let to: Vec<&Target> = live.references_at("/RedrivePolicy/maxReceiveCount").collect();
    assert_eq!(to, [&Target::Parameter("Receives".to_owned())]);
    assert_eq!(live.get("/RedrivePolicy/maxReceiveCount"), Some(&json!(5)));
}

#[test]
fn policies_may_be_written_as_blocks() {
    let stack = stack(
        r#"
        data "aws_iam_policy_document" "base" {
          statement {
            sid     = "Base"
            actions = ["sqs:GetQueueUrl"]
          }
        }
        data "aws_iam_policy_document" "tls" {
          source_policy_documents = [data.aws_iam_policy_document.base.json]
          statement {
            effect    = "Deny"
            actions   = ["sqs:*"]
            resources = [aws_sqs_queue.jobs.arn]
            principals {
              type        = "*"
              identifiers = ["*"]
            }
            condition {
              test     = "Bool"
              variable = "aws:SecureTransport"
              values   = ["false"]
            }
          }
        }
        resource "aws_sqs_queue" "jobs" {
          name   = "jobs"
          policy = data.aws_iam_policy_document.tls.json
        }
        "#,
    );
    let policy = &stack.resources["aws_sqs_queue.jobs.policy"];
    assert_eq!(policy.kind, "AWS::SQS::QueuePolicy");
    assert_eq!(policy.get("/Queues"), Some(&json!(["${aws_sqs_queue.jobs}"])));
    let arn = "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:jobs";
    let expected = json!([
        { "Effect": "Allow", "Sid": "Base", "Action": ["sqs:GetQueueUrl"] },
        {
            "Effect": "Deny",
            "Action": ["sqs:*"],
            "Resource": [arn],
            "Principal": "*",
            "Condition": { "Bool": { "aws:SecureTransport": ["false"] } },
        },
    ]);
    assert_eq!(policy.get("/PolicyDocument/Statement"), Some(&expected));
    assert!(stack.resources["aws_sqs_queue.jobs"].get("/Policy").is_none());
}

#[test]
fn attachments_belong_to_the_role() {
    let stack = stack(
        r#"
        resource "aws_iam_role" "worker" {
          name = "worker"
          inline_policy {
            name   = "consume"
            policy = jsonencode({ Statement = [{ Effect = "Allow", Action = "sqs:ReceiveMessage", Resource = "*" }] })
          }
        }
        resource "aws_iam_role_policy_attachment" "one" {
          role       = aws_iam_role.worker.name
          policy_arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole"
        }
        resource "aws_iam_role_policy_attachment" "two" {
          role       = aws_iam_role.worker.id
          policy_arn = aws_iam_policy.own.arn
        }
        resource "aws_iam_policy" "own" {
          policy = "{}"
        }
        "#,
    );
    let role = &stack.resources["aws_iam_role.worker"];
    assert_eq!(
        role.get("/ManagedPolicyArns/0").unwrap(),
        "arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole"
    );
    assert!(stack.resources["aws_iam_policy.own"].refers_to("/Roles/0", "aws_iam_role.worker"));
    assert_eq!(role.get("/Policies/0/PolicyDocument/Statement/0/Action").unwrap(), "sqs:ReceiveMessage");
    assert!(!stack.resources.contains_key("aws_iam_role_policy_attachment.one"));
}

#[test]
fn references_of_a_module_to_other_folders_count_as_uses() {
    let template = parse(
        r#"
        variable "region" {
          description = "Where."
          validation {
            condition     = can(regex("^[a-z0-9-]+$", var.region))
            error_message = "a region"
          }
        }
        variable "size" {
          description = "How large."
          type        = number
          validation {
            condition     = var.size >= 0 && var.size <= 9
            error_message = "0 to 9"
          }
        }
        provider "aws" {
          region = var.region
        }
        module "other" {
          source = "./other"
          size   = var.size
        }
        variable "prefix" {
          description = "What a name begins with."
          validation {
            condition     = can(regex("^[a-z]+$", var.prefix))
            error_message = "letters"
          }
        }
        resource "aws_iam_role" "worker" {
          name_prefix = var.prefix
          depends_on  = [module.other, data.aws_region.here]
        }
        data "aws_region" "here" {}
        "#,
    );
    let findings = check(&[template], &Options::default());
    assert!(findings.is_empty(), "{findings:?}");
}

#[test]
fn modules_in_folders_are_followed_with_their_values() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "main.tf",
        r#"
        variable "receives" {
          default = 7
        }
        module "queue" {
          source   = "./queue"
          receives = var.receives
        }
        module "worker" {
          source     = "./worker"
          queue_arn  = module.queue.arn
          visibility = module.queue.visibility
        }
        output "url" {
          value = module.queue.url
        }
        "#,
    );
    write(
        "queue/main.tf",
        r#"
        variable "receives" {
          validation {
            condition     = var.receives >= 5 && var.receives <= 9
            error_message = "5 to 9"
          }
        }
        variable "visibility" {
          default = 600
        }
        resource "aws_sqs_queue" "dead" {
          name = "dead"
        }
        resource "aws_sqs_queue" "live" {
          name                       = "live"
          visibility_timeout_seconds = var.visibility
        }
        resource "aws_sqs_queue_redrive_policy" "live" {
          queue_url      = aws_sqs_queue.live.id
          redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead.arn, maxReceiveCount = var.receives })
        }
        output "arn" {
          value = aws_sqs_queue.live.arn
        }
        output "url" {
          value = aws_sqs_queue.live.url
        }
        output "visibility" {
          value = var.visibility
        }
        "#,
    );
    write(
        "worker/main.tf",
        r#"
        variable "queue_arn" {}
        variable "visibility" {}
        resource "aws_lambda_function" "worker" {
          function_name = "worker"
          timeout       = var.visibility / 2
        }
        resource "aws_lambda_event_source_mapping" "queue" {
          event_source_arn = var.queue_arn
          function_name    = aws_lambda_function.worker.arn
        }
        "#,
    );
    let template = terraform::load(folder.path()).unwrap();
    let stack = template.stack(&BTreeMap::new());
    let live = &stack.resources["module.queue.aws_sqs_queue.live"];
    assert_eq!(live.get("/RedrivePolicy/maxReceiveCount"), Some(&json!(7)));
    // A variable also has the bounds of the variables to which its value is passed.
    let receives = &stack.parameters["Receives"];
    assert_eq!((receives.min, receives.max), (Some(5.0), Some(9.0)));
    assert!(live.refers_to("/RedrivePolicy/deadLetterTargetArn", "module.queue.aws_sqs_queue.dead"));
    assert_eq!(stack.outputs["Url"].value, json!("${module.queue.aws_sqs_queue.live}"));
    assert_eq!(
        stack.resources["module.worker.aws_lambda_function.worker"].get("/Timeout"),
        Some(&json!(300))
    );
    let at_bound = template.stack(&BTreeMap::from([("Receives".to_owned(), json!(3))]));
    let live = &at_bound.resources["module.queue.aws_sqs_queue.live"];
    assert_eq!(live.get("/RedrivePolicy/maxReceiveCount"), Some(&json!(3)));
    // The function and the queue are in different modules, and are still compared with each other.
    let findings = check(&[template], &Options::default());
    assert!(findings.iter().any(|finding| finding.rule == "L01"), "{findings:?}");
    assert!(findings.iter().all(|finding| finding.rule != "T02"), "{findings:?}");
}

#[test]
fn modules_that_use_each_other_come_to_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let text = "module \"again\" {\n  source = \"./\"\n  x = module.again.y\n}\nvariable \"x\" {}\noutput \"y\" {\n  value = var.x\n}\n";
    std::fs::write(folder.path().join("main.tf"), text).unwrap();
    let stack = terraform::load(folder.path()).unwrap().stack(&BTreeMap::new());
    assert_eq!(stack.outputs["Y"].value, json!("${X}"));
}

#[test]
fn bounds_are_read_off_validations() {
    let stack = stack(
        r#"
        variable "tasks" {
          type    = number
          default = 2
          validation {
            condition     = 1 <= var.tasks && (var.tasks <= 400)
            error_message = "from 1 to 400"
          }
        }
        variable "mode" {
          type = string
          validation {
            condition     = contains(["Active", "PassThrough"], var.mode)
            error_message = "one of two"
          }
        }
        variable "subnet_ids" {
          type        = list(string)
          description = "Where."
          validation {
            condition     = length(var.subnet_ids) <= 16 && alltrue([for id in var.subnet_ids : can(regex("^subnet-", id))])
            error_message = "subnets"
          }
        }
        "#,
    );
    let tasks = &stack.parameters["Tasks"];
    assert_eq!((tasks.kind.as_str(), tasks.min, tasks.max), ("Number", Some(1.0), Some(400.0)));
    assert_eq!((&tasks.default, &tasks.value), (&Some(json!(2)), &Some(json!(2))));
    assert_eq!(stack.parameters["Mode"].allowed, [json!("Active"), json!("PassThrough")]);
    let subnets = &stack.parameters["SubnetIds"];
    assert_eq!(subnets.kind, "CommaDelimitedList");
    assert_eq!((subnets.pattern.as_deref(), subnets.max_length), (Some("^subnet-"), Some(16)));
    assert_eq!(subnets.description, "Where.");
}

#[test]
fn what_only_a_deployment_knows_breaks_no_rule() {
    let template = parse(
        r#"
        module "names" {
          source = "vendor/names/aws"
        }
        module "queue" {
          source = "vendor/queue/aws"
        }
        module "function" {
          source = "vendor/function/aws"
        }
        resource "aws_sqs_queue" "jobs" {
          for_each = module.names.all
          name                       = each.value
          fifo_queue                 = module.names.fifo
          visibility_timeout_seconds = module.names.timeout
          dynamic "tags" {
            for_each = each.value
            content {
              key = tags.value.key
            }
          }
        }
        resource "aws_lambda_event_source_mapping" "jobs" {
          event_source_arn        = module.queue.arn
          function_name           = module.function.name
          function_response_types = module.function.types
        }
        "#,
    );
    let findings = check(&[template], &Options::default());
    assert!(findings.iter().all(|finding| finding.rule != "T02"), "{findings:?}");
}

#[test]
fn a_folder_without_modules_is_refused() {
    assert!(terraform::parse("empty", &[]).is_err());
    assert!(terraform::parse("broken", &[("main.tf".to_owned(), "resource {{".to_owned())]).is_err());
    assert!(terraform::load(std::path::Path::new("no-such-folder")).is_err());
}
