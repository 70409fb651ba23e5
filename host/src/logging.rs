//! Logs on standard error: JSON for machines, pretty for people.

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::settings::LogFormat;
use crate::span_fields::SpanFields;

/// Which spans a JSON line shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spans {
    /// The innermost, as `span`: an attempt stands for itself.
    Innermost,
    /// All, outermost first, as `spans`: an attempt belongs to an invocation.
    All,
}

/// Sets logging up for the process. A second call changes nothing.
pub fn init(format: LogFormat, filter: &str, spans: Spans) {
    let pretty = match format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Json => false,
        LogFormat::Pretty => true,
    };
    let layer = if pretty {
        fmt::layer().with_writer(std::io::stderr).with_target(false).boxed()
    } else {
        let all = spans == Spans::All;
        let layer = fmt::layer().json().flatten_event(true).with_span_list(all).with_current_span(!all);
        layer.fmt_fields(SpanFields).with_writer(std::io::stderr).boxed()
    };
    // The settings have checked the filter.
    let filter = EnvFilter::new(filter);
    let _ = tracing_subscriber::registry().with(layer).with(filter).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, message = panic.payload_as_str(), "panicked");
    }));
}
