//! Logs on standard error: JSON for machines, pretty for people.

use std::io::IsTerminal;

use tracing_subscriber::filter::Targets;
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
    let filter = match by_target(filter) {
        Some(targets) => targets.boxed(),
        // The settings have checked it.
        None => EnvFilter::new(filter).boxed(),
    };
    let _ = tracing_subscriber::registry().with(layer).with(filter).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, message = panic.payload_as_str(), "panicked");
    }));
}

/// What says levels and targets only, as nearly all filters do. A filter that may look at spans takes a lock whenever one is
/// made, entered, left or closed: several times an attempt, on every thread the same one.
fn by_target(filter: &str) -> Option<Targets> {
    // What the two read differently, or one of them only, is for the other.
    let is_plain = |directive: &str| {
        !directive.is_empty() && !directive.ends_with('=') && !directive.contains(['[', ' '])
    };
    if filter.split(',').all(is_plain) { filter.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn levels_of_targets_need_no_look_at_spans() {
        let table = [
            ("info", "drumline", Level::INFO, true),
            ("info", "drumline", Level::DEBUG, false),
            ("warn,drumline=debug", "drumline::ledger", Level::DEBUG, true),
            ("warn,drumline=debug", "hyper", Level::INFO, false),
            ("drumline", "drumline", Level::TRACE, true),
            ("drumline", "hyper", Level::ERROR, false),
            ("off", "drumline", Level::ERROR, false),
        ];
        for (filter, target, level, is_enabled) in table {
            let targets = by_target(filter).expect(filter);
            assert_eq!(targets.would_enable(target, &level), is_enabled, "{filter}: {target} {level}");
        }
    }

    #[test]
    fn what_looks_at_spans_or_is_odd_is_left_to_the_other_filter() {
        for filter in
            ["", "[attempt]=debug", "info,drumline[{type=noop}]=trace", "drumline=", "info,", "info, warn"]
        {
            assert!(by_target(filter).is_none(), "{filter}");
        }
    }
}
