#![doc = include_str!("../README.md")]

mod batch;
mod collector;
mod export_error;
mod export_log;
mod flush;
mod host_telemetry;
mod metrics;
mod metrics_request;
mod names;
mod process;
mod queue;
mod repeated;
mod resource;
mod retry;
mod sampler;
mod seldom;
mod send;
mod series;
mod spans;
mod telemetry;
mod temporality;
mod tls;
mod variables;
mod wire;

pub use drumline_runtime::TraceParent;
pub use host_telemetry::HostTelemetry;
pub use metrics::ReadMetrics;
pub use series::{MetricSeries, MetricValue};
pub use telemetry::Telemetry;
