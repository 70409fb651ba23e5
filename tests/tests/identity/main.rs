//! Tests of the identity of jobs with the binaries: no two jobs are confused, each job runs once, and a message that is deleted
//! without a run has a reason in the log.
//!
//! `cargo xtask test` starts the servers. A test runs with the store in memory and with each available shared store.
#![allow(clippy::unwrap_used)]

mod absent_ids;
mod arrays;
mod attributes;
mod cases;
mod envelopes;
mod event_types;
mod fan_out;
mod function;
mod old_records;
mod redriven;
mod required;
mod scopes;
mod unrun;

use drumline_jobs::samples;
use drumline_tests::{App, Call, Launch, MailServer, TestQueue, Worker, eventually, shared_store};

const REDIS: &str = "DRUMLINE_TEST_REDIS";
const POSTGRES: &str = "DRUMLINE_TEST_POSTGRES";

/// The log message of a message that is deleted without a run.
const UNRUN: &str = "already done: deleted without a run";

/// The stores that workers can share.
fn shared_stores() -> Vec<String> {
    [REDIS, POSTGRES].into_iter().filter_map(shared_store).collect()
}

/// Returns the shared stores, and the memory of a process.
fn stores() -> Vec<String> {
    ["memory:".to_owned()].into_iter().chain(shared_stores()).collect()
}

/// A worker on `queue` that forwards to `app`.
fn forwarding(queue: &TestQueue, app: &App, store: &str) -> Launch {
    Launch::run(queue).env("DRUMLINE_FORWARD_TO", &app.url()).env("DRUMLINE_STORE_URL", store)
}

/// A worker with the sample jobs, whose mails go to `server`.
fn mailing(queue: &TestQueue, server: &MailServer, store: &str) -> Launch {
    let launch = Launch::run(queue);
    let folder = launch.home().canonicalize().unwrap();
    samples::prepare(&folder).unwrap();
    launch
        .env("DRUMLINE_SMTP_URL", server.url())
        .env("DRUMLINE_MAIL_FROM", "Shop <shop@example.com>")
        .env("DRUMLINE_MAIL_TEMPLATES", &folder.join("mail-templates").display().to_string())
        .env("DRUMLINE_STORE_URL", store)
}

/// Waits until `sent` messages have been run or deleted without a run, and the queue is empty.
async fn until_settled(queues: &[&TestQueue], workers: &[&Worker], app: &App, sent: usize) {
    eventually("all messages are run or deleted unrun", async || {
        let unrun: usize = workers.iter().map(|worker| worker.logged(UNRUN).len()).sum();
        if app.count() + unrun < sent {
            return false;
        }
        for queue in queues {
            if !queue.is_empty().await {
                return false;
            }
        }
        true
    })
    .await;
}

/// Returns the number of runs of each of these messages.
fn runs(app: &App, ids: &[String]) -> Vec<usize> {
    let ran = app.ids();
    ids.iter().map(|id| ran.iter().filter(|ran| *ran == id).count()).collect()
}

/// Returns the identity that the application received: scope, type, source and ID.
fn identity_of(call: &Call) -> [String; 4] {
    let mut rest = call.header("x-drumline-identity").expect("every request has it");
    std::array::from_fn(|_| {
        // The ID of a message has a mark.
        let marked = rest.strip_prefix('m').unwrap_or(rest);
        let (length, tail) = marked.split_once(':').expect("a part begins with its length");
        let (part, tail) = tail.split_at(length.parse().unwrap());
        rest = tail.strip_prefix(',').unwrap_or(tail);
        part.to_owned()
    })
}

/// Returns a name that no other test uses.
fn unique(name: &str) -> String {
    format!("{name}-{:016x}", fastrand::u64(..))
}
