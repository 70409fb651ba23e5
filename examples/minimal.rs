//! The smallest worker: a job type, its handler, and one line that runs them.
//!
//! ```sh
//! drumline dev --queue-only        # in a terminal of its own: serves the queue
//! export DRUMLINE_QUEUE_URL=http://127.0.0.1:9324/000000000000/jobs
//! cargo run -p drumline-examples --bin minimal
//! drumline send --type mail.welcome --payload '{"user_id":7}'
//! ```
//!
//! It prints:
//!
//! ```text
//! welcome, user 7 (attempt 1)
//! ```
//!
//! A job with `"user_id":0` can never succeed: its message moves to the DLQ within seconds, and the log says why.

use std::process::ExitCode;

use drumline::{Context, Failure, Job, Router};
use serde::Deserialize;

/// The payload. Unknown fields in a message are ignored. A missing field makes the job fail permanently.
#[derive(Deserialize)]
struct Welcome {
    user_id: u64,
}

impl Job for Welcome {
    const TYPE: &'static str = "mail.welcome";
}

/// `Ok` deletes the message. After any error, including one returned by `?`, the job is retried later.
async fn welcome(ctx: Context, job: Welcome) -> Result<(), Failure> {
    if job.user_id == 0 {
        return Err(Failure::reject("there is no user 0"));
    }
    println!("welcome, user {} (attempt {})", job.user_id, ctx.attempt());
    Ok(())
}

fn main() -> ExitCode {
    drumline_consumer::run(|| Router::new().handle(welcome))
}
