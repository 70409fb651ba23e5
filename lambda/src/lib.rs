//! The SQS-triggered Lambda function: the same handlers as under the consumer, with the same outcomes.
//!
//! A function of one's own is a router and a line; its binary is packaged as `bootstrap`:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use drumline::Router;
//! use drumline_lambda::App;
//!
//! # fn router() -> Router { Router::new() }
//! fn main() -> ExitCode {
//!     App::new(|| Ok(router())).main()
//! }
//! ```
//!
//! Each batch goes through a [ledger](drumline::core::Ledger) of its own. What it cannot finish before the invocation's
//! deadline is given back, so that a slow message costs nobody else's work; the response lists what is to come back, and
//! Lambda deletes the rest. `ReportBatchItemFailures` has to be on in the event source mapping: without it, Lambda deletes
//! what failed too. See [Handling errors for an SQS event
//! source](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).

#![recursion_limit = "256"]

mod app;
mod batch;
mod conversation;
mod deadline;
mod emf;
mod event;
#[cfg(test)]
#[path = "../../host/src/every_event.rs"]
mod every_event;
mod facts;
mod function;
mod queue;
mod silence;
mod source;

pub use app::App;
pub use batch::{batch_policy, run_batch};
pub use drumline_runtime::variable;
pub use event::Event;
pub use function::{Function, Invocation, InvocationError, Response};
