//! Logs on standard error: JSON for machines, pretty for people.

use std::io::IsTerminal;

use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::attempt_log::AttemptLogLayer;
use crate::json_lines::JsonLines;
pub use crate::json_lines::Spans;
use crate::log_writer::LogWriter;
use crate::settings::{LogFormat, Settings, directives};
use crate::span_trace::TraceLayer;
use crate::unseen::log_field;

/// Libraries whose lines below `info` show requests, signatures and bodies, by how their targets begin. A filter that names
/// no target raises none of them above `info`.
const CAPPED: [&str; 12] = [
    "aws_", "h2", "hyper", "lambda_", "lettre", "redis", "reqwest", "rustls", "sqlx", "tokio_", "tonic",
    "tower",
];

/// Sets logging up for the process as its settings say. A second call changes nothing.
pub fn init_for(settings: &Settings, spans: Spans) {
    init_with(settings.log_format, &settings.log, spans, settings.attempt_log);
}

/// Sets logging up for the process. A second call changes nothing.
pub fn init(format: LogFormat, filter: &str, spans: Spans) {
    init_with(format, filter, spans, false);
}

fn init_with(format: LogFormat, filter: &str, spans: Spans, keeps_attempt_logs: bool) {
    let pretty = match format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Json => false,
        LogFormat::Pretty => true,
    };
    let layer = if pretty {
        let fields = debug_fn(log_field).delimited(" ");
        let layer = fmt::layer().with_writer(LogWriter).with_target(false).fmt_fields(fields);
        layer.and_then(TraceLayer).boxed()
    } else {
        JsonLines::new(spans, LogWriter).boxed()
    };
    let layer = if keeps_attempt_logs { layer.and_then(AttemptLogLayer).boxed() } else { layer };
    let named = filter;
    let filter = match by_target(filter) {
        Some(targets) => targets.boxed(),
        // The settings have checked it.
        None => EnvFilter::new(filter).boxed(),
    };
    // As one layer: whenever a span is left or closed, each layer of a registry counts its references. The filter comes last, since only
    // what the last one turns off is not asked about for each event.
    let layer = layer.and_then(capped(named)).and_then(filter);
    let _ = tracing_subscriber::registry().with(layer).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, message = panic.payload_as_str(), "panicked");
    }));
}

/// A second filter: [`CAPPED`] libraries log below `info` only if `filter` names them.
fn capped(filter: &str) -> Targets {
    let named = directives(filter).filter_map(|directive| {
        let target = directive.split(['=', '[']).next().unwrap_or_default().trim();
        let is_level = target.parse::<LevelFilter>().is_ok();
        (!target.is_empty() && !is_level).then(|| (target.to_owned(), LevelFilter::TRACE))
    });
    let capped = CAPPED.iter().map(|&target| (target.to_owned(), LevelFilter::INFO));
    Targets::new().with_default(LevelFilter::TRACE).with_targets(capped).with_targets(named)
}

/// Returns a filter of levels and targets only, which nearly all are. A filter that may look at spans takes a lock whenever one is
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
            ("warn,drumline=debug", "drumline::run", Level::DEBUG, true),
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
    fn libraries_speak_below_info_only_if_they_are_named() {
        let table = [
            ("trace", "aws_smithy_runtime::client", Level::DEBUG, false),
            ("trace", "aws_smithy_runtime::client", Level::INFO, true),
            ("trace", "hyper_util::client", Level::TRACE, false),
            ("trace", "drumline::run", Level::TRACE, true),
            ("trace", "acme_jobs", Level::TRACE, true),
            ("[attempt]=trace", "aws_sigv4", Level::TRACE, false),
            ("info,aws_sigv4=trace", "aws_sigv4::http_request", Level::TRACE, true),
            ("info,aws_sigv4=trace", "aws_config", Level::DEBUG, false),
            ("debug,hyper=debug", "hyper::proto", Level::DEBUG, true),
            ("debug,hyper[{a=b}]=debug", "hyper::proto", Level::DEBUG, true),
        ];
        for (filter, target, level, is_enabled) in table {
            assert_eq!(capped(filter).would_enable(target, &level), is_enabled, "{filter}: {target} {level}");
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
