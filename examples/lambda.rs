//! A Lambda function for SQS with the same router as a worker. A service has one library with its router and two programs like
//! this.
//!
//! ```sh
//! cargo lambda build --profile lambda --arm64 -p drumline-examples --bin lambda
//! ```
//!
//! The result, `target/lambda/lambda/bootstrap`, runs on `provided.al2023`. The event source mapping needs
//! `ReportBatchItemFailures`. To try it here, serve Lambda's Runtime API with cargo-lambda and invoke it:
//!
//! ```sh
//! drumline dev --queue-only        # in a terminal of its own, in place of SQS
//! export AWS_ENDPOINT_URL_SQS=http://127.0.0.1:9324 AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x
//! cargo lambda watch -p drumline-examples --bin lambda
//! cargo lambda invoke lambda --data-file examples/lambda-event.json
//! ```
//!
//! The event has two jobs. The first one succeeds. The second one cannot succeed and is listed:
//!
//! ```text
//! welcome, user 7
//! {"batchItemFailures":[{"itemIdentifier":"00000000-0000-0000-0000-000000000002"}]}
//! ```

use std::process::ExitCode;

use drumline::{Context, Failure, Job, Router};
use serde::Deserialize;

#[derive(Deserialize)]
struct Welcome {
    user_id: u64,
}

impl Job for Welcome {
    const TYPE: &'static str = "mail.welcome";
}

async fn welcome(_: Context, job: Welcome) -> Result<(), Failure> {
    if job.user_id == 0 {
        return Err(Failure::reject("there is no user 0"));
    }
    println!("welcome, user {}", job.user_id);
    Ok(())
}

/// `pub fn` in the library. The worker's `main` is `drumline_consumer::App::new(router).main()`.
fn router() -> Router {
    Router::new().handle(welcome)
}

/// The settings are the same as the worker's, except that no queue is required. Metrics and logs go to CloudWatch.
fn main() -> ExitCode {
    drumline_lambda::App::new(router).main()
}
