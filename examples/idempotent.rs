//! An effect that happens once, even if producers send twice and SQS delivers at least once.
//!
//! ```sh
//! drumline dev --queue-only        # in a terminal of its own: serves the queue
//! export DRUMLINE_QUEUE_URL=http://127.0.0.1:9324/000000000000/jobs
//! cargo run -p drumline-examples --bin idempotent
//! drumline send --type billing.charge --payload '{"invoice":42,"cents":1999}'
//! drumline send --type billing.charge --payload '{"invoice":42,"cents":1999}'
//! drumline send --type billing.charge --payload '{"invoice":42,"cents":5}'
//! ```
//!
//! It prints one line for three messages:
//!
//! ```text
//! charged 1999 cents, Idempotency-Key: invoice:42
//! ```
//!
//! The second message is a duplicate and is deleted. The third has the same key and another payload, which is an error of its
//! producer: it moves to the DLQ. The log has a line about each.

use std::process::ExitCode;

use drumline::{Context, Failure, Job, Router};
use serde::Deserialize;

#[derive(Deserialize)]
struct Charge {
    invoice: u64,
    cents: u64,
}

impl Job for Charge {
    const TYPE: &'static str = "billing.charge";

    /// Derived from the payload, so it does not depend on the producer. Without this function, the key is the envelope's
    /// `idempotencyKey`, or its `jobId`.
    fn idempotency_key(&self) -> Option<String> {
        Some(format!("invoice:{}", self.invoice))
    }
}

/// The worker claims the key in its store before the run, and marks it as done afterwards. If a worker is killed in between,
/// the job runs again, so the provider gets the same key.
async fn charge(ctx: Context, job: Charge) -> Result<(), Failure> {
    ask_provider(job.cents, ctx.idempotency_key()).await?;
    Ok(())
}

/// Stands for the request to a payment provider.
async fn ask_provider(cents: u64, key: &str) -> std::io::Result<()> {
    println!("charged {cents} cents, Idempotency-Key: {key}");
    Ok(())
}

/// The store of `DRUMLINE_STORE_URL` keeps the keys. The default, `memory:`, is enough for one worker that never restarts. Use
/// `redis://`, `postgres://` or `dynamodb://` in production.
fn main() -> ExitCode {
    drumline_consumer::run(|| Router::new().handle(charge))
}
