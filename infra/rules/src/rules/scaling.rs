//! S01 and S06 to S11: the number of tasks.

use crate::case::Case;
use crate::finding::Report;
use crate::rule::Rule;
use crate::value::{int, is_unclear, items, number};
use crate::views::metrics::{Alarm, alarms, may_be_any};
use crate::views::scaling::{Policy, Query, Target, queries, targets};

/// The minimum ratio of the acceptable wait to the mean handling time. Target tracking removes tasks only if the metric is
/// below about nine tenths of the target.
const HEADROOM: f64 = 1.25;

/// The parameter with the mean time of a handler.
const HANDLER_SECONDS: &str = "MeanHandlerSeconds";

/// The maximum number of a queue's messages in flight. See
/// [the quotas](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html).
const MAX_IN_FLIGHT: i64 = 120_000;

pub(super) const RULES: [Rule; 7] = [
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
        title: "the acceptable wait that is aimed at is above `MeanHandlerSeconds`, with headroom (× 1.25)",
        reason: "Messages in flight count too. With less, busy tasks hold the expected wait above the target by themselves, and tasks are never removed.",
        fix: "Raise AcceptableWaitSeconds to more than 1.25 times MeanHandlerSeconds.",
        at_bounds: false,
        check: wait_above_handling,
    },
    Rule {
        id: "S08",
        title: "if tasks can scale to zero, a second step policy starts one at the first visible message",
        reason: "The backlog per task is undefined without a task: the service stays at zero while the queue grows.",
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
        reason: "SQS delivers at most that many messages of a queue at once; further tasks stay idle.",
        fix: "Lower MaxTasks or Concurrency.",
        at_bounds: true,
        check: below_in_flight,
    },
    Rule {
        id: "S11",
        title: "beside target tracking a step policy scales out on the first minute of the same expected wait",
        reason: "Target tracking waits for three minutes in a row, on top of the lag of SQS's metrics: a burst waits for five minutes before any task starts.",
        fix: "Add a StepScaling policy, and an alarm on the same expressions with DatapointsToAlarm 1 that triggers it.",
        at_bounds: false,
        check: scales_out_fast,
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

fn wait_above_handling(case: &Case<'_>, report: &mut Report<'_>) {
    let parameter = case.stack.parameters.get(HANDLER_SECONDS);
    let Some(handling) = parameter.and_then(|parameter| number(parameter.value.as_ref()?)) else { return };
    for target in targets(case.stack) {
        for policy in target.tracking() {
            let Some(aimed) = policy.tracking("/TargetValue").and_then(number) else { continue };
            if aimed <= handling * HEADROOM {
                let found = format!("a wait of {aimed} s, of which {handling} s are the handler's");
                report.at(policy.id, policy.resource, &Policy::pointer("/TargetValue"), found);
            }
        }
    }
}

/// Returns true if such an alarm triggers a step policy of the target, or if an alarm or a policy could be any.
fn steps_by(case: &Case<'_>, target: &Target<'_>, is_right: impl Fn(&Alarm<'_>) -> bool) -> bool {
    let alarms = alarms(case.stack);
    let kind = "AWS::ApplicationAutoScaling::ScalingPolicy";
    let triggers = |policy: &Policy<'_>| {
        alarms.iter().any(|alarm| alarm.resource.refers_to("/AlarmActions", policy.id) && is_right(alarm))
    };
    let is_step = |policy: &&Policy<'_>| policy.resource.get("/StepScalingPolicyConfiguration").is_some();
    may_be_any(&alarms)
        || case.stack.of_kind(kind).any(|(_, policy)| is_unclear(&policy.properties))
        || target.policies.iter().filter(is_step).any(triggers)
}

fn wakes_up(case: &Case<'_>, report: &mut Report<'_>) {
    let is_on_first = |alarm: &Alarm<'_>| {
        alarm.has("AWS/SQS", "ApproximateNumberOfMessagesVisible")
            && alarm.rings_at_one() != Some(false)
            && alarm.has("AWS/SQS", "NumberOfEmptyReceives")
    };
    for target in targets(case.stack).iter().filter(|target| target.least() == Some(0)) {
        if !steps_by(case, target, is_on_first) {
            report.at(
                target.id,
                target.resource,
                "/MinCapacity",
                "nothing starts a task where there is none",
            );
        }
    }
}

fn scales_out_fast(case: &Case<'_>, report: &mut Report<'_>) {
    for target in targets(case.stack) {
        for policy in target.tracking() {
            let tracked: Vec<&str> = policy.queries().iter().filter_map(|query| query.expression).collect();
            let is_same_wait = |alarm: &Alarm<'_>| {
                let queries = queries(items(alarm.resource.get("/Metrics")));
                let is_tracked =
                    |query: &&Query<'_>| query.expression.is_some_and(|it| tracked.contains(&it));
                let mut inputs = queries.iter().filter(|query| !query.returns && query.expression.is_some());
                let is_first_minute = alarm.needed_points().is_none_or(|points| points == 1);
                is_first_minute
                    && queries.iter().any(|query| is_tracked(&query))
                    && inputs.all(|query| is_tracked(&query))
            };
            if !steps_by(case, &target, is_same_wait) {
                let found = "no alarm on one minute of its expressions triggers a step policy";
                report.at(policy.id, policy.resource, "", found);
            }
        }
    }
}

/// Returns true if a policy scales by CPU or memory.
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
