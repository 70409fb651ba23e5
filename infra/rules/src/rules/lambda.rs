//! L01 to L15: functions behind event source mappings.

use serde_json::Value;

use crate::case::Case;
use crate::finding::Report;
use crate::model::Target;
use crate::rule::Rule;
use crate::value::{int, is_known, items, number, truth};
use crate::views::functions::{Function, consuming_functions, mappings};
use crate::views::metrics::{alarms, may_be_any};
use crate::views::queues::FIFO_SUFFIX;
use crate::views::tasks::queue_visibility;

/// The ratio of the queue's visibility timeout to the function's timeout that AWS recommends. See
/// [the page](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html).
const TIMEOUTS: f64 = 6.0;

/// The allowed values of `MaximumConcurrency`. See
/// [the page](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html).
const CONCURRENCY: std::ops::RangeInclusive<i64> = 2..=1000;

/// The minimum number of pollers in provisioned mode. AWS's pages differ about the maximum, so Lambda checks it. See
/// [the page](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html).
const MIN_POLLERS: i64 = 2;

/// The maximum number of messages in a batch without a window, and in any batch of a FIFO queue.
const MAX_BATCH: i64 = 10;

/// The default number of messages in a batch.
const DEFAULT_BATCH: i64 = 10;

const WINDOW: &str = "/MaximumBatchingWindowInSeconds";

pub(super) const RULES: [Rule; 15] = [
    Rule {
        id: "L01",
        title: "visibility is at least six times the function's timeout, plus the batch window",
        reason: "Lambda retries within that time when it is throttled. With less, messages are redelivered while they are still processed. Below the function's timeout Lambda refuses the mapping.",
        fix: "Raise the queue's VisibilityTimeout, or lower Timeout or MaximumBatchingWindowInSeconds.",
        at_bounds: true,
        check: visibility_covers_retries,
    },
    Rule {
        id: "L02",
        title: "`FunctionResponseTypes` is exactly `ReportBatchItemFailures`",
        reason: "Without it Lambda ignores the response: failed messages are deleted with the others.",
        fix: "Set FunctionResponseTypes: [ReportBatchItemFailures].",
        at_bounds: false,
        check: reports_failures,
    },
    Rule {
        id: "L03",
        title: "a mapping has exactly one of `ScalingConfig` and `ProvisionedPollerConfig`",
        reason: "Without either a backlog takes all of the account's concurrency; both at once are refused.",
        fix: "Set ScalingConfig.MaximumConcurrency, or for provisioned mode ProvisionedPollerConfig.",
        at_bounds: true,
        check: scales_one_way,
    },
    Rule {
        id: "L04",
        title: "`MaximumConcurrency` is in 2..1000, and provisioned pollers are 2 or more",
        reason: "Lambda refuses anything else.",
        fix: "Choose 2 to 1000, or 2 and more pollers; the parameter's bounds too.",
        at_bounds: true,
        check: concurrency_in_range,
    },
    Rule {
        id: "L05",
        title: "`ReservedConcurrentExecutions` is absent, or at least the sum of the mappings' maxima",
        reason: "A throttled invocation uses up a receive of every message in its batch: healthy messages become dead letters.",
        fix: "Leave it out, and limit by MaximumConcurrency.",
        at_bounds: true,
        check: reserve_suffices,
    },
    Rule {
        id: "L06",
        title: "`BatchSize` above 10 comes with a window of at least 1 s",
        reason: "Lambda refuses it otherwise.",
        fix: "Set MaximumBatchingWindowInSeconds to 1 or more, or BatchSize to 10 or less.",
        at_bounds: true,
        check: large_batches_wait,
    },
    Rule {
        id: "L07",
        title: "a FIFO queue's mapping has no window and batches of 10 at most",
        reason: "Lambda refuses anything else.",
        fix: "Leave MaximumBatchingWindowInSeconds out.",
        at_bounds: false,
        check: fifo_batches,
    },
    Rule {
        id: "L08",
        title: "a function behind a queue has no `DeadLetterConfig`",
        reason: "It applies to asynchronous invocations and is never used here, so it does not replace a DLQ.",
        fix: "Remove it; the queue's redrive policy names the DLQ.",
        at_bounds: false,
        check: no_function_dlq,
    },
    Rule {
        id: "L09",
        title: "a queue's mapping has no `StartingPosition`",
        reason: "It is for streams; Lambda refuses it for SQS.",
        fix: "Take it out.",
        at_bounds: false,
        check: no_starting_position,
    },
    Rule {
        id: "L10",
        title: "a function on a provided runtime is `provided.al2023`, names its architecture, and its handler is `bootstrap`",
        reason: "provided.al2 is no longer supported; without Architectures the function is x86_64, on which a zip file built for arm64 does not start; Lambda runs the file `bootstrap` for any handler name.",
        fix: "Set Runtime: provided.al2023, Architectures: [arm64] or [x86_64], Handler: bootstrap.",
        at_bounds: false,
        check: current_runtime,
    },
    Rule {
        id: "L11",
        title: "a function behind a queue names a log group of the stack in `LoggingConfig`",
        reason: "Otherwise Lambda creates one, which keeps logs for ever and outlives the stack.",
        fix: "Declare an AWS::Logs::LogGroup and refer to it in LoggingConfig.LogGroup.",
        at_bounds: false,
        check: own_log_group,
    },
    Rule {
        id: "L12",
        title: "`TracingConfig` is set from a parameter",
        reason: "Tracing costs money per trace and needs permissions, so each deployment has to choose.",
        fix: "Set TracingConfig.Mode to a parameter of Active and PassThrough.",
        at_bounds: false,
        check: tracing_is_a_choice,
    },
    Rule {
        id: "L13",
        title: "a function behind a queue has alarms on `Errors` and on `Throttles`",
        reason: "Both use up receives of whole batches, and the queue does not show them until messages are dead letters.",
        fix: "Add an alarm on AWS/Lambda Errors and one on Throttles, with the dimension FunctionName.",
        at_bounds: false,
        check: errors_ring,
    },
    Rule {
        id: "L14",
        title: "a mapping has no `FilterCriteria` and is not disabled",
        reason: "Lambda deletes SQS messages that a filter excludes. A mapping that is deployed disabled processes no messages.",
        fix: "Filter at the topic's subscription; leave Enabled out or true.",
        at_bounds: false,
        check: nothing_unseen,
    },
    Rule {
        id: "L15",
        title: "a mapping publishes `EventCount`",
        reason: "The function's own metrics count batches. Only the mapping counts the messages that it polled, deleted and failed to invoke with.",
        fix: "Set MetricsConfig.Metrics: [EventCount].",
        at_bounds: false,
        check: counts_events,
    },
];

fn visibility_covers_retries(case: &Case<'_>, report: &mut Report<'_>) {
    for mapping in mappings(case.stack) {
        let Some(timeout) = mapping.function.and_then(|function| function.timeout()) else { continue };
        let window = mapping.resource.get(WINDOW).map_or(Some(0.0), number);
        let visibility = queue_visibility(case.stack, mapping.queue.as_ref());
        let (Some(timeout), Some(window), Some(visibility)) = (number(&timeout.into()), window, visibility)
        else {
            continue;
        };
        let needed = TIMEOUTS * timeout + window;
        if visibility < needed {
            let found = format!(
                "visibility is {visibility} s; six times {timeout} s and a window of {window} s need {needed} s"
            );
            report.at(mapping.id, mapping.resource, "", found);
        }
    }
}

fn reports_failures(case: &Case<'_>, report: &mut Report<'_>) {
    let at = "/FunctionResponseTypes";
    for mapping in mappings(case.stack) {
        let types = mapping.resource.get(at);
        if types.is_none_or(|types| {
            is_known(types) && items(Some(types)) != [Value::from("ReportBatchItemFailures")]
        }) {
            let found = types.map_or_else(|| "it is missing".to_owned(), |types| format!("it is {types}"));
            report.at(mapping.id, mapping.resource, at, found);
        }
    }
}

fn scales_one_way(case: &Case<'_>, report: &mut Report<'_>) {
    for mapping in mappings(case.stack) {
        let ways = ["/ScalingConfig", "/ProvisionedPollerConfig"].map(|at| mapping.resource.get(at));
        // A value that could not be evaluated may or may not be there.
        if ways.into_iter().flatten().any(Value::is_string) {
            continue;
        }
        let set = ways.into_iter().flatten().count();
        if set != 1 {
            let found = if set == 0 { "nothing limits its concurrency" } else { "both are set" };
            report.at(mapping.id, mapping.resource, "", found);
        }
    }
}

const MAXIMUM: &str = "/ScalingConfig/MaximumConcurrency";

fn concurrency_in_range(case: &Case<'_>, report: &mut Report<'_>) {
    for mapping in mappings(case.stack) {
        let maximum = mapping.resource.get(MAXIMUM).and_then(int);
        if let Some(maximum) = maximum.filter(|maximum| !CONCURRENCY.contains(maximum)) {
            report.at(mapping.id, mapping.resource, MAXIMUM, format!("it is {maximum}"));
        }
        for at in ["/ProvisionedPollerConfig/MinimumPollers", "/ProvisionedPollerConfig/MaximumPollers"] {
            let pollers = mapping.resource.get(at).and_then(int);
            if let Some(pollers) = pollers.filter(|pollers| *pollers < MIN_POLLERS) {
                report.at(mapping.id, mapping.resource, at, format!("it is {pollers}"));
            }
        }
    }
}

fn reserve_suffices(case: &Case<'_>, report: &mut Report<'_>) {
    let at = "/ReservedConcurrentExecutions";
    for function in consuming_functions(case.stack) {
        let Some(reserved) = function.resource.get(at).and_then(int) else { continue };
        let of_function = mappings(case.stack);
        let of_function =
            of_function.iter().filter(|mapping| mapping.function.is_some_and(|own| own.id == function.id));
        let maxima: Option<Vec<i64>> =
            of_function.map(|mapping| mapping.resource.get(MAXIMUM).and_then(int)).collect();
        match maxima.map(|maxima| maxima.into_iter().fold(0, i64::saturating_add)) {
            Some(sum) if reserved >= sum => {}
            Some(sum) => {
                report.at(
                    function.id,
                    function.resource,
                    at,
                    format!("{reserved} are reserved, its mappings take {sum}"),
                );
            }
            None => report.at(
                function.id,
                function.resource,
                at,
                format!("{reserved} are reserved, a mapping has no maximum"),
            ),
        }
    }
}

fn large_batches_wait(case: &Case<'_>, report: &mut Report<'_>) {
    for mapping in mappings(case.stack) {
        let size = mapping.resource.get("/BatchSize").map_or(Some(DEFAULT_BATCH), int);
        let window = mapping.resource.get(WINDOW).map_or(Some(0), int);
        let is_fifo =
            mapping.queue.as_ref().and_then(super::super::views::queues::Queue::is_fifo) == Some(true);
        if let (Some(size), Some(window), false) = (size, window, is_fifo)
            && size > MAX_BATCH
            && window < 1
        {
            report.at(mapping.id, mapping.resource, "/BatchSize", format!("it is {size}, without a window"));
        }
    }
}

fn fifo_batches(case: &Case<'_>, report: &mut Report<'_>) {
    for mapping in mappings(case.stack) {
        let named = mapping.resource.text("/EventSourceArn").is_some_and(|arn| arn.ends_with(FIFO_SUFFIX));
        if !named
            && mapping.queue.as_ref().and_then(super::super::views::queues::Queue::is_fifo) != Some(true)
        {
            continue;
        }
        if let Some(window) = mapping.resource.get(WINDOW).filter(|window| int(window) != Some(0)) {
            report.at(mapping.id, mapping.resource, WINDOW, format!("it is {window}, on a FIFO queue"));
        }
        if let Some(size) = mapping.resource.get("/BatchSize").and_then(int).filter(|size| *size > MAX_BATCH)
        {
            report.at(mapping.id, mapping.resource, "/BatchSize", format!("it is {size}, on a FIFO queue"));
        }
    }
}

fn no_function_dlq(case: &Case<'_>, report: &mut Report<'_>) {
    for function in consuming_functions(case.stack) {
        if function.resource.get("/DeadLetterConfig").is_some() {
            report.at(function.id, function.resource, "/DeadLetterConfig", "it is set");
        }
    }
}

fn no_starting_position(case: &Case<'_>, report: &mut Report<'_>) {
    for mapping in mappings(case.stack) {
        if mapping.resource.get("/StartingPosition").is_some() {
            report.at(mapping.id, mapping.resource, "/StartingPosition", "it is set");
        }
    }
}

fn current_runtime(case: &Case<'_>, report: &mut Report<'_>) {
    for function in consuming_functions(case.stack) {
        let runtime = function.resource.text("/Runtime").unwrap_or_default();
        if !runtime.starts_with("provided") {
            continue;
        }
        if runtime != "provided.al2023" {
            report.at(function.id, function.resource, "/Runtime", format!("it is {runtime}"));
        }
        let architectures = function.resource.get("/Architectures");
        if architectures.is_none() {
            report.at(function.id, function.resource, "/Architectures", "it is missing");
        }
        let handler = function.resource.text("/Handler").unwrap_or("missing");
        if handler != "bootstrap" && is_known(&handler.into()) {
            report.at(function.id, function.resource, "/Handler", format!("it is {handler}"));
        }
    }
}

fn own_log_group(case: &Case<'_>, report: &mut Report<'_>) {
    let at = "/LoggingConfig/LogGroup";
    for function in consuming_functions(case.stack) {
        let is_here = case.stack.of_kind("AWS::Logs::LogGroup").any(|(id, group)| {
            let named =
                function.resource.text(at).is_some_and(|name| group.text("/LogGroupName") == Some(name));
            named || function.resource.refers_to(at, id)
        });
        if !is_here {
            let found =
                function.resource.text(at).map_or("it is missing", |_| "it is no log group of this stack");
            report.at(function.id, function.resource, at, found);
        }
    }
}

fn tracing_is_a_choice(case: &Case<'_>, report: &mut Report<'_>) {
    let at = "/TracingConfig/Mode";
    for function in consuming_functions(case.stack) {
        if !function.resource.references_at(at).any(|to| matches!(to, Target::Parameter(_))) {
            report.at(function.id, function.resource, at, "it is not set from a parameter");
        }
    }
}

/// Returns true if a metric's dimension is this function.
fn is_of(function: Function<'_>, name: &str) -> bool {
    name == format!("${{{}}}", function.id) || function.resource.text("/FunctionName") == Some(name)
}

fn errors_ring(case: &Case<'_>, report: &mut Report<'_>) {
    let alarms = alarms(case.stack);
    for function in consuming_functions(case.stack) {
        for name in ["Errors", "Throttles"] {
            let rings = alarms.iter().flat_map(|alarm| &alarm.metrics).any(|metric| {
                metric.is("AWS/Lambda", name)
                    && metric.dimension("FunctionName").is_some_and(|own| is_of(function, own))
            });
            if !rings && !may_be_any(&alarms) {
                report.at(function.id, function.resource, "", format!("no alarm watches its {name}"));
            }
        }
    }
}

fn nothing_unseen(case: &Case<'_>, report: &mut Report<'_>) {
    for mapping in mappings(case.stack) {
        if mapping.resource.get("/FilterCriteria").is_some() {
            report.at(mapping.id, mapping.resource, "/FilterCriteria", "messages are filtered");
        }
        if mapping.resource.get("/Enabled").and_then(truth) == Some(false) {
            report.at(mapping.id, mapping.resource, "/Enabled", "it ships disabled");
        }
    }
}

fn counts_events(case: &Case<'_>, report: &mut Report<'_>) {
    let at = "/MetricsConfig/Metrics";
    for mapping in mappings(case.stack) {
        let metrics = mapping.resource.get("/MetricsConfig");
        let counts = metrics.is_some_and(|metrics| {
            !is_known(metrics) || items(metrics.get("Metrics")).contains(&Value::from("EventCount"))
        });
        if !counts {
            report.at(mapping.id, mapping.resource, at, "EventCount is missing");
        }
    }
}
