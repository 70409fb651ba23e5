//! The model must tell good alarms and policies from bad ones: each change breaks the scenario that it names.

use drumline_infra_rules::model::Stack;
use serde_json::{Value, json};

use crate::scenarios::SCENARIOS;
use crate::service::Service;
use crate::{WORKERS, stack};

/// A change of `worker-fargate.yaml`.
struct Mutant {
    mistake: &'static str,
    breaks: &'static str,
    removes: &'static [&'static str],
    /// Resource, JSON pointer of a property, and its value.
    sets: fn() -> Vec<(&'static str, &'static str, Value)>,
}

const TRACKED: &str = "/TargetTrackingScalingPolicyConfiguration/CustomizedMetricSpecification/Metrics";

const MUTANTS: [Mutant; 14] = [
    Mutant {
        mistake: "the tracked expression of the template before, alone",
        breaks: "a burst on an active queue",
        removes: &["FastScaling", "WaitAlarm"],
        sets: || vec![("BacklogScaling", TRACKED, filled_with_zero())],
    },
    Mutant {
        mistake: "the tracked expression of the template before, with the fast policy",
        breaks: "a load that stays after it has grown",
        removes: &[],
        sets: || vec![("BacklogScaling", TRACKED, filled_with_zero())],
    },
    Mutant {
        mistake: "target tracking alone",
        breaks: "a burst on an active queue",
        removes: &["FastScaling", "WaitAlarm"],
        sets: Vec::new,
    },
    Mutant {
        mistake: "a fast policy that waits for three points",
        breaks: "a burst on an active queue",
        removes: &[],
        sets: || vec![("WaitAlarm", "/DatapointsToAlarm", json!(3))],
    },
    Mutant {
        mistake: "a wait of 0 in the newest minute",
        breaks: "a burst on an active queue",
        removes: &[],
        sets: || vec![math("WaitAlarm", 4, "(FILL(visible, 0) + FILL(inflight, 0)) / (32 * tasks)")],
    },
    Mutant {
        mistake: "points in minutes of which the waiting messages are not known",
        breaks: "a burst on an active queue",
        removes: &[],
        sets: || {
            vec![math("WaitAlarm", 4, "32 * tasks"), math("WaitAlarm", 5, "SUM([visible, inflight]) / slots")]
        },
    },
    Mutant {
        mistake: "a late count taken for 0",
        breaks: "a steady load near the target",
        removes: &[],
        sets: || vec![math("WaitAlarm", 3, "IF(FILL(running, 0) > 0, FILL(running, 0), 1)")],
    },
    Mutant {
        mistake: "tasks taken away because they keep up",
        breaks: "a load that stays after it has grown",
        removes: &[],
        sets: || {
            vec![(
                "BacklogScaling",
                "/TargetTrackingScalingPolicyConfiguration/CustomizedMetricSpecification/Metrics/8/Expression",
                json!("wait * 1"),
            )]
        },
    },
    Mutant {
        mistake: "the first task's alarm of the template before",
        breaks: "a message for a service at zero",
        removes: &[],
        sets: || {
            vec![
                ("NobodyReceivesAlarm", "/Metrics", unattended_before()),
                ("NobodyReceivesAlarm", "/EvaluationPeriods", json!(2)),
                ("NobodyReceivesAlarm", "/DatapointsToAlarm", json!(2)),
            ]
        },
    },
    Mutant {
        mistake: "late polls taken for none",
        breaks: "a steady load near the target",
        removes: &[],
        sets: || vec![math("NobodyReceivesAlarm", 5, "SUM([visible * 0, inflight, received, empty])")],
    },
    Mutant {
        mistake: "the alarms of the template before: of tasks only",
        breaks: "all tasks dead with MinTasks 0",
        removes: &["UnattendedAlarm"],
        sets: || vec![math("TasksMissingAlarm", 2, "FILL(desired, 0) - FILL(running, 0)")],
    },
    Mutant {
        mistake: "an alarm of death that reads the worker's metrics",
        breaks: "all tasks dead under load",
        removes: &["TasksMissingAlarm"],
        sets: || {
            vec![
                math("UnattendedAlarm", 7, "IF(running > 0, 0, 1)"),
                ("UnattendedAlarm", "/Metrics/1/Id", json!("running")),
                ("UnattendedAlarm", "/Metrics/1/MetricStat/Metric/MetricName", json!("RunningTaskCount")),
                math("UnattendedAlarm", 5, "SUM([visible * 0, running])"),
                math("UnattendedAlarm", 6, "activity * 1"),
            ]
        },
    },
    Mutant {
        mistake: "an alarm of death at the newest minute",
        breaks: "handlers that run for hours in every slot",
        removes: &[],
        sets: || vec![("UnattendedAlarm", "/DatapointsToAlarm", json!(1))],
    },
    Mutant {
        mistake: "full slots taken for death",
        breaks: "handlers that run for hours in every slot",
        removes: &[],
        sets: || vec![math("UnattendedAlarm", 5, "SUM([visible * 0, received, deleted, empty])")],
    },
];

/// An expression of an alarm, by its position in the list of queries.
fn math(alarm: &'static str, position: usize, expression: &str) -> (&'static str, &'static str, Value) {
    let at = [
        "/Metrics/0/Expression",
        "/Metrics/1/Expression",
        "/Metrics/2/Expression",
        "/Metrics/3/Expression",
        "/Metrics/4/Expression",
        "/Metrics/5/Expression",
        "/Metrics/6/Expression",
        "/Metrics/7/Expression",
    ];
    (alarm, at[position], json!(expression))
}

fn metric(id: &str, name: &str) -> Value {
    json!({ "Id": id, "MetricStat": { "Metric": { "MetricName": name } }, "ReturnData": false })
}

fn filled_with_zero() -> Value {
    json!([
        metric("visible", "ApproximateNumberOfMessagesVisible"),
        metric("inflight", "ApproximateNumberOfMessagesNotVisible"),
        metric("running", "RunningTaskCount"),
        { "Id": "backlog", "Expression": "(FILL(visible, 0) + FILL(inflight, 0)) / 32 / IF(FILL(running, REPEAT) > 0, FILL(running, REPEAT), 1)" },
    ])
}

fn unattended_before() -> Value {
    json!([
        metric("visible", "ApproximateNumberOfMessagesVisible"),
        metric("inflight", "ApproximateNumberOfMessagesNotVisible"),
        metric("received", "NumberOfMessagesReceived"),
        metric("empty", "NumberOfEmptyReceives"),
        { "Id": "unattended", "Expression": "IF(FILL(inflight, 0) + FILL(received, 0) + FILL(empty, 0) < 1, FILL(visible, 0), 0)" },
    ])
}

impl Mutant {
    fn apply(&self, stack: &mut Stack) {
        for id in self.removes {
            stack.resources.remove(*id).unwrap_or_else(|| panic!("no {id}"));
        }
        for (id, at, value) in (self.sets)() {
            let (parent, key) = at.rsplit_once('/').unwrap();
            let properties = &mut stack.resources.get_mut(id).unwrap_or_else(|| panic!("no {id}")).properties;
            match properties.pointer_mut(parent).unwrap_or_else(|| panic!("{id}: no {at}")) {
                Value::Object(map) => map.insert(key.to_owned(), value),
                other => panic!("{id}: {other} has no {key}"),
            };
        }
    }
}

#[test]
fn each_mutant_fails_its_scenario() {
    let mut survivors = Vec::new();
    for mutant in MUTANTS {
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == mutant.breaks).unwrap();
        let mut stack = stack(WORKERS[0], scenario.min_tasks);
        mutant.apply(&mut stack);
        if scenario.failure(&Service::new(&stack)).is_none() {
            survivors.push(mutant.mistake);
        }
    }
    assert!(survivors.is_empty(), "{survivors:#?}");
}
