//! The least a handler can do: for measuring what the runtime around it costs. Takes the settings of its environment.

use std::process::ExitCode;

use drumline::{Context, Failure, Job, Router};

/// As in the `drumline` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A payload as small jobs have it; reading it is part of the measured work.
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

fn main() -> ExitCode {
    drumline_consumer::run(|| Router::new().handle(noop))
}
