//! Log lines as JSON, written in one go.
//!
//! Every job has two lines at `info`. The stock formatter writes the fields of each span as text, whether or not a line needs them, and
//! passes a line on in many small pieces, which takes longer than all else that is done for a short job. The lines here are the same as
//! those of the stock formatter with `flatten_event`.

mod fields;
mod timestamp;

use std::io::Write as _;

use serde_json::Value;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::clock::since_epoch;
use crate::span_fields::{FieldValue, SpanFields};
use fields::Fields;

/// Room for most lines.
const USUAL_LINE_BYTES: usize = 1024;

/// The spans that a JSON line shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spans {
    /// The innermost, as `span`: an attempt stands for itself.
    Innermost,
    /// All, outermost first, as `spans`: an attempt belongs to an invocation.
    All,
}

/// A layer that writes each event as one line of JSON.
pub(crate) struct JsonLines<W> {
    spans: Spans,
    writer: W,
}

impl<W> JsonLines<W> {
    /// A layer whose lines show these spans.
    pub(crate) fn new(spans: Spans, writer: W) -> Self {
        Self { spans, writer }
    }
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            span.extensions_mut().replace(SpanFields::of(attributes));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<SpanFields>()
        {
            fields.add(values);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut line = String::with_capacity(USUAL_LINE_BYTES);
        line.push_str(r#"{"timestamp":""#);
        timestamp::push(&mut line, since_epoch());
        line.push_str(r#"","level":""#);
        line.push_str(metadata.level().as_str());
        line.push('"');
        let mut fields = Fields::after_others(&mut line);
        event.record(&mut fields);
        fields.text("target", metadata.target());
        if let Some(span) =
            event.parent().and_then(|id| context.span(id)).or_else(|| context.lookup_current())
        {
            self.push_spans(&mut line, &span);
        }
        line.push_str("}\n");
        // In one call, so that lines of several threads do not mix. There is no other place to report that it fails.
        let _ = self.writer.make_writer_for(metadata).write_all(line.as_bytes());
    }
}

impl<W> JsonLines<W> {
    fn push_spans<S: for<'a> LookupSpan<'a>>(&self, line: &mut String, innermost: &SpanRef<'_, S>) {
        match self.spans {
            Spans::Innermost => {
                line.push_str(r#","span":"#);
                push_span(line, innermost);
            }
            Spans::All => {
                line.push_str(r#","spans":["#);
                for (index, span) in innermost.scope().from_root().enumerate() {
                    if index > 0 {
                        line.push(',');
                    }
                    push_span(line, &span);
                }
                line.push(']');
            }
        }
    }
}

fn push_span<S: for<'a> LookupSpan<'a>>(line: &mut String, span: &SpanRef<'_, S>) {
    line.push('{');
    let mut fields = Fields::first(line);
    if let Some(of_span) = span.extensions().get::<SpanFields>() {
        for (name, value) in of_span.iter() {
            match value {
                FieldValue::Text(value) => fields.text(name, value),
                FieldValue::Unsigned(value) => fields.integer(name, value),
                FieldValue::Signed(value) => fields.integer(name, value),
                FieldValue::Float(value) => fields.plain(name, Value::from(value)),
                FieldValue::Bool(value) => fields.plain(name, value),
            }
        }
    }
    fields.text("name", span.name());
    line.push('}');
}

#[cfg(test)]
mod tests;
