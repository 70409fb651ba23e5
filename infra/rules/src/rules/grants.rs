//! I09: a worker may use everything that it is configured to use.

use crate::case::Case;
use crate::finding::Report;
use crate::model::{Resource, Stack, table_arn};
use crate::rule::Rule;
use crate::value::{items, plain};
use crate::views::functions::consuming_functions;
use crate::views::policies::{Role, role_at};
use crate::views::tasks::{Task, tasks};

/// The calls of the store in a DynamoDB table. Its transactions consist of updates, and IAM has no separate action for them.
const STORE_ACTIONS: [&str; 2] = ["dynamodb:GetItem", "dynamodb:UpdateItem"];

/// The variable with the buckets from which payloads are read.
const PAYLOAD_BUCKETS: &str = "DRUMLINE_PAYLOAD_BUCKETS";

/// The calls of a watch of a DLQ, which requests the depth and receives letters.
const WATCH_ACTIONS: [&str; 4] =
    ["sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:ChangeMessageVisibility"];

pub(super) const RULES: [Rule; 1] = [Rule {
    id: "I09",
    title: "a worker's roles allow what it is configured to use: the store's table, the bucket of payloads, a watched DLQ and its alert topic, secrets and environment files",
    reason: "A worker without permissions on its store starts, and then cannot claim a job. A task without permissions on a secret or a file does not start. Without s3:ListBucket a missing payload looks like a denied one.",
    fix: "Allow dynamodb:GetItem and UpdateItem on the table, s3:GetObject on the payloads and s3:ListBucket on their bucket, and the actions listed in docs/watch.md, on the worker's role; secretsmanager:GetSecretValue, ssm:GetParameters and s3:GetObject on the execution role.",
    at_bounds: false,
    check: configured_is_allowed,
}];

fn configured_is_allowed(case: &Case<'_>, report: &mut Report<'_>) {
    for task in tasks(case.stack).iter().filter(|task| task.ours) {
        if let Some(role) = task.role.as_ref().filter(|role| !role.is_open()) {
            store_is_allowed(task.variable("DRUMLINE_STORE_URL").as_deref(), role, report);
            payloads_are_allowed(task.variable(PAYLOAD_BUCKETS).as_deref(), role, report);
            watch_is_allowed(task, role, report);
        }
        start_is_allowed(case.stack, task, report);
    }
    for function in consuming_functions(case.stack) {
        let Some(role) = role_at(case.stack, function.resource, "/Role").filter(|role| !role.is_open())
        else {
            continue;
        };
        let url = function.resource.get("/Environment/Variables/DRUMLINE_STORE_URL").map(plain);
        store_is_allowed(url.as_deref(), &role, report);
        let buckets = function.resource.get(&format!("/Environment/Variables/{PAYLOAD_BUCKETS}")).map(plain);
        payloads_are_allowed(buckets.as_deref(), &role, report);
    }
}

fn lacks(report: &mut Report<'_>, role: (&str, &Resource), actions: &[&str], on: &str) {
    if !actions.is_empty() {
        report.at(role.0, role.1, "/Policies", format!("it lacks {} on {on}", actions.join(", ")));
    }
}

fn store_is_allowed(url: Option<&str>, role: &Role<'_>, report: &mut Report<'_>) {
    let Some(table) = url.and_then(|url| url.strip_prefix("dynamodb://")) else { return };
    let arn = table_arn(table.split('?').next().unwrap_or_default());
    let missing: Vec<&str> = STORE_ACTIONS.into_iter().filter(|action| !role.may(action, &arn)).collect();
    lacks(report, (role.id, role.resource), &missing, &arn);
}

/// Checks the permissions on each bucket, given as `BUCKET/PREFIX` or `BUCKET`.
fn payloads_are_allowed(buckets: Option<&str>, role: &Role<'_>, report: &mut Report<'_>) {
    let places = buckets.unwrap_or_default().split(',').map(str::trim).filter(|place| !place.is_empty());
    // Another stack's export is not known.
    for place in places.filter(|place| !place.starts_with("${Fn::")) {
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let bucket = format!("arn:${{AWS::Partition}}:s3:::{bucket}");
        let objects = format!("{bucket}/{prefix}*");
        for (action, on) in [("s3:GetObject", &objects), ("s3:ListBucket", &bucket)] {
            if !role.may(action, on) {
                lacks(report, (role.id, role.resource), &[action], on);
            }
        }
    }
}

fn watch_is_allowed(task: &Task<'_>, role: &Role<'_>, report: &mut Report<'_>) {
    if task.variable("DRUMLINE_DLQ_WATCH").as_deref() != Some("on") {
        return;
    }
    // A worker may receive from its queue in any case, so the DLQ has a separate statement.
    let of_dlq = role.statements.iter().filter(|statement| {
        let deletes = statement.has_action("sqs:DeleteMessage");
        statement.allows() && !deletes && statement.has_action("sqs:GetQueueUrl")
    });
    let of_dlq: Vec<_> = of_dlq.collect();
    let missing: Vec<&str> = WATCH_ACTIONS
        .into_iter()
        .filter(|action| !of_dlq.iter().any(|statement| statement.has_action(action)))
        .collect();
    lacks(report, (role.id, role.resource), &missing, "the DLQ that it watches");
    if let Some(topic) = task.variable("DRUMLINE_DLQ_ALERT_TO").filter(|to| !to.starts_with("http"))
        && !role.may("sns:Publish", &topic)
    {
        lacks(report, (role.id, role.resource), &["sns:Publish"], &topic);
    }
}

/// Checks the execution role, with which ECS reads images and secrets before a container starts.
fn start_is_allowed(stack: &Stack, task: &Task<'_>, report: &mut Report<'_>) {
    let role = role_at(stack, task.resource, "/ExecutionRoleArn");
    // I07 reports one role for both.
    if role.is_some() && role.as_ref().map(|role| role.id) == task.role.as_ref().map(|role| role.id) {
        return;
    }
    for container in task.containers {
        let secrets = items(container.get("Secrets")).iter().map(|secret| {
            let from = plain(&secret["ValueFrom"]);
            let is_secret = from.contains(":secretsmanager:");
            (if is_secret { "secretsmanager:GetSecretValue" } else { "ssm:GetParameters" }, from)
        });
        let files = items(container.get("EnvironmentFiles"))
            .iter()
            .map(|file| ("s3:GetObject", plain(&file["Value"])));
        for (action, on) in secrets.chain(files) {
            match &role {
                Some(role) if role.is_open() || role.may(action, &on) => {}
                Some(role) => lacks(report, (role.id, role.resource), &[action], &on),
                None if task.resource.get("/ExecutionRoleArn").is_some() => {}
                None => {
                    let found = format!("there is no role that may read {on}");
                    report.at(task.id, task.resource, "/ExecutionRoleArn", found);
                }
            }
        }
    }
}
