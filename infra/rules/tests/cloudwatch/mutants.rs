//! The model must distinguish good alarms and policies from bad ones: each change breaks the scenario that it names.

use serde_json::{Value, json};

use crate::scenarios::SCENARIOS;
use crate::service::Service;
use crate::{FARGATE, stack};

use Base::{Before, Now};

/// The template that a mutant changes.
enum Base {
    /// `worker-fargate.yaml`.
    Now,
    /// Its scaling and alarms before ADR 0026.
    Before,
}

struct Mutant {
    mistake: &'static str,
    base: Base,
    breaks: &'static str,
    /// A part of the expected failure, so that no mutant passes because of another mistake.
    fails: &'static str,
    removes: &'static [&'static str],
    sets: fn() -> Vec<Change>,
}

/// Resource, JSON pointer of a property with the IDs of queries as indexes, and its value.
type Change = (&'static str, String, Value);

const TRACKING: &str = "/TargetTrackingScalingPolicyConfiguration";

const MUTANTS: [Mutant; 26] = [
    Mutant {
        mistake: "the template before",
        base: Before,
        breaks: "a burst on an active queue",
        fails: "scaled out after",
        removes: &[],
        sets: Vec::new,
    },
    Mutant {
        mistake: "the template before",
        base: Before,
        breaks: "a load that stays after it has grown",
        fails: "messages waited",
        removes: &[],
        sets: Vec::new,
    },
    Mutant {
        mistake: "the template before",
        base: Before,
        breaks: "a message for a service at zero",
        fails: "woken after",
        removes: &[],
        sets: Vec::new,
    },
    Mutant {
        mistake: "the template before",
        base: Before,
        breaks: "all tasks dead with MinTasks 0",
        fails: "no alarm of the queue rang",
        removes: &[],
        sets: Vec::new,
    },
    Mutant {
        mistake: "target tracking alone",
        base: Now,
        breaks: "a burst on an active queue",
        fails: "scaled out after",
        removes: &["FastScaling", "WaitAlarm"],
        sets: Vec::new,
    },
    Mutant {
        mistake: "a fast policy that waits for three points",
        base: Now,
        breaks: "a burst on an active queue",
        fails: "scaled out after",
        removes: &[],
        sets: || vec![("WaitAlarm", "/DatapointsToAlarm".to_owned(), json!(3))],
    },
    Mutant {
        mistake: "a wait of 0 in the newest minute",
        base: Now,
        breaks: "a burst on an active queue",
        fails: "scaled out after",
        removes: &[],
        sets: || vec![math("WaitAlarm", "wait", "(FILL(visible, 0) + FILL(inflight, 0)) / (32 * tasks)")],
    },
    Mutant {
        mistake: "points in minutes of which the waiting messages are not known",
        base: Now,
        breaks: "a burst on an active queue",
        fails: "scaled out after",
        removes: &[],
        sets: || vec![math("WaitAlarm", "slots", "32 * tasks")],
    },
    Mutant {
        mistake: "a late count taken for 0",
        base: Now,
        breaks: "a steady load near the target",
        fails: "scaled from 6",
        removes: &[],
        sets: || vec![math("WaitAlarm", "tasks", "IF(FILL(running, 0) > 0, FILL(running, 0), 1)")],
    },
    Mutant {
        mistake: "tasks taken away because they keep up",
        base: Now,
        breaks: "a load that stays after it has grown",
        fails: "messages waited",
        removes: &[],
        sets: || vec![tracked("load", "wait * 1")],
    },
    Mutant {
        mistake: "tasks that are never taken away",
        base: Now,
        breaks: "a burst on an active queue",
        fails: "tasks were back at 2 after None",
        removes: &[],
        sets: || vec![("BacklogScaling", format!("{TRACKING}/DisableScaleIn"), json!(true))],
    },
    Mutant {
        mistake: "tasks held without regard to the slots in use",
        base: Now,
        breaks: "a burst on an active queue",
        fails: "tasks were back at 2 after None",
        removes: &[],
        sets: || vec![tracked("held", "IF(busy >= 0, 60)")],
    },
    Mutant {
        mistake: "a last task that is never taken away",
        base: Now,
        breaks: "a service at zero that has finished its messages",
        fails: "tasks were back at 0 after None",
        removes: &[],
        sets: || vec![tracked("held", "IF(busy >= 0, 60)")],
    },
    Mutant {
        mistake: "the first task's alarm of the template before",
        base: Now,
        breaks: "a message for a service at zero",
        fails: "woken after",
        removes: &[],
        sets: || {
            vec![
                ("NobodyReceivesAlarm", "/Metrics".to_owned(), unattended_before()),
                ("NobodyReceivesAlarm", "/EvaluationPeriods".to_owned(), json!(2)),
                ("NobodyReceivesAlarm", "/DatapointsToAlarm".to_owned(), json!(2)),
            ]
        },
    },
    Mutant {
        mistake: "late polls taken for none",
        base: Now,
        breaks: "a steady load near the target",
        fails: "scaled from 6",
        removes: &[],
        sets: || {
            vec![math("NobodyReceivesAlarm", "activity", "SUM([visible * 0, inflight, received, empty])")]
        },
    },
    Mutant {
        mistake: "an alarm of missing tasks that needs a running task",
        base: Now,
        breaks: "all tasks dead with an empty queue",
        fails: "rang: [], and",
        removes: &[],
        sets: || vec![math("TasksMissingAlarm", "missing", "FILL(FILL(desired, REPEAT), 1) - running")],
    },
    Mutant {
        mistake: "a recovery when the last count of dead tasks is out of sight",
        base: Now,
        breaks: "all tasks dead with an empty queue",
        fails: "at the end: []",
        removes: &[],
        sets: || vec![("TasksMissingAlarm", "/TreatMissingData".to_owned(), json!("notBreaching"))],
    },
    Mutant {
        mistake: "tasks missing before the service existed",
        base: Now,
        breaks: "a service that was just created",
        fails: "rang at",
        removes: &[],
        sets: || vec![math("TasksMissingAlarm", "missing", "FILL(desired - running, 1)")],
    },
    Mutant {
        mistake: "a task that was taken away taken for dead",
        base: Now,
        breaks: "a service that goes to zero",
        fails: "rang at",
        removes: &[],
        sets: || vec![math("TasksMissingAlarm", "missing", "FILL(desired, REPEAT) - FILL(running, 0)")],
    },
    Mutant {
        mistake: "alarms of tasks only",
        base: Now,
        breaks: "all tasks dead under load",
        fails: "no alarm of the queue rang",
        removes: &["UnattendedAlarm"],
        sets: Vec::new,
    },
    Mutant {
        mistake: "an alarm of death that waits for too long",
        base: Now,
        breaks: "all tasks dead under load",
        fails: "no alarm of the queue rang",
        removes: &[],
        sets: || {
            vec![
                ("UnattendedAlarm", "/EvaluationPeriods".to_owned(), json!(20)),
                ("UnattendedAlarm", "/DatapointsToAlarm".to_owned(), json!(15)),
            ]
        },
    },
    Mutant {
        mistake: "an alarm of death that waits for too long after the lease",
        base: Now,
        breaks: "all tasks dead with full slots",
        fails: "no alarm of the queue rang",
        removes: &[],
        sets: || {
            vec![
                ("UnattendedAlarm", "/EvaluationPeriods".to_owned(), json!(20)),
                ("UnattendedAlarm", "/DatapointsToAlarm".to_owned(), json!(15)),
            ]
        },
    },
    Mutant {
        mistake: "an alarm of death that repeats the last messages in flight",
        base: Now,
        breaks: "all tasks dead with full slots",
        fails: "no alarm of the queue rang",
        removes: &[],
        sets: || {
            vec![math(
                "UnattendedAlarm",
                "activity",
                "SUM([visible * 0, FILL(inflight, REPEAT), received, deleted, empty])",
            )]
        },
    },
    Mutant {
        mistake: "an alarm of death that reads the service's metrics",
        base: Now,
        breaks: "all tasks dead under load",
        fails: "no alarm of the queue rang",
        removes: &[],
        sets: || {
            vec![
                ("UnattendedAlarm", "/Metrics/inflight".to_owned(), running()),
                math("UnattendedAlarm", "activity", "SUM([visible * 0, running])"),
            ]
        },
    },
    Mutant {
        mistake: "an alarm of death at the newest minute",
        base: Now,
        breaks: "handlers that run for hours in every slot",
        fails: "rang at",
        removes: &[],
        sets: || vec![("UnattendedAlarm", "/DatapointsToAlarm".to_owned(), json!(1))],
    },
    Mutant {
        mistake: "full slots taken for death",
        base: Now,
        breaks: "handlers that run for hours in every slot",
        fails: "rang at",
        removes: &[],
        sets: || vec![math("UnattendedAlarm", "activity", "SUM([visible * 0, received, deleted, empty])")],
    },
];

/// Returns a change of an alarm's expression with an ID.
fn math(alarm: &'static str, id: &str, expression: &str) -> Change {
    (alarm, format!("/Metrics/{id}/Expression"), json!(expression))
}

fn of_queue(id: &str, name: &str, stat: &str) -> Value {
    let metric =
        json!({ "Namespace": "AWS/SQS", "MetricName": name, "Dimensions": [{ "Name": "QueueName" }] });
    json!({ "Id": id, "MetricStat": { "Metric": metric, "Stat": stat, "Period": 60 }, "ReturnData": false })
}

fn running() -> Value {
    let dimensions = json!([{ "Name": "ClusterName" }, { "Name": "ServiceName" }]);
    let metric = json!({ "Namespace": "ECS/ContainerInsights", "MetricName": "RunningTaskCount", "Dimensions": dimensions });
    json!({ "Id": "running", "MetricStat": { "Metric": metric, "Stat": "Average", "Period": 60 }, "ReturnData": false })
}

/// Returns a change of the tracked expression with an ID.
fn tracked(id: &str, expression: &str) -> Change {
    let at = format!("{TRACKING}/CustomizedMetricSpecification/Metrics/{id}/Expression");
    ("BacklogScaling", at, json!(expression))
}

fn unattended_before() -> Value {
    json!([
        of_queue("visible", "ApproximateNumberOfMessagesVisible", "Maximum"),
        of_queue("inflight", "ApproximateNumberOfMessagesNotVisible", "Maximum"),
        of_queue("received", "NumberOfMessagesReceived", "Sum"),
        of_queue("empty", "NumberOfEmptyReceives", "Sum"),
        { "Id": "unattended", "Expression": "IF(FILL(inflight, 0) + FILL(received, 0) + FILL(empty, 0) < 1, FILL(visible, 0), 0)" },
    ])
}

/// Sets a value at a pointer whose steps into lists are the ids of queries.
fn set(value: &mut Value, at: &str, new: Value) {
    let (first, rest) = at.split_once('/').map_or((at, None), |(first, rest)| (first, Some(rest)));
    let inner = match value {
        Value::Array(items) => items.iter_mut().find(|item| item["Id"] == first),
        Value::Object(map) if rest.is_none() => Some(map.entry(first).or_insert(Value::Null)),
        Value::Object(map) => map.get_mut(first),
        _ => None,
    };
    let inner = inner.unwrap_or_else(|| panic!("no {first}"));
    match rest {
        Some(rest) => set(inner, rest, new),
        None => *inner = new,
    }
}

impl Mutant {
    fn service(&self, min_tasks: u32) -> Service {
        let mut stack = match self.base {
            Now => stack(FARGATE.template, min_tasks),
            Before => stack("rules/tests/cloudwatch/before.yaml", min_tasks),
        };
        for id in self.removes {
            stack.resources.remove(*id).unwrap_or_else(|| panic!("no {id}"));
        }
        for (id, at, value) in (self.sets)() {
            let resource = stack.resources.get_mut(id).unwrap_or_else(|| panic!("no {id}"));
            set(&mut resource.properties, &at[1..], value);
        }
        Service::new(&stack)
    }
}

#[test]
fn each_mutant_fails_its_scenario() {
    let mut wrong = Vec::new();
    for mutant in MUTANTS {
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == mutant.breaks).unwrap();
        match scenario.failure(&mutant.service(scenario.min_tasks), FARGATE.death_minutes) {
            Some(failure) if failure.contains(mutant.fails) => {}
            other => wrong.push(format!("{}: expected {:?}, got {other:?}", mutant.mistake, mutant.fails)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Changes the expected wait's alarm so that the model would evaluate something else.
fn read_with(at: &str, value: Value) {
    let mut stack = stack(FARGATE.template, 1);
    set(&mut stack.resources.get_mut("WaitAlarm").unwrap().properties, at, value);
    Service::new(&stack);
}

#[test]
#[should_panic(expected = "Visible with Period Some(Number(300))")]
fn another_period_is_refused() {
    read_with("Metrics/visible/MetricStat/Period", json!(300));
}

#[test]
#[should_panic(expected = "Visible with Stat Average")]
fn another_statistic_is_refused() {
    read_with("Metrics/visible/MetricStat/Stat", json!("Average"));
}

#[test]
#[should_panic(expected = "NumberOfMessagesSeen is not in the model")]
fn an_unknown_metric_is_refused() {
    read_with("Metrics/visible/MetricStat/Metric/MetricName", json!("NumberOfMessagesSeen"));
}

#[test]
#[should_panic(expected = "InFlight with other dimensions")]
fn other_dimensions_are_refused() {
    read_with("Metrics/inflight/MetricStat/Metric/Dimensions", json!([]));
}
