#![doc = include_str!("../README.md")]

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
