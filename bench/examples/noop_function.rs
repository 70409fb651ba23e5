//! A minimal handler, for measuring the cost of the runtime.

use std::process::ExitCode;

use drumline::{Context, Failure, Job, Router};
use drumline_lambda::App;

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

fn main() -> ExitCode {
    App::new(|| Router::new().handle(noop)).main()
}
