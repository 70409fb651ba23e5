//! The last log lines of each attempt, for its history: what the handler logged shows why it failed.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Span, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::clock::{now_ms, rfc3339};
use crate::logs::JOB_LOG;
use crate::redact::redacted;

/// The name of an attempt's span.
const ATTEMPT: &str = "attempt";

/// The crate that makes it.
const OWNER: &str = "drumline";

/// The lines of an attempt that are kept: the last ones.
const MAX_LINES: usize = 64;

/// The bytes of all lines of an attempt. A store keeps 50 attempts of a job, and DynamoDB 400 KB in all.
const MAX_BYTES: usize = 4 * 1024;

/// The bytes of one line: a longer one is cut.
const MAX_LINE_BYTES: usize = 1024;

/// Keeps the last log lines of each attempt beside its span, until the attempt ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttemptLogLayer;

/// The lines of one attempt.
#[derive(Default)]
struct AttemptLog {
    lines: VecDeque<String>,
    bytes: usize,
}

impl AttemptLog {
    fn add(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
            self.bytes -= self.lines.pop_front().map_or(0, |line| line.len());
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for AttemptLogLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        if metadata.name() == ATTEMPT
            && metadata.target().split("::").next() == Some(OWNER)
            && let Some(span) = context.span(id)
        {
            span.extensions_mut().replace(AttemptLog::default());
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // The history has these facts anyway.
        if event.metadata().target() == JOB_LOG {
            return;
        }
        let mut spans = context.event_scope(event).into_iter().flatten();
        let Some(span) = spans.find(|span| span.extensions().get::<AttemptLog>().is_some()) else { return };
        // Before the lock on the span: a field's text may log.
        let line = line(event);
        if let Some(log) = span.extensions_mut().get_mut::<AttemptLog>() {
            log.add(line);
        }
    }
}

/// Returns the lines of an attempt, the oldest first, and forgets them. None without the layer.
pub(crate) fn take_lines(span: &Span) -> Vec<String> {
    let taken = span.with_subscriber(|(id, dispatch)| {
        let registry = dispatch.downcast_ref::<Registry>()?;
        let span = registry.span(id)?;
        let mut extensions = span.extensions_mut();
        Some(std::mem::take(extensions.get_mut::<AttemptLog>()?))
    });
    taken.flatten().map(|log| log.lines.into()).unwrap_or_default()
}

/// A line as it is kept: its time, level, message and fields, without what looks like a secret.
fn line(event: &Event<'_>) -> String {
    let mut text = Text(format!("{} {}", rfc3339(now_ms()), event.metadata().level()));
    event.record(&mut text);
    let mut line = redacted(&text.0).into_owned();
    if line.len() > MAX_LINE_BYTES {
        let end = (0..=MAX_LINE_BYTES).rev().find(|&end| line.is_char_boundary(end)).unwrap_or_default();
        line.truncate(end);
        line.push('…');
    }
    line
}

struct Text(String);

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        // Writing to a string does not fail.
        let _ = if field.name() == "message" {
            write!(self.0, " {value}")
        } else {
            write!(self.0, " {}={value}", field.name())
        };
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = if field.name() == "message" {
            write!(self.0, " {value:?}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
    }
}

#[cfg(test)]
mod tests {
    use tracing::{info, info_span, warn};
    use tracing_subscriber::filter::LevelFilter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn attempt() -> Span {
        info_span!(target: "drumline::run::invoke", "attempt", job_id = "j-1")
    }

    /// Without their times.
    fn texts(lines: &[String]) -> Vec<&str> {
        lines.iter().filter_map(|line| Some(line.split_once(' ')?.1)).collect()
    }

    #[test]
    fn the_lines_of_an_attempt_are_kept_and_of_no_other() {
        let subscriber = tracing_subscriber::registry().with(AttemptLogLayer).with(LevelFilter::INFO);
        tracing::subscriber::with_default(subscriber, || {
            let (one, two) = (attempt(), attempt());
            info!("outside");
            one.in_scope(|| {
                info!(user = 17, to = "alice", "mail begun");
                let inner = info_span!("smtp").entered();
                warn!(token = "s3cret-s3cret", "connection refused");
                tracing::debug!("below the level");
                drop(inner);
                two.in_scope(|| info!("of the other"));
            });
            let lines = take_lines(&one);
            let expected = ["INFO mail begun user=17 to=alice", "WARN connection refused token=***"];
            assert_eq!(texts(&lines), expected, "{lines:?}");
            assert!(take_lines(&one).is_empty(), "they are taken once");
            assert_eq!(texts(&take_lines(&two)), ["INFO of the other"]);
        });
        assert!(take_lines(&Span::none()).is_empty());
    }

    #[test]
    fn a_long_log_keeps_its_end() {
        let subscriber = tracing_subscriber::registry().with(AttemptLogLayer);
        tracing::subscriber::with_default(subscriber, || {
            let attempt = attempt();
            attempt.in_scope(|| (0..100).for_each(|n| info!("{n}")));
            let lines = take_lines(&attempt);
            assert_eq!((lines.len(), texts(&lines)[0]), (MAX_LINES, "INFO 36"));
            attempt.in_scope(|| (0..100).for_each(|n| info!("{n} {}", "é".repeat(900))));
            let lines = take_lines(&attempt);
            assert_eq!(lines.len(), 3, "{lines:?}");
            assert!(lines.iter().map(String::len).sum::<usize>() <= MAX_BYTES);
            assert!(texts(&lines)[2].starts_with("INFO 99 é"));
        });
    }
}
