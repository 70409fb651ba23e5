//! A01 to A09 and A12: alarms on queues.

use crate::case::Case;
use crate::finding::Report;
use crate::model::{Resource, Target};
use crate::rule::Rule;
use crate::value::{has_token, is_token, items, number, token_name};
use crate::views::functions::mappings;
use crate::views::known_metrics::exists;
use crate::views::metrics::{Alarm, Metric, alarms, composite_alarms, may_be_any};
use crate::views::queues::{Queue, queues};
use crate::views::scaling::targets;
use crate::views::tasks::tasks;

/// The longest period of an alarm on dead letters, in seconds.
const DLQ_PERIOD_SECS: i64 = 60;

pub(super) const RULES: [Rule; 10] = [
    Rule {
        id: "A01",
        title: "each DLQ has an alarm on its own `ApproximateNumberOfMessagesVisible` > 0, Maximum, of 60 s at most",
        reason: "A dead letter is work that was not done. Without an alarm it stays unnoticed.",
        fix: "Add the alarm: Statistic Maximum, Period 60, Threshold 0, GreaterThanThreshold.",
        at_bounds: false,
        check: dead_letters_ring,
    },
    Rule {
        id: "A02",
        title: "no alarm watches `NumberOfMessagesSent` of a DLQ",
        reason: "Messages that a redrive policy moves do not count as sent, so the alarm never fires.",
        fix: "Watch ApproximateNumberOfMessagesVisible.",
        at_bounds: false,
        check: not_by_sent,
    },
    Rule {
        id: "A03",
        title: "a DLQ with a consumer has an alarm on `NumberOfMessagesReceived`",
        reason: "Its consumer empties it before the metric of a minute shows the depth.",
        fix: "Add an alarm on NumberOfMessagesReceived > 0, Sum.",
        at_bounds: false,
        check: consumed_dlq_rings,
    },
    Rule {
        id: "A04",
        title: "each source has an alarm on `ApproximateAgeOfOldestMessage` below half of its retention",
        reason: "SQS deletes messages that are older than the retention. An alarm at half of it leaves time to fix the cause.",
        fix: "Add the alarm, GreaterThanThreshold, below half of MessageRetentionPeriod.",
        at_bounds: true,
        check: old_messages_ring,
    },
    Rule {
        id: "A05",
        title: "each DLQ has an alarm on its age before its retention ends",
        reason: "Dead letters that stay in the DLQ are deleted when its retention ends.",
        fix: "Add an alarm on ApproximateAgeOfOldestMessage of the DLQ, below its retention.",
        at_bounds: false,
        check: old_dead_letters_ring,
    },
    Rule {
        id: "A06",
        title: "`TreatMissingData` is `notBreaching`, or `ignore` in an alarm on the tasks' counts alone",
        reason: "A queue that was idle for six hours sends no metrics. With another value the alarm loses its state, or fires without a cause. Dead tasks send no metrics either, and an alarm on them must not report a recovery then.",
        fix: "Set TreatMissingData: notBreaching.",
        at_bounds: false,
        check: silence_is_no_breach,
    },
    Rule {
        id: "A07",
        title: "`AlarmActions` and `OKActions` go to a topic, of an alarm or of the composite alarm that it is a part of",
        reason: "An alarm without an action is visible only in a console. Without OKActions there is no notification of its end.",
        fix: "Set both to the topic's ARN.",
        at_bounds: false,
        check: somebody_is_told,
    },
    Rule {
        id: "A08",
        title: "a metric's name is one of its namespace",
        reason: "An alarm on a metric that does not exist never fires, and looks healthy.",
        fix: "Correct the name.",
        at_bounds: false,
        check: metrics_exist,
    },
    Rule {
        id: "A09",
        title: "metrics of SQS have the dimension `QueueName` with the name of the queue, not its URL or ARN",
        reason: "With another dimension CloudWatch finds no data, and the alarm never fires. The Ref of a queue is its URL.",
        fix: "Use GetAtt Queue.QueueName.",
        at_bounds: false,
        check: queues_by_name,
    },
    Rule {
        id: "A12",
        title: "the description of each alarm on dead letters names their owner, a parameter",
        reason: "Dead letters wait until a person decides. Without a named owner, each reader leaves the alarm to the others.",
        fix: "Add a parameter DeadLetterOwner without a default, and write it into AlarmDescription.",
        at_bounds: false,
        check: owner_is_named,
    },
];

/// Returns the alarms on a metric of a queue.
fn on<'q>(
    alarms: &'q [Alarm<'q>],
    queue: &'q Queue<'q>,
    name: &'static str,
) -> impl Iterator<Item = &'q Alarm<'q>> {
    let is_on = move |metric: &Metric| metric.is("AWS/SQS", name) && metric.is_of(queue);
    alarms.iter().filter(move |alarm| alarm.metrics.iter().any(is_on))
}

/// Reports that a queue lacks an alarm, unless there is an alarm that could be any.
fn missing(alarms: &[Alarm<'_>], queue: &Queue<'_>, found: &str, report: &mut Report<'_>) {
    if !may_be_any(alarms) {
        report.at(queue.id, queue.resource, "", found);
    }
}

fn dead_letters_ring(case: &Case<'_>, report: &mut Report<'_>) {
    let (all, alarms) = (queues(case.stack), alarms(case.stack));
    let is_right = |alarm: &Alarm<'_>| {
        alarm.statistic().is_some_and(|statistic| statistic == "Maximum" || has_token(statistic))
            && alarm.period().is_none_or(|secs| secs <= DLQ_PERIOD_SECS)
            && alarm.rings_at_one() != Some(false)
    };
    for dlq in all.iter().filter(|queue| queue.is_dlq(&all)) {
        let mut on_depth = on(&alarms, dlq, "ApproximateNumberOfMessagesVisible").peekable();
        let Some(first) = on_depth.peek().copied() else {
            missing(&alarms, dlq, "no alarm watches how many dead letters there are", report);
            continue;
        };
        if !on_depth.any(is_right) {
            report.at(first.id, first.resource, "", "it is not the maximum above 0 within 60 s");
        }
    }
}

fn not_by_sent(case: &Case<'_>, report: &mut Report<'_>) {
    let (all, alarms) = (queues(case.stack), alarms(case.stack));
    for dlq in all.iter().filter(|queue| queue.is_dlq(&all)) {
        for alarm in on(&alarms, dlq, "NumberOfMessagesSent") {
            report.at(alarm.id, alarm.resource, "/MetricName", format!("it never rings for {}", dlq.id));
        }
    }
}

fn consumed_dlq_rings(case: &Case<'_>, report: &mut Report<'_>) {
    let (all, alarms) = (queues(case.stack), alarms(case.stack));
    let tasks = tasks(case.stack);
    let by_tasks = tasks.iter().filter_map(|task| task.queue.as_ref());
    let mappings = mappings(case.stack);
    let consumed: Vec<&Queue<'_>> =
        mappings.iter().filter_map(|mapping| mapping.queue.as_ref()).chain(by_tasks).collect();
    for dlq in all.iter().filter(|queue| queue.is_dlq(&all)) {
        let is_consumed = consumed.iter().any(|queue| queue.id == dlq.id);
        if is_consumed && on(&alarms, dlq, "NumberOfMessagesReceived").next().is_none() {
            missing(&alarms, dlq, "it is consumed, and no alarm watches what is received", report);
        }
    }
}

const AGE: &str = "ApproximateAgeOfOldestMessage";

fn old_messages_ring(case: &Case<'_>, report: &mut Report<'_>) {
    let (all, alarms) = (queues(case.stack), alarms(case.stack));
    let is_source = |queue: &&Queue<'_>| !queue.is_dlq(&all) && !queue.is_dlq_elsewhere(case.stack);
    for source in all.iter().filter(is_source) {
        ages_ring(source, &alarms, 0.5, report);
    }
}

fn old_dead_letters_ring(case: &Case<'_>, report: &mut Report<'_>) {
    let (all, alarms) = (queues(case.stack), alarms(case.stack));
    for dlq in all.iter().filter(|queue| queue.is_dlq(&all)) {
        ages_ring(dlq, &alarms, 1.0, report);
    }
}

/// Checks that an alarm fires before a part of the retention is over.
fn ages_ring(queue: &Queue<'_>, alarms: &[Alarm<'_>], part: f64, report: &mut Report<'_>) {
    let retention = queue.retention().and_then(|secs| number(&secs.into()));
    let is_right = |alarm: &Alarm<'_>| match (alarm.threshold(), retention) {
        (Some(threshold), Some(retention)) => alarm.rings_above() && threshold < retention * part,
        _ => true,
    };
    let mut on_age = on(alarms, queue, AGE).peekable();
    let Some(first) = on_age.peek().copied() else {
        missing(alarms, queue, "no alarm watches the age of its oldest message", report);
        return;
    };
    if !on_age.any(is_right) {
        let threshold = first.threshold().unwrap_or_default();
        let found = format!(
            "it rings at {threshold} s, and messages are deleted at {} s",
            retention.unwrap_or_default()
        );
        report.at(first.id, first.resource, "/Threshold", found);
    }
}

/// Returns the alarms about queues and workers.
fn ours<'a>(case: &Case<'a>) -> Vec<Alarm<'a>> {
    let is_ours = |alarm: &Alarm<'_>| {
        alarm.metrics.iter().any(|metric| exists(&metric.namespace, &metric.name).is_some())
    };
    alarms(case.stack).into_iter().filter(is_ours).collect()
}

fn silence_is_no_breach(case: &Case<'_>, report: &mut Report<'_>) {
    for alarm in ours(case) {
        let at = "/TreatMissingData";
        let treated = alarm.resource.text(at).unwrap_or("missing");
        let is_of_tasks =
            |metric: &Metric| metric.namespace == "ECS/ContainerInsights" || has_token(&metric.namespace);
        let keeps_state = treated == "ignore" && alarm.metrics.iter().all(is_of_tasks);
        if treated != "notBreaching" && !keeps_state && !has_token(treated) {
            report.at(alarm.id, alarm.resource, at, format!("it is {treated}"));
        }
    }
}

/// Returns true if all actions are topics and there is at least one.
fn tells_a_topic(case: &Case<'_>, alarm: &Resource, at: &str) -> bool {
    let actions = items(alarm.get(at));
    let is_topic = |to: &Target| match to {
        Target::Resource { id, .. } => {
            case.stack.resources.get(id).is_some_and(|resource| resource.kind == "AWS::SNS::Topic")
        }
        Target::Parameter(_) | Target::Import | Target::Pseudo(_) => true,
        Target::Missing(_) => false,
    };
    let refers_well = alarm.references_at(at).all(is_topic);
    let reads_well = |action: &serde_json::Value| {
        action.as_str().is_some_and(|arn| has_token(arn) || arn.contains(":sns:"))
    };
    !actions.is_empty() && refers_well && actions.iter().all(reads_well)
}

fn somebody_is_told(case: &Case<'_>, report: &mut Report<'_>) {
    let ours = ours(case);
    let alone = ours
        .iter()
        .filter(|alarm| !alarm.is_unclear() && !alarm.scales(case.stack) && !alarm.is_part(case.stack))
        .map(|alarm| (alarm.id, alarm.resource));
    let is_ours = |composite: &Resource| ours.iter().any(|part| composite.refers_to("/AlarmRule", part.id));
    let composite = composite_alarms(case.stack).filter(|(_, composite)| is_ours(composite));
    for (id, resource) in alone.chain(composite) {
        for at in ["/AlarmActions", "/OKActions"] {
            let is_whole_token = resource.text(at).is_some_and(is_token);
            if !is_whole_token && !tells_a_topic(case, resource, at) {
                report.at(id, resource, at, "it goes to no topic");
            }
        }
    }
}

/// Returns the metrics in alarms and in scaling policies, with their resources.
fn watched<'a>(case: &Case<'a>) -> Vec<(&'a str, &'a Resource, Metric)> {
    let alarms = alarms(case.stack).into_iter();
    let in_alarms = alarms
        .flat_map(|alarm| alarm.metrics.into_iter().map(move |metric| (alarm.id, alarm.resource, metric)));
    let policies = targets(case.stack).into_iter().flat_map(|target| target.policies);
    let in_policies = policies.flat_map(|policy| {
        policy.metrics().into_iter().map(move |metric| (policy.id, policy.resource, metric))
    });
    in_alarms.chain(in_policies).collect()
}

fn metrics_exist(case: &Case<'_>, report: &mut Report<'_>) {
    for (id, resource, metric) in watched(case) {
        if exists(&metric.namespace, &metric.name) == Some(false) && !has_token(&metric.name) {
            let found = format!("{} has no metric {}", metric.namespace, metric.name);
            report.at(id, resource, &format!("{}/MetricName", metric.pointer), found);
        }
    }
}

/// Returns the problem of a dimension that should be a queue's name.
fn not_a_name(value: &str, all: &[Queue<'_>]) -> Option<&'static str> {
    let named = |ends: &str| token_name(value).is_some_and(|name| name.to_ascii_lowercase().ends_with(ends));
    if value.starts_with("arn:") || all.iter().any(|queue| queue.arn == value) || named("arn") {
        return Some("it is an ARN");
    }
    if value.contains("://") || all.iter().any(|queue| queue.url() == value) || named("url") {
        return Some("it is a URL");
    }
    let is_here = all.iter().any(|queue| queue.name == value);
    (!all.is_empty() && !is_here && !is_token(value)).then_some("no queue of the stack has this name")
}

fn queues_by_name(case: &Case<'_>, report: &mut Report<'_>) {
    let all = queues(case.stack);
    for (id, resource, metric) in watched(case).iter().filter(|(_, _, metric)| metric.namespace == "AWS/SQS")
    {
        let at = format!("{}/Dimensions", metric.pointer);
        match metric.dimension("QueueName") {
            None => report.at(id, resource, &at, "there is no QueueName"),
            Some(value) => {
                if let Some(problem) = not_a_name(value, &all) {
                    report.at(id, resource, &at, format!("{value}: {problem}"));
                }
            }
        }
    }
}

/// The parameter with the person or team that decides about dead letters.
const OWNER: &str = "DeadLetterOwner";

fn owner_is_named(case: &Case<'_>, report: &mut Report<'_>) {
    let (all, alarms) = (queues(case.stack), alarms(case.stack));
    for dlq in all.iter().filter(|queue| queue.is_dlq(&all)) {
        let depth = on(&alarms, dlq, "ApproximateNumberOfMessagesVisible");
        for alarm in depth.chain(on(&alarms, dlq, AGE)) {
            let at = "/AlarmDescription";
            let mut named = alarm.resource.references_at(at);
            if !named.any(|to| matches!(to, Target::Parameter(name) if name == OWNER)) {
                report.at(alarm.id, alarm.resource, at, format!("it does not name the {OWNER}"));
            }
        }
    }
}
