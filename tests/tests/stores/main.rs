//! Workers that share a store: effects that happen once, attempts that are counted, jobs that take turns, outages that lose
//! nothing. Everything is real: the binaries, the queues on `LocalStack`, the stores, the kills.
//!
//! `cargo xtask test` starts the servers and passes their addresses. A test whose store is missing prints that it is skipped.
#![allow(clippy::unwrap_used)]

mod attempts;
mod batch_insert;
mod control;
mod dead_job_example;
mod dead_letters;
mod documented_sql;
mod effects_once;
mod outage;
mod outbox;
mod rates;
mod replayed;
mod report;
mod schedule;
mod stalled;
mod steps;
mod transaction_example;
mod turns;

use drumline_tests::{Launch, TestQueue};

const REDIS: &str = "DRUMLINE_TEST_REDIS";
const POSTGRES: &str = "DRUMLINE_TEST_POSTGRES";
const DYNAMODB: &str = "DRUMLINE_TEST_DYNAMODB";

/// A worker on `queue` that shares the store at `url`.
fn sharing(queue: &TestQueue, url: &str) -> Launch {
    Launch::run(queue).env("DRUMLINE_STORE_URL", url)
}

/// Returns a job of any type with its own key.
fn job(job_type: &str, key: &str, payload: &serde_json::Value) -> String {
    serde_json::json!({ "type": job_type, "idempotencyKey": key, "payload": payload }).to_string()
}

/// Returns a name that no other test uses.
fn unique(name: &str) -> String {
    format!("{name}-{:016x}", fastrand::u64(..))
}
