//! Tests of a handler without servers: one attempt through a worker's code, and a whole worker from the queue to the DLQ.
//!
//! ```sh
//! cargo test -p drumline-examples --bin testing
//! ```
//!
//! The handler under test also runs in a worker:
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

/// `Serialize` is for the tests, which create messages from it.
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
    use std::time::Duration;

    use super::*;
    use drumline_testing::{At, LocalQueue, Tester};

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

    /// The clock is paused, so that the ten minutes of the delay take no time.
    #[tokio::test(start_paused = true)]
    async fn jobs_end_done_or_in_the_dlq_with_the_reason() {
        let local = LocalQueue::start(router()).await;
        let done = local.job(&Copy { records: 9 }).delay(Duration::from_mins(10)).send();
        local.send(&Copy { records: 0 });
        local.until_idle().await;
        assert!(local.runs_of(&done)[0].reason().is_none());
        assert_eq!(local.dead_letters()[0].reason.as_deref(), Some("there are no records"));
    }
}
