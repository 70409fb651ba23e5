//! A10 and A11: alarms on workers that do not run.

use crate::case::Case;
use crate::finding::Report;
use crate::rule::Rule;
use crate::views::metrics::{Alarm, alarms, may_be_any};
use crate::views::tasks::tasks;

/// The time for which fewer tasks than wanted may run before an alarm fires, in seconds: ten minutes is a slow deployment.
const MISSING_TASKS_SECS: std::ops::RangeInclusive<i64> = 600..=900;

/// The metrics of SQS that show waiting messages or a working consumer.
const SIGNS: [&str; 5] = [
    "ApproximateNumberOfMessagesVisible",
    "ApproximateNumberOfMessagesNotVisible",
    "NumberOfMessagesReceived",
    "NumberOfMessagesDeleted",
    "NumberOfEmptyReceives",
];

pub(super) const RULES: [Rule; 2] = [
    Rule {
        id: "A10",
        title: "an alarm fires if fewer tasks than wanted run for ten minutes",
        reason: "A version that does not start, or unavailable capacity, is not visible elsewhere until the backlog is old.",
        fix: "Add an alarm on the expression desired - running > 0 of ECS/ContainerInsights, for ten periods of 60 s.",
        at_bounds: false,
        check: missing_tasks_ring,
    },
    Rule {
        id: "A11",
        title: "an alarm that uses only SQS's metrics fires when messages wait and no worker receives, for three or more of the minutes that it evaluates",
        reason: "Dead tasks report nothing, and Container Insights reports nothing of a service without tasks: an alarm on their metrics is silent when it matters most. SQS's own metrics may be two minutes late, so two points are not enough.",
        fix: "Add an alarm to the topic on the waiting messages while none are in flight, received or deleted and no receive is empty, such as 5 of 8 minutes.",
        at_bounds: false,
        check: silence_rings,
    },
];

fn missing_tasks_ring(case: &Case<'_>, report: &mut Report<'_>) {
    let alarms = alarms(case.stack);
    let counts = |alarm: &&Alarm<'_>| {
        let has = |name: &str| alarm.has("ECS/ContainerInsights", name);
        has("RunningTaskCount") && has("DesiredTaskCount")
    };
    for task in tasks(case.stack) {
        for (id, service) in task.services(case.stack) {
            match alarms.iter().find(counts) {
                None if may_be_any(&alarms) => {}
                None => report.at(id, service, "", "no alarm compares the running tasks with the wanted"),
                Some(alarm) => {
                    if let Some(secs) = alarm.holds_for().filter(|secs| !MISSING_TASKS_SECS.contains(secs)) {
                        report.at(
                            alarm.id,
                            alarm.resource,
                            "/EvaluationPeriods",
                            format!("it rings after {secs} s"),
                        );
                    }
                }
            }
        }
    }
}

/// Returns true if an alarm detects, only from SQS's metrics, that no consumer works on a queue.
fn sees_silence(alarm: &Alarm<'_>) -> bool {
    alarm.allows_late_points()
        && SIGNS.iter().all(|name| alarm.has("AWS/SQS", name))
        && alarm.metrics.iter().all(|metric| metric.namespace == "AWS/SQS")
}

fn silence_rings(case: &Case<'_>, report: &mut Report<'_>) {
    let alarms = alarms(case.stack);
    if may_be_any(&alarms) || alarms.iter().any(|alarm| sees_silence(alarm) && !alarm.scales(case.stack)) {
        return;
    }
    for task in tasks(case.stack) {
        for (id, service) in task.services(case.stack) {
            report.at(id, service, "", "no alarm rings when all of its tasks are dead");
        }
    }
}
