//! A long job that resumes where its last attempt stopped, with progress on the way and a result at the end.
//!
//! ```sh
//! drumline dev --queue-only        # in a terminal of its own: serves the queue
//! export DRUMLINE_QUEUE_URL=http://127.0.0.1:9324/000000000000/jobs
//! cargo run -p drumline-examples --bin checkpoint
//! drumline send --type records.copy --payload '{"records":4,"fails_at":2}'
//! ```
//!
//! The first attempt fails half-way. A second later it prints the rest:
//!
//! ```text
//! attempt 1 begins at 0
//! copied record 0
//! copied record 1
//! attempt 2 begins at 2
//! copied record 2
//! copied record 3
//! ```
//!
//! `drumline jobs watch ID` shows the progress of a job while it runs, and `drumline jobs show ID` its attempts and its result.

use std::process::ExitCode;
use std::time::Duration;

use drumline::{Context, Failure, Job, Router};
use serde::Deserialize;

#[derive(Deserialize)]
struct Copy {
    records: u64,
    fails_at: Option<u64>,
}

impl Job for Copy {
    const TYPE: &'static str = "records.copy";
}

async fn copy_all(ctx: Context, job: Copy) -> Result<(), Failure> {
    let first = ctx.resume::<u64>().unwrap_or(0);
    println!("attempt {} begins at {first}", ctx.attempt());
    for record in first..job.records {
        if job.fails_at == Some(record) && ctx.attempt().get() == 1 {
            return Err(Failure::retry_after(Duration::from_secs(1), "the source does not answer"));
        }
        copy(record).await?;
        // Saved after the effect: a worker that is killed here repeats at most the last second of its work.
        ctx.checkpoint(&(record + 1))?;
        ctx.progress(record + 1, job.records, "records");
    }
    ctx.set_result(&job.records)
}

/// Stands for the work.
async fn copy(record: u64) -> std::io::Result<()> {
    tokio::time::sleep(Duration::from_millis(50)).await;
    println!("copied record {record}");
    Ok(())
}

fn main() -> ExitCode {
    drumline_consumer::run(|| Router::new().handle(copy_all))
}
