//! Jobs in order: on a FIFO queue one job of a message group runs at a time, and a failed one is retried before those behind it.
//!
//! ```sh
//! drumline dev --queue-only        # in a terminal of its own; a FIFO queue and its DLQ are created by hand:
//! create() { curl http://127.0.0.1:9324 -H 'X-Amz-Target: AmazonSQS.CreateQueue' -d "$1"; }
//! create '{"QueueName":"jobs-dlq.fifo","Attributes":{"FifoQueue":"true"}}'
//! dlq='{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:jobs-dlq.fifo\",\"maxReceiveCount\":5}'
//! create '{"QueueName":"jobs.fifo","Attributes":{"FifoQueue":"true","RedrivePolicy":"'"$dlq"'"}}'
//! export DRUMLINE_QUEUE_URL=http://127.0.0.1:9324/000000000000/jobs.fifo
//! cargo run -p drumline-examples --bin fifo
//! drumline send --group alice --type account.step --payload '{"number":1}'
//! drumline send --group alice --type account.step --payload '{"number":2,"fails_once":true}'
//! drumline send --group alice --type account.step --payload '{"number":3}'
//! drumline send --group bob --type account.step --payload '{"number":1}'
//! ```
//!
//! Alice's third step waits for her second. Bob's step waits for none of hers. It prints:
//!
//! ```text
//! alice: step 1 done
//! alice: step 2 failed
//! bob: step 1 done
//! alice: step 2 done
//! alice: step 3 done
//! ```

use std::process::ExitCode;
use std::time::Duration;

use drumline::{Context, Failure, Job, Router};
use serde::Deserialize;

#[derive(Deserialize)]
struct Step {
    number: u64,
    #[serde(default)]
    fails_once: bool,
}

impl Job for Step {
    const TYPE: &'static str = "account.step";
}

/// The same handler works on a standard queue, in any order.
async fn step(ctx: Context, job: Step) -> Result<(), Failure> {
    let account = ctx.message().group.as_deref().ok_or_else(|| Failure::reject("no message group"))?;
    if job.fails_once && ctx.attempt().get() == 1 {
        println!("{account}: step {} failed", job.number);
        return Err(Failure::retry_after(Duration::from_secs(1), "the ledger is locked"));
    }
    println!("{account}: step {} done", job.number);
    Ok(())
}

fn main() -> ExitCode {
    drumline_consumer::run(|| Router::new().handle(step))
}
