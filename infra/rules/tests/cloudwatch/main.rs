//! A model of how CloudWatch and Application Auto Scaling evaluate the worker templates' alarms and policies, by the minute. It
//! reads expressions, periods and thresholds from the templates, so it also checks changes there. None of it ran on AWS. Where
//! AWS's behaviour is open, every scenario runs with each of the values. It does not run all combinations, but all those of any
//! three assumptions (`assumptions.rs`):
//!
//! | assumption | values | source |
//! |---|---|---|
//! | a minute's point can be read after its end and | 0, 1, 2 minutes, per kind of metric | open: observed for SQS |
//! | points that never arrive | none; every 5th of each metric, from each minute; of all metrics at once, or one after the other | open |
//! | evaluation range beyond the evaluation periods | 0, 2, 7 periods | the guide's example has 2; the rule is not published |
//! | real points fill the evaluation periods first, then `TreatMissingData` | | guide, "alarms and missing data" |
//! | `FILL(m, REPEAT)` before the first point of the range | stays empty | guide, "Metric math": it repeats the preceding value |
//! | `FILL(m, number)` of a series without any point | filled; empty | open |
//! | arithmetic and `IF` where one series lacks a point | it is 0; the result lacks it | guide: 0; other reports contradict |
//! | division by zero | drops the point | guide, "Metric math" |
//! | array functions skip series that lack a point | | guide, for `AVG` and `SUM`; common practice |
//! | `IF` without its condition's point | drops the point | guide, tables of `IF` |
//! | SQS reports in flight, received, deleted, empty receives | always; only if not 0 | open: two editions of the guide differ |
//! | SQS stops reporting an idle queue after | 6 hours | SQS guide |
//! | SQS reports a queue again within | 0, 15 minutes of its next use | SQS guide: up to 15 |
//! | Container Insights reports a service without running tasks | not at all; as 0 | ECS guide: not at all |
//! | an alarm that ignores missing data keeps its state | without points in the range | guide, "alarms and missing data" |
//! | target tracking's alarms | 3 of 3 above the target, 15 of 15 below 90 % of it, missing data is missing | Application Auto Scaling's alarms as created |
//! | an alarm repeats a scaling action | every minute | guide, "alarm actions" |
//! | target tracking's new capacity | desired × metric / target, rounded up; in at once, or by one task at a time | open |
//! | a step policy goes by | the newest point; the greatest of the evaluation periods | open: the policies say `Maximum` |
//! | an alarm is evaluated after the arrival of a point by | 0, 1 minutes | open: once a minute, at an unknown second |
//! | a task runs after its start and | 1, 4 minutes | open: depends on image and host |
//! | a trimmed count (`TC`) of which no value is within the bounds | is 0; lacks the point | open |
//! | an alarm's window | ends at the last full minute, for every period | guide, "alarm evaluation window": it slides |

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod alarm;
mod assumptions;
mod expression;
mod metric;
mod mutants;
mod scenarios;
mod service;
mod slo;
mod world;

use std::collections::BTreeMap;
use std::path::Path;

use drumline_infra_rules::model::Stack;
use drumline_infra_rules::{Template, terraform};
use serde_json::{Value, json};

use scenarios::SCENARIOS;
use service::Service;

/// A template of workers as a service and the Terraform module that must have the same alarms.
struct Worker {
    template: &'static str,
    module: &'static str,
    /// The minutes from the death of all tasks, or the end of their lease, to an alarm. An instance takes longer to start than
    /// a task on Fargate, so its alarm waits longer.
    death_minutes: u32,
}

const FARGATE: Worker = Worker {
    template: "cloudformation/worker-fargate.yaml",
    module: "terraform/modules/worker-fargate",
    death_minutes: 12,
};

const EC2: Worker = Worker {
    template: "cloudformation/worker-ec2.yaml",
    module: "terraform/modules/worker-ec2",
    death_minutes: 16,
};

fn stack(path: &str, min_tasks: u32) -> Stack {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path);
    let is_module = path.is_dir();
    let template = if is_module { terraform::load(&path) } else { Template::load(&path) }.unwrap();
    let values: [(&str, Value); 2] = [("MinTasks", json!(min_tasks)), ("MaxTasks", json!(20))];
    template.stack(&BTreeMap::from(values.map(|(name, value)| (name.to_owned(), value))))
}

fn passes_every_scenario(worker: &Worker) {
    let mut failures = Vec::new();
    for scenario in &SCENARIOS {
        let service = Service::new(&stack(worker.template, scenario.min_tasks));
        failures.extend(scenario.failure(&service, worker.death_minutes));
    }
    assert!(failures.is_empty(), "{}: {}", worker.template, failures.join("\n\n"));
}

#[test]
fn worker_fargate_passes_every_scenario() {
    passes_every_scenario(&FARGATE);
}

#[test]
fn worker_ec2_passes_every_scenario() {
    passes_every_scenario(&EC2);
}

/// Because of this the scenarios run once for both.
#[test]
fn the_terraform_modules_are_the_same_services() {
    for worker in [FARGATE, EC2] {
        for min_tasks in [0, 1] {
            let [template, module] =
                [worker.template, worker.module].map(|path| Service::new(&stack(path, min_tasks)));
            assert_eq!(template, module, "{}", worker.module);
        }
    }
}
