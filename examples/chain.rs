//! A job that is followed by another one, if it succeeds. Both belong to the same request and trace.
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
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct PlaceOrder {
    order: u64,
}

impl Job for PlaceOrder {
    const TYPE: &'static str = "order.place";
}

/// The type of a next job is also `Serialize`.
#[derive(Serialize, Deserialize)]
struct SendInvoice {
    order: u64,
}

impl Job for SendInvoice {
    const TYPE: &'static str = "invoice.send";
}

async fn place(ctx: Context, job: PlaceOrder) -> Result<(), Failure> {
    println!("order {} is placed", job.order);
    // Sent after this handler has succeeded, with its correlation ID and trace. Another attempt would send it with the same ID.
    ctx.then(&SendInvoice { order: job.order })
}

async fn send_invoice(ctx: Context, job: SendInvoice) -> Result<(), Failure> {
    println!("the invoice of order {} is sent, for {}", job.order, ctx.correlation_id());
    Ok(())
}

fn main() -> ExitCode {
    drumline_consumer::run(|| Router::new().handle(place).handle(send_invoice))
}
