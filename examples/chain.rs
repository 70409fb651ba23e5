//! A handler that sends another job, which belongs to the same request and trace.
//!
//! ```sh
//! drumline dev --queue-only        # in a terminal of its own: serves the queue
//! export DRUMLINE_QUEUE_URL=http://127.0.0.1:9324/000000000000/jobs
//! cargo run -p drumline-examples --bin chain
//! drumline send --type order.place --payload '{"order":7}' --correlation-id request-1
//! ```
//!
//! It prints:
//!
//! ```text
//! order 7 is placed
//! the invoice of order 7 is sent, for request-1
//! ```

use std::process::ExitCode;

use drumline::{Context, Failure, Job, Router};
use drumline_consumer::BoxError;
use drumline_producer::Producer;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct PlaceOrder {
    order: u64,
}

impl Job for PlaceOrder {
    const TYPE: &'static str = "order.place";
}

/// A job that is sent is `Serialize`, too.
#[derive(Serialize, Deserialize)]
struct SendInvoice {
    order: u64,
}

impl Job for SendInvoice {
    const TYPE: &'static str = "invoice.send";

    /// If the first handler runs again after it has sent this job, the second one has no effect.
    fn idempotency_key(&self) -> Option<String> {
        Some(format!("invoice:{}", self.order))
    }
}

/// The producer has the worker's own settings: `DRUMLINE_QUEUE_URL`, or `[queue_by_type]` in the file.
async fn router() -> Result<Router, BoxError> {
    let producer = Producer::connect().await?;
    let place = move |_: Context, job: PlaceOrder| {
        let producer = producer.clone();
        async move {
            println!("order {} is placed", job.order);
            // The correlation id and the trace are those of this job.
            producer.send(&SendInvoice { order: job.order }).await?;
            Ok::<(), Failure>(())
        }
    };
    Ok(Router::new().handle(place).handle(send_invoice))
}

async fn send_invoice(ctx: Context, job: SendInvoice) -> Result<(), Failure> {
    println!("the invoice of order {} is sent, for {}", job.order, ctx.correlation_id());
    Ok(())
}

fn main() -> ExitCode {
    drumline_consumer::run(router)
}
