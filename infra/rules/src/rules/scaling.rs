//! S01 and S06 to S10: how many tasks there are.

use crate::case::Case;
use crate::finding::Report;
use crate::rule::Rule;
use crate::value::{int, is_unclear, number};
use crate::views::metrics::{alarms, may_be_any};
use crate::views::scaling::{Policy, Target, targets};

/// How far the target value has to be above what one task has in flight. Target tracking takes tasks away only where the
/// metric is below about nine tenths of the target.
const HEADROOM: f64 = 1.25;

/// How many messages of a queue may be in flight. See
/// [the quotas](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html).
const MAX_IN_FLIGHT: i64 = 120_000;

pub(super) const RULES: [Rule; 6] = [
    Rule {
        id: "S01",
        title: "the least number of tasks is not above the greatest",
        reason: "AWS refuses it.",
        fix: "Bound the two parameters so that the least's maximum is not above the default of the greatest, and so on.",
        at_bounds: true,
        check: least_below_greatest,
    },
    Rule {
        id: "S06",
        title: "`ScaleInCooldown` is more than 0 and at least `ScaleOutCooldown`",
        reason: "Tasks that go as fast as they come make the service swing: each start and stop costs minutes of work.",
        fix: "Set ScaleOutCooldown to a minute and ScaleInCooldown to five.",
        at_bounds: false,
        check: cools_down,
    },
    Rule {
        id: "S07",
        title: "the backlog per task that is aimed at is above the worker's concurrency, with headroom (× 1.25)",
        reason: "Messages in flight count too. With less, busy tasks hold the metric above the target by themselves, and tasks are never taken away.",
        fix: "Raise BacklogPerTask: acceptable latency divided by mean handling time, and more than Concurrency × 1.25.",
        at_bounds: true,
        check: backlog_above_concurrency,
    },
    Rule {
        id: "S08",
        title: "where no task may be left, a second step policy starts one at the first visible message",
        reason: "Backlog per task says nothing where there is no task: the service stays at none while the queue grows.",
        fix: "Add a StepScaling policy and an alarm on ApproximateNumberOfMessagesVisible > 0 with it as AlarmActions.",
        at_bounds: true,
        check: wakes_up,
    },
    Rule {
        id: "S09",
        title: "no policy by processor or memory on the same target",
        reason: "The policy that wants more tasks wins, so an idle queue keeps them as long as the processor is busy, and waiting handlers need none.",
        fix: "Keep the policy by backlog only.",
        at_bounds: false,
        check: by_backlog_only,
    },
    Rule {
        id: "S10",
        title: "the greatest number of tasks times concurrency is below 120,000",
        reason: "SQS gives out no more than that many messages of a queue at once; tasks above it wait for nothing.",
        fix: "Lower MaxTasks or Concurrency.",
        at_bounds: true,
        check: below_in_flight,
    },
];

fn least_below_greatest(case: &Case<'_>, report: &mut Report<'_>) {
    for target in targets(case.stack) {
        if let (Some(least), Some(greatest)) = (target.least(), target.greatest())
            && least > greatest
        {
            report.at(
                target.id,
                target.resource,
                "/MinCapacity",
                format!("{least} at least, {greatest} at most"),
            );
        }
    }
}

fn cools_down(case: &Case<'_>, report: &mut Report<'_>) {
    for target in targets(case.stack) {
        for policy in target.tracking() {
            let cooldown = |key: &str| policy.tracking(key).map_or(Some(0), int);
            let (Some(scale_in), Some(scale_out)) =
                (cooldown("/ScaleInCooldown"), cooldown("/ScaleOutCooldown"))
            else {
                continue;
            };
            if scale_in <= 0 || scale_in < scale_out {
                let found = format!("{scale_in} s in, {scale_out} s out");
                report.at(policy.id, policy.resource, &Policy::pointer("/ScaleInCooldown"), found);
            }
        }
    }
}

fn backlog_above_concurrency(case: &Case<'_>, report: &mut Report<'_>) {
    for target in targets(case.stack) {
        let Some(concurrency) = target.task.concurrency().and_then(|count| number(&count.into())) else {
            continue;
        };
        for policy in target.tracking() {
            let Some(aimed) = policy.tracking("/TargetValue").and_then(number) else { continue };
            if aimed <= concurrency * HEADROOM {
                let found = format!("{aimed} per task, of which {concurrency} may be in flight");
                report.at(policy.id, policy.resource, &Policy::pointer("/TargetValue"), found);
            }
        }
    }
}

fn wakes_up(case: &Case<'_>, report: &mut Report<'_>) {
    let alarms = alarms(case.stack);
    // An alarm or a policy that may be any may be the one that is looked for.
    let kind = "AWS::ApplicationAutoScaling::ScalingPolicy";
    if may_be_any(&alarms) || case.stack.of_kind(kind).any(|(_, policy)| is_unclear(&policy.properties)) {
        return;
    }
    for target in targets(case.stack).iter().filter(|target| target.least() == Some(0)) {
        let wakes = |policy: &Policy<'_>| {
            alarms.iter().any(|alarm| {
                alarm.resource.refers_to("/AlarmActions", policy.id)
                    && alarm.has("AWS/SQS", "ApproximateNumberOfMessagesVisible")
                    && alarm.rings_at_one() != Some(false)
            })
        };
        let mut steps = target
            .policies
            .iter()
            .filter(|policy| policy.resource.get("/StepScalingPolicyConfiguration").is_some());
        if !steps.any(wakes) {
            report.at(
                target.id,
                target.resource,
                "/MinCapacity",
                "nothing starts a task where there is none",
            );
        }
    }
}

/// Whether a policy goes by processor or memory.
fn by_load(policy: &Policy<'_>) -> bool {
    let predefined =
        policy.tracking("/PredefinedMetricSpecification/PredefinedMetricType").and_then(|kind| kind.as_str());
    let named = policy.tracking("/CustomizedMetricSpecification/MetricName").and_then(|name| name.as_str());
    let is_load = |name: &str| name.contains("CPU") || name.contains("Cpu") || name.contains("Memory");
    predefined.is_some_and(is_load)
        || named.is_some_and(is_load)
        || policy.metrics().iter().any(|metric| is_load(&metric.name))
}

fn by_backlog_only(case: &Case<'_>, report: &mut Report<'_>) {
    for target in targets(case.stack) {
        for policy in target.policies.iter().filter(|policy| by_load(policy)) {
            report.at(policy.id, policy.resource, "", "it scales the worker by its load");
        }
    }
}

fn below_in_flight(case: &Case<'_>, report: &mut Report<'_>) {
    let in_flight = |target: &Target<'_>| target.greatest()?.checked_mul(target.task.concurrency()?);
    for target in targets(case.stack) {
        if let Some(most) = in_flight(&target).filter(|most| *most >= MAX_IN_FLIGHT) {
            report.at(
                target.id,
                target.resource,
                "/MaxCapacity",
                format!("up to {most} messages would be in flight"),
            );
        }
    }
}
