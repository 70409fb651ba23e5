//! Q06, Q09 to Q15: the properties of a queue.

use crate::case::Case;
use crate::finding::Report;
use crate::model::{Dialect, Resource, Stack};
use crate::rule::Rule;
use crate::value::{has_token, int, is_unclear, items, one_or_many, plain, truth};
use crate::views::consumers::consumers;
use crate::views::policies::{Statement, identity_statements};
use crate::views::queues::{Queue, queues};
use crate::views::tasks::{seconds, tasks};

/// The longest visibility timeout that SQS accepts, in seconds. See
/// [the attributes](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html).
const MAX_VISIBILITY_SECS: i64 = 43_200;

/// The longest time that SQS waits for messages, in seconds.
const MAX_WAIT_SECS: i64 = 20;

/// The shortest lease that leaves time for three tries to renew it. The runtime renews at half the lease and retries after a
/// failure; a try can take five seconds.
const MIN_LEASE_SECS: f64 = 2.0 * 3.0 * 5.0;

/// The properties of `AWS::SQS::Queue`. See
/// [the reference](https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sqs-queue.html).
const PROPERTIES: [&str; 16] = [
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "DelaySeconds",
    "FifoQueue",
    "FifoThroughputLimit",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "QueueName",
    "ReceiveMessageWaitTimeSeconds",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "SqsManagedSseEnabled",
    "Tags",
    "VisibilityTimeout",
];

pub(super) const RULES: [Rule; 8] = [
    Rule {
        id: "Q06",
        title: "FIFO queues' names end in `.fifo`, standard queues' do not",
        reason: "SQS refuses other names, after the rest of the stack was created.",
        fix: "Let QueueName end in .fifo exactly if FifoQueue is true.",
        at_bounds: false,
        check: names_match_kind,
    },
    Rule {
        id: "Q09",
        title: "a queue has either `SqsManagedSseEnabled: true` or `KmsMasterKeyId`; with an own key its consumer may decrypt and its producers encrypt",
        reason: "Without a setting, the encryption depends on the creation date of the queue; without kms:Decrypt a receive fails, without kms:GenerateDataKey a send.",
        fix: "Set SqsManagedSseEnabled: true, or KmsMasterKeyId, kms:Decrypt for the key on the consumer's role, and kms:GenerateDataKey everywhere sqs:SendMessage is allowed.",
        at_bounds: false,
        check: encrypted_one_way,
    },
    Rule {
        id: "Q10",
        title: "visibility is within 0..43,200 s, and what a worker asks for leaves room for three tries to renew it",
        reason: "The runtime renews at half the lease. With less than 30 s a slow request or two lose the lease, and the message runs twice.",
        fix: "Choose 30 s to 43,200 s for the queue and for DRUMLINE_VISIBILITY_TIMEOUT.",
        at_bounds: true,
        check: visibility_in_range,
    },
    Rule {
        id: "Q11",
        title: "`ReceiveMessageWaitTimeSeconds` is 20 on polled queues",
        reason: "Short polling asks only some of SQS's servers, so it misses messages, and costs up to twenty times the requests.",
        fix: "Set ReceiveMessageWaitTimeSeconds: 20.",
        at_bounds: false,
        check: polls_long,
    },
    Rule {
        id: "Q12",
        title: "on queues `DeletionPolicy` is `RetainExceptOnCreate` and `UpdateReplacePolicy` is `Retain`",
        reason: "The messages of a deleted or replaced queue are lost. With Retain a failed first deployment would leave its queues behind, and the next one fails because their names are taken.",
        fix: "Set DeletionPolicy: RetainExceptOnCreate and UpdateReplacePolicy: Retain (Terraform: prevent_destroy).",
        at_bounds: false,
        check: queues_are_kept,
    },
    Rule {
        id: "Q13",
        title: "a queue has known property names only",
        reason: "A misspelt property fails the deployment, or is dropped by tools.",
        fix: "Correct the name; SQS's attributes and CloudFormation's properties differ in places.",
        at_bounds: false,
        check: known_properties,
    },
    Rule {
        id: "Q14",
        title: "a DLQ sets no `DelaySeconds`",
        reason: "Dead letters would be invisible for a while, to people and to the alarm on their number.",
        fix: "Leave DelaySeconds out.",
        at_bounds: false,
        check: no_delay_on_dlq,
    },
    Rule {
        id: "Q15",
        title: "FIFO: `DeduplicationScope` and `FifoThroughputLimit` are set together, and a DLQ says that it breaks the order",
        reason: "High throughput needs both, and SQS takes the limit only with the scope. A dead letter is overtaken by the messages behind it, which the queue's owner has to accept.",
        fix: "Set messageGroup and perMessageGroupId, or neither; tag the DLQ with a key that names order, or say so in its Metadata.",
        at_bounds: false,
        check: fifo_is_deliberate,
    },
];

fn names_match_kind(case: &Case<'_>, report: &mut Report<'_>) {
    for queue in queues(case.stack) {
        match (queue.is_fifo(), queue.name_is_fifo()) {
            (Some(true), Some(false)) => {
                report.at(
                    queue.id,
                    queue.resource,
                    "/QueueName",
                    format!("{} is FIFO and does not end in .fifo", queue.name),
                );
            }
            (Some(false), Some(true)) => {
                report.at(
                    queue.id,
                    queue.resource,
                    "/QueueName",
                    format!("{} ends in .fifo and is not FIFO", queue.name),
                );
            }
            _ => {}
        }
    }
}

fn encrypted_one_way(case: &Case<'_>, report: &mut Report<'_>) {
    let consumers = consumers(case.stack);
    for queue in queues(case.stack) {
        let own_key = queue.resource.get("/KmsMasterKeyId").is_some();
        match (queue.resource.get("/SqsManagedSseEnabled").map(truth), own_key) {
            (None | Some(Some(false)), false) => {
                report.at(queue.id, queue.resource, "/SqsManagedSseEnabled", "encryption is not set");
            }
            (Some(Some(true)), true) => {
                report.at(queue.id, queue.resource, "/KmsMasterKeyId", "both kinds of encryption are set");
            }
            _ => {}
        }
        // The deployment may set a key and the permissions on it together.
        if own_key && !is_unclear(&queue.resource.properties["KmsMasterKeyId"]) {
            senders_may_encrypt(case, &queue, report);
        }
        let of_queue =
            consumers.iter().filter(|consumer| consumer.queue.as_ref().is_some_and(|own| own.id == queue.id));
        for role in of_queue.filter(|_| own_key).filter_map(|consumer| consumer.role.as_ref()) {
            let decrypts = role
                .statements
                .iter()
                .any(|statement| statement.allows() && statement.has_action("kms:Decrypt"));
            if !decrypts {
                report.at(
                    role.id,
                    role.resource,
                    "",
                    format!("it receives from {} and has no kms:Decrypt", queue.id),
                );
            }
        }
    }
}

/// Checks the senders' permissions: sending to an encrypted queue requests a data key in the sender's name.
fn senders_may_encrypt(case: &Case<'_>, queue: &Queue<'_>, report: &mut Report<'_>) {
    let statements = identity_statements(case.stack);
    let allowed = |action: &str, id: &str| {
        let own = statements.iter().filter(|statement| statement.id == id && statement.allows());
        own.into_iter().any(|statement| statement.has_action(action))
    };
    let sends = |statement: &&Statement<'_>| {
        statement.allows() && statement.has_action("sqs:SendMessage") && statement.has_resource(&queue.arn)
    };
    for statement in statements.iter().filter(sends) {
        if !allowed("kms:GenerateDataKey", statement.id) {
            let found = format!("it sends to {} and has no kms:GenerateDataKey", queue.id);
            report.at(statement.id, statement.resource, "", found);
        }
    }
}

fn visibility_in_range(case: &Case<'_>, report: &mut Report<'_>) {
    for queue in queues(case.stack) {
        if let Some(secs) = queue.visibility().filter(|secs| !(0..=MAX_VISIBILITY_SECS).contains(secs)) {
            report.at(
                queue.id,
                queue.resource,
                "/VisibilityTimeout",
                format!("{secs} s is out of SQS's range"),
            );
        }
    }
    let too_short = |lease: f64| format!("a lease of {lease} s is too short to be renewed safely");
    for task in tasks(case.stack) {
        if let Some(lease) = task.lease(case.stack).filter(|lease| *lease < MIN_LEASE_SECS) {
            report.at(
                task.id,
                task.resource,
                &task.variable_pointer("DRUMLINE_VISIBILITY_TIMEOUT"),
                too_short(lease),
            );
        }
    }
    for (id, function) in case.stack.of_kind("AWS::Lambda::Function") {
        let at = "/Environment/Variables/DRUMLINE_VISIBILITY_TIMEOUT";
        let lease = function.get(at).and_then(|text| seconds(&plain(text)));
        if let Some(lease) = lease.filter(|lease| *lease < MIN_LEASE_SECS) {
            report.at(id, function, at, too_short(lease));
        }
    }
}

fn polls_long(case: &Case<'_>, report: &mut Report<'_>) {
    let all = queues(case.stack);
    for queue in all.iter().filter(|queue| !queue.is_dlq(&all)) {
        let at = "/ReceiveMessageWaitTimeSeconds";
        let wait = queue.resource.get(at).map_or(Some(0), int);
        if let Some(secs) = wait.filter(|secs| *secs != MAX_WAIT_SECS) {
            report.at(queue.id, queue.resource, at, format!("it is {secs}"));
        }
    }
}

fn queues_are_kept(case: &Case<'_>, report: &mut Report<'_>) {
    for queue in queues(case.stack) {
        kept_on_delete(case.stack, queue.id, queue.resource, report);
    }
}

/// Reports a resource whose contents would be deleted with its stack.
pub(super) fn kept_on_delete(stack: &Stack, id: &str, resource: &Resource, report: &mut Report<'_>) {
    // Terraform forgets resources that it could not create, and keeps the rest of a failed run in its state.
    let on_delete = match stack.dialect {
        Dialect::CloudFormation => "RetainExceptOnCreate",
        Dialect::Terraform => "Retain",
    };
    for (name, policy, wanted) in [
        ("DeletionPolicy", &resource.deletion_policy, on_delete),
        ("UpdateReplacePolicy", &resource.update_replace_policy, "Retain"),
    ] {
        if policy.as_deref().is_none_or(|policy| policy != wanted && !has_token(policy)) {
            report.at(id, resource, "", format!("{name} is not {wanted}"));
        }
    }
}

fn known_properties(case: &Case<'_>, report: &mut Report<'_>) {
    for queue in queues(case.stack) {
        for name in queue.resource.properties.as_object().into_iter().flatten().map(|(name, _)| name) {
            if !PROPERTIES.contains(&name.as_str()) && !name.starts_with("Fn::") {
                report.at(
                    queue.id,
                    queue.resource,
                    &format!("/{name}"),
                    "AWS::SQS::Queue has no such property",
                );
            }
        }
    }
}

fn no_delay_on_dlq(case: &Case<'_>, report: &mut Report<'_>) {
    let all = queues(case.stack);
    for queue in all.iter().filter(|queue| queue.is_dlq(&all)) {
        if let Some(secs) = queue.resource.get("/DelaySeconds").filter(|secs| int(secs) != Some(0)) {
            report.at(
                queue.id,
                queue.resource,
                "/DelaySeconds",
                format!("dead letters are delayed by {} s", plain(secs)),
            );
        }
    }
}

fn fifo_is_deliberate(case: &Case<'_>, report: &mut Report<'_>) {
    let all = queues(case.stack);
    for queue in all.iter().filter(|queue| queue.is_fifo() == Some(true)) {
        let (scope, limit) =
            (queue.resource.get("/DeduplicationScope"), queue.resource.get("/FifoThroughputLimit"));
        let high = limit.is_some_and(|limit| limit == "perMessageGroupId");
        let by_queue = scope.is_some_and(|scope| scope == "queue");
        if scope.is_some() != limit.is_some() || high && by_queue {
            report.at(queue.id, queue.resource, "/FifoThroughputLimit", "one is set without the other");
        }
        let names_order = |text: String| text.to_ascii_lowercase().contains("order");
        let tags = items(queue.resource.get("/Tags")).iter().map(|tag| plain(&tag["Key"]));
        let metadata = one_or_many(&queue.resource.metadata).into_iter().map(plain);
        if queue.is_dlq(&all) && !tags.chain(metadata).any(names_order) {
            report.at(
                queue.id,
                queue.resource,
                "/Tags",
                "nothing says that dead letters leave their message group's order",
            );
        }
    }
}
