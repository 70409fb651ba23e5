//! The trace of the current span, from a field that contains it.

use std::fmt::Debug;

use drumline::message::Traceparent;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber, dispatcher};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::span_fields::SpanFields;
use crate::trace_fields::{W3C, XRAY, trace_in};

/// Keeps the trace of each span that has a field `traceparent`, for the jobs that are sent inside it. Programs that do not use
/// [`init`](crate::logging::init()) add it to their own subscriber.
///
/// ```
/// use drumline_runtime::{TraceLayer, traceparent_of_span};
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let subscriber = tracing_subscriber::registry().with(TraceLayer);
/// tracing::subscriber::with_default(subscriber, || {
///     let header = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
///     let _request = tracing::info_span!("request", traceparent = header).entered();
///     let _inner = tracing::info_span!("checkout").entered();
///     assert_eq!(traceparent_of_span().expect("the request's").as_str(), header);
/// });
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct TraceLayer;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TraceLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if names_a_trace(attributes.metadata()) {
            let mut found = Found(None);
            attributes.record(&mut found);
            keep(found, context.span(id));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id);
        if span.as_ref().is_some_and(|span| names_a_trace(span.metadata())) {
            let mut found = Found(None);
            values.record(&mut found);
            keep(found, span);
        }
    }
}

fn names_a_trace(metadata: &Metadata<'_>) -> bool {
    let fields = metadata.fields();
    W3C.iter().chain([&XRAY]).any(|name| fields.field(name).is_some())
}

fn keep<S: for<'a> LookupSpan<'a>>(Found(found): Found, span: Option<SpanRef<'_, S>>) {
    if let (Some(trace), Some(span)) = (found, span) {
        span.extensions_mut().replace(trace);
    }
}

/// Reads a trace from the fields of a span.
struct Found(Option<Traceparent>);

impl Visit for Found {
    fn record_str(&mut self, field: &Field, value: &str) {
        let found = trace_in(field.name(), value);
        if found.is_some() {
            self.0 = found;
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // `%header` is recorded like this; other fields are not worth a text.
        if W3C.contains(&field.name()) || field.name() == XRAY {
            self.record_str(field, &format!("{value:?}"));
        }
    }
}

/// Returns the trace of the current span, or of the nearest span around it that has one. A custom subscriber needs a
/// [`TraceLayer`] for it.
pub fn traceparent_of_span() -> Option<Traceparent> {
    dispatcher::get_default(|dispatch| {
        let registry = dispatch.downcast_ref::<Registry>()?;
        let span = registry.span(dispatch.current_span().id()?)?;
        span.scope().find_map(|span| {
            let extensions = span.extensions();
            let named = extensions.get::<Traceparent>().cloned();
            // If the fields are kept, the trace is read from them here, and not at each new span.
            named.or_else(|| extensions.get::<SpanFields>()?.trace())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::field::Empty;
    use tracing::{error_span, info_span};
    use tracing_subscriber::filter::LevelFilter;
    use tracing_subscriber::layer::SubscriberExt;

    use crate::json_lines::JsonLines;
    use crate::logging::Spans;

    const FIRST: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const SECOND: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-00";
    const XRAY_OF_FIRST: &str = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1";

    fn found() -> Option<String> {
        traceparent_of_span().map(|trace| trace.as_str().to_owned())
    }

    #[test]
    fn the_nearest_span_that_names_a_trace_counts() {
        let subscriber = tracing_subscriber::registry().with(TraceLayer).with(LevelFilter::INFO);
        tracing::subscriber::with_default(subscriber, nearest_span);
        let json = JsonLines::new(Spans::Innermost, std::io::sink);
        let subscriber = tracing_subscriber::registry().with(json).with(LevelFilter::INFO);
        tracing::subscriber::with_default(subscriber, nearest_span);
    }

    fn nearest_span() {
        assert_eq!(found(), None, "no span");
        let _request = info_span!("request", traceparent = FIRST, path = "/").entered();
        let _other = info_span!("other", id = 7).entered();
        assert_eq!(found().as_deref(), Some(FIRST));
        let late = info_span!("attempt", trace_link = Empty, id = 7);
        let _late = late.clone().entered();
        assert_eq!(found().as_deref(), Some(FIRST));
        late.record("trace_link", SECOND);
        assert_eq!(found().as_deref(), Some(SECOND));
        let _odd = info_span!("odd", traceparent = "garbage").entered();
        assert_eq!(found().as_deref(), Some(SECOND));
        let _invocation = info_span!("invocation", xray_trace_id = Some(XRAY_OF_FIRST)).entered();
        assert_eq!(found().as_deref(), Some(FIRST));
        let _shown = error_span!("shown", traceparent = %SECOND).entered();
        assert_eq!(found().as_deref(), Some(SECOND));
    }

    #[test]
    fn without_the_layer_there_is_none() {
        let subscriber = tracing_subscriber::registry().with(LevelFilter::INFO);
        tracing::subscriber::with_default(subscriber, || {
            let _request = info_span!("request", traceparent = FIRST).entered();
            assert_eq!(found(), None);
        });
        tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::new(), || {
            let _request = info_span!("request", traceparent = FIRST).entered();
            assert_eq!(found(), None);
        });
    }
}
