#![allow(clippy::unwrap_used)]

mod decisions;
mod properties;
mod refusals;
mod rules;

use std::time::Duration;

use drumline_store::outbox::OutboxJob;
use jiff::Timestamp;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn texts(instants: impl IntoIterator<Item = Timestamp>) -> Vec<String> {
    instants.into_iter().map(|instant| instant.to_string()).collect()
}

fn every(seconds: u64) -> Rule {
    Rule::every("s", Duration::from_secs(seconds)).unwrap()
}

fn cron(expression: &str, zone: &str) -> Rule {
    Rule::cron("s", expression, zone).unwrap()
}

fn schedule(rule: Rule, catch_up: CatchUp) -> Schedule {
    Schedule::of("s", rule, OutboxJob::new("", "t", "{}")).unwrap().catch_up_by(catch_up)
}
