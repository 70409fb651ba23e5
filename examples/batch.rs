//! A batch handler: one insert for many jobs. Each job has its own outcome.
//!
//! ```sh
//! drumline dev --queue-only        # in a terminal of its own: serves the queue
//! export DRUMLINE_QUEUE_URL=http://127.0.0.1:9324/000000000000/jobs
//! cargo run -p drumline-examples --bin batch
//! printf '%s\n' '{"name":"alice"}' '{"name":""}' '{"name":"bob"}' | drumline send --type name.insert
//! ```
//!
//! The job without a name goes to the DLQ. It prints:
//!
//! ```text
//! one insert for 2 of 3 jobs: alice, bob
//! ```

use std::process::ExitCode;
use std::time::Duration;

use drumline::batch::{BatchContext, BatchOptions, BatchResult, Item, Rest};
use drumline::{Failure, Job, Router};
use serde::Deserialize;

#[derive(Deserialize)]
struct InsertName {
    name: String,
}

impl Job for InsertName {
    const TYPE: &'static str = "name.insert";
}

async fn insert(_: BatchContext, items: Vec<Item<InsertName>>) -> BatchResult {
    let jobs = items.len();
    let (good, bad): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| !item.job.name.is_empty());
    for item in bad {
        item.failed(Failure::reject("a name is required"));
    }
    let mut names: Vec<&str> = good.iter().map(|item| &*item.job.name).collect();
    // Items have no defined order.
    names.sort_unstable();
    insert_all(&names).await?;
    println!("one insert for {} of {jobs} jobs: {}", names.len(), names.join(", "));
    Ok(Rest::Done)
}

/// Stands for `INSERT ... SELECT * FROM unnest($1)`, or a request to a service that takes many at once.
async fn insert_all(_names: &[&str]) -> Result<(), Failure> {
    Ok(())
}

fn main() -> ExitCode {
    // Longer than the default of 50 ms, so that jobs sent by hand arrive in one batch.
    let options = BatchOptions::new().max_items(100).linger(Duration::from_secs(2));
    drumline_consumer::run(move || Router::new().handle_batch(options, insert))
}
