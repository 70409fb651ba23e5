#![doc = include_str!("../README.md")]
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
mod telemetry;
#[cfg(feature = "otel")]
mod totals;

pub use app::App;
pub use batch::{batch_policy, run_batch};
pub use drumline_runtime::{BoxError, RouterFactory, ShutdownHook, variable};
pub use event::Event;
pub use function::{Function, Invocation, InvocationError, Response};
