//! The fields of spans that contain a trace.

use drumline::message::Traceparent;

/// The fields with a `traceparent`: that of any span, and that of a worker's attempts.
pub(crate) const W3C: [&str; 2] = ["traceparent", "trace_link"];

/// The field with an X-Ray header: that of a function's invocations.
pub(crate) const XRAY: &str = "xray_trace_id";

/// Returns the trace in the text of a field, if the field is one of those with a trace.
pub(crate) fn trace_in(field: &str, text: &str) -> Option<Traceparent> {
    match field {
        name if W3C.contains(&name) => Traceparent::parse(text),
        XRAY => Traceparent::from_xray(text),
        _ => None,
    }
}
