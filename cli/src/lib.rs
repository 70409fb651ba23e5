//! The command line of `drumline`, and of every service built on this crate.
//!
//! A service of one's own is a router and a line:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use drumline::Router;
//! use drumline_cli::App;
//!
//! # fn router() -> Router { Router::new() }
//! fn main() -> ExitCode {
//!     App::new(|| Ok(router())).main()
//! }
//! ```
//!
//! That is a whole `drumline` binary with these handlers: `run`, `send`, `jobs`, `dlq`, `config` and `health`; with the
//! feature `dev` also `dev`, and with the feature `doctor` also `doctor`. A service that needs no command line takes
//! `drumline_consumer::run` instead, which links much less.

mod app;
mod check;
mod config;
mod connection;
#[cfg(feature = "dev")]
mod dev;
mod dlq;
#[cfg(feature = "doctor")]
mod doctor;
#[cfg(all(test, feature = "dev"))]
#[path = "../../host/src/every_event.rs"]
mod every_event;
#[cfg(test)]
#[path = "../../consumer/src/job_view/examples.rs"]
mod examples;
mod health;
mod histories;
mod job_text;
mod jobs;
mod output;
mod own_endpoint;
mod preflight;
mod run;
mod send;
mod service;
mod settings_args;
mod usage;
#[cfg(feature = "dev")]
mod view;
mod words;

pub use app::App;
#[cfg(feature = "dev")]
pub use service::DevJob;
