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
//! That is a whole `drumline` binary with these handlers: `run`, `dev`, `send` and `config`. [`Consumer`] is the same
//! without a command line.

mod aws;
mod cli;
mod consumer;
mod drive;
mod forward;
mod host;
mod http;
mod limits;
mod logging;
mod metrics;
mod observe;
mod producer;
mod settings;
mod signals;
mod span_fields;
mod sqs;
mod trace;

pub use cli::{App, DevJob};
pub use consumer::{Consumer, StartError};
pub use forward::forward_to;
pub use host::Listener;
pub use metrics::Metrics;
pub use settings::{
    Effective, LogFormat, Origin, PermanentFailures, Problem, Problems, QueueSettings, SETTINGS, Setting,
    Settings,
};
pub use sqs::{BoxFuture, Queue, SqsError, SqsErrorKind};
