#![doc = include_str!("../README.md")]

mod collector;
mod exporter;
mod metrics;
mod names;
mod process;
mod queue;
mod resource;
mod sampler;
mod send;
mod spans;
mod telemetry;
mod variables;

pub use drumline_runtime::TraceParent;
pub use metrics::{MetricSeries, MetricValue, ReadMetrics};
pub use telemetry::Telemetry;
