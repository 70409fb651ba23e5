//! The long-polling consumer: AWS's SDK, the loop that moves the ledger, and the HTTP endpoint.
//!
//! A service of one's own is a router and a line:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use drumline::Router;
//!
//! # fn router() -> Router { Router::new() }
//! fn main() -> ExitCode {
//!     drumline_consumer::run(|| Ok(router()))
//! }
//! ```
//!
//! It is set up by the `DRUMLINE_` variables of its environment. [`Consumer`] is the same for programs that have settings,
//! logs and signals of their own. With the crate `drumline-cli` in its place, the service has the command line of
//! `drumline` with these handlers: `run`, `send`, `jobs`, `dlq`, `config` and `health`, and by features `dev` and `doctor`.

mod consumer;
mod depth;
#[cfg(test)]
#[path = "../../host/src/every_event.rs"]
mod every_event;
mod exit;
mod http;
pub mod job_view;
mod metrics;
mod queue_start;
mod run;
mod signals;
mod start_error;
mod task_protection;

pub use consumer::Consumer;
pub use drumline_runtime::{
    Effective, Environment, Event, LogFormat, NoopObserver, Observer, Origin, PermanentFailures, Problem,
    Problems, QueueSettings, SETTINGS, SecretUrl, Setting, Settings, Shown, forward_to, variable,
};
pub use exit::ExitError;
pub use metrics::Metrics;
pub use run::{run, run_in, run_with};
pub use signals::Signals;
pub use start_error::StartError;
