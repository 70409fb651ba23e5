//! A minimal handler, for measuring the cost of the runtime. It takes its settings from the environment.
//!
//! With `BENCH_JOB_SECS`, each job waits for this number of seconds.

use std::process::ExitCode;
use std::time::Duration;

use drumline::{Context, Failure, Job, Router};
use drumline_consumer::variable;

/// As in the `drumline` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The payload of a small job; reading it is part of the measured work.
#[derive(serde::Deserialize)]
struct Noop {
    #[allow(dead_code, reason = "read, not used")]
    n: u64,
}

impl Job for Noop {
    const TYPE: &'static str = "noop";
}

async fn noop(_context: Context, _job: Noop) -> Result<(), Failure> {
    Ok(())
}

fn router() -> Result<Router, std::num::ParseIntError> {
    let Some(secs) = variable("BENCH_JOB_SECS") else { return Ok(Router::new().handle(noop)) };
    let takes = Duration::from_secs(secs.parse()?);
    Ok(Router::new().handle(move |_: Context, _: Noop| async move {
        tokio::time::sleep(takes).await;
        Ok::<_, Failure>(())
    }))
}

fn main() -> ExitCode {
    drumline_consumer::run(router)
}
