#![doc = include_str!("../README.md")]

mod activity;
mod app;
mod consumer;
pub mod control;
mod depth;
pub mod dlq_watch;
mod early_endpoint;
mod emf;
#[cfg(test)]
#[path = "../../host/src/every_event.rs"]
mod every_event;
mod exit;
mod gate;
mod http;
pub mod job_list;
pub mod job_view;
mod metrics;
mod queue_start;
mod readiness;
mod relay_endpoint;
mod signals;
mod start_checks;
mod start_error;
mod start_wait;
mod task_protection;
mod telemetry;

pub use app::{App, run, run_rereading, run_with};
pub use consumer::Consumer;
pub use drumline_runtime::{
    BoxError, Environment, Event, NoopObserver, Observer, Problem, Problems, QueueSettings, RouterFactory,
    SecretUrl, Service, Settings, ShutdownHook, forward_to, variable,
};
pub use exit::ExitError;
pub use metrics::Metrics;
pub use relay_endpoint::RelayEndpoint;
pub use signals::Signals;
pub use start_error::StartError;
