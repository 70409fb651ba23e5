//! Q01 to Q05, Q07 and Q08: queues and their DLQs.

use std::collections::BTreeSet;

use crate::case::Case;
use crate::finding::Report;
use crate::model::{Dialect, Target};
use crate::rule::Rule;
use crate::value::{has_token, int, is_known, is_token};
use crate::views::queues::queues;

/// The longest retention, in seconds: 14 days.
const MAX_RETENTION_SECS: i64 = 1_209_600;

/// The allowed values of `maxReceiveCount`. With fewer than five, a deploy and one or two throttled invocations send healthy
/// messages to the DLQ. SQS accepts at most a thousand.
const RECEIVES: std::ops::RangeInclusive<i64> = 5..=1000;

pub(super) const RULES: [Rule; 7] = [
    Rule {
        id: "Q01",
        title: "every queue has a redrive policy or is the target of one",
        reason: "Without a DLQ a message that always fails is redelivered until its retention ends, and is then lost without a trace.",
        fix: "Give the queue a RedrivePolicy, with a DLQ of its own kind.",
        at_bounds: false,
        check: has_dlq,
    },
    Rule {
        id: "Q02",
        title: "`deadLetterTargetArn` is the ARN attribute of a queue in the same stack",
        reason: "A DLQ that is only named may be missing, of the wrong kind, or kept for too short a time, and no alarm here watches it.",
        fix: "Declare the DLQ in the stack and refer to it by GetAtt.",
        at_bounds: false,
        check: dlq_is_here,
    },
    Rule {
        id: "Q03",
        title: "`maxReceiveCount` is an integer in 5..1000",
        reason: "Every receive counts, including those of deploys, throttled invocations and the console. With fewer than five, healthy messages become dead letters.",
        fix: "Set maxReceiveCount to 5 or more; the parameter's MinValue too.",
        at_bounds: true,
        check: enough_receives,
    },
    Rule {
        id: "Q04",
        title: "a DLQ's retention is 1,209,600 s and longer than its source's",
        reason: "On a standard queue a dead letter keeps the time of its first sending: with a retention no longer than the source's it may be deleted on arrival.",
        fix: "Set the DLQ's MessageRetentionPeriod to 1209600, and the source's at least a day below.",
        at_bounds: true,
        check: dlq_keeps_longer,
    },
    Rule {
        id: "Q05",
        title: "source and DLQ agree on `FifoQueue`",
        reason: "SQS refuses a DLQ of the other kind.",
        fix: "Make both FIFO or neither.",
        at_bounds: false,
        check: same_kind,
    },
    Rule {
        id: "Q07",
        title: "a DLQ has a redrive-allow policy `byQueue` that lists exactly its sources",
        reason: "Otherwise any queue of the account can move its dead letters here unexpectedly, or the right one cannot.",
        fix: "Set RedriveAllowPolicy to byQueue with the sources' ARNs.",
        at_bounds: false,
        check: allows_its_sources,
    },
    Rule {
        id: "Q08",
        title: "the ARNs in a redrive-allow policy are built from the sources' names, not by `GetAtt`",
        reason: "The source refers to the DLQ already: with GetAtt each waits for the other, and CloudFormation refuses the cycle.",
        fix: "Name the source, and build its ARN with Sub from that name.",
        at_bounds: false,
        check: no_circle,
    },
];

fn has_dlq(case: &Case<'_>, report: &mut Report<'_>) {
    let all = queues(case.stack);
    // A target that is known only after the deployment can be any queue.
    if all
        .iter()
        .any(|queue| queue.redrives() && queue.target().is_none_or(|target| target.starts_with("${Fn::")))
    {
        return;
    }
    let without = all.iter().filter(|queue| !queue.redrives() && !queue.is_dlq(&all));
    for queue in without.filter(|queue| !queue.is_dlq_elsewhere(case.stack)) {
        report.at(queue.id, queue.resource, "", "it has no redrive policy and is no DLQ");
    }
}

fn dlq_is_here(case: &Case<'_>, report: &mut Report<'_>) {
    let at = "/RedrivePolicy/deadLetterTargetArn";
    for queue in queues(case.stack).iter().filter(|queue| queue.redrives()) {
        let is_here = queue.resource.references_at(at).any(|to| match to {
            Target::Resource { id, attribute } => {
                let is_queue =
                    case.stack.resources.get(id).is_some_and(|resource| resource.kind == "AWS::SQS::Queue");
                is_queue && attribute.as_deref() == Some("Arn")
            }
            _ => false,
        });
        // A whole policy from another place cannot be checked.
        let unknown = queue
            .resource
            .get("/RedrivePolicy")
            .is_some_and(|policy| !policy.is_object() && !is_known(policy));
        if !is_here && !unknown {
            let target = queue.target().unwrap_or("missing");
            report.certainly_at(
                queue.id,
                queue.resource,
                at,
                format!("it is {target}, and no attribute of a queue in this stack"),
            );
        }
    }
}

fn enough_receives(case: &Case<'_>, report: &mut Report<'_>) {
    let at = "/RedrivePolicy/maxReceiveCount";
    for queue in queues(case.stack)
        .iter()
        .filter(|queue| queue.resource.get("/RedrivePolicy").is_some_and(serde_json::Value::is_object))
    {
        match queue.resource.get(at) {
            None => report.at(queue.id, queue.resource, at, "it is missing"),
            Some(count) if !is_known(count) => {}
            Some(count) if int(count).is_some_and(|count| RECEIVES.contains(&count)) => {}
            Some(count) => report.at(queue.id, queue.resource, at, format!("it is {count}")),
        }
    }
}

fn dlq_keeps_longer(case: &Case<'_>, report: &mut Report<'_>) {
    let all = queues(case.stack);
    for queue in all.iter().filter(|queue| queue.is_dlq(&all)) {
        let Some(kept) = queue.retention() else { continue };
        let at = "/MessageRetentionPeriod";
        if kept != MAX_RETENTION_SECS {
            report.at(queue.id, queue.resource, at, format!("dead letters are kept for {kept} s"));
        }
        for source in queue.sources(&all) {
            if let Some(own) = source.retention().filter(|own| *own >= kept) {
                report.at(
                    source.id,
                    source.resource,
                    at,
                    format!("it keeps messages for {own} s, its DLQ for {kept} s"),
                );
            }
        }
    }
}

fn same_kind(case: &Case<'_>, report: &mut Report<'_>) {
    let all = queues(case.stack);
    for queue in &all {
        let Some(dlq) = queue.dlq(&all) else { continue };
        if let (Some(own), Some(other)) = (queue.is_fifo(), dlq.is_fifo())
            && own != other
        {
            let kind = |fifo| if fifo { "FIFO" } else { "standard" };
            let found = format!("it is {}, its DLQ {} is {}", kind(own), dlq.id, kind(other));
            report.at(queue.id, queue.resource, "/FifoQueue", found);
        }
    }
}

fn allows_its_sources(case: &Case<'_>, report: &mut Report<'_>) {
    let all = queues(case.stack);
    for queue in &all {
        let sources: BTreeSet<&str> =
            queue.sources(&all).into_iter().map(|source| source.arn.as_str()).collect();
        if sources.is_empty() {
            continue;
        }
        let at = "/RedriveAllowPolicy";
        if queue.resource.text(at).is_some_and(has_token) {
            continue;
        }
        let Some(allowed) = queue.allowed_sources() else {
            report.at(queue.id, queue.resource, at, "it is not byQueue, so any queue may use this DLQ");
            continue;
        };
        let allowed: BTreeSet<&str> = allowed.iter().filter_map(|arn| arn.as_str()).collect();
        // An ARN that is known only after the deployment may be the right one.
        let is_open = |arn: &&str| is_token(arn) || arn.contains("${Fn::");
        if allowed != sources && !allowed.iter().chain(&sources).any(is_open) {
            let found = format!("it allows {}, its sources are {}", list(&allowed), list(&sources));
            report.at(queue.id, queue.resource, &format!("{at}/sourceQueueArns"), found);
        }
    }
}

fn list(arns: &BTreeSet<&str>) -> String {
    if arns.is_empty() { "none".to_owned() } else { arns.iter().copied().collect::<Vec<_>>().join(", ") }
}

fn no_circle(case: &Case<'_>, report: &mut Report<'_>) {
    // In Terraform the policy is a separate resource, so there is no cycle.
    if case.stack.dialect == Dialect::Terraform {
        return;
    }
    let at = "/RedriveAllowPolicy";
    for queue in queues(case.stack) {
        let circle = queue.resource.references_at(at).find_map(|to| match to {
            Target::Resource { id, .. } => Some(id),
            _ => None,
        });
        if let Some(source) = circle {
            report.at(queue.id, queue.resource, at, format!("it refers to the resource {source}"));
        }
    }
}
