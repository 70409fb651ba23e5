//! A model of how CloudWatch and Application Auto Scaling evaluate the worker templates' alarms and policies, by the minute.
//! It reads expressions, periods and thresholds from the templates, so a change there is judged here. Nothing of it ran on
//! AWS. Where AWS's behaviour is open, every scenario runs with each of the values:
//!
//! | assumption | values | source |
//! |---|---|---|
//! | a minute's point can be read after its end and | 0, 1, 2 minutes, per kind of metric | open: observed for SQS |
//! | points that never arrive | none; every 5th of each metric | open |
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
//! | Container Insights reports a service without running tasks | as 0; not at all | open |
//! | target tracking's alarms | 3 of 3 above the target, 15 of 15 below 90 % of it, missing data is missing | Application Auto Scaling's alarms as created |
//! | an alarm repeats a scaling action | every minute | guide, "alarm actions" |
//! | target tracking's new capacity | desired × metric / target, rounded up; in by one task at a time | open |
//! | a step policy goes by | the newest point | open |
//! | a task runs after its start and | 1, 4 minutes | open: depends on image and host |

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod alarm;
mod expression;
mod mutants;
mod scenarios;
mod service;
mod world;

use std::collections::BTreeMap;
use std::path::Path;

use drumline_infra_rules::model::Stack;
use drumline_infra_rules::{Template, terraform};
use serde_json::{Value, json};

use scenarios::SCENARIOS;

/// The templates and modules of workers as services.
const WORKERS: [&str; 3] = [
    "cloudformation/worker-fargate.yaml",
    "cloudformation/worker-ec2.yaml",
    "terraform/modules/worker-fargate",
];

fn stack(path: &str, min_tasks: u32) -> Stack {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path);
    let is_module = path.is_dir();
    let template = if is_module { terraform::load(&path) } else { Template::load(&path) }.unwrap();
    let values: [(&str, Value); 2] = [("MinTasks", json!(min_tasks)), ("MaxTasks", json!(20))];
    template.stack(&BTreeMap::from(values.map(|(name, value)| (name.to_owned(), value))))
}

/// Panics with the first scenario that a worker fails, and the assumptions under which it does.
fn passes_every_scenario(path: &str) {
    for scenario in SCENARIOS {
        let service = service::Service::new(&stack(path, scenario.min_tasks));
        if let Some(failure) = scenario.failure(&service) {
            panic!("{path}: {failure}");
        }
    }
}

#[test]
fn worker_fargate_passes_every_scenario() {
    passes_every_scenario(WORKERS[0]);
}

#[test]
fn worker_ec2_passes_every_scenario() {
    passes_every_scenario(WORKERS[1]);
}

#[test]
fn the_terraform_module_passes_every_scenario() {
    passes_every_scenario(WORKERS[2]);
}
