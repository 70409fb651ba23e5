//! A tower layer around every handler. Any layer works, such as the limits of the crate `tower`. This one is written by hand.
//!
//! ```sh
//! drumline dev --queue-only        # in a terminal of its own: serves the queue
//! export DRUMLINE_QUEUE_URL=http://127.0.0.1:9324/000000000000/jobs
//! cargo run -p drumline-examples --bin layers
//! drumline send --type mail.welcome --payload '{"user_id":7,"takes_ms":0}'
//! drumline send --type mail.welcome --payload '{"user_id":8,"takes_ms":700}'
//! ```
//!
//! It prints:
//!
//! ```text
//! welcome, user 7
//! welcome, user 8
//! mail.welcome took longer than 500ms: Ok(())
//! ```

use std::process::ExitCode;
use std::task::Poll;
use std::time::Duration;

use drumline::run::{HandlerFuture, HandlerService, Invocation};
use drumline::{Context, Failure, Job, Router};
use serde::Deserialize;
use tokio::time::Instant;
use tower_layer::layer_fn;
use tower_service::Service;

#[derive(Deserialize)]
struct Welcome {
    user_id: u64,
    takes_ms: u64,
}

impl Job for Welcome {
    const TYPE: &'static str = "mail.welcome";
}

async fn welcome(_: Context, job: Welcome) -> Result<(), Failure> {
    tokio::time::sleep(Duration::from_millis(job.takes_ms)).await;
    println!("welcome, user {}", job.user_id);
    Ok(())
}

/// A handler that reports its slow runs.
#[derive(Clone)]
struct Watched {
    inner: HandlerService,
    limit: Duration,
}

impl Service<Invocation> for Watched {
    type Response = ();
    type Error = Failure;
    type Future = HandlerFuture;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, invocation: Invocation) -> HandlerFuture {
        let (context, limit, begun) = (invocation.context.clone(), self.limit, Instant::now());
        let run = self.inner.call(invocation);
        Box::pin(async move {
            let result = run.await;
            if begun.elapsed() > limit {
                println!("{} took longer than {limit:?}: {result:?}", context.job_type());
            }
            result
        })
    }
}

/// A layer wraps the handlers that were added before it. The last layer added is the outermost.
fn main() -> ExitCode {
    let limit = Duration::from_millis(500);
    let watch = move |inner| Watched { inner, limit };
    drumline_consumer::run(move || Router::new().handle(welcome).layer(layer_fn(watch)))
}
