#![doc = include_str!("../README.md")]

mod app;
mod check;
#[cfg(feature = "bin")]
mod completions;
mod config;
mod connection;
mod ctl;
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
mod file_lock;
mod format;
#[cfg(feature = "function")]
mod function_args;
mod health;
mod interrupt;
#[cfg(feature = "function")]
mod invoke;
mod job_lookup;
mod job_text;
mod jobs;
mod list;
#[cfg(feature = "bin")]
mod man;
#[cfg(feature = "bin")]
mod new;
mod opened_outbox;
mod outbox;
mod output;
mod own_endpoint;
mod preflight;
mod pretty;
mod question;
mod relay;
mod run;
mod schedule;
mod schema;
mod send;
mod service;
mod settings_args;
mod slo;
mod state_folder;
mod status;
mod telemetry;
mod usage;
#[cfg(feature = "dev")]
mod view;

pub use app::App;
pub use drumline_runtime::{BoxError, RouterFactory, ShutdownHook};
#[cfg(feature = "dev")]
pub use service::DevJob;
