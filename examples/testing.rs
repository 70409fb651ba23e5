//! Tests of a handler: each runs one attempt through the code of a worker, without a queue, and sees all that came of it.
//!
//! ```sh
//! cargo test -p drumline-examples --bin testing
//! ```
//!
//! The handler under test is that of a worker:
//!
//! ```sh
//! drumline dev --queue-only        # in a terminal of its own: serves the queue
//! export DRUMLINE_QUEUE_URL=http://127.0.0.1:9324/000000000000/jobs
//! cargo run -p drumline-examples --bin testing
//! drumline send --type records.copy --payload '{"records":2}'
//! ```
//!
//! ```text
//! copied 2 records
//! ```

use std::process::ExitCode;

use drumline::{Context, Failure, Job, Router};
use serde::{Deserialize, Serialize};

/// `Serialize` is for the tests, which make messages of it.
#[derive(Serialize, Deserialize)]
struct Copy {
    records: u64,
}

impl Job for Copy {
    const TYPE: &'static str = "records.copy";
}

async fn copy(ctx: Context, job: Copy) -> Result<(), Failure> {
    if job.records == 0 {
        return Err(Failure::reject("there are no records"));
    }
    for record in ctx.resume().unwrap_or(0)..job.records {
        if ctx.is_cancelled() {
            return Err(Failure::retry("stopped half-way"));
        }
        ctx.checkpoint(&(record + 1))?;
        ctx.progress(record + 1, job.records, "records");
    }
    println!("copied {} records", job.records);
    Ok(())
}

fn router() -> Router {
    Router::new().handle(copy)
}

fn main() -> ExitCode {
    drumline_consumer::run(router)
}

#[cfg(test)]
mod tests {
    use super::*;
    use drumline::testing::{At, Tester};

    #[tokio::test]
    async fn a_job_without_records_fails_permanently() {
        let run = Tester::new(router()).job(&Copy { records: 0 }).await;
        assert!(run.is_dead(), "{run}");
        assert_eq!(run.reason().as_deref(), Some("there are no records"));
    }

    #[tokio::test]
    async fn a_deploy_half_way_repeats_nothing() {
        let tester = Tester::new(router());
        let stopped = tester.job(&Copy { records: 9 }).shut_down(At::Progress(4)).await;
        assert_eq!(stopped.checkpoint(), Some(4), "{stopped}");
        let next = tester.job(&Copy { records: 9 }).await;
        assert!(next.is_done() && next.progress()[0].done == 5, "{next}");
    }
}
