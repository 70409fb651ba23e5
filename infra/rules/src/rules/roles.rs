//! I01 to I08: roles and their permissions.

use crate::case::Case;
use crate::finding::Report;
use crate::model::{Parameter, Resource, Target};
use crate::rule::Rule;
use crate::value::{has_token, is_token, plain};
use crate::views::consumers::consumers;
use crate::views::policies::{identity_statements, matches, role_at};
use crate::views::queues::queues;
use crate::views::tasks::tasks;

/// SQS's actions. See
/// [the service authorization reference](https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html).
const SQS_ACTIONS: [&str; 20] = [
    "AddPermission",
    "CancelMessageMoveTask",
    "ChangeMessageVisibility",
    "CreateQueue",
    "DeleteMessage",
    "DeleteQueue",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "ListMessageMoveTasks",
    "ListQueueTags",
    "ListQueues",
    "PurgeQueue",
    "ReceiveMessage",
    "RemovePermission",
    "SendMessage",
    "SetQueueAttributes",
    "StartMessageMoveTask",
    "TagQueue",
    "UntagQueue",
];

/// Actions that have no resource, in lower case.
const WITHOUT_RESOURCE: [&str; 9] = [
    "ecr:getauthorizationtoken",
    "xray:put*",
    "ssmmessages:*",
    // Lambda uses these to put a function into a VPC, and refuses a role that has them only on named resources. See
    // [the page](https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions).
    "ec2:createnetworkinterface",
    "ec2:describenetworkinterfaces",
    "ec2:describesubnets",
    "ec2:deletenetworkinterface",
    "ec2:assignprivateipaddresses",
    "ec2:unassignprivateipaddresses",
];

/// The permissions that a consumer needs on its source, besides `ChangeMessageVisibility`.
const NEEDED: [&str; 3] = ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"];

/// Actions on its source that a consumer must not be allowed.
const OPERATORS: [&str; 10] = [
    "AddPermission",
    "CancelMessageMoveTask",
    "DeleteQueue",
    "ListMessageMoveTasks",
    "PurgeQueue",
    "RemovePermission",
    "SetQueueAttributes",
    "StartMessageMoveTask",
    "TagQueue",
    "UntagQueue",
];

/// AWS's managed policy for functions with a queue: receive, delete and read attributes, on any queue.
const MANAGED_FOR_LAMBDA: &str = "AWSLambdaSQSQueueExecutionRole";

pub(super) const RULES: [Rule; 8] = [
    Rule {
        id: "I01",
        title: "no action with a wildcard",
        reason: "It also grants unneeded actions, and those that AWS adds later.",
        fix: "List the actions.",
        at_bounds: false,
        check: no_wildcard_action,
    },
    Rule {
        id: "I02",
        title: "every `sqs:` action exists in IAM",
        reason: "There is no sqs:DeleteMessageBatch: the batch calls use the single action's name, and an action that does not exist grants nothing, without an error.",
        fix: "Use the single action's name.",
        at_bounds: false,
        check: real_actions,
    },
    Rule {
        id: "I03",
        title: "no resource `*`, except for actions that know none",
        reason: "An attacker who takes over a worker has the whole account's queues, secrets or tables.",
        fix: "Name the resource by its ARN; keep ecr:GetAuthorizationToken, xray:Put…, ssmmessages: and the actions that put a function into a VPC in separate statements.",
        at_bounds: false,
        check: no_wildcard_resource,
    },
    Rule {
        id: "I04",
        title: "a consumer may receive, delete, change visibility and read attributes on its source",
        reason: "Without delete, done work is redelivered for ever; without ChangeMessageVisibility there is neither renewal nor backoff. AWS's managed role for functions lacks it.",
        fix: "Allow sqs:ReceiveMessage, DeleteMessage, ChangeMessageVisibility and GetQueueAttributes on the source's ARN.",
        at_bounds: false,
        check: consumer_can_work,
    },
    Rule {
        id: "I05",
        title: "a consumer cannot send to, purge, redrive into or change its source",
        reason: "A bug in a handler could flood or empty its own queue. Redrives are a person's decision.",
        fix: "Put sqs:StartMessageMoveTask and similar actions into a policy for operators, and leave out the rest.",
        at_bounds: false,
        check: consumer_cannot_operate,
    },
    Rule {
        id: "I06",
        title: "no literal partition, account or region",
        reason: "The template works in only one account or region, and discloses the account's ID.",
        fix: "Build the ARN with Sub from AWS::Partition, AWS::Region and AWS::AccountId.",
        at_bounds: false,
        check: nothing_literal,
    },
    Rule {
        id: "I07",
        title: "a task's role and its execution role differ",
        reason: "The execution role reads secrets and images for the agent; the worker has no use for that.",
        fix: "Make two roles.",
        at_bounds: false,
        check: two_roles,
    },
    Rule {
        id: "I08",
        title: "`ecs:UpdateTaskProtection` is granted where it is used, for the cluster's tasks only",
        reason: "Otherwise the worker's configured protection is refused, or it can protect any task of the account.",
        fix: "Allow it on arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task/${ClusterName}/*.",
        at_bounds: false,
        check: protection_is_scoped,
    },
];

fn no_wildcard_action(case: &Case<'_>, report: &mut Report<'_>) {
    for statement in identity_statements(case.stack).iter().filter(|statement| statement.allows()) {
        if let Some(action) = statement.actions().into_iter().find(|action| action.contains('*')) {
            let at = format!("{}/Action", statement.pointer);
            report.at(statement.id, statement.resource, &at, format!("it allows {action}"));
        }
    }
}

fn real_actions(case: &Case<'_>, report: &mut Report<'_>) {
    for statement in identity_statements(case.stack) {
        for action in statement.actions() {
            let lower = action.to_ascii_lowercase();
            let Some(name) = lower.strip_prefix("sqs:").filter(|name| !has_token(name)) else { continue };
            if !SQS_ACTIONS.iter().any(|known| matches(name, &known.to_ascii_lowercase())) {
                let at = format!("{}/Action", statement.pointer);
                report.at(statement.id, statement.resource, &at, format!("IAM knows no {action}"));
            }
        }
    }
}

fn no_wildcard_resource(case: &Case<'_>, report: &mut Report<'_>) {
    for statement in identity_statements(case.stack).iter().filter(|statement| statement.allows()) {
        if !statement.resources().contains(&"*") {
            continue;
        }
        let excepted = |action: &&str| {
            has_token(action)
                || WITHOUT_RESOURCE.iter().any(|known| matches(known, &action.to_ascii_lowercase()))
        };
        if let Some(action) = statement.actions().into_iter().find(|action| !excepted(action)) {
            let at = format!("{}/Resource", statement.pointer);
            report.at(statement.id, statement.resource, &at, format!("{action} is allowed on everything"));
        }
    }
}

fn consumer_can_work(case: &Case<'_>, report: &mut Report<'_>) {
    for consumer in consumers(case.stack) {
        let Some(role) = &consumer.role else { continue };
        if role.is_open() {
            continue;
        }
        let managed = role.managed.iter().any(|arn| arn.ends_with(MANAGED_FOR_LAMBDA));
        let source = consumer.source.as_deref().unwrap_or("${Fn::Source}");
        let mut missing: Vec<&str> = NEEDED
            .into_iter()
            .filter(|action| !managed && !role.may(&format!("sqs:{action}"), source))
            .collect();
        if consumer.ours && !role.may("sqs:ChangeMessageVisibility", source) {
            missing.push("ChangeMessageVisibility");
        }
        if !missing.is_empty() {
            let on = consumer.source.as_deref().unwrap_or("its queue");
            let found = format!("{} lacks {} on {on}", consumer.id, missing.join(", "));
            report.at(role.id, role.resource, "/Policies", found);
        }
    }
}

fn consumer_cannot_operate(case: &Case<'_>, report: &mut Report<'_>) {
    for consumer in consumers(case.stack) {
        let Some(role) = &consumer.role else { continue };
        let all = queues(case.stack);
        let dlq = consumer.queue.as_ref().and_then(|queue| queue.dlq(&all));
        for statement in role.statements.iter().filter(|statement| statement.allows()) {
            let sends_to_source = || {
                let source = consumer.source.as_deref().unwrap_or_default();
                let to_dlq = || dlq.is_some_and(|dlq| statement.has_resource(&dlq.arn));
                statement.has_action("sqs:SendMessage")
                    && (statement.has_resource(source) || to_dlq() && !consumer.dead_letters_itself)
            };
            let operates =
                OPERATORS.iter().find(|action| statement.has_action(&format!("sqs:{action}"))).copied();
            if let Some(action) = operates.or_else(|| sends_to_source().then_some("SendMessage")) {
                let at = format!("{}/Action", statement.pointer);
                report.at(
                    statement.id,
                    statement.resource,
                    &at,
                    format!("{} may do sqs:{action}", consumer.id),
                );
            }
        }
    }
}

/// Returns a literal partition, account or region in a text.
fn literal(text: &str) -> Option<&'static str> {
    let arn = text.match_indices("arn:aws").any(|(at, _)| {
        let rest = &text[at + "arn:aws".len()..];
        [":", "-cn:", "-us-gov:"].iter().any(|end| rest.starts_with(end))
    });
    if arn {
        return Some("partition");
    }
    let parts = || text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let is_account = |part: &str| part.len() == 12 && part.bytes().all(|byte| byte.is_ascii_digit());
    if parts().any(is_account) {
        return Some("account");
    }
    parts().any(is_region).then_some("region")
}

/// Returns true for a region such as `eu-west-1`, also with the letter of an availability zone.
fn is_region(text: &str) -> bool {
    const AREAS: [&str; 11] = ["af", "ap", "ca", "cn", "eu", "il", "me", "mx", "sa", "us", "us-gov"];
    const SIDES: [&str; 9] =
        ["central", "east", "north", "northeast", "northwest", "south", "southeast", "southwest", "west"];
    let text = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let mut parts = text.rsplitn(3, '-');
    let number = parts
        .next()
        .is_some_and(|number| number.len() == 1 && number.bytes().all(|byte| byte.is_ascii_digit()));
    number
        && parts.next().is_some_and(|side| SIDES.contains(&side))
        && parts.next().is_some_and(|area| AREAS.contains(&area))
}

fn nothing_literal(case: &Case<'_>, report: &mut Report<'_>) {
    for (id, resource) in &case.stack.resources {
        let mut found = Vec::new();
        walk(&resource.properties, "", &mut |at, text| {
            // The deployment chooses the value of a parameter. A reference to a list parameter is one to the whole list.
            let from_parameter = resource.references_around(at).any(|to| match to {
                Target::Parameter(name) => case.stack.parameters.get(name).is_some_and(is_literal),
                _ => false,
            });
            if !from_parameter && let Some(kind) = literal(text) {
                found.push((at.to_owned(), kind, shortened(text)));
            }
        });
        // Reports one for each resource, because a resource with one literal usually has more of the same kind.
        if let Some((at, kind, text)) = found.first() {
            let more =
                if found.len() > 1 { format!(", and {} more", found.len() - 1) } else { String::new() };
            report.at(id, resource, at, format!("a literal {kind} in {text:?}{more}"));
        }
    }
}

fn is_literal(parameter: &Parameter) -> bool {
    parameter.value.as_ref().is_some_and(|value| literal(&plain(value)).is_some())
}

/// Calls a function with all texts and their pointers.
fn walk(value: &serde_json::Value, at: &str, look: &mut dyn FnMut(&str, &str)) {
    match value {
        serde_json::Value::String(text) => look(at, text),
        serde_json::Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| walk(item, &format!("{at}/{index}"), look));
        }
        serde_json::Value::Object(map) => {
            map.iter().for_each(|(key, item)| {
                walk(item, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), look);
            });
        }
        _ => {}
    }
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        text.to_owned()
    } else {
        text.chars().take(LONGEST).chain(['…']).collect()
    }
}

fn two_roles(case: &Case<'_>, report: &mut Report<'_>) {
    for task in tasks(case.stack) {
        let role = |at: &str| task.resource.text(at);
        let (own, execution) = (role("/TaskRoleArn"), role("/ExecutionRoleArn"));
        if own.is_some() && own == execution {
            report.at(task.id, task.resource, "/TaskRoleArn", "it is the execution role");
        }
    }
}

/// Returns true if an ARN covers the tasks of one cluster.
fn is_of_one_cluster(arn: &str) -> bool {
    let cluster =
        arn.split_once(":task/").and_then(|(_, rest)| rest.split_once('/')).map(|(cluster, _)| cluster);
    is_token(arn) || cluster.is_some_and(|cluster| !cluster.is_empty() && !cluster.contains(['*', '?']))
}

fn protection_is_scoped(case: &Case<'_>, report: &mut Report<'_>) {
    const ACTION: &str = "ecs:UpdateTaskProtection";
    for statement in identity_statements(case.stack).iter().filter(|statement| statement.allows()) {
        if statement.has_action(ACTION)
            && let Some(arn) = statement.resources().into_iter().find(|arn| !is_of_one_cluster(arn))
        {
            let at = format!("{}/Resource", statement.pointer);
            report.at(statement.id, statement.resource, &at, format!("it covers {arn}"));
        }
    }
    for task in tasks(case.stack) {
        let Some(role) = role_at(case.stack, task.resource, "/TaskRoleArn") else { continue };
        let granted =
            role.statements.iter().any(|statement| statement.allows() && statement.has_action(ACTION));
        if task.variable("DRUMLINE_TASK_PROTECTION").as_deref() == Some("on") && !granted {
            protection_missing(report, role.id, role.resource);
        }
    }
}

fn protection_missing(report: &mut Report<'_>, id: &str, role: &Resource) {
    report.at(
        id,
        role,
        "/Policies",
        "DRUMLINE_TASK_PROTECTION is on, and ecs:UpdateTaskProtection is not allowed",
    );
}
