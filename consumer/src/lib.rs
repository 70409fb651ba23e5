//! The long-polling consumer: AWS's SDK, the loop that moves the ledger, and the command line.
//!
//! A service of one's own is a router and a line:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use drumline::Router;
//! use drumline_consumer::App;
//!
//! # fn router() -> Router { Router::new() }
//! fn main() -> ExitCode {
//!     App::new(|| Ok(router())).main()
//! }
//! ```
//!
//! That is a whole `drumline` binary with these handlers: `run`, `dev`, `send`, `jobs`, `dlq`, `config`, `doctor` and
//! `health`. [`Consumer`] is the same without a command line.

mod cli;
mod consumer;
mod depth;
mod doctor;
#[cfg(test)]
#[path = "../../host/src/every_event.rs"]
mod every_event;
mod http;
mod job_view;
mod metrics;
mod producer;
mod queue_start;
mod signals;
mod task_protection;

pub use cli::{App, DevJob};
pub use consumer::{Consumer, StartError};
pub use drumline_runtime::{
    Effective, Environment, Event, LogFormat, NoopObserver, Observer, Origin, PermanentFailures, Problem,
    Problems, QueueSettings, SETTINGS, SecretUrl, Setting, Settings, Shown, forward_to, variable,
};
pub use metrics::Metrics;
