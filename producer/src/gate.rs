//! Back-pressure for producers: the state of the queue determines if they send now, later, or not.
//!
//! ```no_run
//! use drumline_producer::gate::{Gate, GateLimits, GateState};
//!
//! # async fn example(client: aws_sdk_sqs::Client) -> Result<(), String> {
//! let limits = GateLimits::default().depth(10_000, 100_000)?;
//! let gate = Gate::new(client, "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs", limits);
//! match gate.state().await {
//!     GateState::Open => {}
//!     GateState::Slow(delay) => tokio::time::sleep(delay).await,
//!     GateState::Shed(reason) => return Err(reason.to_string()),
//! }
//! # Ok(()) }
//! ```
//!
//! [`GateLayer`] does this for the endpoints of a web application. Programs in other languages send `GET /gate` to a worker.

mod age;
mod cloudwatch;
mod layer;
mod queue_gate;

pub use drumline_runtime::gate::{GateLimits, GateState};
pub use layer::{GateLayer, GateService};
pub use queue_gate::Gate;
