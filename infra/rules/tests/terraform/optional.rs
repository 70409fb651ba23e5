//! Resources and blocks that are optional.

use std::collections::BTreeMap;

use drumline_infra_rules::model::Target;
use serde_json::json;

use crate::{parse, stack};

#[test]
fn a_dynamic_block_occurs_once_for_each_item() {
    let text = |items: &str| {
        format!(
            r#"
variable "pollers" {{
  type = number
}}
variable "groups" {{
  type    = list(string)
  default = []
}}
resource "aws_lambda_event_source_mapping" "queue" {{
  dynamic "scaling_config" {{
    for_each = {items}
    iterator = limit
    content {{
      maximum_concurrency = limit.value * 2
    }}
  }}
}}
resource "aws_iam_role_policy_attachment" "extra" {{
  for_each   = toset(var.groups)
  policy_arn = each.value
}}
"#
        )
    };
    let at = "/ScalingConfig/MaximumConcurrency";
    let mapping = |items: &str| {
        let stack = stack(&text(items));
        assert_eq!(stack.resources.len(), 1, "an empty for_each makes nothing");
        stack.resources["aws_lambda_event_source_mapping.queue"].clone()
    };
    assert_eq!(mapping("[5]").get(at), Some(&json!(10)));
    assert_eq!(mapping("{ one = 6 }").get(at), Some(&json!(12)));
    assert_eq!(mapping("[]").get("/ScalingConfig"), None);
    assert!(
        mapping("var.pollers == 0 ? [] : [1]").text(at).unwrap().starts_with("${Fn::"),
        "only the deployment knows"
    );
}

#[test]
fn a_variable_in_a_part_left_out_by_a_condition_is_used() {
    for name in [
        r#"var.table == "" ? var.url : var.table"#,
        r#"join("", [for store in [{ asked = var.table == "", name = var.url }] : store.name if store.asked])"#,
    ] {
        let variables =
            "variable \"table\" {\n  default = \"jobs\"\n}\nvariable \"url\" {\n  default = \"memory:\"\n}\n";
        let stack =
            stack(&format!("{variables}resource \"aws_sqs_queue\" \"jobs\" {{\n  name = {name}\n}}\n"));
        let url = Target::Parameter("Url".to_owned());
        assert!(stack.references.iter().any(|reference| reference.to == url), "{name}");
        assert!(!stack.resources["aws_sqs_queue.jobs"].references_at("").any(|to| *to == url), "{name}");
    }
}

#[test]
fn a_resource_that_is_counted_out_is_not_there() {
    let text = "variable \"on\" {\n  default = false\n}\nresource \"aws_sqs_queue\" \"jobs\" {\n  count = var.on ? 1 : 0\n}\n";
    assert!(stack(text).resources.is_empty());
    let on = parse(text).stack(&BTreeMap::from([("On".to_owned(), json!(true))]));
    assert!(on.resources.contains_key("aws_sqs_queue.jobs"));
}
