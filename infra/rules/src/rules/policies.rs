//! P01 to P04: queue policies.

use crate::case::Case;
use crate::finding::Report;
use crate::rule::Rule;
use crate::value::is_token;
use crate::views::policies::{QueuePolicy, Statement, queue_policies};
use crate::views::queues::{Queue, queues};

/// Conditions that limit an open `Allow` to a source, in lower case.
const TIES: [&str; 5] =
    ["aws:sourcearn", "aws:sourceaccount", "aws:sourceorgid", "aws:principalorgid", "aws:principalaccount"];

pub(super) const RULES: [Rule; 4] = [
    Rule {
        id: "P01",
        title: "every queue, including DLQs, denies `sqs:*` to all principals if `aws:SecureTransport` is false",
        reason: "SQS also accepts plain HTTP. Message bodies and receipt handles must not be readable in transit.",
        fix: "Add a QueuePolicy with Deny, Principal \"*\", Action sqs:*, Condition Bool aws:SecureTransport false.",
        at_bounds: false,
        check: encrypted_connections_only,
    },
    Rule {
        id: "P02",
        title: "no `Allow` to all principals without a condition on `aws:SourceArn` or `aws:SourceAccount`",
        reason: "Any AWS account could write to the queue or read from it.",
        fix: "Name the principal, or tie the statement to the source's ARN or account.",
        at_bounds: false,
        check: nobody_at_large,
    },
    Rule {
        id: "P03",
        title: "no `NotPrincipal` and no `NotAction`",
        reason: "They also cover principals and actions that were not considered, such as later ones.",
        fix: "List principals and actions, or deny with a condition.",
        at_bounds: false,
        check: nothing_by_exclusion,
    },
    Rule {
        id: "P04",
        title: "a queue policy's `Resource` is the queue's own ARN",
        reason: "A statement about another ARN does nothing, silently: the Deny or the Allow is not there.",
        fix: "Set Resource to the ARN attribute of the queue that Queues lists.",
        at_bounds: false,
        check: about_its_own_queue,
    },
];

fn encrypted_connections_only(case: &Case<'_>, report: &mut Report<'_>) {
    let policies = queue_policies(case.stack);
    for queue in queues(case.stack) {
        let denies = |statement: &Statement<'_>| {
            let insecure = statement.conditions().iter().any(|(key, values)| {
                key == "aws:securetransport" && values.iter().any(|value| value.eq_ignore_ascii_case("false"))
            });
            statement.denies() && insecure && statement.is_for_anybody() && statement.has_action("sqs:*")
        };
        let mut of_queue = policies.iter().filter(|policy| {
            policy.queues.iter().any(|text| queue.is_meant_by(text) || text.starts_with("${Fn::"))
        });
        if !of_queue.any(|policy| policy.is_unclear || policy.statements.iter().any(denies)) {
            report.at(queue.id, queue.resource, "", "no policy denies unencrypted connections to it");
        }
    }
}

fn nobody_at_large(case: &Case<'_>, report: &mut Report<'_>) {
    for policy in queue_policies(case.stack) {
        for statement in
            policy.statements.iter().filter(|statement| statement.allows() && statement.is_for_anybody())
        {
            if !statement.conditions().iter().any(|(key, _)| TIES.contains(&key.as_str())) {
                report.at(statement.id, statement.resource, &statement.pointer, "it allows everybody");
            }
        }
    }
}

fn nothing_by_exclusion(case: &Case<'_>, report: &mut Report<'_>) {
    for policy in queue_policies(case.stack) {
        for statement in policy.statements {
            for key in ["NotPrincipal", "NotAction"] {
                if !statement.get(key).is_null() {
                    report.at(
                        statement.id,
                        statement.resource,
                        &format!("{}/{key}", statement.pointer),
                        format!("it has {key}"),
                    );
                }
            }
        }
    }
}

fn about_its_own_queue(case: &Case<'_>, report: &mut Report<'_>) {
    let all = queues(case.stack);
    for QueuePolicy { queues: listed, statements, .. } in queue_policies(case.stack) {
        let own: Vec<&Queue<'_>> =
            all.iter().filter(|queue| listed.iter().any(|text| queue.is_meant_by(text))).collect();
        // Queues of other stacks cannot be checked.
        if own.len() < listed.len() {
            continue;
        }
        for statement in statements {
            let about = statement.resources();
            let foreign =
                about.iter().find(|arn| !is_token(arn) && own.iter().all(|queue| queue.arn != **arn));
            let foreign_token = about.iter().find(|arn| {
                let other = all.iter().any(|queue| queue.arn == **arn);
                is_token(arn) && other && own.iter().all(|queue| queue.arn != **arn)
            });
            let at = format!("{}/Resource", statement.pointer);
            if let Some(arn) = foreign.or(foreign_token) {
                report.at(statement.id, statement.resource, &at, format!("it is about {arn}"));
            } else if about.is_empty() && statement.get("Resource").is_null() {
                report.at(statement.id, statement.resource, &at, "it is missing");
            }
        }
    }
}
